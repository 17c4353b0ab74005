//! The models and the checkers by name, for whoever lets a person choose one.

use crate::etcd::Etcd;
use crate::isolation::{ListAppend, RwRegister};
use crate::linear::{Algorithm, Linearizable, Model};
use crate::others::{
    Available, Bank, CleanLogs, Counter, Election, FencedMutex, Lease, LongFork, Responsive, Set,
    SetFull, Stats, TotalQueue, Unhandled, UniqueIds, Watch,
};
use crate::{Checker, models};
use ordeal_history::{History, Outcome, Value};

/// A model that histories can be held against, and the checker that does it.
#[derive(Clone, Copy)]
pub struct NamedModel {
    /// The name for `--model`.
    pub name: &'static str,
    /// One sentence on what it is.
    pub summary: &'static str,
    make: fn(Algorithm) -> Box<dyn Checker>,
}

impl NamedModel {
    /// The checker for it; `algorithm` concerns linearizability alone.
    pub fn checker(&self, algorithm: Algorithm) -> Box<dyn Checker> {
        (self.make)(algorithm)
    }
}

impl std::fmt::Debug for NamedModel {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("NamedModel").field(&self.name).finish()
    }
}

fn linear<M: Model + Default + 'static>(algorithm: Algorithm) -> Box<dyn Checker> {
    Box::new(Linearizable::new(M::default()).with_algorithm(algorithm))
}

/// Every model, in the order in which help lists them.
pub const MODELS: &[NamedModel] = &[
    NamedModel {
        name: "register",
        summary: "linearizable reads, writes and cas on one value a key, null at first",
        make: linear::<models::Register>,
    },
    NamedModel {
        name: "kv-append",
        summary: "linearizable gets, puts and appends on one string a key, empty at first",
        make: linear::<models::KvAppend>,
    },
    NamedModel {
        name: "set",
        summary: "linearizable adds to one set a key and reads of it, empty at first",
        make: linear::<models::Set>,
    },
    NamedModel {
        name: "mutex",
        summary: "linearizable acquires and releases of one lock a key, free at first",
        make: linear::<models::Mutex>,
    },
    NamedModel {
        name: "queue",
        summary: "linearizable enqueues and dequeues, first in, first out, empty at first",
        make: linear::<models::Queue>,
    },
    NamedModel {
        name: "stack",
        summary: "linearizable pushes and pops, last in, first out, empty at first",
        make: linear::<models::Stack>,
    },
    NamedModel {
        name: "counter",
        summary: "linearizable adds and reads of one sum a key, 0 at first",
        make: linear::<models::Counter>,
    },
    NamedModel {
        name: "multi-register",
        summary: "linearizable transactions of reads and writes over registers, null at first",
        make: linear::<models::MultiRegister>,
    },
    NamedModel {
        name: "etcd",
        summary: "registers, or every request of the KV API, in the order of etcd's revisions",
        make: |algorithm| Box::new(Etcd::new(algorithm)),
    },
    NamedModel {
        name: "list-append",
        summary: "transactions of appends to lists and reads of them (after Elle)",
        make: |_| Box::new(ListAppend::default()),
    },
    NamedModel {
        name: "rw-register",
        summary: "transactions of writes to registers and reads of them (after Elle)",
        make: |_| Box::new(RwRegister::default()),
    },
];

/// The model of that name.
pub fn model(name: &str) -> Option<&'static NamedModel> {
    MODELS.iter().find(|model| model.name == name)
}

/// The model whose operations `history` has, from the first operation that tells; `register` for
/// a history without operations. `None` when no model has such operations. O(operations).
pub fn detect(history: &History) -> Option<&'static NamedModel> {
    let Some(first) = history.operations.first() else { return model("register") };
    let is_list = |value: &Value| matches!(value, Value::Array(_));
    let named = |f: &str| history.operations.iter().any(|operation| &*operation.f == f);
    let name = match &*first.f {
        "range" | "delete-range" | "compact" => "etcd",
        "put" | "txn" if matches!(first.input, Value::Object(_)) => "etcd",
        "txn" => transactional(history),
        "get" | "put" | "append" => "kv-append",
        "acquire" | "release" => "mutex",
        "enqueue" | "dequeue" => "queue",
        "push" | "pop" => "stack",
        "add" | "read" if named("add") => {
            let reads = history
                .operations
                .iter()
                .filter(|operation| &*operation.f == "read" && operation.outcome == Outcome::Ok);
            if reads.map(|read| &read.output).any(is_list) { "set" } else { "counter" }
        }
        "read" | "write" | "cas" => "register",
        _ => return None,
    };
    model(name)
}

/// Lists or registers, by the first write of a transaction, or the first that a read saw.
fn transactional(history: &History) -> &'static str {
    let values = history.operations.iter().flat_map(|op| [&op.input, &op.output]);
    let mut steps = values.filter_map(Value::as_array).flatten().filter_map(Value::as_array);
    let told = steps.find_map(|step| match step {
        [Value::String(word), ..] if &**word == "append" => Some("list-append"),
        [Value::String(word), ..] if &**word == "w" => Some("rw-register"),
        [_, _, Value::Array(_)] => Some("list-append"),
        [_, _, Value::Null] => None,
        [_, _, _] => Some("rw-register"),
        _ => None,
    });
    told.unwrap_or("list-append")
}

/// The checkers that need no model, with their default options, in the order in which help lists
/// them; those of [`MODELS`] come besides.
pub fn checkers() -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(ListAppend::default()),
        Box::new(RwRegister::default()),
        Box::new(Bank::default()),
        Box::new(LongFork),
        Box::new(Set),
        Box::new(SetFull::default()),
        Box::new(TotalQueue::default()),
        Box::new(UniqueIds),
        Box::new(Counter),
        Box::new(FencedMutex::default()),
        Box::new(Election),
        Box::new(Watch::default()),
        Box::new(Lease::default()),
        Box::new(Stats),
        Box::new(Available::default()),
        Box::new(Responsive::default()),
        Box::new(Unhandled::default()),
        Box::new(CleanLogs::default()),
    ]
}

/// The checker of that name, with its default options.
pub fn checker(name: &str) -> Option<Box<dyn Checker>> {
    checkers().into_iter().find(|checker| checker.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_checker_has_a_name_of_its_own_and_a_summary() {
        let mut names: Vec<String> = checkers().iter().map(|c| c.name().to_owned()).collect();
        assert!(checkers().iter().all(|checker| !checker.summary().is_empty()));
        assert!(names.iter().all(|name| checker(name).is_some()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(checker("no such checker").is_none());
    }

    #[test]
    fn an_empty_history_is_valid_whatever_it_is_checked_for() {
        // Logs are no part of a history, so an empty one does not say that they are clean.
        for checker in checkers().iter().filter(|checker| checker.name() != "log-patterns") {
            let judgement = checker.check(&Default::default(), &Default::default());
            assert!(matches!(judgement.verdict, crate::Verdict::Valid(_)), "{judgement:?}");
        }
    }
}
