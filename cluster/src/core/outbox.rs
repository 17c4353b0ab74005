//! Messages that may leave only when what they promise is durable.
//!
//! A vote, or the acknowledgement of appended entries, is a promise that must survive a crash
//! (Raft §5.2, §5.3). The leader's own messages promise nothing of its disk and go at once, in
//! parallel with its write (thesis §10.2.1).

use std::collections::VecDeque;

use raft::eraftpb::{Message, MessageType};

/// Messages in the order of the readies that gave them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    number: u64,
    /// The ready had something to make durable.
    waits: bool,
    messages: Vec<Message>,
}

impl Outbox {
    /// Keeps a ready's messages until its write, and every earlier one, is durable.
    pub fn hold(&mut self, number: u64, waits: bool, messages: Vec<Message>) {
        self.held.push_back(Held { number, waits, messages });
    }

    /// Takes what may leave now that the write `number` and all before it are durable, with the
    /// number of the last ready that is settled by it.
    pub fn release(&mut self, persisted: u64) -> (Option<u64>, Vec<Message>) {
        let mut settled = None;
        let mut free = Vec::new();
        let durable = |held: &Held| held.number <= persisted || !held.waits;
        while self.held.front().is_some_and(durable)
            && let Some(held) = self.held.pop_front()
        {
            settled = Some(held.number);
            free.extend(held.messages);
        }
        (settled, free)
    }
}

/// Whether a message of a node that is no leader promises nothing of its disk. A slow sync then
/// holds back neither the follower's sign of life nor what its clients ask of the leader.
///
/// The answer to a heartbeat counts for the leader's lease and its reads: it says that when the
/// heartbeat came this node knew of no later term, and a later crash does not make that untrue.
pub(super) fn promises_nothing(message: &Message) -> bool {
    matches!(
        message.get_msg_type(),
        MessageType::MsgHeartbeatResponse | MessageType::MsgPropose | MessageType::MsgReadIndex
    )
}
