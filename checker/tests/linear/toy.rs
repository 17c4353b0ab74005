//! A toy of etcd's store, to draw requests and give answers that are mostly right.

use ordeal_history::Value;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// What a key holds: value, created, modified, version, lease.
type Held = (i64, i64, i64, i64, i64);

type Keys = BTreeMap<&'static str, Held>;

/// A store of its own, as small as can be: it is only to give answers that are mostly right.
#[derive(Clone, Default)]
pub struct Toy {
    keys: Keys,
    /// As they were at each revision before the last.
    past: Vec<Keys>,
    compacted: i64,
}

pub const KEYS: [&str; 3] = ["a", "b", "c"];

/// A request, in small.
#[derive(Clone, Copy)]
pub enum Ask {
    Range {
        from: usize,
        to: usize,
        revision: i64,
        serializable: bool,
        look: Look,
    },
    Put {
        key: usize,
        value: i64,
        ignore_value: bool,
        lease: Lease,
    },
    Delete {
        from: usize,
        to: usize,
    },
    /// If the key has this version: put, else: read.
    Txn {
        key: usize,
        version: i64,
        value: i64,
        twice: bool,
    },
    /// If the key has this version: a transaction within, that puts the next key if it is not
    /// there, else reads it as of the revision.
    Nest {
        key: usize,
        version: i64,
        value: i64,
        revision: i64,
    },
    Compact {
        revision: i64,
    },
}

/// The lease that a put asks for.
#[derive(Clone, Copy)]
pub enum Lease {
    Is(i64),
    Ignore,
}

/// How a range is to be shown; as etcd numbers them, but for the bound, a least mod revision.
#[derive(Clone, Copy, Default)]
pub struct Look {
    limit: usize,
    order: usize,
    target: usize,
    least: i64,
    keys_only: bool,
    count_only: bool,
}

const ORDERS: [&str; 3] = ["none", "ascend", "descend"];
const TARGETS: [&str; 5] = ["key", "version", "create", "mod", "value"];

impl Look {
    fn draw(rng: &mut ChaCha8Rng) -> Look {
        if rng.random_bool(0.5) {
            return Look::default();
        }
        Look {
            limit: rng.random_range(0..3),
            order: rng.random_range(0..3),
            target: rng.random_range(0..5),
            least: if rng.random_bool(0.3) { rng.random_range(1..4) } else { 0 },
            keys_only: rng.random_bool(0.1),
            count_only: rng.random_bool(0.1),
        }
    }

    fn request(self) -> String {
        let Look { limit, order, target, least, keys_only, count_only } = self;
        let (order, target) = (ORDERS[order], TARGETS[target]);
        format!(
            r#""limit":{limit},"sort_order":"{order}","sort_target":"{target}",
            "min_mod_revision":{least},"keys_only":{keys_only},"count_only":{count_only}"#
        )
    }

