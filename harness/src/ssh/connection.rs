//! One connection to a host, by the system's own `ssh`: authenticated once, used many times.

use super::error::SshError;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A host that lets us in. Its end is the end of everything that we started there.
pub(super) struct Connection {
    /// What `ssh` is told.
    host: String,
    config: Option<PathBuf>,
    /// The folder of the socket that the connection is shared by.
    sockets: PathBuf,
    /// The socket's name there: short, for a socket's path is.
    socket: String,
    master: Child,
}

impl Connection {
    /// Logs in, and keeps that up; what is in `folder` on the host goes when the connection does.
    pub fn open(
        host: &str,
        config: Option<&Path>,
        sockets: &Path,
        socket: &str,
        folder: &str,
    ) -> Result<Connection, SshError> {
        let mut ssh = client(config, sockets, socket);
        // A session of its own holds the connection open. At its end the folder is taken away, as
        // soon as nobody writes there any more.
        let parent = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
        let keep = format!(
            "umask 077; mkdir -p {folder} && echo ready && cat >/dev/null; i=0; \
             while [ -e {folder} ] && [ $i -lt 100 ]; do rm -rf {folder} 2>/dev/null; \
             i=$((i+1)); [ -e {folder} ] && sleep 0.1; done; rmdir {parent} 2>/dev/null"
        );
        ssh.args(["-o", "ControlMaster=yes", "--", host, &in_sh(&keep)]);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut master = ssh.spawn().map_err(SshError::NoClient)?;
        let mut first = String::new();
        if let Some(said) = master.stdout.take() {
            // An end without a word is what is looked at below.
            let _ = BufReader::new(said).read_line(&mut first);
        }
        if first.trim() != "ready" {
            drop(master.stdin.take());
            let mut why = String::new();
            if let Some(said) = master.stderr.take() {
                let _ = said.take(4096).read_to_string(&mut why);
            }
            let _ = master.wait();
            return Err(SshError::NoLogin { host: host.to_owned(), why: last_line(&why) });
        }
        Ok(Connection {
            host: host.to_owned(),
            config: config.map(Path::to_owned),
            sockets: sockets.to_owned(),
            socket: socket.to_owned(),
            master,
        })
    }

    /// What `ssh` is told.
    pub fn host(&self) -> &str {
        &self.host
    }

    fn command(&self, script: &str) -> Command {
        let mut ssh = client(self.config.as_deref(), &self.sockets, &self.socket);
        ssh.args(["-o", "ControlMaster=no", "--", &self.host, &in_sh(script)]);
        ssh
    }

    /// Runs a script to its end; gives what it printed.
    pub fn run(&self, doing: &str, script: &str, input: Stdio) -> Result<Vec<u8>, SshError> {
        let output = self.command(script).stdin(input).output().map_err(SshError::NoClient)?;
        let Output { status, stdout, stderr } = output;
        if status.success() {
            return Ok(stdout);
        }
        let why = match last_line(&String::from_utf8_lossy(&stderr)) {
            why if why.is_empty() => status.to_string(),
            why => why,
        };
        Err(SshError::Remote { host: self.host.clone(), doing: doing.to_owned(), why })
    }

    /// Copies a file of this machine to the host, as a program.
    pub fn install(&self, from: &Path, to: &str) -> Result<(), SshError> {
        let doing = format!("copying {} to {to}", from.display());
        let file = File::open(from).map_err(|source| SshError::Io {
            doing: format!("opening {}", from.display()),
            source,
        })?;
        let script = format!("cat > {to} && chmod 700 {to}");
        self.run(&doing, &script, Stdio::from(file)).map(drop)
    }

    /// Starts a script that stays.
    pub fn start(&self, script: &str) -> Result<Child, SshError> {
        let mut ssh = self.command(script);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        ssh.spawn().map_err(SshError::NoClient)
    }

    /// Ends it, and waits until what was left on the host is gone.
    fn close(&mut self) {
        drop(self.master.stdin.take());
        // Its own end: there is nothing to be done where it fails.
        let _ = self.master.wait();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// `ssh` that asks no questions, in the folder of its sockets.
fn client(config: Option<&Path>, sockets: &Path, socket: &str) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.current_dir(sockets);
    if let Some(config) = config {
        ssh.arg("-F").arg(config);
    }
    ssh.args(["-T", "-S", socket]);
    for option in [
        "BatchMode=yes",
        "ControlPersist=no",
        "ConnectTimeout=10",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
    ] {
        ssh.args(["-o", option]);
    }
    // An interrupt from the terminal is the runner's alone.
    std::os::unix::process::CommandExt::process_group(&mut ssh, 0);
    ssh
}

/// A script for the plain shell, whatever the user's own is. It must hold no single quote.
fn in_sh(script: &str) -> String {
    debug_assert!(!script.contains('\''), "a script without single quotes");
    format!("exec sh -c '{script}'")
}

/// The last line of what a program complained about, the most telling one of ssh's.
fn last_line(text: &str) -> String {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
}
