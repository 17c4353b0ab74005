//! Histories of etcd, in the order of its revisions.
//!
//! Two forms of history: the register's operations with revisions and versions ([`EtcdRevisions`]),
//! and the requests of etcd's own API, on the whole store ([`EtcdHistory`]).

mod counterexample;
mod fill;
mod order;
mod part;
mod place;
mod registers;
mod store;
mod verify;
mod wrong;

pub use registers::EtcdRevisions;
pub use store::EtcdHistory;

use crate::linear::{Algorithm, Linearizable, MisfitAt};
use crate::models::Register;
use crate::online::{Online, recheck};
use crate::{Checker, Judgement, Limits};
use ordeal_history::History;

/// The model `etcd`: whichever of the two forms a history has.
#[derive(Clone, Debug)]
pub struct Etcd {
    registers: EtcdRevisions,
    store: EtcdHistory,
}

impl Etcd {
    /// The checker; `algorithm` is for what the revisions leave open, and `Search` looks at none
    /// of them where the whole store is concerned.
    pub fn new(algorithm: Algorithm) -> Self {
        let register = Linearizable::new(Register::default()).with_algorithm(algorithm);
        Etcd { registers: EtcdRevisions::new(register), store: EtcdHistory::new(algorithm) }
    }

    fn of(&self, history: &History) -> &dyn Checker {
        let is_register = |f: &str| matches!(f, "read" | "write" | "cas");
        match history.operations.first() {
            Some(first) if !is_register(&first.f) => &self.store,
            _ => &self.registers,
        }
    }
}

impl Checker for Etcd {
    fn name(&self) -> &str {
        "etcd"
    }

    fn summary(&self) -> &str {
        "registers, or every request of the KV API, in the order of etcd's revisions"
    }

    fn misfit(&self, history: &History) -> Option<MisfitAt> {
        self.of(history).misfit(history)
    }

    fn check(&self, history: &History, limits: &Limits) -> Judgement {
        self.of(history).check(history, limits)
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(self.clone(), limits)
    }
}

/// A rule that is broken, by these operations.
struct Broken {
    /// Indexes into the entries.
    operations: Vec<u32>,
    /// A sentence in which {0} stands for what the first of them did, and so on.
    reason: String,
    /// Whether it is broken only if nobody else changed the store.
    needs_whole: bool,
}

impl Broken {
    fn new(operations: impl IntoIterator<Item = u32>, reason: &str) -> Broken {
        let operations = operations.into_iter().collect();
        Broken { operations, reason: reason.to_owned(), needs_whole: false }
    }
}

/// Takes apart what is of many small parts, while the caller goes on.
fn later(done: impl Send + 'static) {
    rayon::spawn(move || drop(done));
}