    /// The answer that shows these keys so.
    fn answer(self, mut found: Vec<(&str, Held)>) -> String {
        let count = found.len();
        if self.limit > 0 && self.order == 0 && self.least == 0 {
            found.truncate(self.limit + 1);
        }
        found.retain(|(_, held)| held.2 >= self.least);
        found.sort_by_key(|&(_, (value, created, modified, version, _))| {
            [0, version, created, modified, value][self.target]
        });
        if self.order == 2 {
            found.reverse();
        }
        if self.count_only {
            found.clear();
        }
        let shown = if self.limit > 0 { self.limit.min(found.len()) } else { found.len() };
        let more = found.len() > shown;
        let kv = |&(key, held): &(&str, Held)| {
            let text = kv(key, held);
            let value = format!(r#""value":{},"#, held.0);
            if self.keys_only { text.replace(&value, "") } else { text }
        };
        let kvs: Vec<String> = found.iter().take(shown).map(kv).collect();
        format!(r#"{{"kvs":[{}],"count":{count},"more":{more}}}"#, kvs.join(","))
    }
}

pub fn draw(rng: &mut ChaCha8Rng) -> Ask {
    let key = rng.random_range(0..3);
    let value = rng.random_range(0..3);
    let revision = rng.random_range(1..6);
    let to = rng.random_range(key..4);
    match rng.random_range(0..20) {
        0..3 => {
            let serializable = rng.random_bool(0.3);
            Ask::Range { from: key, to, revision: 0, serializable, look: Look::draw(rng) }
        }
        3..5 => {
            let look = Look::default();
            Ask::Range { from: key, to: key, revision: 0, serializable: false, look }
        }
        5..8 => Ask::Range { from: key, to, revision, serializable: false, look: Look::draw(rng) },
        8..13 => {
            let lease = match rng.random_range(0..6) {
                0 => Lease::Ignore,
                1 => Lease::Is(7),
                _ => Lease::Is(0),
            };
            Ask::Put { key, value, ignore_value: rng.random_bool(0.1), lease }
        }
        13..15 => Ask::Delete { from: key, to },
        15 => {
            let (version, revision) = (rng.random_range(0..3), rng.random_range(-3..5));
            Ask::Nest { key, version, value, revision }
        }
        16..19 => {
            let version = rng.random_range(0..3);
            Ask::Txn { key, version, value, twice: rng.random_bool(0.1) }
        }
        _ => Ask::Compact { revision: rng.random_range(1..4) },
    }
}

fn object(text: String) -> Value {
    Value::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn span(from: usize, to: usize) -> String {
    let end = if to == from { String::new() } else { format!(r#","range_end":"{}""#, end(to)) };
    format!(r#""key":"{}"{end}"#, KEYS[from])
}

/// The first key that is beyond.
fn end(to: usize) -> &'static str {
    KEYS.get(to).copied().unwrap_or("\\u0000")
}

impl Ask {
    /// Name and value of the invocation.
    pub fn event(self) -> (&'static str, Value) {
        let (f, text) = match self {
            Ask::Range { from, to, revision, serializable, look } => {
                let (span, look) = (span(from, to), look.request());
                let text = format!(
                    r#"{{{span},{look},"revision":{revision},"serializable":{serializable}}}"#
                );
                ("range", text)
            }
            Ask::Put { key, value, ignore_value, lease } => {
                let key = KEYS[key];
                let value = if ignore_value {
                    r#""ignore_value":true"#.to_owned()
                } else {
                    format!(r#""value":{value},"prev_kv":true"#)
                };
                let lease = match lease {
                    Lease::Is(lease) => format!(r#""lease":{lease}"#),
                    Lease::Ignore => r#""ignore_lease":true"#.to_owned(),
                };
                ("put", format!(r#"{{"key":"{key}",{value},{lease}}}"#))
            }
            Ask::Nest { key, version, value, revision } => {
                let (key, next) = (KEYS[key], KEYS[(key + 1) % 3]);
                let text = format!(
                    r#"{{"compare":[{{"key":"{key}","target":"version","result":"equal",
                    "value":{version}}}],"success":[{{"txn":{{"compare":[{{"key":"{next}",
                    "target":"create","result":"equal","value":0}}],
                    "success":[{{"put":{{"key":"{next}","value":{value}}}}}],
                    "failure":[{{"range":{{"key":"{next}","revision":{revision}}}}}]}}}}]}}"#
                );
                ("txn", text)
            }
            Ask::Delete { from, to } => ("delete-range", format!("{{{}}}", span(from, to))),
            Ask::Txn { key, version, value, twice } => {
                let key = KEYS[key];
                let put = format!(r#"{{"put":{{"key":"{key}","value":{value}}}}}"#);
                let puts = if twice { format!("{put},{put}") } else { put };
                let text = format!(
                    r#"{{"compare":[{{"key":"{key}","target":"version","result":"equal",
                    "value":{version}}}],"success":[{puts}],
                    "failure":[{{"range":{{"key":"{key}"}}}}]}}"#
                );
                ("txn", text)
            }
            Ask::Compact { revision } => ("compact", format!(r#"{{"revision":{revision}}}"#)),
        };
        (f, object(text))
    }
}

fn kv(key: &str, (value, create, modified, version, lease): Held) -> String {
    format!(
        r#"{{"key":"{key}","value":{value},"create_revision":{create},
        "mod_revision":{modified},"version":{version},"lease":{lease}}}"#
    )
}

pub type Answer = Result<(Value, i64), &'static str>;

impl Toy {
    /// Empty, and never compacted.
    pub fn new() -> Toy {
        Toy { compacted: -1, ..Toy::default() }
    }

    fn head(&self) -> i64 {
        self.past.len() as i64 + 1
    }

