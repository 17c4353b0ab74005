//! `mirror`: the job of `etcdctl make-mirror`, and those who look at the copy.
//!
//! A mirror copies a prefix as of one revision, watches it from there on, and repeats each revision
//! of it in another cluster, in one transaction with the note of how far it has come. The note's
//! last change is the condition of the transaction, so that a repetition whose outcome nobody knows
//! cannot come twice. What arrives is a prefix of what happened: whoever looks at the copy finds
//! what was there at the revision that the note names, and no note goes back.
//!
//! The copy lies under another prefix than the source: where there is no second cluster, one has
//! room for both.

use crate::form::{decode, encode, field, fields, member, number, object, text};
use crate::listing;
use crate::rotation::{Once, pick};
use crate::watching::{self, Manner, Watching, is_watching};
use crate::{
    Compare, CompareTarget, Completion, Delete, Generator, KeyValue, Next, Options, Patience,
    Planned, Put, Range, Request, Said, Store, StoreError, Txn, Workload,
};
use ordeal_checker::Checker;
use ordeal_checker::others::{Lists, Watch};
use ordeal_history::{Outcome, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeSet, VecDeque};

/// Under which everything lies in the store.
const PREFIX: &str = "ordeal/mirror/";
/// Under which the source lies, and in the history the copy too.
const SOURCE: &str = "from/";
/// Under which the copy lies.
const COPY: &str = "to/";
/// The note of how far the mirror has come.
const NOTE: &str = "note";
/// The slot that mirrors.
const MIRROR: usize = 0;
/// So many keys a page has.
const PAGE: i64 = 3;
/// At most so many keys: a transaction holds no more than 128 operations.
const KEYS_MAX: u32 = 60;

/// The workload.
pub struct Mirror;

impl Workload for Mirror {
    const NAME: &'static str = "mirror";
    const SUMMARY: &'static str =
        "a prefix is written, and mirrored to a second cluster as make-mirror does; others look";
    const CHECKS: &'static str = "copies that are not what was there at the revision they name";
    const FAULTS: &'static [&'static str] = &["kill", "partition", "pause"];
    const TWO_CLUSTERS: bool = true;

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        let options = Options { keys: options.keys.clamp(1, KEYS_MAX), ..options.clone() };
        Box::new(MirrorGenerator {
            options,
            watching: Watching::default(),
            values: 0,
            place: None,
            is_behind: false,
            waiting: VecDeque::new(),
            finals: Once::new(slots),
        })
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        if is_watching(operation.f) {
            return watching::send_watching(PREFIX, store, operation).await;
        }
        let sent = match (operation.f, operation.value.as_str()) {
            ("mirror", Some("place")) => place(store).await,
            ("mirror", _) => repeat(store, &operation.value).await,
            ("list", _) if is_of_copy(&operation.value) => look(store, options).await,
            ("list", _) => source(store).await,
            ("txn", _) => write(store, options, &operation.value).await,
            _ => Ok(Completion::unknown(operation)),
        };
        sent.unwrap_or_else(Completion::of_error)
    }

    fn is_elsewhere(operation: &Planned) -> bool {
        operation.f == "mirror" || (operation.f == "list" && is_of_copy(&operation.value))
    }

    fn patience(operation: &Planned) -> Patience {
        watching::patience(operation)
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(Lists), Box::new(Watch::default())]
    }
}

fn stored(name: &str) -> Vec<u8> {
    format!("{PREFIX}{name}").into_bytes()
}

/// Where the copy of a source's key lies.
fn copied(name: &str) -> Vec<u8> {
    stored(&format!("{COPY}{}", name.strip_prefix(SOURCE).unwrap_or(name)))
}

/// What the note says: how far the copy is, and the note's own last change.
fn note(kv: Option<&KeyValue>) -> (i64, i64) {
    kv.map_or((0, 0), |kv| (decode(Some(kv)).as_i64().unwrap_or(0), kv.mod_revision))
}

fn noted(at: i64, since: i64) -> Value {
    object([("at", Value::Int(at)), ("since", Value::Int(since))])
}

async fn write<S: Store>(
    store: &mut S,
    options: &Options,
    steps: &Value,
) -> Result<Completion, StoreError> {
    let encoded = |value| encode(value, options.value_bytes);
    let txn = listing::txn(PREFIX, steps.as_array().unwrap_or_default(), encoded);
    let none = || StoreError::DidNotHappen("no transaction".to_owned());
    let answer = store.send(Request::Txn(txn.ok_or_else(none)?)).await?;
    Ok(listing::done(steps, &answer.said, answer.revision)
        .unwrap_or_else(|| Completion::strange(&answer)))
}

/// Whether a list is one of the copy; else it is one of the source.
fn is_of_copy(question: &Value) -> bool {
    matches!(member(question, "copy"), Some(Value::Bool(true)))
}

/// How far the copy is.
async fn place<S: Store>(store: &mut S) -> Result<Completion, StoreError> {
    let answer = store.send(Request::Range(Range::of(stored(NOTE)))).await?;
    let (at, since) = note(answer.said.one());
    Ok(Completion::ok(noted(at, since), 0))
}

