//! A set that grows: add, read; empty at first.

use crate::linear::{Misfit, Model, Removal};
use ordeal_history::{Operation, Outcome, Value};
use std::sync::Arc;

/// `add` of a value and `read` of the whole, as a list in any order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Set;

/// An operation on a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// Put this in.
    Add(Value),
    /// Saw these, sorted.
    Read(Arc<[Value]>),
}

impl Model for Set {
    /// The elements, sorted, each once: a read that lists one twice equals no state.
    type State = Arc<[Value]>;
    type Op = SetOp;

    fn name(&self) -> &str {
        "set"
    }

    fn summary(&self) -> &str {
        "linearizable adds to one set a key and reads of it, empty at first"
    }

    fn initial(&self) -> Arc<[Value]> {
        Arc::from([])
    }

    fn compile(&self, operation: &Operation) -> Result<Option<SetOp>, Misfit> {
        match (&*operation.f, operation.outcome) {
            ("add", Outcome::Fail) | ("read", Outcome::Fail | Outcome::Info) => Ok(None),
            ("add", _) => Ok(Some(SetOp::Add(operation.input.clone()))),
            ("read", _) => match &operation.output {
                Value::Array(items) => {
                    let mut items = items.to_vec();
                    items.sort_unstable();
                    Ok(Some(SetOp::Read(items.into())))
                }
                Value::Null => Ok(Some(SetOp::Read(Arc::from([])))),
                _ => Err(Misfit::completion("the value of a `read` of a set must be a list")),
            },
            _ => Err(Misfit::unknown_f("set", operation, "add and read")),
        }
    }

    fn step(&self, state: &Arc<[Value]>, op: &SetOp) -> Option<Arc<[Value]>> {
        match op {
            SetOp::Read(seen) => (state == seen).then(|| state.clone()),
            SetOp::Add(value) => Some(match state.binary_search(value) {
                Ok(_) => state.clone(),
                Err(at) => {
                    let (before, after) = state.split_at(at);
                    before.iter().chain([value]).chain(after).cloned().collect()
                }
            }),
        }
    }

    fn observes(&self, op: &SetOp) -> bool {
        matches!(op, SetOp::Read(_))
    }

    fn removal(&self, op: &SetOp) -> Removal {
        match op {
            SetOp::Add(value) => Removal::Unseen(vec![value.clone()]),
            SetOp::Read(_) => Removal::Free,
        }
    }

    fn sees(&self, op: &SetOp) -> Vec<Value> {
        match op {
            SetOp::Add(_) => Vec::new(),
            SetOp::Read(seen) => seen.to_vec(),
        }
    }

    fn describe(&self, op: &SetOp) -> String {
        match op {
            SetOp::Add(value) => format!("added {value}"),
            SetOp::Read(seen) => format!("read {}", Value::Array(seen.clone())),
        }
    }
}
