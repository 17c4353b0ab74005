//! What Ordeal's own binary is in a container.

use super::control::{Role, report};
use super::descriptors;
use crate::agent::protocol::{Reply, Request};
use crate::agent::{Surroundings, serve};
use crate::sandbox::network::{loopback_up, open_device, tun_path};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use ordeal_nemesis::{Capability, NodeId};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};

/// The hidden first arguments.
pub(super) const AGENT: &str = "__docker-agent";
pub(super) const SIDECAR: &str = "__docker-sidecar";
pub(super) const SOCKETS: &str = "__docker-sockets";

/// Plays the role that the arguments name, if they name one; gives the exit status.
pub(super) fn play(args: &[&str]) -> Option<u8> {
    let played = match args {
        [AGENT, word, node] => agent(word, node),
        [SIDECAR, word, of, address] => sidecar(word, of, address),
        [SOCKETS, word] => sockets(word),
        _ => return None,
    };
    Some(match played {
        Ok(()) => 0,
        Err(error) => {
            tell!("ordeal: {error}");
            70
        }
    })
}

/// A container's agent has nothing to do with links: they are the switch's.
struct InContainer;

impl Surroundings for InContainer {
    fn offers(&self) -> Vec<Capability> {
        Vec::new()
    }

    fn ask(&mut self, _: Request) -> Result<Reply, String> {
        Err("a container's agent has no links".to_owned())
    }
}

fn agent(word: &str, node: &str) -> io::Result<()> {
    let stream: OwnedFd = report(word, Role::Agent(node.to_owned()), Ok(None))?.into();
    serve(&NodeId(node.to_owned()), stream.try_clone()?, stream, &mut InContainer)
}

/// Makes the network device in the namespace that this container shares, and hands it over.
fn sidecar(word: &str, of: &str, address: &str) -> io::Result<()> {
    let address: Ipv4Addr = address.parse().map_err(io::Error::other)?;
    let made = loopback_up().and_then(|()| open_device(&tun_path(), address));
    let made = made.map(Some).map_err(|error| error.to_string());
    report(word, Role::Sidecar(of.to_owned()), made).map(drop)
}

/// Makes a socket on this network whenever it is asked to, until nobody is there to ask.
fn sockets(word: &str) -> io::Result<()> {
    let stream = report(word, Role::Sockets, Ok(None))?;
    loop {
        let (asked, _) = descriptors::receive(&stream)?;
        if asked.is_empty() {
            return Ok(());
        }
        for _ in asked {
            let made = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
            descriptors::send(&stream, b".", Some(made.as_fd()))?;
        }
    }
}
