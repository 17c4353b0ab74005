//! A lock: acquire, release; free at first.

use crate::linear::{Misfit, Model};
use ordeal_history::{Operation, Outcome};

/// `acquire` and `release`; who holds the lock is not asked (as Knossos' mutex has it).
///
/// An attempt that failed says nothing: it may have given up for another reason.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex;

/// An operation on a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MutexOp {
    /// Took it.
    Acquire,
    /// Gave it back.
    Release,
}

impl Model for Mutex {
    type State = bool;
    type Op = MutexOp;

    fn name(&self) -> &str {
        "mutex"
    }

    fn summary(&self) -> &str {
        "linearizable acquires and releases of one lock a key, free at first"
    }

    fn initial(&self) -> bool {
        false
    }

    fn compile(&self, operation: &Operation) -> Result<Option<MutexOp>, Misfit> {
        match (&*operation.f, operation.outcome) {
            ("acquire" | "release", Outcome::Fail) => Ok(None),
            ("acquire", _) => Ok(Some(MutexOp::Acquire)),
            ("release", _) => Ok(Some(MutexOp::Release)),
            _ => Err(Misfit::unknown_f("mutex", operation, "acquire and release")),
        }
    }

    fn step(&self, held: &bool, op: &MutexOp) -> Option<bool> {
        match op {
            MutexOp::Acquire => (!held).then_some(true),
            MutexOp::Release => held.then_some(false),
        }
    }

    fn describe(&self, op: &MutexOp) -> String {
        match op {
            MutexOp::Acquire => "acquired the lock".to_owned(),
            MutexOp::Release => "released the lock".to_owned(),
        }
    }
}
