//! Histories of transactions, written step by step.

use ordeal_history::{Event, EventType, History, Process, Value};

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub write: bool,
    pub key: Value,
    pub value: Value,
}

/// A list of steps as the history has it; `write` is the word for a write. Reads are empty in an
/// invocation.
pub fn steps_value(steps: &[Step], write: &str, answered: bool) -> Value {
    let step = |step: &Step| {
        let word = if step.write { write } else { "r" };
        let value = if step.write || answered { step.value.clone() } else { Value::Null };
        Value::from(vec![Value::from(word), step.key.clone(), value])
    };
    Value::from(steps.iter().map(step).collect::<Vec<_>>())
}

/// Events in the making.
#[derive(Default)]
pub struct Events(pub Vec<Event>);

impl Events {
    pub fn push(&mut self, process: i64, kind: EventType, value: Value, revision: Option<i64>) {
        let index = self.0.len() as u64;
        let mut event = Event::new(index, index, Process::Client(process), kind, "txn");
        event.value = value;
        event.revision = revision;
        self.0.push(event);
    }

    pub fn history(self) -> History {
        History::from_events(self.0).expect("the events are well-formed")
    }
}
