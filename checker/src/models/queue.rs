//! A queue and a stack; empty at first.

use crate::linear::{Misfit, Model, Removal};
use ordeal_history::{Operation, Outcome, Value};
use std::sync::Arc;

/// `enqueue` v and `dequeue` → v, first in, first out; a dequeue that failed says "empty".
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue;

/// `push` v and `pop` → v, last in, first out; a pop that failed says "empty".
#[derive(Clone, Copy, Debug, Default)]
pub struct Stack;

/// An operation on a queue or a stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum QueueOp {
    /// Put this in.
    Put(Value),
    /// Took this out.
    Take(Value),
    /// May have taken something out; nobody knows what.
    TakeAny,
    /// Found nothing.
    Empty,
}

type Items = Arc<[Value]>;

fn compile(
    operation: &Operation,
    model: &str,
    [put, take]: [&str; 2],
) -> Result<Option<QueueOp>, Misfit> {
    // An error tells of another reason than emptiness.
    let is_empty = operation.error.as_ref().is_none_or(|error| error.contains("empty"));
    Ok(match (&*operation.f, operation.outcome) {
        (f, Outcome::Fail) if f == put => None,
        (f, _) if f == put => Some(QueueOp::Put(operation.input.clone())),
        (f, Outcome::Info) if f == take => Some(QueueOp::TakeAny),
        (f, Outcome::Fail) if f == take => is_empty.then_some(QueueOp::Empty),
        (f, Outcome::Ok) if f == take => Some(match &operation.output {
            Value::Null => QueueOp::Empty,
            value => QueueOp::Take(value.clone()),
        }),
        _ => return Err(Misfit::unknown_f(model, operation, &format!("{put} and {take}"))),
    })
}

/// Splits off the item that is next to go.
type Split = fn(&[Value]) -> Option<(&Value, &[Value])>;

/// The next state, where `taken` splits off the item that is next to go.
fn step(items: &Items, op: &QueueOp, taken: Split) -> Option<Items> {
    match op {
        QueueOp::Put(value) => Some(items.iter().chain([value]).cloned().collect()),
        QueueOp::Take(value) => {
            taken(items).filter(|(next, _)| *next == value).map(|(_, rest)| rest.into())
        }
        QueueOp::TakeAny => taken(items).map(|(_, rest)| rest.into()),
        QueueOp::Empty => items.is_empty().then(|| items.clone()),
    }
}

fn removal(op: &QueueOp) -> Removal {
    match op {
        // Without all that concerns a value, the others keep their order.
        QueueOp::Put(value) | QueueOp::Take(value) => Removal::Together(value.clone()),
        QueueOp::TakeAny | QueueOp::Empty => Removal::Free,
    }
}

fn describe(op: &QueueOp, [put, take]: [&str; 2]) -> String {
    match op {
        QueueOp::Put(value) => format!("{put} {value}"),
        QueueOp::Take(value) => format!("{take} {value}"),
        QueueOp::TakeAny => format!("{take} something"),
        QueueOp::Empty => "found it empty".to_owned(),
    }
}

impl Model for Queue {
    type State = Items;
    type Op = QueueOp;

    fn name(&self) -> &str {
        "queue"
    }

    fn summary(&self) -> &str {
        "linearizable enqueues and dequeues, first in, first out, empty at first"
    }

    fn initial(&self) -> Items {
        Arc::from([])
    }

    fn compile(&self, operation: &Operation) -> Result<Option<QueueOp>, Misfit> {
        compile(operation, self.name(), ["enqueue", "dequeue"])
    }

    fn step(&self, items: &Items, op: &QueueOp) -> Option<Items> {
        step(items, op, <[Value]>::split_first)
    }

    fn observes(&self, op: &QueueOp) -> bool {
        matches!(op, QueueOp::Empty)
    }

    fn removal(&self, op: &QueueOp) -> Removal {
        removal(op)
    }

    fn describe(&self, op: &QueueOp) -> String {
        describe(op, ["enqueued", "dequeued"])
    }
}

impl Model for Stack {
    type State = Items;
    type Op = QueueOp;

    fn name(&self) -> &str {
        "stack"
    }

    fn summary(&self) -> &str {
        "linearizable pushes and pops, last in, first out, empty at first"
    }

    fn initial(&self) -> Items {
        Arc::from([])
    }

    fn compile(&self, operation: &Operation) -> Result<Option<QueueOp>, Misfit> {
        compile(operation, self.name(), ["push", "pop"])
    }

    fn step(&self, items: &Items, op: &QueueOp) -> Option<Items> {
        step(items, op, <[Value]>::split_last)
    }

    fn observes(&self, op: &QueueOp) -> bool {
        matches!(op, QueueOp::Empty)
    }

    fn removal(&self, op: &QueueOp) -> Removal {
        removal(op)
    }

    fn describe(&self, op: &QueueOp) -> String {
        describe(op, ["pushed", "popped"])
    }
}
