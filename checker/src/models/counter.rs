//! A counter: add, read; 0 at first.

use crate::linear::{Misfit, Model};
use ordeal_history::{Operation, Outcome, Value};

/// `add` n (which may be negative) and `read` of the sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter;

/// An operation on a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// Added this.
    Add(i64),
    /// Saw this.
    Read(i64),
}

impl Model for Counter {
    type State = i128;
    type Op = CounterOp;

    fn name(&self) -> &str {
        "counter"
    }

    fn summary(&self) -> &str {
        "linearizable adds and reads of one sum a key, 0 at first"
    }

    fn initial(&self) -> i128 {
        0
    }

    fn compile(&self, operation: &Operation) -> Result<Option<CounterOp>, Misfit> {
        match (&*operation.f, operation.outcome) {
            ("add", Outcome::Fail) | ("read", Outcome::Fail | Outcome::Info) => Ok(None),
            ("add", _) => match operation.input {
                Value::Int(0) => Ok(None),
                Value::Int(number) => Ok(Some(CounterOp::Add(number))),
                _ => Err(Misfit::invocation("the value of an `add` must be a whole number")),
            },
            ("read", _) => match operation.output {
                Value::Int(number) => Ok(Some(CounterOp::Read(number))),
                Value::Null => Ok(Some(CounterOp::Read(0))),
                _ => Err(Misfit::completion("the value of a `read` must be a whole number")),
            },
            _ => Err(Misfit::unknown_f("counter", operation, "add and read")),
        }
    }

    fn step(&self, sum: &i128, op: &CounterOp) -> Option<i128> {
        match op {
            CounterOp::Add(number) => Some(sum + i128::from(*number)),
            CounterOp::Read(seen) => (*sum == i128::from(*seen)).then_some(*sum),
        }
    }

    fn observes(&self, op: &CounterOp) -> bool {
        matches!(op, CounterOp::Read(_))
    }

    fn describe(&self, op: &CounterOp) -> String {
        match op {
            CounterOp::Add(number) => format!("added {number}"),
            CounterOp::Read(seen) => format!("read {seen}"),
        }
    }
}
