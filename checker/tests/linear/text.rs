//! Tiny histories, written as text.

use ordeal_history::{Event, EventType, History, Process, Value};

/// A history from lines such as `1 invoke write 5`, `1 ok`, `2 invoke read`, `2 ok 5`,
/// `3 fail actual 7`, `k2 1 invoke write 5`, `1 ok @7 #2` (revision and version). A completion
/// without a value repeats the argument.
pub fn history(lines: &str) -> History {
    let mut open: std::collections::BTreeMap<i64, Event> = Default::default();
    let mut events = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let mut first = words.next().unwrap();
        let mut rest = line;
        let mut key = None;
        if first.starts_with('k') {
            key = Some(Value::from(first));
            rest = &line[first.len() + 1..];
            words = rest.splitn(3, ' ');
            first = words.next().unwrap();
        }
        let process: i64 = first.parse().unwrap_or_else(|_| panic!("{rest}"));
        let kind = words.next().unwrap();
        let rest = words.next().unwrap_or("");
        let index = events.len() as u64;
        let event = if kind == "invoke" {
            let (f, value) = rest.split_once(' ').unwrap_or((rest, "null"));
            let process = Process::Client(process);
            let mut event = Event::new(index, index * 1000, process, EventType::Invoke, f);
            event.key = key;
            event.value = Value::parse(value).unwrap();
            event
        } else {
            let mut event = open[&process].clone();
            let mark = |mark: char| rest.split(' ').find_map(|word| word.strip_prefix(mark));
            event.revision = mark('@').map(|number| number.parse().unwrap());
            event.version = mark('#').map(|number| number.parse().unwrap());
            let rest = rest.split(['@', '#']).next().unwrap_or("").trim();
            event.index = index;
            event.time = index * 1000;
            event.kind = match kind {
                "ok" => EventType::Ok,
                "fail" => EventType::Fail,
                _ => EventType::Info,
            };
            match rest.strip_prefix("actual ") {
                Some(actual) => event.actual = Some(Value::parse(actual).unwrap()),
                None if rest.is_empty() => {}
                None => event.value = Value::parse(rest).unwrap(),
            }
            event
        };
        open.insert(process, event.clone());
        events.push(event);
    }
    History::from_events(events).unwrap()
}
