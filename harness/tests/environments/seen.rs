//! What the clients of a run saw, and when.

use crate::plans::STRUCK;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// An operation that was acknowledged: through which node, from when to when.
struct Done {
    node: String,
    from_ms: f64,
    to_ms: f64,
}

/// What a run's folder tells.
pub struct Seen {
    done: Vec<Done>,
    notes: Vec<Value>,
    scheduled: Vec<Value>,
}

/// The clients of n3 while a fault lasted.
#[derive(Debug)]
pub struct Window {
    /// How many operations began and were acknowledged in it.
    pub acknowledged: usize,
    /// The shortest of them, in milliseconds.
    pub shortest_ms: f64,
    /// The longest of those that were acknowledged at all and overlap with it.
    pub longest_ms: f64,
    /// What the fault's end tells that was seen.
    pub told: Value,
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a history");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn ms(event: &Value) -> f64 {
    event["time"].as_f64().expect("a time") / 1e6
}

impl Seen {
    pub fn of(folder: &Path) -> Seen {
        let mut open: BTreeMap<i64, f64> = BTreeMap::new();
        let (mut done, mut notes) = (Vec::new(), Vec::new());
        for event in lines(&folder.join("history.jsonl")) {
            let Some(process) = event["process"].as_i64() else {
                notes.push(event);
                continue;
            };
            let to_ms = ms(&event);
            match (event["type"].as_str(), event["node"].as_str()) {
                (Some("invoke"), _) => drop(open.insert(process, to_ms)),
                (Some("ok"), Some(node)) => {
                    let from_ms = open[&process];
                    done.push(Done { node: node.to_owned(), from_ms, to_ms });
                }
                _ => {}
            }
        }
        let json = |name: &str| -> Value {
            let text = std::fs::read_to_string(folder.join(name)).expect("a file of the run");
            serde_json::from_str(&text).expect("JSON")
        };
        let scheduled = json("plan.json")["schedule"].as_array().expect("a schedule").clone();
        Seen { done, notes, scheduled }
    }

    /// From when to when the only fault of this kind lasted, in milliseconds: from its note to its
    /// planned end, for what ends a fault comes before its second note does.
    pub fn lasted(&self, kind: &str) -> (f64, f64) {
        let start =
            self.notes.iter().find(|note| note["f"] == kind && note["value"]["phase"] == "start");
        let planned = self.scheduled.iter().find(|fault| fault["fault"]["kind"] == kind);
        let planned = planned.expect("it was planned");
        let number = |name: &str| planned[name].as_f64().expect("a number");
        (start.map_or(f64::INFINITY, ms), number("at_ms") + number("for_ms") - 20.0)
    }

    /// Whether the machine had so much else to do that this run shows nothing, which is said.
    pub fn is_starved(&self) -> bool {
        let kinds = self.scheduled.iter().filter_map(|fault| fault["fault"]["kind"].as_str());
        let short = kinds.map(|kind| self.lasted(kind)).any(|(from, until)| until - from < 500.0);
        let idle = self.before().0 < 10;
        if short || idle {
            println!("the machine had too much to do for this pace");
        }
        short || idle
    }

    /// The clients of n3 while the only fault of this kind lasted, which must have landed.
    pub fn during(&self, kind: &str) -> Window {
        let phase = |phase: &str| {
            let is = |note: &&Value| note["f"] == kind && note["value"]["phase"] == phase;
            let found: Vec<&Value> = self.notes.iter().filter(is).collect();
            assert_eq!(found.len(), 1, "{kind} has {} notes of its {phase}", found.len());
            found[0]
        };
        phase("start");
        let end = phase("end");
        let told = end["value"]["seen"].clone();
        assert_eq!(end["value"]["landed"], true, "{kind} did not land: {end}");
        let (from, until) = self.lasted(kind);
        let of_struck = || self.done.iter().filter(|done| done.node == STRUCK);
        let inside = || of_struck().filter(|done| done.from_ms > from && done.to_ms < until);
        let overlaps = of_struck().filter(|done| done.to_ms > from && done.from_ms < until);
        let took = |done: &Done| done.to_ms - done.from_ms;
        let window = Window {
            acknowledged: inside().count(),
            shortest_ms: inside().map(took).fold(f64::INFINITY, f64::min),
            longest_ms: overlaps.map(took).fold(0.0, f64::max),
            told,
        };
        println!("{kind} for {:.0} ms: n3's clients: {window:?}", until - from);
        window
    }

    /// Fails if an operation through n3 began and was acknowledged while the fault lasted.
    pub fn nothing_passed(&self, kind: &str) -> Window {
        let window = self.during(kind);
        assert_eq!(window.acknowledged, 0, "{kind}: {window:?}");
        window
    }

    /// Operations through n3 before the first fault: how many, and the shortest, in milliseconds.
    pub fn before(&self) -> (usize, f64) {
        let first = self.scheduled[0]["at_ms"].as_f64().expect("a time");
        let before = || self.done.iter().filter(|done| done.node == STRUCK && done.to_ms < first);
        let took = before().map(|done| done.to_ms - done.from_ms);
        let (count, shortest) = (before().count(), took.fold(f64::INFINITY, f64::min));
        println!("before any fault: {count} operations through n3, the shortest {shortest:.1} ms");
        (count, shortest)
    }

    /// A number in what a fault's end tells.
    pub fn told(&self, kind: &str, name: &str) -> i64 {
        let window = self.during(kind);
        window.told[name].as_i64().unwrap_or_else(|| panic!("{kind} tells no {name}: {window:?}"))
    }

    /// What n3 read on its clocks when they were furthest off.
    pub fn clock(&self, kind: &str, name: &str) -> i64 {
        let window = self.during(kind);
        window.told["clocks"][STRUCK][name].as_i64().expect("a reading of n3's clocks")
    }
}
