//! Transactions over several keys, as etcd has them: what they read is read first, and what they
//! write is written in one transaction, on condition that nothing of what was read has changed.
//!
//! Shared by `append` and `wr`, which differ in what a write makes of what was there.

use crate::rotation::Rotation;
use crate::{
    Answer, Compare, CompareTarget, Completion, Generator, KeyValue, Next, Options, Planned, Put,
    Range, Request, Said, Store, StoreError, Txn,
};
use ordeal_history::Value;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// How many steps a transaction has at most.
const STEPS_MAX: usize = 4;
/// How many operations a key is in play for; a list grows no longer than its share of writes.
const OPERATIONS_PER_KEY: u32 = 64;
/// Of a hundred transactions of slots that write so many only read.
const READ_ONLY_PERCENT: u32 = 20;

/// What tells the two workloads apart.
pub(crate) struct Kind {
    /// Under which the keys lie in the store.
    pub(crate) prefix: &'static str,
    /// The word for a write.
    pub(crate) write: &'static str,
    /// What a write makes of what was there.
    pub(crate) written: fn(before: &Value, new: &Value) -> Value,
    /// The value as the store holds it, of so many bytes at least.
    pub(crate) encode: fn(value: &Value, bytes_min: u32) -> Vec<u8>,
    /// And back.
    pub(crate) decode: fn(kv: Option<&KeyValue>) -> Value,
}

/// Chooses transactions.
pub(crate) struct Transactions {
    kind: &'static Kind,
    keys: Rotation,
    slots: usize,
    values: i64,
}

impl Transactions {
    pub(crate) fn new(kind: &'static Kind, options: &Options, slots: usize) -> Transactions {
        let keys = Rotation::new(options, OPERATIONS_PER_KEY, slots);
        Transactions { kind, keys, slots, values: 0 }
    }

    fn step(&mut self, which: u32, writes: bool) -> Value {
        let key = Value::String(format!("k{}", self.keys.take(which).number).into());
        if writes {
            self.values += 1;
            Value::from(vec![self.kind.write.into(), key, Value::Int(self.values)])
        } else {
            Value::from(vec!["r".into(), key, Value::Null])
        }
    }
}

impl Generator for Transactions {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        let count = rng.random_range(1..=STEPS_MAX);
        // As with registers, every third slot only reads: behind a node that was cut off writes
        // hang, and who waits for them sees nothing of what is read there.
        let reads =
            rng.random_range(0..100) < READ_ONLY_PERCENT || (self.slots > 2 && slot % 3 == 2);
        let steps = (0..count)
            .map(|_| {
                let (which, writes) = (rng.random(), rng.random_range(0..2) == 0);
                self.step(which, writes && !reads)
            })
            .collect();
        Next::Invoke(transaction(steps))
    }

    fn observe(&mut self, _slot: usize, _operation: &Planned, _completion: &Completion) {}

    fn next_final(&mut self, slot: usize) -> Next {
        match self.keys.next_final(slot) {
            Some(key) => {
                let key = Value::String(format!("k{key}").into());
                Next::Invoke(transaction(vec![Value::from(vec!["r".into(), key, Value::Null])]))
            }
            None => Next::Done,
        }
    }
}

fn transaction(steps: Vec<Value>) -> Planned {
    Planned { f: "txn", key: None, value: Value::from(steps) }
}

/// One step: the word, the key, the value.
struct Step<'v> {
    word: &'v str,
    key: &'v str,
    value: &'v Value,
}

fn steps(value: &Value) -> Option<Vec<Step<'_>>> {
    let step = |step| match Value::as_array(step)? {
        [word, key, value] => Some(Step { word: word.as_str()?, key: key.as_str()?, value }),
        _ => None,
    };
    value.as_array()?.iter().map(step).collect()
}

/// Sends one transaction, and tells what it read.
pub(crate) async fn send<S: Store>(
    kind: &Kind,
    store: &mut S,
    options: &Options,
    operation: &Planned,
) -> Completion {
    let Some(steps) = steps(&operation.value) else {
        return Completion::unknown(operation);
    };
    match attempt(kind, store, options, &steps).await {
        Ok(Some((results, revision))) => Completion::ok(Value::from(results), revision),
        // Somebody was faster; what was read before says nothing of one moment with the writes.
        Ok(None) => Completion::refused(operation.value.clone()),
        Err(error) => Completion::of_error(error),
    }
}