    fn put(&mut self, key: &'static str, value: i64, lease: i64) {
        self.past.push(self.keys.clone());
        let head = self.head();
        let entry = self.keys.entry(key).or_insert((value, head, head, 0, 0));
        *entry = (value, entry.1, head, entry.3 + 1, lease);
    }

    fn version(&self, key: usize) -> i64 {
        self.keys.get(KEYS[key]).map_or(0, |held| held.3)
    }

    fn read(&self, from: usize, to: usize, revision: i64, look: Look) -> String {
        let keys = match self.past.get((revision - 1).max(0) as usize) {
            Some(past) if revision > 0 => past,
            _ => &self.keys,
        };
        let within = |key: &str| {
            if from == to { key == KEYS[from] } else { KEYS[from..to.min(3)].contains(&key) }
        };
        let all = |to: usize| to == 3 && from != to;
        let found = keys
            .iter()
            .filter(|(key, _)| within(key) || (all(to) && **key >= KEYS[from]))
            .map(|(key, held)| (*key, *held));
        look.answer(found.collect())
    }

    /// The answer, with the revision, or the refusal.
    pub fn run(&mut self, ask: Ask) -> Answer {
        const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";
        const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
        let text = match ask {
            Ask::Range { revision, .. } if revision > self.head() => return Err(FUTURE),
            Ask::Range { revision, .. } if revision > 0 && revision < self.compacted => {
                return Err(COMPACTED);
            }
            Ask::Range { from, to, revision, look, .. } => self.read(from, to, revision, look),
            Ask::Put { key, value, ignore_value, lease } => {
                let before = self.keys.get(KEYS[key]).copied();
                let lease = match (lease, before) {
                    (Lease::Ignore, None) => return Err("etcdserver: key not found"),
                    (Lease::Ignore, Some(before)) => before.4,
                    (Lease::Is(lease), _) => lease,
                };
                let value = match before {
                    None if ignore_value => return Err("etcdserver: key not found"),
                    Some(before) if ignore_value => before.0,
                    _ => value,
                };
                self.put(KEYS[key], value, lease);
                match before.filter(|_| !ignore_value) {
                    Some(before) => format!(r#"{{"prev_kv":{}}}"#, kv(KEYS[key], before)),
                    None => "{}".to_owned(),
                }
            }
            Ask::Delete { from, to } => {
                let gone = if from == to { from..from + 1 } else { from..to.min(3) };
                let before = self.keys.clone();
                self.keys.retain(|key, _| !KEYS[gone.clone()].contains(key));
                let deleted = before.len() - self.keys.len();
                if deleted > 0 {
                    self.past.push(before);
                }
                format!(r#"{{"deleted":{deleted}}}"#)
            }
            Ask::Txn { twice: true, .. } => {
                return Err("etcdserver: duplicate key given in txn request");
            }
            Ask::Txn { key, version, value, .. } => {
                if self.version(key) == version {
                    self.put(KEYS[key], value, 0);
                    r#"{"succeeded":true,"responses":[{"put":{}}]}"#.to_owned()
                } else {
                    let read = self.read(key, key, 0, Look::default());
                    format!(r#"{{"succeeded":false,"responses":[{{"range":{read}}}]}}"#)
                }
            }
            Ask::Nest { key, version, .. } if self.version(key) != version => {
                r#"{"succeeded":false,"responses":[]}"#.to_owned()
            }
            Ask::Nest { key, value, revision, .. } => {
                let next = (key + 1) % 3;
                let within = if self.version(next) == 0 {
                    self.put(KEYS[next], value, 0);
                    r#"{"succeeded":true,"responses":[{"put":{}}]}"#.to_owned()
                } else if revision > self.head() {
                    return Err(FUTURE);
                } else if revision != 0 && revision < self.compacted {
                    return Err(COMPACTED);
                } else {
                    let read = self.read(next, next, revision, Look::default());
                    format!(r#"{{"succeeded":false,"responses":[{{"range":{read}}}]}}"#)
                };
                format!(r#"{{"succeeded":true,"responses":[{{"txn":{within}}}]}}"#)
            }
            Ask::Compact { revision } if revision > self.head() => return Err(FUTURE),
            Ask::Compact { revision } if revision <= self.compacted => return Err(COMPACTED),
            Ask::Compact { revision } => {
                self.compacted = revision;
                "{}".to_owned()
            }
        };
        Ok((object(text), self.head()))
    }
}
