//! Linearizability of registers, event by event.

use super::register::{Register, Wrong};
use super::{Online, Violation, invalid};
use crate::linear::{Misfit, Model};
use crate::models::RegisterOp;
use crate::{Cost, Judgement, Verdict, Witness};
use ordeal_history::{Event, EventType, Operation, Outcome, Process, Value};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Judges registers while they are used, each key by itself.
///
/// A value may be written once while it can be seen. A key on which that is not so is left to the
/// checker that sees the whole history, and so is one with a failed cas that does not say what it
/// saw, as far as that cas goes; the verdict at the end is then unknown, unless another finding
/// makes it invalid.
pub struct Linear<M: Model> {
    model: Arc<M>,
    checker: String,
    objects: Vec<Object>,
    places: FxHashMap<Option<Value>, usize>,
    open: FxHashMap<i64, Open<M::Op>>,
    names: FxHashMap<Box<str>, Arc<str>>,
    operations: u64,
    /// The moment after the last event.
    next: u64,
    violation: Option<Violation>,
    /// Why nothing can be said of all objects.
    unknown: Option<String>,
}

struct Object {
    key: Option<Value>,
    register: Register,
    /// Why its verdict is for the checker that sees the whole history.
    left: Option<&'static str>,
    /// Whether that is so of its operations from now on; else of one observation.
    gone: bool,
}

/// An operation that has begun.
struct Open<Op> {
    call: u64,
    object: usize,
    f: Arc<str>,
    input: Value,
    /// What it does if it happens.
    may: Option<Op>,
}

const REPEATED: &str = "a value was written twice while it could be seen";
const NOT_EQUAL: &str = "a failed cas does not say what it saw";

impl<M: Model> Linear<M> {
    /// The check of `model`, every operation of which must be one on a register
    /// ([`Model::is_register`]), in the name of `checker`.
    pub fn new(model: Arc<M>, checker: impl Into<String>) -> Self {
        Linear {
            model,
            checker: checker.into(),
            objects: Vec::new(),
            places: FxHashMap::default(),
            open: FxHashMap::default(),
            names: FxHashMap::default(),
            operations: 0,
            next: 0,
            violation: None,
            unknown: None,
        }
    }

    /// How many values, blocks and open operations are remembered: what its memory is made of.
    pub fn held(&self) -> usize {
        let objects = self.objects.iter().map(|object| object.register.held());
        self.open.len() + objects.sum::<usize>()
    }

    fn invoke(&mut self, process: i64, event: &Event) -> Result<(), Stop> {
        if let Some(open) = self.open.get(&process) {
            let since = open.call - 1;
            return Err(Stop::Unknown(format!(
                "event {}: process {process} invokes while its operation of event {since} is open",
                event.index
            )));
        }
        self.operations += 1;
        let f = self.name(&event.f);
        let operation = operation(process, f.clone(), event.value.clone(), None, event);
        let may = self.model.compile(&operation).map_err(|misfit| misfit_at(event, &misfit))?;
        let object = self.object(&operation.key);
        let call = event.index + 1;
        if !self.objects[object].gone {
            let makes = may.as_ref().and_then(|op| makes(&*self.model, op));
            if self.objects[object].register.invoke(call, makes).is_err() {
                self.leave(object);
            }
        }
        self.open.insert(process, Open { call, object, f, input: operation.input, may });
        Ok(())
    }

    fn complete(&mut self, process: i64, event: &Event) -> Result<(), Stop> {
        let Some(open) = self.open.remove(&process) else {
            return Err(Stop::Unknown(format!(
                "event {}: process {process} completes an operation that it did not invoke",
                event.index
            )));
        };
        let outcome = match event.kind {
            EventType::Ok => Outcome::Ok,
            EventType::Fail => Outcome::Fail,
            EventType::Info | EventType::Invoke => Outcome::Info,
        };
        let Open { call, object, f, input, may } = open;
        let operation = operation(process, f, input, Some(outcome), event);
        let did = self.model.compile(&operation).map_err(|misfit| misfit_at(event, &misfit))?;
        if self.objects[object].gone {
            return Ok(());
        }
        if outcome == Outcome::Info {
            self.objects[object].register.retire(call);
            return Ok(());
        }
        let now = event.index + 1;
        let judged = self.judge(object, call, now, may.as_ref(), did.as_ref());
        judged.map_err(|wrong| {
            let did = did.or(may).map_or(operation.f.to_string(), |op| self.model.describe(&op));
            let key = self.objects[object].key.clone();
            Stop::Invalid(violation(key, event, call, &wrong, &format!("process {process} {did}")))
        })
    }

    /// An operation that began at `call` ended `now`: it was to do one thing, and did another.
    fn judge(
        &mut self,
        object: usize,
        call: u64,
        now: u64,
        may: Option<&M::Op>,
        did: Option<&M::Op>,
    ) -> Result<(), Wrong> {
        let object = &mut self.objects[object];
        let register = &mut object.register;
        let did = match did.map(|did| self.model.as_register(did)) {
            Some(None) => {
                (object.left, object.gone) = (Some(NOT_EQUAL), true);
                return Ok(());
            }
            did => did.flatten(),
        };
        if let Some(RegisterOp::Write(new) | RegisterOp::Cas(_, new)) = did {
            return register.wrote(call, now, new);
        }
        if let Some((new, _)) = may.and_then(|may| makes(&*self.model, may)) {
            register.unmake(new)?;
        }
        match did {
            Some(RegisterOp::CasSaw(old, seen)) if old == seen => return Err(Wrong::SawExpected),
            Some(RegisterOp::Read(seen) | RegisterOp::CasSaw(_, seen)) => {
                return register.saw(call, now, seen);
            }
            Some(RegisterOp::CasNot(_)) => object.left = Some(NOT_EQUAL),
            _ => {}
        }
        register.retire(call);
        Ok(())
    }

