//! Where a cluster runs, and the hosts that are there already.

use super::Mistake;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

/// Where a cluster runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// Real processes in namespaces of their own.
    #[default]
    Sandbox,
    /// Containers on this machine.
    Docker,
    /// Hosts that are there already.
    Ssh(Hosts),
    /// The embedded cluster's core in one process, on simulated time.
    Simulation,
}

/// Hosts that are reached by ssh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosts {
    /// One for each node, in the nodes' order; those that are left over are not touched.
    pub hosts: Vec<Host>,
    /// The file that `ssh` is to take its settings from, in place of the user's.
    pub config: Option<PathBuf>,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// What `ssh` is told: `user@name`, or a name of its settings.
    pub destination: String,
    /// The address at which clients and other nodes reach it.
    pub address: Ipv4Addr,
}

/// Why a file names no hosts. Each message names the place.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// The file could not be read.
    #[error("--hosts {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of it is no host.
    #[error("{}: line {line}: {message}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong, and what was expected.
        message: String,
    },
}

impl Environment {
    /// Its name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Environment::Sandbox => "sandbox",
            Environment::Docker => "docker",
            Environment::Ssh(_) => "ssh",
            Environment::Simulation => "simulation",
        }
    }

    /// Whether it has room for so many nodes.
    pub(super) fn validate(&self, nodes: usize) -> Result<(), Mistake> {
        let mistake =
            |message: String| Err(Mistake { field: "environment.ssh.hosts".to_owned(), message });
        let Environment::Ssh(Hosts { hosts, .. }) = self else { return Ok(()) };
        if hosts.len() < nodes {
            let count = hosts.len();
            return mistake(format!("{count} hosts for {nodes} nodes: each node needs one"));
        }
        let mut seen = BTreeSet::new();
        for Host { destination, address } in hosts {
            if destination.is_empty() || destination.starts_with('-') {
                return mistake(format!("`{destination}` is no host's name"));
            }
            if !seen.insert(address) {
                return mistake(format!("two hosts have the address {address}"));
            }
        }
        Ok(())
    }
}

impl Hosts {
    /// The hosts that a file names: on each line what `ssh` is told, then, where that is no name
    /// or address that this machine knows, the host's IPv4 address. `#` starts a comment.
    ///
    /// # Errors
    ///
    /// [`HostsError`]. Asks the resolver for names without an address.
    pub fn load(path: &Path, config: Option<PathBuf>) -> Result<Hosts, HostsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| HostsError::Unreadable { path: path.to_owned(), source })?;
        let mut hosts = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let host = host(text).map_err(|message| HostsError::Malformed {
                path: path.to_owned(),
                line,
                message,
            })?;
            hosts.push(host);
        }
        // What the plan names must be found from another folder too.
        let config = config.map(|file| std::path::absolute(&file).unwrap_or(file));
        Ok(Hosts { hosts, config })
    }
}

fn host(line: &str) -> Result<Host, String> {
    let mut words = line.split_whitespace();
    let destination = words.next().unwrap_or_default().to_owned();
    let named = words.next();
    if let Some(more) = words.next() {
        return Err(format!("`{more}` is too much: expected `[USER@]HOST [ADDRESS]`"));
    }
    let address = match named {
        Some(address) => address
            .parse()
            .map_err(|_| format!("`{address}` is no IPv4 address, as in 192.0.2.7"))?,
        None => resolve(&destination)?,
    };
    Ok(Host { destination, address })
}

/// The first IPv4 address of the name in `[USER@]NAME`.
fn resolve(destination: &str) -> Result<Ipv4Addr, String> {
    let name = destination.rsplit_once('@').map_or(destination, |(_, name)| name);
    if let Ok(address) = name.parse() {
        return Ok(address);
    }
    let found = (name, 22).to_socket_addrs().ok().and_then(|mut addresses| {
        addresses.find_map(|address| match address {
            SocketAddr::V4(address) => Some(*address.ip()),
            SocketAddr::V6(_) => None,
        })
    });
    found.ok_or_else(|| {
        format!("no IPv4 address of `{name}` is known here; write it behind the name")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Hosts, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("hosts");
        std::fs::write(&path, text).expect("a file");
        Hosts::load(&path, None).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_names_a_host_a_line() {
        let hosts = load("# mine\nroot@192.0.2.1\n\nsecond 192.0.2.2 # its alias\n").unwrap();
        let named: Vec<String> = hosts
            .hosts
            .iter()
            .map(|host| format!("{} {}", host.destination, host.address))
            .collect();
        assert_eq!(named, ["root@192.0.2.1 192.0.2.1", "second 192.0.2.2"]);
        let environment = Environment::Ssh(hosts);
        assert_eq!(environment.validate(2), Ok(()));
        let message = environment.validate(3).unwrap_err().message;
        assert_eq!(message, "2 hosts for 3 nodes: each node needs one");
    }

    #[test]
    fn what_is_no_host_is_told_with_its_line() {
        for (text, expected) in [
            ("\nn1 here", "line 2: `here` is no IPv4 address"),
            ("n1 192.0.2.1 x", "line 1: `x` is too much"),
            ("no.such.host.invalid", "line 1: no IPv4 address of `no.such.host.invalid` is known"),
        ] {
            let message = load(text).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        let twice = Environment::Ssh(load("a 192.0.2.1\nb 192.0.2.1").unwrap());
        assert!(twice.validate(1).is_err_and(|mistake| mistake.message.contains("192.0.2.1")));
        let option = Environment::Ssh(load("-oProxyCommand=x 192.0.2.1").unwrap());
        assert!(option.validate(1).is_err());
    }
}
