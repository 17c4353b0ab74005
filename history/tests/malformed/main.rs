//! What is no history, in each format: refused with line, column and what is wrong; never a panic,
//! and never read as something else. The same mistakes, in the words of each format, row by row.

use ordeal_history::formats::{Format, read};
use ordeal_history::{History, ReadError, ReadOptions};

/// The mistake's name, the text, line and column of the error, and a part of its message.
type Row = (&'static str, Vec<u8>, (u64, u64), &'static str);

fn row(name: &'static str, text: impl Into<Vec<u8>>, at: (u64, u64), message: &'static str) -> Row {
    (name, text.into(), at, message)
}

/// Holds every row against what the reader says, and shows all that differ.
fn refused(format: Format, rows: Vec<Row>) {
    let complaints: Vec<String> = rows
        .into_iter()
        .filter_map(|(name, text, at, message)| {
            let found = match read(&text, format, ReadOptions::default()) {
                Err(ReadError::Malformed(found)) => found,
                other => return Some(format!("{name}: {other:?}")),
            };
            let right = (found.line, found.column) == at && found.message.contains(message);
            let short = found.message.len() < 300 && !found.message.contains(char::is_control);
            (!right || !short).then(|| format!("{name}: {found:?}, not {at:?} with {message:?}"))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn accepted(format: Format, rows: Vec<(&'static str, Vec<u8>, usize)>) {
    for (name, text, operations) in rows {
        let history: Result<History, ReadError> = read(&text, format, ReadOptions::default());
        match history {
            Ok(history) => assert_eq!(history.operations.len(), operations, "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

/// `open`, as many times as `depth`, around `inner`.
fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + inner + &close.repeat(depth)
}

/// `text`, with the first `_` in it replaced by bytes that are no UTF-8.
fn broken_utf8(text: &str) -> Vec<u8> {
    let at = text.find('_').expect("the row marks the place");
    let mut bytes = text.as_bytes().to_vec();
    bytes.splice(at..=at, [0xff, 0xfe]);
    bytes
}

/// The rows that are the same in every format whose events stand one a line: `event` writes an
/// event of a process, with type, function and value, and `place` is the column of an event's
/// mistake.
fn pairings(event: impl Fn(u64, &str, &str, &str) -> String, column: u64) -> Vec<Row> {
    let invoke = |process| event(process, "invoke", "write", "7");
    let ok = |process| event(process, "ok", "write", "7");
    let info = event(1, "info", "write", "7");
    vec![
        row("no invocation", ok(1), (1, column), "never invoked"),
        row(
            "two completions",
            [invoke(1), ok(1), ok(1)].join("\n"),
            (3, column),
            "completed before",
        ),
        row(
            "a fail after an ok",
            [invoke(1), ok(1), event(1, "fail", "write", "7")].join("\n"),
            (3, column),
            "completed before",
        ),
        row(
            "two open operations",
            [invoke(1), invoke(2), invoke(1)].join("\n"),
            (3, column),
            "while its operation of event 0 is open",
        ),
        row(
            "a process that is used after its info",
            [invoke(1), info.clone(), invoke(1)].join("\r\n"),
            (3, column),
            "after its info of event 1 retired it",
        ),
        row(
            "a completion after an info",
            [invoke(1), info, String::new(), ok(1)].join("\n"),
            (4, column),
            "after its info of event 1 retired it",
        ),
        row(
            "another function",
            [invoke(1), event(1, "ok", "read", "7")].join("\n"),
            (2, column),
            "completes `write` of event 0 as `read`",
        ),
    ]
}

mod edn;
mod jepsen_json;
mod jsonl;
mod logs;
