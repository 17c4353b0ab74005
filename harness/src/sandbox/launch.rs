//! How a node's process comes to be.
//!
//! Between clone and exec of a process with threads next to nothing is allowed, so the child
//! executes Ordeal's own binary again, with a hidden first argument. There it has one thread, sets
//! its surroundings up in plain Rust, says over a pipe what goes wrong, and executes the program.
//! The program is the first process of its pid namespace: what it leaves running ends with it.
//!
//! No `PR_SET_PDEATHSIG` in the sandbox: it fires when the *thread* that made the process ends, and
//! a runner may start a node from any. The pid namespace around it is what ends it with the
//! supervisor. An agent has one thread and no namespaces: there it is set.

use super::enter::NAMESPACES;
use super::error::SandboxError;
use super::init::{fresh_proc, private_mounts};
use super::report::{self, Report, Reporter};
use super::sys::{self, Image};
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2, sethostname, setsid};
use ordeal_nemesis::{NodeId, clock};
use serde::{Deserialize, Serialize};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The hidden first argument.
const ASKED: &str = "__sandbox-init";
/// Stands in the arguments of a process whose clocks are taken over.
const TRACED: &CStr = c"traced";
/// Stands in place of a network: the process stays in its maker's namespaces, and ends with it.
const BARE: &CStr = c"bare";
/// What the set-up does, in order, with the path that it is about; numbered from 1.
const STAGES: [&str; 8] = [
    "reading its instructions",
    "opening its log",
    "entering its network",
    "making its mounts private",
    "mounting its /proc",
    "changing to its directory",
    "executing",
    "handing its clocks over",
];

/// What to start on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The program; absolute, or relative to `cwd`.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Its whole environment: nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// The directory that it starts in.
    pub cwd: PathBuf,
    /// The file that its standard output and error are appended to; made when it is not there.
    pub log: PathBuf,
}

/// Starts the process, and returns when the program is being executed.
///
/// One that is `traced` stands still then: the calling thread must take its clocks over.
pub(super) fn spawn(
    node: &NodeId,
    network: Option<&OwnedFd>,
    launch: &Launch,
    traced: bool,
) -> Result<(Pid, OwnedFd), SandboxError> {
    let refused = |what: String, source| SandboxError::Start { node: node.clone(), what, source };
    let (listening, reporting) = pipe2(OFlag::O_CLOEXEC)
        .map_err(|errno| refused("making a pipe".into(), sys::as_io(errno)))?;
    let image = image(node, network, &reporting, launch, traced)
        .map_err(|error| refused("its command line".into(), error))?;
    let (namespaces, keep) = match network {
        // The network is entered later: made here, a namespace would be a new one.
        Some(network) => (
            NAMESPACES.difference(CloneFlags::CLONE_NEWNET),
            vec![network.as_fd(), reporting.as_fd()],
        ),
        None => (CloneFlags::empty(), vec![reporting.as_fd()]),
    };
    let (child, pidfd) = sys::spawn(namespaces, &image, &keep)
        .map_err(|errno| refused("cloning a process".into(), sys::as_io(errno)))?;
    drop(reporting);
    let error = match report::listen(listening) {
        Ok(Report::Ready) => return Ok((child, pidfd)),
        Ok(Report::Failed(stage, errno)) => {
            let number = usize::from(stage).wrapping_sub(1);
            let what = STAGES.get(number).copied().unwrap_or("setting it up");
            let path = match number {
                1 => launch.log.display().to_string(),
                5 => launch.cwd.display().to_string(),
                6 => launch.program.display().to_string(),
                _ => String::new(),
            };
            let what = format!("{what} {path}").trim_end().to_owned();
            refused(what, io::Error::from_raw_os_error(errno))
        }
        Ok(Report::Silence) => {
            refused("setting it up".into(), io::Error::other("its process died at once"))
        }
        Err(source) => refused("hearing from its process".into(), source),
    };
    // A failed set-up ends by itself; what is left is to collect its status.
    let _ = kill(child, Signal::SIGKILL);
    let _ = nix::sys::wait::waitpid(child, None);
    Err(error)
}

