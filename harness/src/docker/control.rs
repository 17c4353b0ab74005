//! The socket where a run's containers report.
//!
//! It lies in the run's folder, which each container has a part of. Whoever connects says in one
//! line who it is; a line without the run's own word is not heard.

use super::descriptors;
use super::error::DockerError;
use crate::agent::protocol::line;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The folder of the socket in a container.
pub(super) const INSIDE: &str = "/ordeal/control";
/// The socket in that folder.
pub(super) const SOCKET: &str = "socket";
/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    /// A node's agent.
    Agent(String),
    /// The sidecar that has made the network device of a container, which comes with the line.
    Sidecar(String),
    /// What makes clients' sockets.
    Sockets,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Role::Agent(node) => f.write_str(node),
            Role::Sidecar(of) => write!(f, "the sidecar of {of}"),
            Role::Sockets => f.write_str("the clients"),
        }
    }
}

/// The first line of a connection.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    /// The run's own word, which only its containers were told.
    word: String,
    role: Role,
    /// Why it cannot do what it is there for.
    trouble: Option<String>,
}

/// Somebody who has reported.
pub(super) struct Caller {
    pub role: Role,
    pub trouble: Option<String>,
    pub stream: UnixStream,
    /// What was said after the report and has been read already.
    pub more: Vec<u8>,
    pub descriptor: Option<OwnedFd>,
}

/// Connects and reports, from inside a container.
pub(super) fn report(
    word: &str,
    role: Role,
    outcome: Result<Option<OwnedFd>, String>,
) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(Path::new(INSIDE).join(SOCKET))?;
    let (descriptor, trouble) = match outcome {
        Ok(descriptor) => (descriptor, None),
        Err(trouble) => (None, Some(trouble)),
    };
    let report = line(&Report { word: word.to_owned(), role, trouble });
    descriptors::send(&stream, &report, descriptor.as_ref().map(std::os::fd::AsFd::as_fd))?;
    Ok(stream)
}

/// The socket, and who calls there.
pub(super) struct Control {
    folder: PathBuf,
    pub callers: Receiver<Caller>,
}

impl Control {
    /// Listens in `folder`, which is made, and lasts as long as this.
    pub fn listen(folder: &Path, word: &str) -> Result<Control, DockerError> {
        let doing = || format!("listening in {}", folder.display());
        std::fs::create_dir_all(folder).map_err(DockerError::io(doing()))?;
        let listener = listen(folder).map_err(DockerError::io(doing()))?;
        let (found, callers) = channel();
        let word = word.to_owned();
        let listening = std::thread::Builder::new().name("control".into()).spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(caller) = hear(stream, &word)
                    && found.send(caller).is_err()
                {
                    return;
                }
            }
        });
        listening.map_err(DockerError::io(doing()))?;
        Ok(Control { folder: folder.to_owned(), callers })
    }

    /// Its folder, which containers are given.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A socket's name has at most 107 bytes, and a run's folder may lie deeper: it is named through
/// the open folder.
fn listen(folder: &Path) -> io::Result<UnixListener> {
    let open = File::open(folder)?;
    UnixListener::bind(format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd()))
}

fn hear(stream: UnixStream, word: &str) -> Option<Caller> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let (said, descriptor) = descriptors::receive(&stream).ok()?;
    stream.set_read_timeout(None).ok()?;
    let end = said.iter().position(|byte| *byte == b'\n')?;
    let report: Report = serde_json::from_slice(&said[..end]).ok()?;
    let Report { word: told, role, trouble } = report;
    let more = said[end + 1..].to_vec();
    (told == word).then_some(Caller { role, trouble, stream, more, descriptor })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(folder: &Path, report: &Report) -> io::Result<UnixStream> {
        let open = File::open(folder)?;
        let path = format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd());
        let stream = UnixStream::connect(path)?;
        descriptors::send(&stream, &line(report), None)?;
        Ok(stream)
    }

    #[test]
    fn only_who_knows_the_word_is_heard() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let deep = folder.path().join("a".repeat(120));
        let control = Control::listen(&deep, "right")?;
        let report = |word: &str, role| Report { word: word.into(), role, trouble: None };
        let _stranger = say(&deep, &report("wrong", Role::Sockets))?;
        let _agent = say(&deep, &report("right", Role::Agent("n1".into())))?;
        let caller = control.callers.recv_timeout(PATIENCE)?;
        assert_eq!(caller.role, Role::Agent("n1".into()));
        assert!(control.callers.try_recv().is_err());
        Ok(())
    }
}