    fn name(&mut self, f: &str) -> Arc<str> {
        if let Some(name) = self.names.get(f) {
            return name.clone();
        }
        let name: Arc<str> = f.into();
        self.names.insert(f.into(), name.clone());
        name
    }

    fn object(&mut self, key: &Option<Value>) -> usize {
        let key = if self.model.spans_keys() { &None } else { key };
        if let Some(&place) = self.places.get(key) {
            return place;
        }
        let register = Register::new();
        self.objects.push(Object { key: key.clone(), register, left: None, gone: false });
        self.places.insert(key.clone(), self.objects.len() - 1);
        self.objects.len() - 1
    }

    fn leave(&mut self, object: usize) {
        let object = &mut self.objects[object];
        object.register = Register::new();
        (object.left, object.gone) = (Some(REPEATED), true);
    }
}

impl<M: Model> Online for Linear<M> {
    fn feed(&mut self, event: &Event) {
        if self.violation.is_some() || self.unknown.is_some() {
            return;
        }
        if event.index < self.next {
            self.unknown = Some(format!("event {} comes twice, or too late", event.index));
            return;
        }
        self.next = event.index + 1;
        let fed = match (event.process, event.kind) {
            (Process::Nemesis, _) => Ok(()),
            (Process::Client(process), EventType::Invoke) => self.invoke(process, event),
            (Process::Client(process), _) => self.complete(process, event),
        };
        match fed {
            Ok(()) => {}
            Err(Stop::Invalid(violation)) => self.violation = Some(violation),
            Err(Stop::Unknown(why)) => self.unknown = Some(why),
        }
    }

    fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    fn is_light(&self) -> bool {
        true
    }

    fn finish(&mut self) -> Judgement {
        let left = self.objects.iter().find_map(|object| {
            let why = object.left?;
            Some(match &object.key {
                Some(key) => format!("key {key}: {why}"),
                None => why.to_owned(),
            })
        });
        let (verdict, reason) = match (&self.violation, self.unknown.clone().or(left)) {
            (Some(violation), _) => invalid(violation),
            (None, Some(why)) => (Verdict::Unknown(why.clone()), why),
            (None, None) => {
                let operations = self.operations;
                let reason = format!("an order explains all {operations} operations");
                (Verdict::Valid(Witness::default()), reason)
            }
        };
        Judgement {
            checker: self.checker.clone(),
            verdict,
            algorithm: "online-blocks".to_owned(),
            reason,
            operations: self.operations,
            cost: Cost::default(),
        }
    }
}

/// Why no further event is looked at.
enum Stop {
    Invalid(Violation),
    Unknown(String),
}

fn misfit_at(event: &Event, misfit: &Misfit) -> Stop {
    Stop::Unknown(format!("event {}: {misfit}", event.index))
}

/// The value that `op` makes, and the one that it takes away.
fn makes<'a, M: Model>(model: &M, op: &'a M::Op) -> Option<(&'a Value, Option<&'a Value>)> {
    match model.as_register(op)? {
        RegisterOp::Write(new) => Some((new, None)),
        RegisterOp::Cas(old, new) => Some((new, Some(old))),
        _ => None,
    }
}

/// The operation that `event` begins (no outcome yet) or ends.
fn operation(
    process: i64,
    f: Arc<str>,
    input: Value,
    outcome: Option<Outcome>,
    event: &Event,
) -> Operation {
    let ended = outcome.is_some();
    Operation {
        process,
        f,
        key: event.key.clone(),
        input,
        output: if ended { event.value.clone() } else { Value::Null },
        actual: event.actual.clone(),
        outcome: outcome.unwrap_or(Outcome::Info),
        invoke: event.index,
        complete: ended.then_some(event.index),
        invoke_time: event.time,
        complete_time: ended.then_some(event.time),
        revision: event.revision,
        version: event.version,
        node: None,
        error: event.error.as_deref().map(Arc::from),
    }
}

fn violation(key: Option<Value>, event: &Event, call: u64, wrong: &Wrong, did: &str) -> Violation {
    let mut moments = vec![call, event.index + 1];
    let reason = match wrong {
        Wrong::NotThere(value) => format!(
            "{did}, but {value} was not there: nobody had written it, or it had been replaced \
             before"
        ),
        Wrong::SawExpected => format!("{did}: a cas that sees what it looks for does not fail"),
        Wrong::Taken(value) => format!("{did}, but another cas had taken {value} away"),
        Wrong::Circle(value) => {
            format!("{did}, but {value} could only come to be from a value that was made of it")
        }
        Wrong::Replaced(value, end) => {
            moments.push(*end);
            let seen = end.saturating_sub(1);
            format!("{did}, but at event {seen} a value was seen that had replaced {value}")
        }
        Wrong::Between(value, zone) => {
            moments.extend([zone.first_end, zone.last_start]);
            let (end, start) =
                (zone.first_end.saturating_sub(1), zone.last_start.saturating_sub(1));
            format!(
                "{did}, but {value} had been there before, and at events {end} and {start} \
                 another value was"
            )
        }
        Wrong::FailedButSeen(value) => format!("{did} in vain, though {value} had been seen"),
    };
    let mut events: Vec<u64> = moments.into_iter().filter_map(|at| at.checked_sub(1)).collect();
    events.sort_unstable();
    events.dedup();
    Violation { event: event.index, time_ns: event.time, key, events, reason }
}