/// Our own binary, told to set itself up as `node` and to execute the program.
fn image(
    node: &NodeId,
    network: Option<&OwnedFd>,
    reporting: &OwnedFd,
    launch: &Launch,
    traced: bool,
) -> io::Result<Image> {
    let number = |fd: &OwnedFd| CString::new(fd.as_raw_fd().to_string());
    let text = |text: &OsStr| CString::new(text.as_bytes());
    let mut args = vec![
        CString::from(c"ordeal"),
        CString::new(ASKED)?,
        number(reporting)?,
        network.map_or_else(|| Ok(CString::from(BARE)), number)?,
        CString::from(if traced { TRACED } else { c"" }),
        CString::new(node.0.as_str())?,
        text(launch.log.as_os_str())?,
        text(launch.cwd.as_os_str())?,
        text(launch.program.as_os_str())?,
    ];
    for arg in &launch.args {
        args.push(text(arg)?);
    }
    let mut env = Vec::new();
    for (key, value) in &launch.env {
        let mut pair = key.clone().into_vec();
        pair.push(b'=');
        pair.extend_from_slice(value.as_bytes());
        env.push(CString::new(pair)?);
    }
    // The link is to the very file that is running, whatever has become of its name since.
    Ok(Image::new(c"/proc/self/exe".into(), args, env))
}

/// When this process was started to become a node's, becomes it and does not return.
///
/// The first call in `main`: it needs the process to itself.
pub fn run_init_if_asked() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == ASKED) {
        // Whoever types this by hand has no pipe there to hear what is wrong.
        std::process::exit(become_node(args))
    }
}

/// Sets up and executes; returns an exit status when that failed.
fn become_node(mut args: impl Iterator<Item = OsString>) -> i32 {
    let Some(reporting) = args.next().and_then(descriptor) else {
        tell!("ordeal: {ASKED} is not for people; see ordeal --help");
        return 64;
    };
    let mut reporter = Reporter::new(reporting);
    let network = match args.next() {
        Some(bare) if bare.as_bytes() == BARE.to_bytes() => Some(None),
        number => number.and_then(descriptor).map(Some),
    };
    let traced = args.next().is_some_and(|arg| arg.as_bytes() == TRACED.to_bytes());
    let (stage, error) = match (network, args.next(), args.next(), args.next(), args.next()) {
        (Some(network), Some(name), Some(log), Some(cwd), Some(program)) => {
            let mut command = Command::new(program);
            command.args(args);
            let set_up = set_up(network, &name, log, cwd, &mut command);
            let handed_over = set_up.and_then(|()| {
                if traced { clock::trace_me().map_err(|error| (8, error)) } else { Ok(()) }
            });
            match handed_over {
                Ok(()) => {
                    reporter.ready();
                    (7, command.exec())
                }
                Err(failure) => failure,
            }
        }
        _ => (1, io::Error::from_raw_os_error(nix::libc::EINVAL)),
    };
    reporter.failed(stage, &error);
    127
}

/// The descriptor of this number, which was handed over.
fn descriptor(number: OsString) -> Option<OwnedFd> {
    let number: RawFd = number.to_str()?.parse().ok()?;
    (number > 2).then(|| sys::adopt(number)).flatten()
}

/// Everything but the execution; on failure the stage and the reason.
fn set_up(
    network: Option<OwnedFd>,
    name: &OsStr,
    log: OsString,
    cwd: OsString,
    command: &mut Command,
) -> Result<(), (u8, io::Error)> {
    let at = |stage: u8| move |error: io::Error| (stage, error);
    let output = OpenOptions::new().append(true).create(true).open(log).map_err(at(2))?;
    let errors = output.try_clone().map_err(at(2))?;
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    match network {
        Some(network) => {
            setns(network, CloneFlags::CLONE_NEWNET).map_err(|errno| (3, sys::as_io(errno)))?;
            private_mounts().map_err(at(4))?;
            fresh_proc().map_err(at(5))?;
            // A name for people does not matter to the node enough to refuse it.
            let _ = sethostname(name);
        }
        None => set_pdeathsig(Signal::SIGKILL).map_err(|errno| (4, sys::as_io(errno)))?,
    }
    std::env::set_current_dir(cwd).map_err(at(6))?;
    // Nor does this: no stray descriptors (kernels before 5.11 do not know the flag), and a session
    // of its own against signals from a terminal.
    let _ = sys::close_on_exec_all();
    let _ = setsid();
    Ok(())
}
