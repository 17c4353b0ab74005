//! Linearizability: is there an order of the operations that respects real time and explains every
//! answer?
//!
//! Each key is an object of its own (Herlihy and Wing 1990: linearizability is local), so objects
//! are judged in parallel, the largest first. For registers whose written values are all
//! different [`blocks`] decides in O(n log n); everything else is for [`search`]. Every witness
//! goes through [`verify`], which shares no code with either, and every counterexample is made
//! minimal and told in prose.

mod attempts;
pub mod blocks;
mod decide;
mod gaps;
pub mod layers;
mod minimize;
mod model;
mod object;
mod refute;
pub mod search;
mod story;
mod thinned;
mod trials;
mod verify;

pub use decide::Algorithm;
pub use gaps::Gaps;
pub use minimize::minimize;
pub use model::{Misfit, Model, Removal};
pub(crate) use object::entry as entry_of;
pub use object::{Entry, MisfitAt, NEVER, Object, split};
pub(crate) use story::tell;
pub use verify::verify;

use crate::online::{self, Online};
use crate::{Checker, Cost, Counterexample, Judgement, Limits, Verdict, Witness};
use decide::{Case, Failure, Ruling};
use ordeal_history::{History, Value};
use rayon::prelude::*;
use std::sync::Arc;
use std::time::Instant;

/// Checks that every object of a history is linearizable under a model.
///
/// ```
/// use ordeal_checker::linear::Linearizable;
/// use ordeal_checker::models::Register;
/// use ordeal_checker::{Checker, Limits, Verdict};
/// use ordeal_history::{ReadOptions, read_jsonl};
///
/// let text = r#"
/// {"index":0,"time":0,"process":1,"type":"invoke","f":"write","value":7}
/// {"index":1,"time":1,"process":1,"type":"ok","f":"write","value":7}
/// {"index":2,"time":2,"process":2,"type":"invoke","f":"read","value":null}
/// {"index":3,"time":3,"process":2,"type":"ok","f":"read","value":null}"#;
/// let history = read_jsonl(text.as_bytes(), ReadOptions::default()).unwrap();
/// let judgement = Linearizable::new(Register::default()).check(&history, &Limits::default());
/// assert!(matches!(judgement.verdict, Verdict::Invalid(_)));
/// assert!(judgement.reason.starts_with("process 2 read null after process 1 had written 7"));
/// ```
#[derive(Clone, Debug)]
pub struct Linearizable<M> {
    model: Arc<M>,
    algorithm: Algorithm,
    name: String,
}

impl<M: Model> Linearizable<M> {
    /// The checker for `model`; the algorithm is chosen from the history.
    pub fn new(model: M) -> Self {
        let name = format!("linearizable-{}", model.name());
        Linearizable { model: Arc::new(model), algorithm: Algorithm::Auto, name }
    }

    /// The same with the algorithm forced.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    fn rule(&self, history: &History, objects: &[Object<M::Op>], limits: &Limits) -> Vec<Ruling> {
        let workers = rayon::current_num_threads().min(objects.len()).max(1);
        let budget = search::Budget {
            deadline: limits.time.and_then(|time| Instant::now().checked_add(time)),
            memory_bytes: limits.memory_bytes / workers,
            configurations: limits.configurations,
            cancel: limits.cancel.as_deref(),
        };
        let mut by_size: Vec<usize> = (0..objects.len()).collect();
        by_size.sort_by_key(|&place| std::cmp::Reverse(objects[place].entries.len()));
        let rule = |place: usize| {
            let object = &objects[place];
            let algorithm = self.algorithm;
            let case = Case { model: &*self.model, history, object, algorithm, budget };
            (place, case.rule())
        };
        // One object is not worth waking other threads.
        let mut rulings: Vec<(usize, Ruling)> = if let [place] = by_size[..] {
            vec![rule(place)]
        } else {
            by_size.into_par_iter().with_max_len(1).map(rule).collect()
        };
        rulings.sort_by_key(|(place, _)| *place);
        rulings.into_iter().map(|(_, ruling)| ruling).collect()
    }

    fn judgement(&self, verdict: Verdict, reason: String, summary: Summary) -> Judgement {
        Judgement {
            checker: self.name.clone(),
            verdict,
            algorithm: summary.algorithm,
            reason,
            operations: summary.operations,
            cost: summary.cost,
        }
    }
}

