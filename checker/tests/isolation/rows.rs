//! Histories of transactions, written by hand.

use crate::support::{Events, Step, steps_value};
use ordeal_history::{EventType, History, Value};

/// A history from one line a transaction, such as `a x 1; r y [1 2]` or `w x 1; r y nil`.
///
/// All lines are concurrent; a line `|` lets those before it complete before those after it are
/// invoked. `!` before a line aborts it, `?` leaves it open for ever, `~` until the end; `p3:`
/// names its process, `@7:` its revision. A line without a process has its own.
pub fn transactions(lines: &[&str]) -> History {
    let mut events = Events::default();
    let (mut open, mut late) = (Vec::new(), Vec::new());
    for (at, line) in lines.iter().enumerate() {
        if *line == "|" {
            complete(&mut events, &mut open);
            continue;
        }
        let (mark, rest) = match line.chars().next() {
            Some(mark @ ('!' | '?' | '~')) => (mark, &line[1..]),
            _ => (' ', *line),
        };
        let named = rest.strip_prefix('p').and_then(|rest| rest.split_once(": "));
        let dated = rest.strip_prefix('@').and_then(|rest| rest.split_once(": "));
        let process = named.map_or(100 + at as i64, |(id, _)| id.parse().expect("a process"));
        let revision = dated.map(|(revision, _)| revision.parse().expect("a revision"));
        let text = named.or(dated).map_or(rest, |(_, text)| text);
        let write = if text.contains("w ") { "w" } else { "append" };
        let steps: Vec<Step> = text.split("; ").map(step).collect();
        events.push(process, EventType::Invoke, steps_value(&steps, write, false), None);
        let kind = if mark == '!' { EventType::Fail } else { EventType::Ok };
        match mark {
            '?' => {}
            '~' => late.push((process, kind, steps_value(&steps, write, true), revision)),
            _ => open.push((process, kind, steps_value(&steps, write, true), revision)),
        }
    }
    complete(&mut events, &mut open);
    complete(&mut events, &mut late);
    events.history()
}

fn complete(events: &mut Events, open: &mut Vec<(i64, EventType, Value, Option<i64>)>) {
    for (process, kind, value, revision) in open.drain(..) {
        events.push(process, kind, value, revision);
    }
}

fn step(text: &str) -> Step {
    let mut parts = text.splitn(3, ' ');
    let (word, key, value) = (parts.next(), parts.next(), parts.next());
    let value = value.expect(text).replace("nil", "null");
    let value = if value.starts_with('[') { value.replace(' ', ",") } else { value };
    Step {
        write: word != Some("r"),
        key: Value::from(key.expect(text)),
        value: Value::parse(&value).expect(text),
    }
}
