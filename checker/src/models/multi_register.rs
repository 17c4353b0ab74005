//! Registers that transactions read and write together; `null` at first.

use crate::linear::{Misfit, Model};
use ordeal_history::{Operation, Outcome, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `txn` of `["r",k,v]` and `["w",k,v]`, all at once: strict serializability by search. Knossos'
/// words for the steps, `read` and `write`, are taken too.
#[derive(Clone, Copy, Debug, Default)]
pub struct MultiRegister;

/// A step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TxnStep {
    /// Saw this; `None` when nobody knows what.
    Read(Value, Option<Value>),
    /// Left this.
    Write(Value, Value),
}

impl Model for MultiRegister {
    type State = Arc<BTreeMap<Value, Value>>;
    type Op = Arc<[TxnStep]>;

    fn name(&self) -> &str {
        "multi-register"
    }

    fn summary(&self) -> &str {
        "linearizable transactions of reads and writes over registers, null at first"
    }

    fn initial(&self) -> Self::State {
        Arc::default()
    }

    fn compile(&self, operation: &Operation) -> Result<Option<Self::Op>, Misfit> {
        if &*operation.f != "txn" {
            return Err(Misfit::unknown_f("multi-register", operation, "txn"));
        }
        let known = operation.outcome == Outcome::Ok;
        let (value, misfit): (_, fn(&'static str) -> Misfit) = match operation.outcome {
            Outcome::Fail => return Ok(None),
            Outcome::Ok => (&operation.output, |message| Misfit::completion(message)),
            Outcome::Info => (&operation.input, |message| Misfit::invocation(message)),
        };
        let wrong = "a transaction must be a list of [\"r\",k,v] and [\"w\",k,v]";
        let steps = value.as_array().ok_or_else(|| misfit(wrong))?;
        let steps = steps.iter().map(|step| match step.as_array() {
            Some([f, key, value]) if matches!(f.as_str(), Some("r" | "read")) => {
                Ok(TxnStep::Read(key.clone(), known.then(|| value.clone())))
            }
            Some([f, key, value]) if matches!(f.as_str(), Some("w" | "write")) => {
                Ok(TxnStep::Write(key.clone(), value.clone()))
            }
            _ => Err(misfit(wrong)),
        });
        let steps: Arc<[TxnStep]> = steps.collect::<Result<_, _>>()?;
        let changes = steps.iter().any(|step| matches!(step, TxnStep::Write(..)));
        Ok((known || changes).then_some(steps))
    }

    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State> {
        let mut next = state.clone();
        for step in op.iter() {
            match step {
                TxnStep::Read(_, None) => {}
                TxnStep::Read(key, Some(seen)) => {
                    if next.get(key).unwrap_or(&Value::Null) != seen {
                        return None;
                    }
                }
                TxnStep::Write(key, Value::Null) => {
                    Arc::make_mut(&mut next).remove(key);
                }
                TxnStep::Write(key, value) => {
                    Arc::make_mut(&mut next).insert(key.clone(), value.clone());
                }
            }
        }
        Some(next)
    }

    fn observes(&self, op: &Self::Op) -> bool {
        op.iter().all(|step| matches!(step, TxnStep::Read(..)))
    }

    fn spans_keys(&self) -> bool {
        true
    }

    fn describe(&self, op: &Self::Op) -> String {
        let step = |step: &TxnStep| match step {
            TxnStep::Read(key, Some(seen)) => format!("read {seen} of {key}"),
            TxnStep::Read(key, None) => format!("read {key}"),
            TxnStep::Write(key, value) => format!("wrote {value} to {key}"),
        };
        let steps: Vec<String> = op.iter().map(step).collect();
        if steps.is_empty() { "did nothing".to_owned() } else { steps.join(", ") }
    }
}
