//! When leases end: the leader's account, on the core's own monotonic time.
//!
//! Only the leader counts. When it begins to lead every lease starts again with its whole time to
//! live and an election's time besides (etcd's `Promote`), because nobody knows what the leader
//! before it had renewed. When a lease's time is up the leader proposes its revocation, and says in
//! which term it found so: an entry of another term is void, as that term's leader may have renewed
//! the lease in the meantime (etcd #15247).
//!
//! Deliberately absent: checkpoints of the time that is left (in etcd an option, off by default).

use std::collections::{BTreeMap, BTreeSet};

use super::node::Node;
use super::writes::command;
use crate::bugs::Bug;
use crate::proto::ordealpb::RevokeLease;
use crate::proto::ordealpb::command::Op;

/// Expired leases are looked for so often, in microseconds.
const CHECK_US: u64 = 500_000;

/// So many are revoked in that time at the most: a thousand a second, as in etcd.
const REVOKED_MAX: usize = 500;

/// A revocation that has not been applied is proposed again after so many microseconds.
const RETRY_US: u64 = 3_000_000;

/// The leases' ends, as the leader of one term counts them.
#[derive(Debug, Default)]
pub(super) struct LeaseClock {
    /// The term in which this node leads and counts; 0 while it does not.
    term: u64,
    ends: BTreeMap<i64, End>,
    /// The leases by when to look at them.
    due: BTreeSet<(u64, i64)>,
    /// Found expired, to be revoked at the next tick, by the leader of this term.
    expired: Vec<i64>,
    expired_term: u64,
    checked_us: u64,
    /// How many leases that another leader had granted or renewed have ended here.
    inherited_expired: u64,
}

#[derive(Debug, Clone, Copy)]
struct End {
    end_us: u64,
    /// When to look at the lease: at its end, or when its revocation is to be proposed again.
    due_us: u64,
    /// It was another leader's, and was not renewed since.
    is_inherited: bool,
}

impl LeaseClock {
    /// Whether this node counts.
    pub fn counts(&self) -> bool {
        self.term != 0
    }

    /// Starts a lease, or starts it again, if this node counts.
    pub fn start(&mut self, id: i64, ttl: i64, now_us: u64) {
        if self.counts() {
            self.set(id, now_us.saturating_add(micros(ttl)), false);
        }
    }

    /// The lease is gone.
    pub fn forget(&mut self, id: i64) {
        if let Some(entry) = self.ends.remove(&id) {
            self.due.remove(&(entry.due_us, id));
        }
    }

    /// The microseconds that a lease has left; none when its time is up or it is not known.
    pub fn left_us(&self, id: i64, now_us: u64) -> Option<u64> {
        self.ends.get(&id)?.end_us.checked_sub(now_us).filter(|left| *left > 0)
    }

    fn set(&mut self, id: i64, end_us: u64, is_inherited: bool) {
        let end = End { end_us, due_us: end_us, is_inherited };
        if let Some(before) = self.ends.insert(id, end) {
            self.due.remove(&(before.due_us, id));
        }
        self.due.insert((end_us, id));
    }

    fn demote(&mut self) {
        self.term = 0;
        self.ends.clear();
        self.due.clear();
    }

    /// Finds the leases whose time is up, once in a while and not too many.
    fn find_expired(&mut self, now_us: u64) {
        if !self.counts() || now_us < self.checked_us + CHECK_US {
            return;
        }
        self.checked_us = now_us;
        self.expired_term = self.term;
        while self.expired.len() < REVOKED_MAX
            && let Some(&(due_us, id)) = self.due.first()
            && due_us <= now_us
        {
            self.due.pop_first();
            let again_us = now_us + RETRY_US;
            self.due.insert((again_us, id));
            if let Some(end) = self.ends.get_mut(&id) {
                end.due_us = again_us;
                self.inherited_expired += u64::from(std::mem::take(&mut end.is_inherited));
            }
            self.expired.push(id);
        }
    }
}

/// Seconds as microseconds, for a time to live that is in bounds.
fn micros(ttl: i64) -> u64 {
    u64::try_from(ttl).unwrap_or(0).saturating_mul(1_000_000)
}

impl Node {
    /// The shortest time to live, in seconds: one and a half election timeouts, rounded up.
    pub(super) fn ttl_min(&self) -> i64 {
        let ticks = (3 * self.config.election_ticks / 2) as u64;
        (ticks * self.config.tick_us).div_ceil(1_000_000) as i64
    }

    /// Begins to count with the term in which this node leads, and ends with it.
    pub(super) fn count_leases(&mut self) {
        let term = if self.is_leader() { self.raft.raft.term } else { 0 };
        if term == self.leases.term {
            return;
        }
        self.leases.demote();
        self.leases.term = term;
        if term == 0 {
            return;
        }
        let election_us = self.config.election_ticks as u64 * self.config.tick_us;
        for (id, lease) in self.state.kv.leases().iter() {
            let end_us = (self.now_us + election_us).saturating_add(micros(lease.ttl));
            self.leases.set(id, end_us, true);
        }
    }

    /// Proposes the revocations that were found at an earlier tick, and looks for more.
    pub(super) fn tick_leases(&mut self) {
        let mut expired = std::mem::take(&mut self.leases.expired);
        let mut term = self.leases.expired_term;
        if self.config.bugs.has(Bug::OldLeaderRevokes) {
            // BUG old-leader-revokes: whoever leads by now is handed the revocations, and they
            // count in its term as well.
            term = 0;
        } else if term != self.leases.term {
            // Found in the time of a leadership that is over.
            expired.clear();
        }
        for id in expired {
            let op = Op::RevokeLease(RevokeLease { id, expired_in_term: term });
            let command = command(self.config.id, self.config.incarnation, 0, op);
            self.writes.add_unanswered(&command);
        }
        self.leases.find_expired(self.now_us);
        self.counts.inherited_leases_expired = self.leases.inherited_expired;
    }

    /// A lease's revocation counts only in the term whose leader found it expired.
    pub(super) fn is_void(op: &Op, term: u64) -> bool {
        matches!(op, Op::RevokeLease(r) if r.expired_in_term != 0 && r.expired_in_term != term)
    }

    /// Keeps account of a lease that an entry has granted or revoked.
    pub(super) fn account_leases(&mut self, op: &Op) {
        match op {
            Op::GrantLease(grant) => self.leases.start(grant.id, grant.ttl, self.now_us),
            Op::RevokeLease(revoke) => self.leases.forget(revoke.id),
            _ => {}
        }
    }
}
