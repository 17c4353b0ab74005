//! Transactions, taken out of a history's operations.

use ordeal_history::{History, Outcome, Value};
use rustc_hash::FxHashMap;

/// A transaction, as its place in [`Txns::txns`].
pub(super) type TxnId = u32;

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It committed, and its reads are known.
    Committed,
    /// It aborted.
    Aborted,
    /// Nobody knows; its reads are not known.
    Indeterminate,
}

/// One transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Txn {
    /// Position in `History::operations`.
    pub(super) position: u32,
    pub(super) status: Status,
    /// Its first micro-operation; the next transaction's is its end.
    first: u32,
    pub(super) process: i64,
    /// Index of its invocation's event.
    pub(super) invoke: u64,
    /// Index of its completion's event; `u64::MAX` unless it committed or aborted.
    pub(super) complete: u64,
    /// The store's revision in the answer.
    pub(super) revision: Option<i64>,
}

/// One step of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mop<'h> {
    pub(super) txn: TxnId,
    /// The key, as its place in [`Txns::keys`].
    pub(super) key: u32,
    /// Write (or append), else read.
    pub(super) write: bool,
    /// What was written, or what was read.
    pub(super) value: &'h Value,
}

/// All transactions of a history, in the order of their invocations.
pub(super) struct Txns<'h> {
    pub(super) txns: Vec<Txn>,
    pub(super) mops: Vec<Mop<'h>>,
    pub(super) keys: Vec<&'h Value>,
}

impl<'h> Txns<'h> {
    /// Takes `history` apart; `write` is the word for a write.
    ///
    /// Errors with a sentence that names the event: an operation that is no transaction, a micro-
    /// operation of unknown form, an answer that belongs to another transaction. O(size).
    pub(super) fn new(history: &'h History, write: &str) -> Result<Self, String> {
        let mut all = Txns { txns: Vec::new(), mops: Vec::new(), keys: Vec::new() };
        let mut ids: FxHashMap<&'h Value, u32> = FxHashMap::default();
        all.txns.reserve(history.operations.len());
        for (position, operation) in history.operations.iter().enumerate() {
            let event = operation.invoke;
            if &*operation.f != "txn" {
                return Err(format!(
                    "event {event} is `{}`; this model judges `txn` alone",
                    operation.f
                ));
            }
            let (status, mops) = match operation.outcome {
                Outcome::Ok => (Status::Committed, &operation.output),
                Outcome::Fail => (Status::Aborted, &operation.input),
                Outcome::Info => (Status::Indeterminate, &operation.input),
            };
            if status == Status::Committed && !same_shape(&operation.input, mops) {
                return Err(format!(
                    "the answer to the transaction of event {event} is one to another transaction"
                ));
            }
            let complete = match status {
                Status::Indeterminate => u64::MAX,
                _ => operation.complete.unwrap_or(u64::MAX),
            };
            let txn = all.txns.len() as TxnId;
            all.txns.push(Txn {
                position: position as u32,
                status,
                first: all.mops.len() as u32,
                process: operation.process,
                invoke: event,
                complete,
                revision: operation.revision,
            });
            let Value::Array(steps) = mops else { return Err(unknown_step(event, mops, write)) };
            for step in steps.iter() {
                let (key, is_write, value) =
                    micro_operation(step, write).ok_or_else(|| unknown_step(event, step, write))?;
                let next = all.keys.len() as u32;
                let key_id = *ids.entry(key).or_insert(next);
                if key_id == next {
                    all.keys.push(key);
                }
                all.mops.push(Mop { txn, key: key_id, write: is_write, value });
            }
        }
        Ok(all)
    }

    /// The range of `txn`'s micro-operations in [`Txns::mops`].
    pub(super) fn range(&self, txn: TxnId) -> std::ops::Range<usize> {
        let next = self.txns.get(txn as usize + 1).map_or(self.mops.len(), |t| t.first as usize);
        self.txns[txn as usize].first as usize..next
    }

    /// `txn`'s micro-operations.
    pub(super) fn steps(&self, txn: TxnId) -> &[Mop<'h>] {
        &self.mops[self.range(txn)]
    }
}

fn unknown_step(event: u64, found: &Value, write: &str) -> String {
    format!(
        "event {event} has {found} where a transaction's steps should stand: \
         [\"{write}\",key,value] or [\"r\",key,null]"
    )
}

fn micro_operation<'h>(step: &'h Value, write: &str) -> Option<(&'h Value, bool, &'h Value)> {
    let Value::Array(parts) = step else { return None };
    let [Value::String(word), key, value] = &**parts else { return None };
    match &**word {
        "r" => Some((key, false, value)),
        word if word == write => Some((key, true, value)),
        _ => None,
    }
}

/// Whether `answer` is `asked` with its reads filled in.
fn same_shape(asked: &Value, answer: &Value) -> bool {
    let (Value::Array(asked), Value::Array(answer)) = (asked, answer) else { return false };
    let same_step = |(asked, answer): (&Value, &Value)| {
        let (Value::Array(asked), Value::Array(answer)) = (asked, answer) else { return false };
        match (&**asked, &**answer) {
            ([f, k, v], [f2, k2, v2]) => {
                let read = matches!(f, Value::String(word) if &**word == "r");
                f == f2 && k == k2 && (read || v == v2)
            }
            _ => false,
        }
    };
    asked.len() == answer.len() && asked.iter().zip(answer.iter()).all(same_step)
}
