//! Who is connected to whom: members that come and go, and streams of watches.

use super::{Cargo, Happening, Inner, Outlet, Streamed};
use crate::sim::wire::{CLIENTS, End};
use ordeal_cluster::core::{Message, StreamId, WatchInput};
use std::collections::BTreeSet;
use std::time::Duration;

impl Inner {
    /// Where the member with this id is.
    pub(super) fn end_of(&self, member: u64) -> Option<End> {
        self.hosts.iter().position(|host| host.member == member).map(|place| place + 1)
    }

    /// A message of Raft arrives; one of a member that has been removed is refused, and its sender
    /// told so.
    pub(super) fn meet_message(&mut self, to: End, message: Box<Message>) {
        let from = message.from;
        let process = self.host(to).process.as_ref();
        if process.is_some_and(|process| process.removed.contains(&from)) {
            if let Some(sender) = self.end_of(from)
                && !self.wire.is_cut(to, sender)
            {
                self.for_process(Duration::ZERO, sender, Happening::Expelled);
            }
            return;
        }
        self.happen(to, Happening::Message(message));
    }

    /// A process hears who the members are, and meets those that are new to it.
    pub(super) fn know(&mut self, end: End, members: BTreeSet<u64>, removed: Vec<u64>) {
        let Some(process) = &mut self.host(end).process else { return };
        process.removed = removed.into_iter().collect();
        let new: Vec<u64> = members.difference(&process.known).copied().collect();
        process.known = members;
        for member in new {
            let Some(peer) = self.end_of(member) else { continue };
            let apart = self.wire.is_cut(end, peer) || self.wire.is_cut(peer, end);
            if peer != end && !apart && self.host(peer).process.is_some() {
                self.meet(end, peer, Duration::ZERO);
            }
        }
    }

    /// Sends something on a stream of watches to its client.
    pub(super) fn stream(&mut self, end: End, id: StreamId, streamed: Streamed, is_last: bool) {
        let Some(process) = &mut self.host(end).process else { return };
        let outlet =
            if is_last { process.outlets.remove(&id) } else { process.outlets.get(&id).cloned() };
        let Some(outlet) = outlet else { return };
        let bytes = match &streamed {
            Ok(response) => 64 + 64 * response.events.len(),
            Err(_) => 64,
        };
        self.send(end, CLIENTS, bytes, Cargo::Watched(outlet, Box::new(streamed)), 0);
    }

    /// What was on its way never arrives. A stream of which a part is lost is at its end.
    pub(super) fn lost(&mut self, to: End, cargo: Cargo, process: u64) {
        let (end, process, id) = match cargo {
            Cargo::Watched(Outlet { end, process, id, .. }, _) => (end, process, id),
            Cargo::Watch(id, _) | Cargo::Open(id, _) => (to, process, id),
            // Whoever waits for it hears that nothing will come.
            Cargo::Raft(_)
            | Cargo::Ask(_)
            | Cargo::Answer(..)
            | Cargo::Knock(_)
            | Cargo::Knocked(..) => return,
        };
        let host = self.host(end);
        if host.incarnation == process
            && let Some(running) = &mut host.process
            && running.outlets.remove(&id).is_some()
        {
            self.count("watch-stream-broken");
            let close = Happening::Watch(id, Box::new(WatchInput::Close));
            self.for_process(Duration::ZERO, end, close);
        }
    }
}
