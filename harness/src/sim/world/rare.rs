//! Rare states: counted, so that it is known which of them a thousand seeds have reached.

use super::Inner;
use crate::sim::wire::End;
use ordeal_cluster::core::{Note, StateRole};
use ordeal_nemesis::disk::Loss;

/// What is counted, beside what the nodes themselves note; what no seed reaches is named.
pub const RARE: [&str; 22] = [
    "became-leader",
    "follows",
    "no-leader",
    "saves-snapshot",
    "released-log",
    "sends-snapshot",
    "installed-snapshot",
    "damaged-snapshot",
    "unreadable-entry",
    "torn-tail-repaired",
    "power-loss-took-writes",
    "power-loss-tore-a-write",
    "restarted-in-a-term-that-goes-on",
    "election-while-a-snapshot-is-sent",
    "two-believe-that-they-lead",
    "died-while-an-fsync-was-under-way",
    "majority-down",
    "member-joined",
    "member-expelled",
    "watch-stream-broken",
    "read-index-retried",
    "lease-expired-on-a-new-leader",
];

impl Inner {
    /// One more of these.
    pub(super) fn count(&mut self, what: &'static str) {
        *self.notes.entry(what).or_default() += 1;
    }

    /// What a node notes, and what it means among the others.
    pub(super) fn count_note(&mut self, end: End, note: &Note) {
        self.count(name_of(note));
        let Note::BecameLeader { term } = note else { return };
        self.led.push((self.now, end));
        let others = self.hosts.iter().filter(|host| host.number as End != end);
        let running: Vec<_> = others.filter_map(|host| host.status()).collect();
        if running.iter().any(|it| it.role == StateRole::Leader && it.term < *term) {
            self.count("two-believe-that-they-lead");
        }
        let sending = |host: &super::Host| host.process.as_ref().is_some_and(|it| it.sending > 0);
        if self.hosts.iter().any(sending) {
            self.count("election-while-a-snapshot-is-sent");
        }
    }

    /// What a node has counted since it was last looked at.
    pub(super) fn count_counts(&mut self, end: End) {
        let Some(process) = &mut self.hosts[end - 1].process else { return };
        let counts = process.node.counts();
        let now = [counts.reads_retried, counts.inherited_leases_expired];
        let before = std::mem::replace(&mut process.counted, now);
        for (what, times) in ["read-index-retried", "lease-expired-on-a-new-leader"]
            .into_iter()
            .zip([0, 1].map(|place| now[place] - before[place]))
        {
            if times > 0 {
                *self.notes.entry(what).or_default() += times;
            }
        }
    }

    /// What a power loss took.
    pub(super) fn count_loss(&mut self, loss: &Loss) {
        if loss.bytes_lost > 0 {
            self.count("power-loss-took-writes");
        }
        if loss.bytes_lost > 0 && loss.bytes_kept > 0 {
            self.count("power-loss-tore-a-write");
        }
    }

    /// A process has begun.
    pub(super) fn count_start(&mut self, end: End) {
        let terms = self.hosts.iter().filter_map(|host| host.status()).map(|status| status.term);
        let newest = terms.max();
        let host = &mut self.hosts[end - 1];
        let (torn, joined) = (std::mem::take(&mut host.torn), host.joining.is_some());
        let own = host.status().map(|status| status.term);
        let again = host.incarnation > 1 && own == newest && own > Some(1);
        if torn {
            self.count("torn-tail-repaired");
        }
        if joined {
            self.count("member-joined");
        }
        if again {
            self.count("restarted-in-a-term-that-goes-on");
        }
    }

    /// A process is about to end.
    pub(super) fn count_end(&mut self, end: End) {
        let Some(process) = &self.hosts[end - 1].process else { return };
        let syncing = process.syncing;
        let members = self.hosts.iter().filter(|host| host.place == super::Place::In);
        let (all, up) = members
            .fold((0, 0), |(all, up), host| (all + 1, up + usize::from(host.process.is_some())));
        if syncing {
            self.count("died-while-an-fsync-was-under-way");
        }
        // This one is up still.
        if up > 0 && (up - 1) * 2 <= all && up * 2 > all {
            self.count("majority-down");
        }
    }
}

fn name_of(note: &Note) -> &'static str {
    match note {
        Note::BecameLeader { .. } => "became-leader",
        Note::Follows { .. } => "follows",
        Note::NoLeader { .. } => "no-leader",
        Note::SavesSnapshot { .. } => "saves-snapshot",
        Note::ReleasedLog { .. } => "released-log",
        Note::SendsSnapshot { .. } => "sends-snapshot",
        Note::InstalledSnapshot { .. } => "installed-snapshot",
        Note::DamagedSnapshot { .. } => "damaged-snapshot",
        Note::UnreadableEntry { .. } => "unreadable-entry",
    }
}
