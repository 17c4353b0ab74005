//! Packets that a host drops, by nftables: on the host's side.
//!
//! What arrives is dropped in an input hook, which is silent. What leaves is dropped in an egress
//! hook of each device, below TCP: in an output hook the sender would be told (EPERM), and a
//! network does not do that.

use crate::agent::Surroundings;
use crate::agent::protocol::{Reply, Request, Stream};
use ordeal_nemesis::Capability;
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

/// Where nft may be; it is not on the path of every user.
const PROGRAMS: [&str; 3] = ["nft", "/usr/sbin/nft", "/sbin/nft"];

/// The host's own filter, in tables of the run's own.
pub(super) struct Filter {
    /// The program, and how it is started with the rights that it needs.
    nft: Vec<String>,
    /// The name of both tables.
    table: String,
    /// The network devices that packets may leave by.
    devices: Vec<String>,
    /// Whether what leaves can be dropped too.
    egress: bool,
}

impl Filter {
    /// The filter of this host, with nothing in it; `None` when there is no nftables to be had.
    pub fn new(run: &str) -> Option<Filter> {
        let root = nix::unistd::geteuid().is_root();
        let table = format!("ordeal_{run}");
        let devices = devices();
        for program in PROGRAMS {
            let mut nft: Vec<String> =
                if root { Vec::new() } else { vec!["sudo".into(), "-n".into()] };
            nft.push(program.to_owned());
            let mut filter =
                Filter { nft, table: table.clone(), devices: devices.clone(), egress: false };
            let made = filter.feed(&format!(
                "add table inet {table}\n\
                 add chain inet {table} in {{ type filter hook input priority 0; }}\n"
            ));
            if made.is_ok() {
                filter.egress = filter.add_egress().is_ok();
                return Some(filter);
            }
        }
        None
    }

    fn add_egress(&self) -> Result<(), String> {
        let table = &self.table;
        if self.devices.is_empty() {
            return Err("this host has no network device".to_owned());
        }
        let mut script = format!("add table netdev {table}\n");
        for (number, device) in self.devices.iter().enumerate() {
            script += &format!(
                "add chain netdev {table} out{number} \
                 {{ type filter hook egress device \"{device}\" priority 0; }}\n"
            );
        }
        self.feed(&script)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.nft[0]);
        command.args(&self.nft[1..]);
        command
    }

    /// Gives nft a script, all of which happens or none.
    fn feed(&self, script: &str) -> Result<(), String> {
        let mut command = self.command();
        command
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("nft: {error}"))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(script.as_bytes()).map_err(|error| format!("nft: {error}"))?;
        }
        let output = child.wait_with_output().map_err(|error| format!("nft: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("nft: {}", said.lines().next().unwrap_or("it failed")))
    }

    /// The chains that a stream is dropped in, and what its rules match.
    fn rules(&self, stream: Stream) -> (Vec<String>, Vec<String>) {
        let table = &self.table;
        let arriving = || vec![format!("inet {table} in")];
        match stream {
            Stream::Peer { from, port } => {
                let matches = ["dport", "sport"];
                let matches = matches.map(|side| format!("ip saddr {from} tcp {side} {port}"));
                (arriving(), matches.to_vec())
            }
            // The host talks to itself too, and that is no link.
            Stream::ClientsTo(port) => {
                (arriving(), vec![format!("iifname != \"lo\" tcp dport {port}")])
            }
            Stream::ToClients(port) => {
                let chains = (0..self.devices.len()).map(|n| format!("netdev {table} out{n}"));
                (chains.collect(), vec![format!("tcp sport {port}")])
            }
        }
    }

    fn drop(&self, streams: &[Stream]) -> Result<(), String> {
        let mut script = String::new();
        for stream in streams {
            let (chains, matches) = self.rules(*stream);
            for chain in &chains {
                for matching in &matches {
                    let comment = comment(*stream);
                    script += &format!(
                        "add rule {chain} {matching} counter drop comment \"{comment}\"\n"
                    );
                }
            }
        }
        self.feed(&script)
    }

    /// Takes the rules of these streams out; how many packets they dropped.
    fn pass(&self, streams: &[Stream]) -> Result<u64, String> {
        let comments: Vec<String> = streams.iter().map(|stream| comment(*stream)).collect();
        let (mut script, mut dropped) = (String::new(), 0);
        for family in ["inet", "netdev"] {
            if family == "netdev" && !self.egress {
                continue;
            }
            let listed = self.command().args(["-j", "list", "table", family, &self.table]).output();
            let listed = listed.map_err(|error| format!("nft: {error}"))?;
            let listed: Value = serde_json::from_slice(&listed.stdout)
                .map_err(|error| format!("nft lists no JSON: {error}"))?;
            for rule in standing(&listed) {
                if comments.contains(&rule.comment) {
                    let (chain, handle) = (&rule.chain, rule.handle);
                    script +=
                        &format!("delete rule {family} {} {chain} handle {handle}\n", self.table);
                    dropped += rule.packets;
                }
            }
        }
        self.feed(&script).map(|()| dropped)
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        let netdev = if self.egress {
            format!("delete table netdev {}\n", self.table)
        } else {
            String::new()
        };
        // Nobody is left to hear that it failed.
        let _ = self.feed(&format!("delete table inet {}\n{netdev}", self.table));
    }
}

