//! A counterexample in prose: who did what when, and why no order can hold.

use super::blocks::{Conflict, Pair};
use super::model::Model;
use super::object::Entry;
use crate::models::RegisterOp;
use ordeal_history::{History, Operation, Value};

/// One sentence for each of `positions`: who did what, when, and where.
pub fn tell<M: Model>(model: &M, history: &History, entries: &[&Entry<M::Op>]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| {
            let operation = &history.operations[entry.position as usize];
            let did = model.describe(&entry.op);
            let node = operation.node.as_ref().map_or(String::new(), |node| format!(" at {node}"));
            if entry.is_certain() {
                format!("Process {} {did}{node}, {}.", operation.process, span(operation))
            } else {
                format!(
                    "Process {} may have done this{node}, from {} on: it {did}.",
                    operation.process,
                    moment(operation.invoke, operation.invoke_time)
                )
            }
        })
        .collect()
}

fn span(operation: &Operation) -> String {
    let invoke = moment(operation.invoke, operation.invoke_time);
    match (operation.complete, operation.complete_time) {
        (Some(event), Some(time)) => format!("from {invoke} to {}", moment(event, time)),
        _ => format!("from {invoke} on"),
    }
}

fn moment(event: u64, time_ns: u64) -> String {
    format!("{:.3} ms (event {event})", time_ns as f64 / 1e6)
}

/// Why a register's operations fit no order: one sentence, without its full stop.
pub fn explain(conflict: &Conflict, history: &History, entries: &[Entry<&RegisterOp>]) -> String {
    let teller = Teller { history, entries };
    match conflict {
        Conflict::NeverWritten(reader) => format!(
            "{}, which nobody had written{}",
            teller.did(*reader),
            teller.failed_write(*reader)
        ),
        Conflict::SawExpected(cas) => {
            format!("{}: a cas that sees what it looks for does not fail", teller.did(*cas))
        }
        Conflict::TwoCas(first, second) => format!(
            "{} and {}, but each value is there only once and only one of them can take it away",
            teller.did(*first),
            teller.did(*second)
        ),
        Conflict::Circle(members) => {
            format!("these {} changes each need the value that another of them made", members.len())
        }
        Conflict::Backwards(first, second) => teller.backwards(*first, *second),
        Conflict::Interleaved(pair) => teller.interleaved(pair),
        Conflict::Overwritten { reader, by, .. } => {
            format!("{} after {}, which replaced it", teller.did(*reader), teller.had(*by))
        }
        Conflict::NotEqual(cas, _, Some(last)) => format!(
            "{}, but all the time it was there: {} later",
            teller.did(*cas),
            teller.did(*last)
        ),
        Conflict::NotEqual(cas, _, None) => {
            format!("{}, though it was there and nothing had replaced it", teller.did(*cas))
        }
    }
}

struct Teller<'a> {
    history: &'a History,
    entries: &'a [Entry<&'a RegisterOp>],
}

impl Teller<'_> {
    fn op(&self, index: u32) -> &RegisterOp {
        self.entries[index as usize].op
    }

    fn process(&self, index: u32) -> i64 {
        let position = self.entries[index as usize].position;
        self.history.operations[position as usize].process
    }

    fn did(&self, index: u32) -> String {
        let did = crate::models::Register::default().describe(self.op(index));
        format!("process {} {did}", self.process(index))
    }

    /// "process 2 had read 21".
    fn had(&self, index: u32) -> String {
        let did = match self.op(index) {
            RegisterOp::Read(seen) => format!("read {seen}"),
            RegisterOp::Write(new) => format!("written {new}"),
            RegisterOp::Cas(old, new) => format!("changed {old} to {new}"),
            RegisterOp::CasSaw(old, seen) => format!("looked for {old} and seen {seen}"),
            RegisterOp::CasNot(old) => format!("looked for {old} in vain"),
        };
        format!("process {} had {did}", self.process(index))
    }

    /// The value that an operation shows to be there: the one that it saw, or else made.
    fn value(&self, index: u32) -> &Value {
        match self.op(index) {
            RegisterOp::Read(value)
            | RegisterOp::Write(value)
            | RegisterOp::CasSaw(_, value)
            | RegisterOp::Cas(_, value)
            | RegisterOp::CasNot(value) => value,
        }
    }

    /// A failed write of the value that was read.
    fn failed_write(&self, reader: u32) -> String {
        let seen = match self.op(reader) {
            RegisterOp::Cas(old, _) => old,
            _ => self.value(reader),
        };
        let position = self.entries[reader as usize].position as usize;
        let key = &self.history.operations[position].key;
        let failed = self.history.operations.iter().find(|operation| {
            operation.outcome == ordeal_history::Outcome::Fail
                && operation.key == *key
                && match &*operation.f {
                    "write" => operation.input == *seen,
                    "cas" => {
                        operation.input.as_array().is_some_and(|pair| pair.get(1) == Some(seen))
                    }
                    _ => false,
                }
        });
        failed.map_or(String::new(), |operation| {
            let (process, f, event) = (operation.process, &operation.f, operation.invoke);
            format!(" (process {process} tried to, but its {f} of event {event} failed)")
        })
    }

    fn backwards(&self, first: u32, second: u32) -> String {
        match (self.op(first), self.op(second)) {
            (RegisterOp::Write(new) | RegisterOp::Cas(_, new), RegisterOp::Read(seen))
                if new == seen =>
            {
                format!(
                    "{} before process {} began to write it",
                    self.did(second),
                    self.process(first)
                )
            }
            _ => format!("{} after {}, which must come later", self.did(first), self.had(second)),
        }
    }

    /// Whether the write of the value that `seer` saw began after `earlier` had ended.
    fn is_written_after(&self, seer: u32, earlier: u32) -> bool {
        let end = self.entries[earlier as usize].ret;
        let value = self.value(seer);
        self.entries.iter().any(|entry| {
            matches!(entry.op, RegisterOp::Write(new) if new == value) && entry.call > end
        })
    }

    fn interleaved(&self, pair: &Pair) -> String {
        let stale = format!("{} after {}", self.did(pair.old_last), self.had(pair.new_first));
        match pair.old_first {
            None => format!("{stale}, though null was there only at the beginning"),
            Some(_) if matches!(self.op(pair.new_first), RegisterOp::Write(_)) => {
                format!("{stale}, which replaced it")
            }
            Some(first) if self.is_written_after(pair.new_first, first) => {
                format!("{stale}, which was written later")
            }
            Some(first) => {
                format!("{stale}, though {} before {}", self.had(first), self.did(pair.new_last))
            }
        }
    }
}
