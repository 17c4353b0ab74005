//! What only the leader can answer, though it needs no log entry: how long a lease has left, and
//! that it goes on.
//!
//! A node that does not lead asks the leader, again and again until the request's time is up: both
//! may be done twice. The leader makes sure by a round of reads that it still leads before it
//! answers, so one that has lost its place without knowing renews nothing.
//!
//! Such a message travels in the envelope of Raft's messages, as one of a type that Raft itself
//! never sends to another (`MsgBeat`), so that whoever carries messages need not know of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use raft::eraftpb::{Message, MessageType};

use super::node::Node;
use super::reads::{Query, Read};
use super::{Credentials, Effect, RequestId, Response};
use crate::auth::Access;
use crate::error::ApiError;
use crate::proto::etcdserverpb::{
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use crate::proto::ordealpb::Aside;
use crate::proto::ordealpb::aside::What;

/// An answer that has not come is asked for again after so many ticks.
const RETRY_TICKS: u64 = 5;

/// Requests that may wait at once.
const WAITING_MAX: usize = 16_384;

/// The time to live of a lease that is not there, when asked for.
const TTL_OF_NONE: i64 = -1;

/// The requests that wait for the leader's word.
#[derive(Debug, Default)]
pub(super) struct Asides {
    waiting: BTreeMap<RequestId, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    what: What,
    credentials: Credentials,
    deadline_us: u64,
    /// To whom it went last, and when.
    asked: Option<(u64, u64)>,
}

/// Who asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asker {
    Client { deadline_us: u64 },
    Peer { id: u64, incarnation: u64, request: u64 },
}

impl Node {
    pub(super) fn ask_leader(
        &mut self,
        (id, credentials): (RequestId, Credentials),
        what: What,
        out: &mut Vec<Effect>,
    ) {
        if let Err(error) = self.may_ask_leader(&credentials, &what) {
            return out.push(Effect::Respond(id, Err(error)));
        }
        if self.asides.waiting.len() >= WAITING_MAX {
            return out.push(Effect::Respond(id, Err(ApiError::TooManyRequests)));
        }
        let deadline_us = self.now_us + self.config.request_timeout_us;
        let waiting = Waiting { what, credentials, deadline_us, asked: None };
        self.asides.waiting.insert(id, waiting);
    }

    /// Whether a client may ask. Of the keys in an answer it is asked when they are told.
    fn may_ask_leader(&mut self, credentials: &Credentials, what: &What) -> Result<(), ApiError> {
        let caller = self.caller(credentials)?;
        let auth = &self.state.auth;
        match what {
            What::KeepAlive(request) => {
                auth.permit_lease(&caller, Access::Write, request.id, self.state.kv.leases())
            }
            _ => auth.permit_user(&caller),
        }
    }

    /// Answers those whose time is up.
    pub(super) fn expire_asides(&mut self, out: &mut Vec<Effect>) {
        let now_us = self.now_us;
        self.asides.waiting.retain(|id, waiting| {
            let waits = waiting.deadline_us > now_us;
            if !waits {
                out.push(Effect::Respond(*id, Err(ApiError::Timeout)));
            }
            waits
        });
    }

    /// Asks the leader what is due to be asked; the leader asks itself.
    pub(super) fn send_asides(&mut self, out: &mut Vec<Effect>) {
        let leader = self.raft.raft.leader_id;
        if leader == 0 || self.asides.waiting.is_empty() {
            return;
        }
        let (now_us, retry_us) = (self.now_us, RETRY_TICKS * self.config.tick_us);
        let is_due = |waiting: &Waiting| {
            !waiting.asked.is_some_and(|(who, at)| who == leader && now_us < at + retry_us)
        };
        if leader == self.config.id {
            let all = std::mem::take(&mut self.asides.waiting).into_iter();
            let (due, later) = all.partition(|(_, waiting)| is_due(waiting));
            self.asides.waiting = later;
            let due: BTreeMap<RequestId, Waiting> = due;
            for (id, Waiting { what, credentials, deadline_us, .. }) in due {
                let query = Query::Aside(what, Asker::Client { deadline_us });
                self.reads.add(Read { id, deadline_us, query, credentials });
            }
            return;
        }
        for (id, waiting) in &mut self.asides.waiting {
            if !is_due(waiting) {
                continue;
            }
            waiting.asked = Some((leader, self.now_us));
            let aside = Aside {
                incarnation: self.config.incarnation,
                request: *id,
                what: Some(waiting.what.clone()),
            };
            out.push(Effect::Send(envelope(self.config.id, leader, &aside)));
        }
    }

    /// Takes what a peer says beside Raft. What makes no sense is dropped.
    pub(super) fn hear_aside(&mut self, message: &Message, out: &mut Vec<Effect>) {
        let Ok(aside) = Aside::decode(&message.context[..]) else { return };
        let Aside { incarnation, request, what: Some(what) } = aside else { return };
        match what {
            What::KeepAlive(_) | What::TimeToLive(_) => {
                let asker = Asker::Peer { id: message.from, incarnation, request };
                if self.is_leader() {
                    let deadline_us = self.now_us + self.config.request_timeout_us;
                    let query = Query::Aside(what, asker);
                    // Whether its client may ask is the peer's to find out.
                    let credentials = Credentials::None;
                    self.reads.add(Read { id: 0, deadline_us, query, credentials });
                }
            }
            What::KeptAlive(_) | What::Lives(_) => {
                let ours = incarnation == self.config.incarnation;
                if ours && let Some(waiting) = self.asides.waiting.remove(&request) {
                    self.respond_aside((request, waiting.credentials), what, out);
                }
            }
        }
    }

