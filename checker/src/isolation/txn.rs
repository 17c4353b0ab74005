//! Transactions, taken out of a history's operations.

use super::footprint;
use crate::linear::MisfitAt;
use ordeal_history::{History, Operation, Outcome, Value};
use rayon::prelude::*;
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
    /// Errors with the event of an operation that is no transaction, of a micro-operation of
    /// unknown form, of an answer that belongs to another transaction, of a read of a list that
    /// saw none. O(size).
    pub(super) fn new(history: &'h History, write: &str) -> Result<Self, MisfitAt> {
        let mut all = Txns { txns: Vec::new(), mops: Vec::new(), keys: Vec::new() };
        let mut ids: FxHashMap<&'h Value, u32> = FxHashMap::default();
        all.txns.reserve_exact(history.operations.len());
        all.mops.reserve_exact(footprint::steps(history));
        let operations = history.operations.par_iter();
        let is_answered: Vec<bool> = operations.map(is_answered).collect();
        for (position, operation) in history.operations.iter().enumerate() {
            let event = operation.invoke;
            if &*operation.f != "txn" {
                let message = format!("found `{}`; this model judges `txn` alone", operation.f);
                return Err(MisfitAt { event, message });
            }
            let (status, mops) = match operation.outcome {
                Outcome::Ok => (Status::Committed, &operation.output),
                Outcome::Fail => (Status::Aborted, &operation.input),
                Outcome::Info => (Status::Indeterminate, &operation.input),
            };
            let complete = match status {
                Status::Indeterminate => u64::MAX,
                _ => operation.complete.unwrap_or(u64::MAX),
            };
            if !is_answered[position] {
                // An invocation that is no transaction has no right answer.
                steps(&operation.input, event, write)?.try_for_each(|step| step.map(drop))?;
                let message =
                    format!("the answer is not one to the transaction that event {event} invoked");
                return Err(MisfitAt { event: complete, message });
            }
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
            for step in steps(mops, event, write)? {
                let (key, is_write, value) = step?;
                let is_list = matches!(value, Value::Null | Value::Array(_));
                if write == "append" && status == Status::Committed && !is_write && !is_list {
                    let (key, value) = (key.brief(), value.brief());
                    let message = format!("a read of {key} saw {value}, which is no list");
                    return Err(MisfitAt { event: complete, message });
                }
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

type Step<'h> = (&'h Value, bool, &'h Value);

/// The steps that `value` is made of, each as key, whether it is a write, and value; `event` is to
/// blame for what is none.
fn steps<'h>(
    value: &'h Value,
    event: u64,
    write: &str,
) -> Result<impl Iterator<Item = Result<Step<'h>, MisfitAt>>, MisfitAt> {
    let unknown = move |found: &Value| MisfitAt {
        event,
        message: format!(
            "found {} where a transaction's steps should stand: [\"{write}\",key,value] or \
             [\"r\",key,null]",
            found.brief()
        ),
    };
    let Value::Array(steps) = value else { return Err(unknown(value)) };
    Ok(steps.iter().map(move |step| micro_operation(step, write).ok_or_else(|| unknown(step))))
}

fn micro_operation<'h>(step: &'h Value, write: &str) -> Option<Step<'h>> {
    let Value::Array(parts) = step else { return None };
    let [Value::String(word), key, value] = &**parts else { return None };
    match &**word {
        "r" => Some((key, false, value)),
        word if word == write => Some((key, true, value)),
        _ => None,
    }
}

/// Whether the answer, if it was heard, is one to what was asked.
fn is_answered(operation: &Operation) -> bool {
    operation.outcome != Outcome::Ok || same_shape(&operation.input, &operation.output)
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
