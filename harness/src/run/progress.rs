//! What a run has done so far, for whoever watches.

use ordeal_history::{Event, EventType, Process, Value};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the run is about just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// The cluster starts.
    #[default]
    Starting,
    /// The clients work, under the schedule.
    Working,
    /// All faults are over; the cluster comes back.
    Recovering,
    /// The last reads.
    FinalReads,
    /// The cluster is stopped, and the history judged.
    Ending,
}

/// Counters and the faults of the moment. Fed by the recorder alone.
#[derive(Debug, Default)]
pub struct Progress {
    /// What the run is about.
    pub stage: Cell<Stage>,
    /// When the clients began, by the run's clock.
    pub began: Cell<Option<Duration>>,
    /// Operations that took effect.
    pub ok: Cell<u64>,
    /// Operations that certainly did not.
    pub fail: Cell<u64>,
    /// Operations of which nobody knows.
    pub info: Cell<u64>,
    /// Faults under way, by their number: in words.
    pub faults: RefCell<BTreeMap<i64, String>>,
    /// When a violation was seen, in nanoseconds since the clients began.
    pub violation_ns: Cell<Option<u64>>,
    /// Faults that landed.
    pub landed: Cell<u64>,
}

impl Progress {
    /// Counts an event.
    pub fn see(&self, event: &Event) {
        if event.process == Process::Nemesis {
            self.see_note(&event.value);
            return;
        }
        let counter = match event.kind {
            EventType::Invoke => return,
            EventType::Ok => &self.ok,
            EventType::Fail => &self.fail,
            EventType::Info => &self.info,
        };
        counter.set(counter.get() + 1);
    }

    /// The faults of the moment, in words; empty when there is none.
    pub fn faults_now(&self) -> String {
        let faults = self.faults.borrow();
        let words: Vec<&str> = faults.values().map(String::as_str).collect();
        words.join("; ")
    }

    fn see_note(&self, note: &Value) {
        let Value::Object(members) = note else {
            return;
        };
        let Some(Value::Int(id)) = members.get("id") else {
            return;
        };
        if let Some(Value::String(what)) = members.get("what")
            && members.get("phase") == Some(&Value::String("start".into()))
        {
            self.faults.borrow_mut().insert(*id, what.to_string());
        } else if let Some(Value::Bool(landed)) = members.get("landed") {
            self.faults.borrow_mut().remove(id);
            self.landed.set(self.landed.get() + u64::from(*landed));
        }
    }
}
