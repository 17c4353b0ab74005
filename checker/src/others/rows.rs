//! Small histories for tests, one line an event or an operation.

use crate::{Checker, Limits, Verdict};
use ordeal_history::{Event, EventType, History, Process, Value};

/// `0 > add 1` invokes, `0 ok add 1` (or `fail`, `info`) completes, `0 add 1` does both, and so
/// does `0 read null -> [1,2]`, or `0 add 1 -> fail`. A `@k` after the process is the key, `#7` at
/// the end the revision of the answer. Each event is one second after the one before.
pub(super) fn history(lines: &[&str]) -> History {
    let mut events: Vec<Event> = Vec::new();
    for line in lines {
        let (line, revision) = match line.rsplit_once(" #") {
            Some((line, revision)) => (line, Some(revision.parse().expect("a revision"))),
            None => (*line, None),
        };
        let (head, rest) = line.split_once(' ').expect(line);
        let (process, key) = match head.split_once('@') {
            Some((process, key)) => (process, Some(Value::from(key))),
            None => (head, None),
        };
        let process = Process::Client(process.parse().expect(line));
        let mut push = |kind: EventType, f: &str, value: &str| {
            let index = events.len() as u64;
            let mut event = Event::new(index, index * 1_000_000_000, process, kind, f);
            event.key.clone_from(&key);
            if kind == EventType::Info || kind == EventType::Fail {
                event.error = Some(format!("{f} failed"));
            }
            event.value = Value::parse(value).expect(line);
            event.revision = revision.filter(|_| kind != EventType::Invoke);
            events.push(event);
        };
        let (first, rest_of) = rest.split_once(' ').expect(line);
        match kind_named(first) {
            Some(kind) => {
                let (f, value) = rest_of.split_once(' ').unwrap_or((rest_of, "null"));
                push(kind, f, value);
            }
            None => {
                let (value, answer) = rest_of.split_once(" -> ").unwrap_or((rest_of, "ok"));
                push(EventType::Invoke, first, value);
                match kind_named(answer) {
                    Some(kind) => push(kind, first, value),
                    None => push(EventType::Ok, first, answer),
                }
            }
        }
    }
    History::from_events(events).expect("the rows are well-formed")
}

fn kind_named(name: &str) -> Option<EventType> {
    match name {
        ">" => Some(EventType::Invoke),
        "ok" => Some(EventType::Ok),
        "fail" => Some(EventType::Fail),
        "info" => Some(EventType::Info),
        _ => None,
    }
}

/// Judges each history; `expected` is `valid`, `unknown` or a part of the story.
pub(super) fn check(checker: &dyn Checker, rows: &[(&[&str], &str)]) {
    for (lines, expected) in rows {
        let judgement = checker.check(&history(lines), &Limits::default());
        let found = match &judgement.verdict {
            Verdict::Valid(_) => "valid".to_owned(),
            Verdict::Unknown(why) => format!("unknown: {why}"),
            Verdict::Invalid(wrong) => {
                assert!(!wrong.operations.is_empty(), "{lines:?}");
                wrong.story.join(" ")
            }
        };
        let right = match *expected {
            "valid" => found == "valid",
            part => found.contains(part),
        };
        assert!(right, "{lines:?}: expected {expected:?}, found {found:?}");
    }
}