/// The source as of one revision.
async fn source<S: Store>(store: &mut S) -> Result<Completion, StoreError> {
    let (there, at) = listing::pages(store, &stored(SOURCE), PAGE).await?;
    Ok(listing::answered(listing::items(PREFIX, &there, listing::plain), at))
}

/// Repeats what a revision of the source changed; a copy that begins anew is taken away before.
async fn repeat<S: Store>(store: &mut S, value: &Value) -> Result<Completion, StoreError> {
    let changes = member(value, "changes").and_then(Value::as_array).unwrap_or_default();
    let request = |step: &Value| match step.as_array()? {
        [word, key, value] if word.as_str() == Some("w") => {
            Some(Request::Put(Put::of(copied(key.as_str()?), encode(value.as_i64()?, 0))))
        }
        [_, key, _] => Some(Request::Delete(Delete::of(copied(key.as_str()?)))),
        _ => None,
    };
    let named: Option<Vec<Request>> = changes.iter().map(request).collect();
    let none = || StoreError::DidNotHappen("a change that is none".to_owned());
    let mut named = named.ok_or_else(none)?;
    if matches!(member(value, "anew"), Some(Value::Bool(true))) {
        let unsent = |error: StoreError| StoreError::DidNotHappen(error.to_string());
        let old = Request::Range(Range::prefix(stored(COPY)));
        let old = store.send(old).await.map_err(unsent)?;
        let put: BTreeSet<Vec<u8>> = changes.iter().filter_map(target).collect();
        let gone = old.said.kvs().iter().filter(|kv| !put.contains(&kv.key));
        named.extend(gone.map(|kv| Request::Delete(Delete::of(kv.key.clone()))));
    }
    let (since, at) = (number(value, "since").unwrap_or(0), number(value, "at").unwrap_or(0));
    move_on(store, since, at, named).await
}

/// Where the copy of what a change changes lies.
fn target(step: &Value) -> Option<Vec<u8>> {
    Some(copied(step.as_array()?.get(1)?.as_str()?))
}

/// Makes these changes to the copy and notes that it is at `at`, unless the note has changed.
async fn move_on<S: Store>(
    store: &mut S,
    since: i64,
    at: i64,
    mut changes: Vec<Request>,
) -> Result<Completion, StoreError> {
    changes.push(Request::Put(Put::of(stored(NOTE), encode(at, 0))));
    let unchanged = Compare::equal(stored(NOTE), CompareTarget::ModRevision(since));
    let txn = Txn { compares: vec![unchanged], then: changes, otherwise: Vec::new() };
    let answer = store.send(Request::Txn(txn)).await?;
    Ok(match answer.said {
        Said::Txn { succeeded: true, .. } => Completion::ok(noted(at, answer.revision), 0),
        Said::Txn { .. } => Completion::refused(Value::Null),
        _ => Completion::strange(&answer),
    })
}

/// What the copy is, under the names of the source, and how far it is.
async fn look<S: Store>(store: &mut S, options: &Options) -> Result<Completion, StoreError> {
    let serializable = options.serializable;
    let then = vec![
        Request::Range(Range { serializable, ..Range::of(stored(NOTE)) }),
        Request::Range(Range { serializable, ..Range::prefix(stored(COPY)) }),
    ];
    let answer = store.send(Request::Txn(Txn { then, ..Txn::default() })).await?;
    let Said::Txn { results, .. } = &answer.said else { return Ok(Completion::strange(&answer)) };
    let [first, rest] = results.as_slice() else { return Ok(Completion::strange(&answer)) };
    let item = |kv: &KeyValue| {
        let name = String::from_utf8_lossy(&kv.key[PREFIX.len() + COPY.len()..]).into_owned();
        let key = text(format!("{SOURCE}{name}").as_bytes());
        object([("key", key), ("value", decode(Some(kv)))])
    };
    let items = Value::from(rest.kvs().iter().map(item).collect::<Vec<_>>());
    let at = Value::Int(note(first.one()).0);
    Ok(Completion::ok(object([("items", items), ("at", at)]), 0))
}

struct MirrorGenerator {
    options: Options,
    watching: Watching,
    values: i64,
    /// How far the copy is, and the note's last change; `None` while that must be asked.
    place: Option<(i64, i64)>,
    /// What comes next is compacted: all must be copied again.
    is_behind: bool,
    /// Revisions that are to be repeated.
    waiting: VecDeque<Repetition>,
    finals: Once,
}

/// What is to be repeated.
struct Repetition {
    at: i64,
    changes: Vec<Value>,
    /// Whether these are all keys that there are, and not what a revision changed.
    anew: bool,
}

impl MirrorGenerator {
    fn write(&mut self, rng: &mut ChaCha8Rng) -> Planned {
        let mut key = || {
            let count = self.options.keys as usize;
            format!("{SOURCE}k{:02}", pick(rng.random(), count, self.options.skew))
        };
        let (one, other) = (key(), key());
        self.values += 1;
        let put = listing::puts(&one, self.values);
        let steps = match rng.random_range(0..4) {
            0 if one != other => vec![put, listing::deletes(&other)],
            1 => vec![listing::deletes(&one)],
            _ => vec![put],
        };
        Planned { f: "txn", key: None, value: Value::from(steps) }
    }