/// What a host offers beside its processes.
pub(super) struct OnHost {
    pub filter: Option<Filter>,
    pub disks: bool,
}

impl Surroundings for OnHost {
    fn offers(&self) -> Vec<Capability> {
        let link = self.filter.is_some().then_some(Capability::Link);
        let egress = self.filter.as_ref().is_some_and(|filter| filter.egress);
        let clients = egress.then_some(Capability::ClientLink);
        let disk = self.disks.then_some(Capability::Disk);
        link.into_iter().chain(clients).chain(disk).collect()
    }

    fn ask(&mut self, request: Request) -> Result<Reply, String> {
        let filter = self.filter.as_ref().ok_or("nothing can be dropped on this host")?;
        match request {
            Request::Drop(streams) => filter.drop(&streams).map(|()| Reply::Dropped(0)),
            Request::Pass(streams) => filter.pass(&streams).map(Reply::Dropped),
            Request::Obey(_) => Err("an order is for the node".to_owned()),
        }
    }
}

/// How a stream's rules are found again.
fn comment(stream: Stream) -> String {
    match stream {
        Stream::Peer { from, port } => format!("peer {from} {port}"),
        Stream::ClientsTo(port) => format!("clients to {port}"),
        Stream::ToClients(port) => format!("to clients {port}"),
    }
}

/// The devices of this host, but for loopback: those of this network namespace, which /sys may not
/// show.
fn devices() -> Vec<String> {
    let listed = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    // Two lines of headings come first; they have no colon.
    let names = listed.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    names.filter(|name| name != "lo").collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Standing {
    chain: String,
    handle: u64,
    comment: String,
    packets: u64,
}

/// The rules in what `nft -j list table` prints.
fn standing(listed: &Value) -> Vec<Standing> {
    let entries = listed["nftables"].as_array().into_iter().flatten();
    let rules = entries.filter_map(|entry| entry.get("rule"));
    let read = |rule: &Value| {
        let counters = rule["expr"].as_array().into_iter().flatten();
        let packets = counters.filter_map(|part| part["counter"]["packets"].as_u64()).sum();
        Some(Standing {
            chain: rule["chain"].as_str()?.to_owned(),
            handle: rule["handle"].as_u64()?,
            comment: rule["comment"].as_str()?.to_owned(),
            packets,
        })
    };
    rules.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_again_with_what_they_counted() {
        let listed = serde_json::json!({"nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"chain": {"family": "inet", "name": "in"}},
            {"rule": {"chain": "in", "handle": 4, "comment": "peer 192.0.2.1 2380", "expr": [
                {"match": {}}, {"counter": {"packets": 7, "bytes": 400}}, {"drop": null},
            ]}},
            {"rule": {"chain": "in", "handle": 5, "expr": []}},
        ]});
        let stream = Stream::Peer { from: [192, 0, 2, 1].into(), port: 2380 };
        let expected =
            Standing { chain: "in".into(), handle: 4, comment: comment(stream), packets: 7 };
        assert_eq!(standing(&listed), [expected]);
    }
}
