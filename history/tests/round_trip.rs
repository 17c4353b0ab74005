//! A history that was read, written as JSON lines and read again is the same history. The rows are
//! what a fuzzer found to be lost, and what came to mind beside it.

use ordeal_history::formats::{Format, read};
use ordeal_history::{Event, History, ReadOptions, Writer, read_jsonl};

fn written(history: &History) -> Vec<u8> {
    let notes = history.notes.iter().cloned();
    let operations = history.operations.iter().flat_map(|operation| operation.events());
    let mut events: Vec<Event> = operations.chain(notes).collect();
    events.sort_by_key(|event| event.index);
    let mut writer = Writer::new(Vec::new());
    events.iter().for_each(|event| writer.write(event).unwrap());
    writer.into_inner()
}

#[test]
fn what_is_read_is_written_and_read_again() {
    let edn = |value: &str| format!("{{:process 1 :type :invoke :f :write :value {value}}}");
    let untagged = edn("[nil [3 4]]").replace("write", "cas");
    let deepest = edn(&("[".repeat(127) + &"]".repeat(127)));
    for (name, format, text) in [
        (
            "what stands in an invocation that was never completed",
            Format::JsonLines,
            r#"{"index":0,"time":1,"process":3,"type":"invoke","f":"write","value":17,"revision":42,
                "version":3,"node":"n2","error":"x"}"#
                .replace('\n', " "),
        ),
        ("an object named null", Format::JepsenEdn, edn("#jepsen.independent/tuple [nil 3]")),
        ("an object named null, without a tag", Format::JepsenEdn, untagged),
        ("as many levels as are read", Format::JepsenEdn, deepest),
        (
            "a note of the nemesis that says nothing",
            Format::JepsenEdn,
            "{:process :nemesis :type :info}".to_owned(),
        ),
        ("numbers of any size", Format::JepsenEdn, edn("[1e400 -0.0 123456789012345678901N]")),
        ("what no terminal should see", Format::JepsenEdn, edn("\"\0\u{1b}\u{7f}\\u2028\"")),
    ] {
        let history = read(text.as_bytes(), format, ReadOptions::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = written(&history);
        let again = read_jsonl(&lines[..], ReadOptions::default()).unwrap_or_else(|error| {
            panic!("{name}: {error}: {}", String::from_utf8_lossy(&lines))
        });
        assert_eq!(again.operations, history.operations, "{name}");
        assert_eq!(again.notes, history.notes, "{name}");
        assert_eq!(again.events, history.events, "{name}");
    }
}
