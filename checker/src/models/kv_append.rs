//! A string for each key: get, put, append; `""` at first.

use crate::linear::{Misfit, Model, Removal};
use ordeal_history::{Operation, Outcome, Value};
use std::sync::Arc;

/// `get`, `put` and `append` on one string; a get of an empty string may answer `null`.
#[derive(Clone, Copy, Debug, Default)]
pub struct KvAppend;

/// An operation on a string.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KvAppendOp {
    /// Saw this.
    Get(Arc<str>),
    /// Left this.
    Put(Arc<str>),
    /// Added this at the end.
    Append(Arc<str>),
}

impl Model for KvAppend {
    type State = Arc<str>;
    type Op = KvAppendOp;

    fn name(&self) -> &str {
        "kv-append"
    }

    fn summary(&self) -> &str {
        "get, put and append on a string, empty at first"
    }

    fn initial(&self) -> Arc<str> {
        "".into()
    }

    fn compile(&self, operation: &Operation) -> Result<Option<KvAppendOp>, Misfit> {
        let argument = || match &operation.input {
            Value::String(text) => Ok(text.clone()),
            _ => {
                Err(Misfit::invocation(format!("the value of `{}` must be a string", operation.f)))
            }
        };
        match (&*operation.f, operation.outcome) {
            ("get", Outcome::Ok) => match &operation.output {
                Value::String(text) => Ok(Some(KvAppendOp::Get(text.clone()))),
                Value::Null => Ok(Some(KvAppendOp::Get("".into()))),
                _ => Err(Misfit::completion("the value of a `get` must be a string or null")),
            },
            ("get", _) | ("put" | "append", Outcome::Fail) => Ok(None),
            ("put", _) => Ok(Some(KvAppendOp::Put(argument()?))),
            ("append", _) => Ok(Some(KvAppendOp::Append(argument()?))),
            _ => Err(Misfit::unknown_f("kv-append", operation, "get, put and append")),
        }
    }

    fn step(&self, state: &Arc<str>, op: &KvAppendOp) -> Option<Arc<str>> {
        match op {
            KvAppendOp::Get(seen) => (state == seen).then(|| state.clone()),
            KvAppendOp::Put(new) => Some(new.clone()),
            KvAppendOp::Append(end) => {
                let mut text = String::with_capacity(state.len() + end.len());
                text.push_str(state);
                text.push_str(end);
                Some(text.into())
            }
        }
    }

    fn observes(&self, op: &KvAppendOp) -> bool {
        matches!(op, KvAppendOp::Get(_))
    }

    fn removal(&self, op: &KvAppendOp) -> Removal {
        if let KvAppendOp::Get(_) = op { Removal::Free } else { Removal::Never }
    }

    fn describe(&self, op: &KvAppendOp) -> String {
        match op {
            KvAppendOp::Get(seen) => format!("got {}", Value::String(seen.clone())),
            KvAppendOp::Put(new) => format!("put {}", Value::String(new.clone())),
            KvAppendOp::Append(end) => format!("appended {}", Value::String(end.clone())),
        }
    }
}