    /// Answers one, now that it is certain who leads.
    pub(super) fn answer_aside(
        &mut self,
        (id, credentials): (RequestId, Credentials),
        what: What,
        asker: Asker,
        out: &mut Vec<Effect>,
    ) {
        if !self.leases.counts() {
            // It stopped to lead between the round and now: ask whoever does.
            if let Asker::Client { deadline_us } = asker {
                let waiting = Waiting { what, credentials, deadline_us, asked: None };
                self.asides.waiting.insert(id, waiting);
            }
            return;
        }
        let answer = match what {
            What::KeepAlive(request) if self.is_overdue(request.id) => {
                // A peer asks again by itself.
                if let Asker::Client { deadline_us } = asker {
                    let (what, asked) =
                        (What::KeepAlive(request), Some((self.config.id, self.now_us)));
                    let waiting = Waiting { what, credentials, deadline_us, asked };
                    self.asides.waiting.insert(id, waiting);
                }
                return;
            }
            What::KeepAlive(request) => What::KeptAlive(self.renew(&request)),
            What::TimeToLive(request) => What::Lives(self.time_to_live(&request)),
            What::KeptAlive(_) | What::Lives(_) => return,
        };
        match asker {
            Asker::Client { .. } => self.respond_aside((id, credentials), answer, out),
            Asker::Peer { id: peer, incarnation, request } => {
                let aside = Aside { incarnation, request, what: Some(answer) };
                out.push(Effect::Send(envelope(self.config.id, peer, &aside)));
            }
        }
    }

    /// The header is the asked node's own, not the leader's.
    fn respond_aside(
        &mut self,
        (id, credentials): (RequestId, Credentials),
        answer: What,
        out: &mut Vec<Effect>,
    ) {
        if let Err(error) = self.may_hear(&credentials, &answer) {
            return out.push(Effect::Respond(id, Err(error)));
        }
        let header = Some(self.header(self.state.kv.revision()));
        let response = match answer {
            What::KeptAlive(kept) => {
                Response::LeaseKeepAlive(LeaseKeepAliveResponse { header, ..kept })
            }
            What::Lives(lives) => {
                Response::LeaseTimeToLive(LeaseTimeToLiveResponse { header, ..lives })
            }
            What::KeepAlive(_) | What::TimeToLive(_) => return,
        };
        out.push(Effect::Respond(id, Ok(response)));
    }

    /// Whether a client may hear the leader's word: the keys of a lease only if it may read them.
    fn may_hear(&mut self, credentials: &Credentials, answer: &What) -> Result<(), ApiError> {
        let What::Lives(lives) = answer else { return Ok(()) };
        let caller = self.caller(credentials)?;
        let permit = |key| self.state.auth.permit_range(&caller, Access::Read, key, &Bytes::new());
        lives.keys.iter().try_for_each(permit)
    }

    /// Whether a lease's time is up and it is there yet: it is being revoked, and whoever would
    /// keep it alive must not hear of its end before it is over, or its keys would outlive it for
    /// them (`Renew` in etcd's lessor waits likewise).
    fn is_overdue(&self, id: i64) -> bool {
        self.state.kv.leases().get(id).is_some() && self.leases.left_us(id, self.now_us).is_none()
    }

    /// Starts a lease again; one that is not there has no time to live.
    fn renew(&mut self, request: &LeaseKeepAliveRequest) -> LeaseKeepAliveResponse {
        let id = request.id;
        let mut ttl = 0;
        if let Some(lease) = self.state.kv.leases().get(id)
            && self.leases.left_us(id, self.now_us).is_some()
        {
            ttl = lease.ttl;
            self.leases.start(id, ttl, self.now_us);
        }
        LeaseKeepAliveResponse { header: None, id, ttl }
    }

    fn time_to_live(&self, request: &LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse {
        let id = request.id;
        let Some(lease) = self.state.kv.leases().get(id) else {
            return LeaseTimeToLiveResponse { id, ttl: TTL_OF_NONE, ..Default::default() };
        };
        let left_us = self.leases.left_us(id, self.now_us).unwrap_or(0);
        LeaseTimeToLiveResponse {
            header: None,
            id,
            ttl: (left_us / 1_000_000) as i64,
            granted_ttl: lease.ttl,
            keys: if request.keys { lease.keys().cloned().collect() } else { Vec::new() },
        }
    }
}

fn envelope(from: u64, to: u64, aside: &Aside) -> Message {
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgBeat);
    message.from = from;
    message.to = to;
    message.context = aside.encode_to_vec();
    message
}

/// Whether a peer's message is none of Raft's.
pub(super) fn is_aside(message: &Message) -> bool {
    message.get_msg_type() == MessageType::MsgBeat
}
