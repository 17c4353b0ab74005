//! Isolation: what histories of transactions say of a store's consistency model.
//!
//! After Elle (Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
//! Observations", VLDB 2020). The reads tell the order of each key's versions; the orders tell
//! which transaction must come before which; a cycle of such dependencies is an anomaly, whose
//! name says which consistency models are broken. Where there is no cycle, the dependencies give
//! a serial order, and [`replay`] runs it before the verdict is `Valid`.
//!
//! [`ListAppend`] judges `["append",k,v]` and `["r",k,list]`, [`RwRegister`] `["w",k,v]` and
//! `["r",k,v]`. Both need every value to be written to a key only once. Deliberately absent:
//! predicates, so that `G2-item` is all of G2 that there is.

mod append;
mod cycle;
mod fan;
mod footprint;
mod graph;
mod judge;
mod model;
mod register;
mod replay;
mod scc;
mod story;
mod txn;

pub use model::{Anomaly, Kind, Model, Order, strongest};

use crate::linear::MisfitAt;
use crate::online::{Online, recheck};
use crate::{Checker, Judgement, Limits};
use ordeal_history::History;
use txn::Txns;

/// Judges transactions over lists: `["append",k,v]` and `["r",k,null|list]`.
///
/// `Invalid` names the anomalies that the demanded model forbids, and tells the shortest cycle of
/// the worst; `Valid` has a serial order as its witness if the model is serializable or stronger.
/// `Unknown` when an operation is no transaction, a value was appended twice to one key, or a limit
/// was reached. O(size of all reads), and O(n log n) in the transactions, but for a history with
/// cycles.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListAppend {
    /// The model that is demanded.
    pub model: Model,
}

impl Checker for ListAppend {
    fn name(&self) -> &str {
        "list-append"
    }

    fn summary(&self) -> &str {
        "transactions of appends to lists and reads keep to a consistency model (after Elle)"
    }

    fn check(&self, history: &History, limits: &Limits) -> Judgement {
        judge::list_append(self.name(), self.model, history, limits)
    }

    fn misfit(&self, history: &History) -> Option<MisfitAt> {
        Txns::new(history, "append").err()
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

/// Judges transactions over registers: `["w",k,v]` and `["r",k,null|v]`.
///
/// A register's reads do not tell the order of its versions. It is inferred from the initial
/// `null`, from transactions that read a version and wrote the next, from revisions where the
/// answers have them, and from real time; the rest is found by trying. Verdicts as
/// [`ListAppend`]'s; `Unknown` also when trying came to no end.
#[derive(Clone, Copy, Debug, Default)]
pub struct RwRegister {
    /// The model that is demanded.
    pub model: Model,
}

impl Checker for RwRegister {
    fn name(&self) -> &str {
        "rw-register"
    }

    fn summary(&self) -> &str {
        "transactions of writes and reads of registers keep to a consistency model (after Elle)"
    }

    fn check(&self, history: &History, limits: &Limits) -> Judgement {
        judge::rw_register(self.name(), self.model, history, limits)
    }

    fn misfit(&self, history: &History) -> Option<MisfitAt> {
        Txns::new(history, "w").err()
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}
