//! The agent's side of the conversation.

use super::protocol::{Asked, Reply, Request, Said, line};
use crate::sandbox::{Order, Sandbox};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ordeal_nemesis::{Capability, NodeId};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How much of a log a person is shown.
const LAST_WORDS_BYTES: u64 = 2_048;
const LAST_WORDS_LINES: usize = 6;

/// What the place of an agent can do besides what every agent does.
pub(crate) trait Surroundings {
    /// What it offers besides.
    fn offers(&self) -> Vec<Capability>;
    /// Does what is asked, which is no order to the node itself.
    fn ask(&mut self, request: Request) -> Result<Reply, String>;
}

/// Looks after `node` until the runner's end of the stream is closed.
///
/// Must be called by the only thread of the process: the node's process ends with it.
///
/// # Errors
///
/// When the stream breaks.
pub(crate) fn serve(
    node: &NodeId,
    input: OwnedFd,
    output: OwnedFd,
    surroundings: &mut impl Surroundings,
) -> io::Result<()> {
    let sandbox = Sandbox::bare(node.clone()).map_err(io::Error::other)?;
    let mut output = File::from(output);
    let mut offers = sandbox.offers_of_processes();
    offers.extend(surroundings.offers());
    output.write_all(&line(&Said::Hello { offers }))?;
    let log = PathBuf::new();
    let mut agent = Agent { node, sandbox, output, surroundings, log, ran: false };
    let mut input = File::from(input);
    let mut unread = Vec::new();
    loop {
        let ending = agent.sandbox.ending(node);
        let mut fds = vec![PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        fds.extend(ending.as_ref().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        let (said, ended) = (fds[0].any(), fds.get(1).and_then(PollFd::any));
        if ended == Some(true) {
            agent.look()?;
        }
        if said != Some(true) {
            continue;
        }
        let mut bytes = [0; 16 * 1024];
        match input.read(&mut bytes)? {
            0 => return Ok(()),
            count => unread.extend_from_slice(&bytes[..count]),
        }
        while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
            let asked: Vec<u8> = unread.drain(..=end).collect();
            agent.answer(&asked)?;
        }
    }
}

struct Agent<'a, S> {
    node: &'a NodeId,
    sandbox: Sandbox,
    output: File,
    surroundings: &'a mut S,
    /// Where the node's process writes what it says.
    log: PathBuf,
    /// Whether that process ran when it was looked at last.
    ran: bool,
}

impl<S: Surroundings> Agent<'_, S> {
    fn answer(&mut self, asked: &[u8]) -> io::Result<()> {
        let Asked { id, request } = serde_json::from_slice(asked)?;
        let reply = match request {
            Request::Obey(order) => {
                if let Order::Start(launch) = &order {
                    self.log.clone_from(&launch.log);
                }
                let obeyed = self.sandbox.obey(self.node, order);
                obeyed.map(Reply::Answer).map_err(|error| error.to_string())
            }
            other => self.surroundings.ask(other),
        };
        // An end comes before the reply, so that it is not taken for that of the next process.
        self.look()?;
        self.output.write_all(&line(&Said::Reply { id, reply }))
    }

    /// Tells if the node's process has ended since it was looked at last.
    fn look(&mut self) -> io::Result<()> {
        let how = self.sandbox.exited(self.node).map_err(io::Error::other)?;
        let runs = self.sandbox.ending(self.node).is_some();
        if !std::mem::replace(&mut self.ran, runs) || runs {
            return Ok(());
        }
        let how = how.map(|reason| reason.to_string());
        // A log that cannot be read has nothing to say.
        let last_words = tail(&self.log).unwrap_or_default();
        self.output.write_all(&line(&Said::Ended { how, last_words }))
    }
}

/// The last lines of a file.
pub(crate) fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LAST_WORDS_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    Ok(lines[lines.len().saturating_sub(LAST_WORDS_LINES)..].join("\n"))
}
