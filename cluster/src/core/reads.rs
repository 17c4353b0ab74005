//! Linearizable reads by ReadIndex (Raft thesis §6.4).
//!
//! The leader notes its commit index, makes sure by a round of heartbeats that it still leads, and
//! the reader, leader or not, waits until it has applied that much. One round serves all the reads
//! that waited when it began, and the next begins when it has ended, as in etcd.

use std::collections::VecDeque;

use super::asides::Asker;
use super::{AuthQuery, Credentials, Effect, RequestId};
use crate::bugs::{Bug, Bugs};
use crate::error::ApiError;
use crate::proto::etcdserverpb::{RangeRequest, TxnRequest, WatchCreateRequest};
use crate::proto::ordealpb::aside::What;

/// What a reader wants to know.
#[derive(Debug)]
pub(super) enum Query {
    Range(RangeRequest),
    Txn(TxnRequest),
    MemberList,
    Leases,
    Aside(What, Asker),
    Auth(AuthQuery),
    MayWatch(WatchCreateRequest),
}

/// A read that waits.
#[derive(Debug)]
pub(super) struct Read {
    /// 0 when a peer asks: it asks again if it gets no answer.
    pub id: RequestId,
    pub deadline_us: u64,
    pub query: Query,
    pub credentials: Credentials,
}

/// The reads that wait, by what they wait for.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// For a round to begin.
    waiting: Vec<Read>,
    /// For the round under way to end.
    round: Option<Round>,
    /// For the state machine to reach the index that their round gave.
    confirmed: VecDeque<(u64, Vec<Read>)>,
    /// Names rounds; never used twice, or the end of one would be taken for that of another
    /// (etcd #20418).
    last_context: u64,
    /// How often a round was tried again.
    pub retried: u64,
}

#[derive(Debug)]
struct Round {
    /// Each try has a name of its own; the answer to any of them will do, as the reads were there
    /// before the first.
    contexts: Vec<u64>,
    leader: u64,
    tried_us: u64,
    reads: Vec<Read>,
}

/// The name that a round bears on the wire: unique among members and their incarnations.
pub(super) fn context_bytes(id: u64, incarnation: u64, context: u64) -> Vec<u8> {
    [id, incarnation, context].iter().flat_map(|part| part.to_be_bytes()).collect()
}

impl Reads {
    pub fn add(&mut self, read: Read) {
        self.waiting.push(read);
    }

    /// Begins a round, or tries the one under way again if `retry_us` have passed without an
    /// answer. Gives the round's name, if the leader is to be asked.
    pub fn begin(&mut self, now_us: u64, leader: u64, retry_us: u64, bugs: Bugs) -> Option<u64> {
        match &self.round {
            Some(round) if now_us < round.tried_us + retry_us => return None,
            // Reads that came after the first try wait for the next round: the answer to that
            // try would be too old for them.
            Some(_) => self.retried += 1,
            None if self.waiting.is_empty() => return None,
            None => {
                let reads = std::mem::take(&mut self.waiting);
                self.round = Some(Round { contexts: Vec::new(), leader, tried_us: now_us, reads });
            }
        }
        let round = self.round.as_mut()?;
        // BUG read-index-id-reuse: every round has the same name, so that a late answer to one
        // that was given up ends the next.
        self.last_context = if bugs.has(Bug::ReadIndexIdReuse) { 1 } else { self.last_context + 1 };
        round.contexts.push(self.last_context);
        round.tried_us = now_us;
        Some(self.last_context)
    }

    /// A round's name came back with the index to wait for.
    pub fn confirm(&mut self, context: u64, index: u64) {
        if let Some(round) = self.round.take_if(|round| round.contexts.contains(&context)) {
            self.confirmed.push_back((index, round.reads));
        }
    }

    /// Lets every read that waits for a round go on, unconfirmed. This is `local-read`.
    pub fn skip_round(&mut self, index: u64) {
        let waiting = std::mem::take(&mut self.waiting);
        let in_round = self.round.take().map(|round| round.reads).unwrap_or_default();
        if !waiting.is_empty() || !in_round.is_empty() {
            self.confirmed.push_back((index, waiting.into_iter().chain(in_round).collect()));
        }
    }

    /// Fails the round that another leader was asked to confirm, as etcd does.
    pub fn leader_is(&mut self, leader: u64, out: &mut Vec<Effect>) {
        if let Some(round) = self.round.take_if(|round| round.leader != leader) {
            let failed = round.reads.into_iter();
            let ours = failed.filter(|read| read.id != 0);
            out.extend(ours.map(|read| Effect::Respond(read.id, Err(ApiError::LeaderChanged))));
        }
    }

    /// Takes the reads that may be answered from a state that has applied up to `applied`.
    pub fn ready(&mut self, applied: u64) -> Vec<Read> {
        let mut ready = Vec::new();
        self.confirmed.retain_mut(|(index, reads)| {
            let waits = *index > applied;
            if !waits {
                ready.append(reads);
            }
            waits
        });
        ready
    }

    /// Answers the reads whose time is up.
    pub fn expire(&mut self, now_us: u64, out: &mut Vec<Effect>) {
        let mut keep = |read: &Read| {
            if read.deadline_us <= now_us && read.id != 0 {
                out.push(Effect::Respond(read.id, Err(ApiError::Timeout)));
            }
            read.deadline_us > now_us
        };
        self.waiting.retain(&mut keep);
        for (_, reads) in &mut self.confirmed {
            reads.retain(&mut keep);
        }
        if let Some(round) = &mut self.round {
            round.reads.retain(&mut keep);
        }
        self.round.take_if(|round| round.reads.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Query, Read, Reads, RequestId};
    use crate::bugs::{Bug, Bugs};

    fn read(id: RequestId, deadline_us: u64) -> Read {
        Read { id, deadline_us, query: Query::MemberList, credentials: Credentials::None }
    }

    /// A read's round is given up; then the answer to it comes, while the next round is under way.
    /// Gives whether the second read takes that answer for its own.
    fn late_answer_counts(bugs: Bugs) -> bool {
        let mut reads = Reads::default();
        let mut out = Vec::new();
        reads.add(read(1, 10));
        let first = reads.begin(0, 7, 100, bugs).expect("a round begins");
        reads.expire(10, &mut out);
        assert_eq!(out.len(), 1, "the first read is given up");
        reads.add(read(2, 1_000));
        let second = reads.begin(20, 7, 100, bugs).expect("another round begins");
        reads.confirm(first, 3);
        let early = !reads.ready(3).is_empty();
        reads.confirm(second, 5);
        assert!(early || reads.ready(5).len() == 1, "its own answer ends the round");
        early
    }

    #[test]
    fn an_answer_to_a_round_that_was_given_up_ends_no_other_unless_names_are_used_again() {
        assert!(!late_answer_counts(Bugs::default()));
        assert!(late_answer_counts(Bugs::default().with(Bug::ReadIndexIdReuse)));
    }
}
