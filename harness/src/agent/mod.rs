//! The agent: Ordeal's own binary beside a node, where the node is not the runner's own child.
//!
//! # Model
//!
//! An agent looks after one node of a run: it starts the node's process, sends it signals, has its
//! clocks and, where the machine lets it, its disk in hand, exactly as the sandbox does, for it is
//! the same code ([`Sandbox::bare`](crate::sandbox::Sandbox)). In a container it is the first
//! process; on a host it is what `ssh` starts there. It is told what to do over one stream, a line
//! of JSON each way, and it lives as long as that stream: when the runner dies, however it dies,
//! the stream ends, and with it the agent, the node's process, and what the agent made.
//!
//! # What is not here
//!
//! Who leads, what a fault is, and when one happens: the runner knows that. What a container or a
//! host is: [`crate::docker`] and [`crate::ssh`] do.

pub(crate) mod protocol;
mod remote;
mod serve;

use crate::{docker, ssh};

pub(crate) use remote::{Ended, Remote, offered_by_all};
pub(crate) use serve::{Surroundings, serve, tail};

/// When this process was started to be an agent, or another of the roles beside one, plays it and
/// does not return.
///
/// To be called at the start of `main`: an agent needs the process to itself.
pub fn play_role_if_asked() {
    let args: Vec<String> =
        std::env::args_os().skip(1).map_while(|arg| arg.into_string().ok()).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if let Some(status) = docker::play_role(&args).or_else(|| ssh::play_role(&args)) {
        std::process::exit(status.into())
    }
}