/// What a judgement says beside the verdict.
struct Summary {
    algorithm: String,
    operations: u64,
    cost: Cost,
}

impl<M: Model> Checker for Linearizable<M> {
    fn name(&self) -> &str {
        &self.name
    }

    fn summary(&self) -> &str {
        self.model.summary()
    }

    fn misfit(&self, history: &History) -> Option<MisfitAt> {
        split(&*self.model, history, None).err()
    }

    fn check(&self, history: &History, limits: &Limits) -> Judgement {
        let operations = history.operations.len() as u64;
        let objects = match split(&*self.model, history, None) {
            Ok(objects) => objects,
            Err(misfit) => {
                let reason = misfit.to_string();
                let summary =
                    Summary { algorithm: String::new(), operations, cost: Cost::default() };
                return self.judgement(Verdict::Unknown(reason.clone()), reason, summary);
            }
        };
        let rulings = in_pool(limits.threads, || self.rule(history, &objects, limits));
        let summary = summarize(operations, &rulings);
        let (verdict, reason) = compose(operations, &objects, rulings);
        self.judgement(verdict, reason, summary)
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        let (model, algorithm, name) = (self.model.clone(), self.algorithm, self.name.clone());
        Some(if model.is_register() {
            Box::new(online::Linear::new(model, name))
        } else {
            let checker = Linearizable { model, algorithm, name };
            Box::new(online::Recheck::new(checker, limits.clone()))
        })
    }
}

fn summarize(operations: u64, rulings: &[Ruling]) -> Summary {
    let mut algorithms: Vec<&str> = rulings.iter().map(|ruling| ruling.algorithm).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    let cost = rulings.iter().fold(Cost::default(), |sum, ruling| Cost {
        configurations: sum.configurations + ruling.cost.configurations,
        memory_bytes_max: sum.memory_bytes_max.max(ruling.cost.memory_bytes_max),
    });
    let algorithm = if algorithms.is_empty() { "blocks".into() } else { algorithms.join("+") };
    Summary { algorithm, operations, cost }
}

/// Invalid if any object is; else unknown if any is; the one that broke first is told.
fn compose<Op>(operations: u64, objects: &[Object<Op>], rulings: Vec<Ruling>) -> (Verdict, String) {
    let mut orders: Vec<(Option<Value>, Vec<u32>)> = Vec::with_capacity(objects.len());
    let mut worst: Option<(Counterexample, String)> = None;
    let mut unknown: Option<String> = None;
    for (object, ruling) in objects.iter().zip(rulings) {
        match ruling.result {
            Ok(order) => orders.push((object.key.clone(), order)),
            Err(Failure::Unknown(why)) => {
                let named = match &object.key {
                    Some(key) => format!("key {key}: {why}"),
                    None => why,
                };
                unknown.get_or_insert(named);
            }
            Err(Failure::Invalid(found, reason)) => {
                let at = |broken: Option<u64>| broken.unwrap_or(u64::MAX);
                let first = worst
                    .as_ref()
                    .is_none_or(|(known, _)| at(found.broken_at_event) < at(known.broken_at_event));
                if first {
                    worst = Some((*found, reason));
                }
            }
        }
    }
    match (worst, unknown) {
        (Some((counterexample, reason)), _) => (Verdict::Invalid(counterexample), reason),
        (None, Some(why)) => (Verdict::Unknown(why.clone()), why),
        (None, None) => {
            let count = objects.len();
            let s = if count == 1 { "" } else { "s" };
            let reason =
                format!("an order explains all {operations} operations on {count} object{s}");
            (Verdict::Valid(Witness { orders }), reason)
        }
    }
}

/// Runs `work` on that many threads; 0 is one a core.
pub(crate) fn in_pool<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    if threads == 0 {
        return work();
    }
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(work),
        // Without threads of its own it uses those that are there.
        Err(_) => work(),
    }
}
