//! What it takes to be a model: a sequential specification that histories are held against.

use ordeal_history::{Operation, Value};
use std::fmt::Debug;
use std::hash::Hash;

/// A sequential specification: what each operation may answer when nothing runs beside it.
///
/// The checker calls [`Model::compile`] once an operation and [`Model::step`] once for each pair
/// of a state and a compiled operation, so neither need be fast; states and compiled operations
/// are compared and hashed often, so they should be small or shared.
///
/// ```
/// use ordeal_checker::linear::{Linearizable, Misfit, Model};
/// use ordeal_checker::{Checker, Limits, Verdict};
/// use ordeal_history::{History, Operation, Outcome, Value, read_jsonl, ReadOptions};
///
/// /// A switch that can be flipped, and that says what it was.
/// struct Switch;
///
/// impl Model for Switch {
///     type State = bool;
///     type Op = Option<bool>;
///     fn name(&self) -> &str { "switch" }
///     fn summary(&self) -> &str { "a switch that says what it was when it is flipped" }
///     fn initial(&self) -> bool { false }
///     fn compile(&self, operation: &Operation) -> Result<Option<Option<bool>>, Misfit> {
///         match (operation.outcome, &operation.output) {
///             (Outcome::Fail, _) => Ok(None),
///             (Outcome::Info, _) => Ok(Some(None)),
///             (Outcome::Ok, Value::Bool(was)) => Ok(Some(Some(*was))),
///             _ => Err(Misfit::completion("`flip` answers true or false")),
///         }
///     }
///     fn step(&self, on: &bool, was: &Option<bool>) -> Option<bool> {
///         was.is_none_or(|was| was == *on).then_some(!on)
///     }
/// }
///
/// let text = r#"
/// {"index":0,"time":0,"process":1,"type":"invoke","f":"flip","value":null}
/// {"index":1,"time":1,"process":1,"type":"ok","f":"flip","value":true}"#;
/// let history = read_jsonl(text.as_bytes(), ReadOptions::default()).unwrap();
/// let judgement = Linearizable::new(Switch).check(&history, &Limits::default());
/// assert!(matches!(judgement.verdict, Verdict::Invalid(_)));
/// ```
pub trait Model: Send + Sync + 'static {
    /// A state of the object.
    type State: Clone + Eq + Hash + Debug + Send + Sync;
    /// An operation with its answer, in the model's own terms; equal ones must have equal effects.
    type Op: Clone + Eq + Hash + Debug + Send + Sync;

    /// The name for `--model`.
    fn name(&self) -> &str;

    /// One sentence on what it is.
    fn summary(&self) -> &str;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The operation in the model's own terms; `None` when it says nothing and changes nothing,
    /// such as an indeterminate read.
    ///
    /// An operation whose outcome is `Info` is compiled without its answer: it may have happened
    /// or not. Errors when `f` or a value is none of this model's.
    fn compile(&self, operation: &Operation) -> Result<Option<Self::Op>, Misfit>;

    /// The state after `op`, or `None` where `op` could not have answered so.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// How many bytes the state takes beside the others that are remembered, about: what a search
    /// remembers counts against its memory.
    fn state_bytes(&self, _state: &Self::State) -> usize {
        size_of::<Self::State>()
    }

    /// Whether `op` leaves **every** state in which it is legal as it is.
    ///
    /// The search commits such operations without branching, so a wrong `true` makes wrong
    /// verdicts; a write of the value that is there already is no observer.
    fn observes(&self, _op: &Self::Op) -> bool {
        false
    }

    /// Whether one object spans all keys; otherwise each key is an object of its own.
    fn spans_keys(&self) -> bool {
        false
    }

    /// The operation as one on a register, if that is what it is: the door to the near-linear
    /// algorithm, for models whose initial value is `null`.
    fn as_register<'a>(&self, _op: &'a Self::Op) -> Option<&'a crate::models::RegisterOp> {
        None
    }

    /// Whether [`Model::as_register`] knows every operation: then the check can be fed event by
    /// event in bounded memory ([`crate::online::Linear`]).
    fn is_register(&self) -> bool {
        false
    }

    /// When a counterexample may leave `op` out without making wrong what was right.
    fn removal(&self, op: &Self::Op) -> Removal {
        if self.observes(op) { Removal::Free } else { Removal::Never }
    }

    /// The values that `op` makes, if it may go when nobody saw them ([`Removal::Unseen`]).
    fn makes(&self, op: &Self::Op) -> Vec<Value> {
        if let Removal::Unseen(values) = self.removal(op) { values } else { Vec::new() }
    }

    /// The values that `op` saw, for [`Removal::Unseen`].
    fn sees(&self, _op: &Self::Op) -> Vec<Value> {
        Vec::new()
    }

    /// The values that `op` says it did **not** see: a write that nobody saw may be the reason.
    fn avoids(&self, _op: &Self::Op) -> Vec<Value> {
        Vec::new()
    }

    /// The one value that `state` is, for models of a register.
    ///
    /// A model that gives it promises that a state is a value; that an operation either leaves
    /// it or replaces it by one that does not depend on it; that [`Model::makes`],
    /// [`Model::sees`] and [`Model::avoids`] say all of that, so that an operation which neither
    /// sees nor avoids a value does the same in that state as in any other that it does not name.
    /// The search then takes all states that no operation still names for one, and applies an
    /// indeterminate operation only where one that waits sees what it makes.
    fn shows(&self, _state: &Self::State) -> Option<Value> {
        None
    }

    /// What a process did, to stand after its name: "wrote 5", "read 7".
    fn describe(&self, op: &Self::Op) -> String {
        format!("did {op:?}")
    }
}

/// When an operation may be left out of a history that is valid and leave it valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Always: it only observes.
    Free,
    /// When nobody that stays saw one of these values.
    Unseen(Vec<Value>),
    /// Together with all others of the same group.
    Together(Value),
    /// Not by itself; only when all that began before the mistake is kept.
    Never,
}

/// An operation that is none of the model's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Misfit {
    /// Whether the mistake stands in the completion; else in the invocation.
    pub in_completion: bool,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl Misfit {
    /// A mistake in the invocation's `f` or value.
    pub fn invocation(message: impl Into<String>) -> Misfit {
        Misfit { in_completion: false, message: message.into() }
    }

    /// A mistake in the completion's value.
    pub fn completion(message: impl Into<String>) -> Misfit {
        Misfit { in_completion: true, message: message.into() }
    }

    /// An `f` that the model does not know.
    pub fn unknown_f(model: &str, operation: &Operation, known: &str) -> Misfit {
        let f = &operation.f;
        Misfit::invocation(format!("the model {model} has no operation `{f}`: it has {known}"))
    }
}
