//! A register: read, write, compare-and-set; `null` at first.

use crate::linear::{Misfit, Model, Removal};
use ordeal_history::{Operation, Outcome, Value};

/// What a failed cas says that names no value it saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailedCas {
    /// The register did not hold the expected value (as Porcupine has it).
    #[default]
    NotEqual,
    /// Nothing (as Knossos has it).
    Nothing,
}

/// Errors of a cas that failed because of the comparison, in Jepsen's words; any other error says
/// only that the cas did not happen.
const COMPARISON_ERRORS: [&str; 4] =
    ["did-not-succeed", ":did-not-succeed", "precondition-failed", ":precondition-failed"];

/// `read`, `write` and `cas` on one value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register {
    /// How a failed cas without `actual` and without an error is read.
    pub failed_cas: FailedCas,
}

/// An operation on a register.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// Saw this.
    Read(Value),
    /// Left this.
    Write(Value),
    /// Saw the first, left the second.
    Cas(Value, Value),
    /// Expected the first, saw the second.
    CasSaw(Value, Value),
    /// Did not see this.
    CasNot(Value),
}

impl Model for Register {
    type State = Value;
    type Op = RegisterOp;

    fn name(&self) -> &str {
        "register"
    }

    fn summary(&self) -> &str {
        "read, write and cas on one value, null at first"
    }

    fn initial(&self) -> Value {
        Value::Null
    }

    fn compile(&self, operation: &Operation) -> Result<Option<RegisterOp>, Misfit> {
        let outcome = operation.outcome;
        match &*operation.f {
            "read" if outcome == Outcome::Ok => {
                Ok(Some(RegisterOp::Read(operation.output.clone())))
            }
            "read" => Ok(None),
            "write" if outcome == Outcome::Fail => Ok(None),
            "write" => Ok(Some(RegisterOp::Write(operation.input.clone()))),
            "cas" => {
                let Some([old, new]) = operation.input.as_array() else {
                    return Err(Misfit::invocation("the value of a `cas` must be [old, new]"));
                };
                if outcome != Outcome::Fail {
                    return Ok(Some(RegisterOp::Cas(old.clone(), new.clone())));
                }
                Ok(match (&operation.actual, &operation.error, self.failed_cas) {
                    (Some(actual), ..) => Some(RegisterOp::CasSaw(old.clone(), actual.clone())),
                    (None, None, FailedCas::NotEqual) => Some(RegisterOp::CasNot(old.clone())),
                    (None, Some(error), FailedCas::NotEqual)
                        if COMPARISON_ERRORS.contains(&&**error) =>
                    {
                        Some(RegisterOp::CasNot(old.clone()))
                    }
                    _ => None,
                })
            }
            _ => Err(Misfit::unknown_f("register", operation, "read, write and cas")),
        }
    }

    fn step(&self, state: &Value, op: &RegisterOp) -> Option<Value> {
        match op {
            RegisterOp::Read(seen) => (state == seen).then(|| state.clone()),
            RegisterOp::Write(new) => Some(new.clone()),
            RegisterOp::Cas(old, new) => (state == old).then(|| new.clone()),
            RegisterOp::CasSaw(old, seen) => (state == seen && state != old).then(|| state.clone()),
            RegisterOp::CasNot(old) => (state != old).then(|| state.clone()),
        }
    }

    fn observes(&self, op: &RegisterOp) -> bool {
        matches!(op, RegisterOp::Read(_) | RegisterOp::CasSaw(..) | RegisterOp::CasNot(_))
    }

    fn as_register<'a>(&self, op: &'a RegisterOp) -> Option<&'a RegisterOp> {
        Some(op)
    }

    fn is_register(&self) -> bool {
        true
    }

    fn removal(&self, op: &RegisterOp) -> Removal {
        match op {
            RegisterOp::Write(new) | RegisterOp::Cas(_, new) => Removal::Unseen(vec![new.clone()]),
            _ => Removal::Free,
        }
    }

    fn sees(&self, op: &RegisterOp) -> Vec<Value> {
        match op {
            RegisterOp::Read(seen) | RegisterOp::CasSaw(_, seen) | RegisterOp::Cas(seen, _) => {
                vec![seen.clone()]
            }
            _ => Vec::new(),
        }
    }

    fn avoids(&self, op: &RegisterOp) -> Vec<Value> {
        match op {
            RegisterOp::CasNot(old) | RegisterOp::CasSaw(old, _) => vec![old.clone()],
            _ => Vec::new(),
        }
    }

    fn shows(&self, state: &Value) -> Option<Value> {
        Some(state.clone())
    }

    fn describe(&self, op: &RegisterOp) -> String {
        match op {
            RegisterOp::Read(seen) => format!("read {seen}"),
            RegisterOp::Write(new) => format!("wrote {new}"),
            RegisterOp::Cas(old, new) => format!("changed {old} to {new}"),
            RegisterOp::CasSaw(old, seen) => format!("looked for {old} and saw {seen}"),
            RegisterOp::CasNot(old) => format!("looked for {old} and did not see it"),
        }
    }
}