    fn mirror(&mut self, rng: &mut ChaCha8Rng) -> Planned {
        let planned = |value| Planned { f: "mirror", key: None, value };
        let Some((at, since)) = self.place else { return planned("place".into()) };
        if let Some(Repetition { at, changes, anew }) = self.waiting.front() {
            let mut members = vec![
                ("since", Value::Int(since)),
                ("at", Value::Int(*at)),
                ("changes", Value::from(changes.clone())),
            ];
            members.extend(anew.then_some(("anew", true.into())));
            return planned(fields(members));
        }
        if at == 0 || self.is_behind {
            return Planned { f: "list", key: None, value: listing::question(SOURCE) };
        }
        if self.watching.count(MIRROR) == 0 {
            let source = Manner { from: SOURCE.to_owned(), ..Manner::prefix() };
            self.watching.add(MIRROR, source, at + 1);
        }
        self.watching.next(MIRROR, rng)
    }

    /// What is not sure any more is asked again.
    fn lose_place(&mut self) {
        self.place = None;
        self.waiting.clear();
        self.watching.forget(MIRROR);
    }

    fn watched(&mut self, completion: &Completion) {
        if watching::is_canceled(completion) {
            self.is_behind = true;
            return self.lose_place();
        }
        let events = member(&completion.value, "events").and_then(Value::as_array);
        for event in events.unwrap_or_default() {
            let (Some(key), Some(revision)) = (field(event, "key"), number(event, "mod")) else {
                continue;
            };
            let step = match field(event, "value") {
                Some(value) => Value::from(vec!["w".into(), key.clone(), value.clone()]),
                None => Value::from(vec!["d".into(), key.clone(), Value::Null]),
            };
            match self.waiting.back_mut() {
                Some(last) if last.at == revision => last.changes.push(step),
                _ => self.waiting.push_back(Repetition {
                    at: revision,
                    changes: vec![step],
                    anew: false,
                }),
            }
        }
    }

    /// The source was listed: the copy begins anew with what is there.
    fn listed(&mut self, completion: &Completion) {
        let items = member(&completion.value, "items").and_then(Value::as_array);
        let (Some(items), Some(at)) = (items, completion.revision) else { return };
        let put = |item| {
            Some(Value::from(vec![
                "w".into(),
                field(item, "key")?.clone(),
                field(item, "value")?.clone(),
            ]))
        };
        let changes = items.iter().filter_map(put).collect();
        self.waiting.push_back(Repetition { at, changes, anew: true });
    }

    fn look() -> Planned {
        let question = [("prefix", SOURCE.into()), ("copy", true.into())];
        Planned { f: "list", key: None, value: object(question) }
    }
}

impl Generator for MirrorGenerator {
    fn next(&mut self, slot: usize, rng: &mut ChaCha8Rng) -> Next {
        Next::Invoke(match slot {
            MIRROR => self.mirror(rng),
            slot if slot % 3 == 2 => Self::look(),
            // Fewer writes than a mirror can repeat, one after the other.
            _ if rng.random_range(0..8) > 0 => return Next::Wait,
            _ => self.write(rng),
        })
    }

    fn observe(&mut self, slot: usize, operation: &Planned, completion: &Completion) {
        if slot != MIRROR {
            return;
        }
        if is_watching(operation.f) {
            self.watching.observe(slot, operation, completion);
            return self.watched(completion);
        }
        let told = || {
            let named = |name| number(&completion.value, name);
            Some((named("at")?, named("since")?))
        };
        match (operation.f, operation.value.as_str(), completion.outcome) {
            // The copy is where it was, whatever became of the question.
            ("list", _, Outcome::Ok) => self.listed(completion),
            ("list", ..) => {}
            (_, Some(_), Outcome::Ok) => self.place = told(),
            (_, None, Outcome::Ok) => {
                self.place = told();
                if self.waiting.pop_front().is_some_and(|done| done.anew) {
                    self.is_behind = false;
                    self.watching.forget(MIRROR);
                }
            }
            // Somebody, or an earlier request of its own, was there before; or who knows.
            _ => self.lose_place(),
        }
    }

    fn next_final(&mut self, slot: usize) -> Next {
        if self.finals.is_first(slot) { Next::Invoke(Self::look()) } else { Next::Done }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mirror, stored};
    use crate::trial::{count, is_found, trial};
    use crate::{KeyValue, Memory};

    #[test]
    fn what_is_in_a_copy_and_never_was_in_the_source_is_found() {
        let history = trial::<Mirror>(6, 600, |_| {});
        assert!(count(&history, "mirror") > 1 && count(&history, "list") > 50);
        let spoil = |store: &mut Memory| {
            let (key, value) = (stored("to/k99"), b"77777".to_vec());
            store.held.insert(key.clone(), KeyValue { key, value, ..KeyValue::default() });
        };
        assert!(is_found::<Mirror>(6, 600, spoil));
    }
}
