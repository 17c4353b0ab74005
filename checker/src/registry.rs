//! The models and the checkers by name, for whoever lets a person choose one.

use crate::etcd::Etcd;
use crate::isolation::{ListAppend, RwRegister};
use crate::linear::{Algorithm, Linearizable, MisfitAt, Model};
use crate::others::{
    Available, Bank, CleanLogs, Counter, Election, FencedMutex, Lease, Lists, LongFork, Responsive,
    Rollout, Set, SetFull, Stats, TotalQueue, Unhandled, UniqueIds, Watch,
};
use crate::{Checker, Judgement, Limits, Online, Verdict, models};
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

/// A checker that needs no model.
struct Other {
    make: fn() -> Box<dyn Checker>,
    /// Operations of which a history that it can say anything of has one; any, when there are none.
    operations: &'static [&'static str],
}

const fn other<C: Checker + Default + 'static>(operations: &'static [&'static str]) -> Other {
    Other { make: || Box::new(C::default()), operations }
}

/// In the order in which help lists them.
const OTHERS: &[Other] = &[
    other::<ListAppend>(&["txn"]),
    other::<RwRegister>(&["txn"]),
    other::<Bank>(&["read"]),
    other::<LongFork>(&["txn"]),
    other::<Set>(&["add", "read"]),
    other::<SetFull>(&["add", "read"]),
    other::<TotalQueue>(&["enqueue", "dequeue", "drain"]),
    other::<UniqueIds>(&["generate"]),
    other::<Counter>(&["add", "read"]),
    other::<FencedMutex>(&["acquire", "release"]),
    other::<Election>(&["campaign", "proclaim", "resign", "leader", "observe"]),
    other::<Watch>(&["watch"]),
    other::<Lease>(&["lease-grant", "lease-keepalive", "lease-ttl", "lease-revoke"]),
    other::<Lists>(&["list"]),
    other::<Rollout>(&["change", "act"]),
    other::<Stats>(&[]),
    other::<Available>(&[]),
    other::<Responsive>(&[]),
    other::<Unhandled>(&[]),
    other::<CleanLogs>(&[]),
];

/// The checkers that need no model, with their default options, in the order in which help lists
/// them; those of [`MODELS`] come besides.
pub fn checkers() -> Vec<Box<dyn Checker>> {
    OTHERS.iter().map(|other| (other.make)()).collect()
}

/// The checker of that name, with its default options.
pub fn checker(name: &str) -> Option<Box<dyn Checker>> {
    checkers().into_iter().find(|checker| checker.name() == name)
}

/// Every name that [`asked`] knows: those of the models, then those of the other checkers.
pub fn names() -> Vec<String> {
    let models = MODELS.iter().map(|model| model.name.to_owned());
    let of_models = MODELS.iter().map(|model| model.checker(Algorithm::Auto).name().to_owned());
    let others = checkers().into_iter().map(|checker| checker.name().to_owned());
    let mut names: Vec<String> = Vec::new();
    for name in models.chain(of_models).chain(others) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The checker that a person asks for by the name of a model, or by its own.
///
/// By itself a checker that finds none of its operations in a history has judged nothing, so here
/// such a history is a [`MisfitAt`].
pub fn asked(name: &str, algorithm: Algorithm) -> Option<Box<dyn Checker>> {
    let of_model = MODELS.iter().find_map(|model| {
        let checker = model.checker(algorithm);
        (model.name == name || checker.name() == name).then_some(checker)
    });
    of_model.or_else(|| {
        OTHERS.iter().find_map(|other| {
            let checker = (other.make)();
            let asked = || Box::new(Asked { checker, operations: other.operations });
            ((other.make)().name() == name).then(asked).map(|asked| asked as Box<dyn Checker>)
        })
    })
}

/// A checker that was asked for by itself.
struct Asked {
    checker: Box<dyn Checker>,
    operations: &'static [&'static str],
}

impl Checker for Asked {
    fn name(&self) -> &str {
        self.checker.name()
    }

    fn summary(&self) -> &str {
        self.checker.summary()
    }

    fn misfit(&self, history: &History) -> Option<MisfitAt> {
        let is_ours = |f: &str| self.operations.is_empty() || self.operations.contains(&f);
        match history.operations.first() {
            Some(first) if !history.operations.iter().any(|operation| is_ours(&operation.f)) => {
                let (name, known) = (self.name(), self.operations.join(", "));
                let message = format!(
                    "the checker {name} has nothing to judge in a history without any of its \
                     operations, which are {known}"
                );
                Some(MisfitAt { event: first.invoke, message })
            }
            _ => self.checker.misfit(history),
        }
    }

    fn check(&self, history: &History, limits: &Limits) -> Judgement {
        let judgement = self.checker.check(history, limits);
        match self.misfit(history) {
            Some(misfit) if !matches!(judgement.verdict, Verdict::Unknown(_)) => {
                let reason = misfit.to_string();
                Judgement { verdict: Verdict::Unknown(reason.clone()), reason, ..judgement }
            }
            _ => judgement,
        }
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        self.checker.online(limits)
    }
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
    fn every_name_can_be_asked_for_and_a_history_without_its_operations_is_none_of_its_own() {
        let foreign = r#"{"index":0,"time":0,"process":1,"type":"invoke","f":"frob","value":null}"#;
        let foreign = ordeal_history::read_jsonl(foreign.as_bytes(), Default::default()).unwrap();
        for name in names() {
            let checker = asked(&name, Algorithm::Auto).expect(&name);
            let knows_any = OTHERS
                .iter()
                .any(|other| other.operations.is_empty() && (other.make)().name() == name);
            assert_eq!(checker.misfit(&foreign).is_none(), knows_any, "{name}");
            let judgement = checker.check(&foreign, &Default::default());
            let is_unknown = matches!(judgement.verdict, Verdict::Unknown(_));
            assert!(knows_any || is_unknown, "{name}: {judgement:?}");
        }
        assert!(asked("frob", Algorithm::Auto).is_none());
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
