//! What the runner and an agent say to each other: a line of JSON a message.

use crate::sandbox::{Answer, Order};
use ordeal_nemesis::Capability;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// What the runner asks, with a number that the reply bears.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub id: u64,
    pub request: Request,
}

/// What an agent can be asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Something about the node's process, clocks or disk.
    Obey(Order),
    /// Drop these packets from now on.
    Drop(Vec<Stream>),
    /// Let them pass again, and tell how many were dropped.
    Pass(Vec<Stream>),
}

/// Packets that one host may drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stream {
    /// What this address sends to us on connections between members, which are to this port.
    Peer { from: Ipv4Addr, port: u16 },
    /// What clients send to this port of ours.
    ClientsTo(u16),
    /// What we send to clients from this port.
    ToClients(u16),
}

/// What an agent says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Said {
    /// First of all: it is there, and can do this.
    Hello { offers: Vec<Capability> },
    /// The reply to what was asked under this number; an error is one sentence.
    Reply { id: u64, reply: Result<Reply, String> },
    /// The node's process has ended: how, when nobody asked it to, and the end of its log.
    Ended { how: Option<String>, last_words: String },
}

/// What came of a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// Of an order.
    Answer(Answer),
    /// So many packets were dropped.
    Dropped(u64),
}

/// The line for a message, with its end.
pub(crate) fn line(message: &impl Serialize) -> Vec<u8> {
    // Messages are numbers, strings and lists of them: nothing that JSON cannot hold.
    let mut line = serde_json::to_vec(message).expect("a message is JSON");
    line.push(b'\n');
    line
}