/// What was read, with the revision; `None` when something had changed in between.
async fn attempt<S: Store>(
    kind: &Kind,
    store: &mut S,
    options: &Options,
    steps: &[Step<'_>],
) -> Result<Option<(Vec<Value>, i64)>, StoreError> {
    let keys: Vec<&str> = {
        let mut keys: Vec<&str> = steps.iter().map(|step| step.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    };
    let read = read_all(kind, store, options, &keys).await;
    // The reads changed nothing, whatever became of them.
    let (revision, kvs) = read.map_err(|error| StoreError::DidNotHappen(error.to_string()))?;
    let mut state: BTreeMap<&str, Value> =
        keys.iter().zip(&kvs).map(|(key, kv)| (*key, (kind.decode)(kv.as_ref()))).collect();
    let mut written: BTreeMap<&str, Value> = BTreeMap::new();
    let results: Vec<Value> = steps
        .iter()
        .map(|step| {
            let before = state.get(step.key).cloned().unwrap_or_default();
            let result = if step.word == "r" {
                before
            } else {
                let after = (kind.written)(&before, step.value);
                state.insert(step.key, after.clone());
                written.insert(step.key, after);
                step.value.clone()
            };
            Value::from(vec![step.word.into(), step.key.into(), result])
        })
        .collect();
    if written.is_empty() {
        return Ok(Some((results, revision)));
    }
    let full = |key: &str| format!("{}{key}", kind.prefix).into_bytes();
    let guards = keys.iter().zip(&kvs).map(|(key, kv)| {
        let at = kv.as_ref().map_or(0, |kv| kv.mod_revision);
        Compare::equal(full(key), CompareTarget::ModRevision(at))
    });
    let puts = written.iter().map(|(key, value)| {
        Request::Put(Put::of(full(key), (kind.encode)(value, options.value_bytes)))
    });
    let txn = Txn { compares: guards.collect(), then: puts.collect(), otherwise: Vec::new() };
    match store.send(Request::Txn(txn)).await? {
        Answer { revision, said: Said::Txn { succeeded: true, .. } } => {
            Ok(Some((results, revision)))
        }
        Answer { said: Said::Txn { succeeded: false, .. }, .. } => Ok(None),
        answer => Err(StoreError::Indeterminate(format!("not a transaction's: {answer:?}"))),
    }
}

/// All keys at one revision.
async fn read_all<S: Store>(
    kind: &Kind,
    store: &mut S,
    options: &Options,
    keys: &[&str],
) -> Result<(i64, Vec<Option<KeyValue>>), StoreError> {
    let range = |key: &&str| {
        let serializable = options.serializable;
        Range { serializable, ..Range::of(format!("{}{key}", kind.prefix)) }
    };
    if let [key] = keys {
        let answer = store.send(Request::Range(range(key))).await?;
        return Ok((answer.revision, vec![answer.said.one().cloned()]));
    }
    let then = keys.iter().map(|key| Request::Range(range(key))).collect();
    match store.send(Request::Txn(Txn { then, ..Txn::default() })).await? {
        Answer { revision, said: Said::Txn { results, .. } } if results.len() == keys.len() => {
            Ok((revision, results.iter().map(|said| said.one().cloned()).collect()))
        }
        answer => Err(StoreError::DidNotHappen(format!("not a transaction's: {answer:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Append, Memory, Next, Options, Planned, Workload, Wr};
    use futures::FutureExt;
    use ordeal_checker::{Limits, Verdict};
    use ordeal_history::{Event, EventType, History, Outcome, Process, Value};
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn run<W: Workload>(spoil: impl Fn(u32, &mut Memory)) -> (History, Options) {
        let options = Options { keys: 3, ..Options::default() };
        let mut generator = W::generator(&options, 3);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut memory = Memory::default();
        let mut events = Vec::new();
        let mut push = |kind, operation: &Planned, value: &Value, revision| {
            let index = events.len() as u64;
            let mut event = Event::new(index, index, Process::Client(0), kind, operation.f);
            event.value = value.clone();
            event.revision = revision;
            events.push(event);
        };
        for step in 0..2_000 {
            spoil(step, &mut memory);
            let Next::Invoke(operation) = generator.next(step as usize % 3, &mut rng) else {
                panic!("there is always a transaction")
            };
            push(EventType::Invoke, &operation, &operation.value, None);
            let sent = W::send(&mut memory, &options, &operation).now_or_never();
            let done = sent.expect("this store answers at once");
            assert_eq!(done.outcome, Outcome::Ok, "{operation:?}: {done:?}");
            push(EventType::Ok, &operation, &done.value, done.revision);
        }
        (History::from_events(events).expect("a history"), options)
    }

    fn verdict<W: Workload>(spoil: impl Fn(u32, &mut Memory)) -> Vec<Verdict> {
        let (history, options) = run::<W>(spoil);
        let judged = W::checkers(&options);
        judged.iter().map(|c| c.check(&history, &Limits::default()).verdict).collect()
    }

    /// At one moment the last write of some key is undone.
    fn lose(step: u32, memory: &mut Memory) {
        if step == 500 {
            let last = memory.held.values().max_by_key(|kv| kv.mod_revision).cloned();
            let key = last.map(|kv| kv.key).unwrap_or_default();
            memory.held.remove(&key);
        }
    }

    #[test]
    fn a_good_store_is_valid_and_one_that_forgets_a_key_is_not() {
        let good = [verdict::<Append>(|_, _| {}), verdict::<Wr>(|_, _| {})];
        for verdict in good.iter().flatten() {
            assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?}");
        }
        let bad = [verdict::<Append>(lose), verdict::<Wr>(lose)];
        for verdicts in bad {
            let invalid = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Invalid(_)));
            assert!(invalid, "{verdicts:?}");
        }
    }
}
