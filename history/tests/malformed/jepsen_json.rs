//! Jepsen's JSON.

use super::*;

fn event(process: u64, kind: &str, f: &str, value: &str) -> String {
    format!(r#"{{"process":{process},"type":"{kind}","f":"{f}","value":{value}}}"#)
}

fn invoke(value: &str) -> String {
    event(1, "invoke", "write", value)
}

#[test]
fn what_is_no_history_is_refused_with_its_place() {
    let mut rows = pairings(event, 1);
    let keyed = |kind: &str, key: &str| event(1, kind, "write", &format!("7,\"key\":{key}"));
    let indexed = |process: u64, index: &str| {
        event(process, "invoke", "read", &format!("null,\"index\":{index}"))
    };
    rows.extend([
        row("cut in an object", &invoke("7")[..30], (1, 30), "no closing quote"),
        row("cut after an object", format!("[{},", invoke("7")), (1, 54), "the text ends"),
        row("cut before a comma", format!("[\n{}", invoke("7")), (2, 52), "`,` or `]`"),
        row("a bracket too many", format!("[{}]]", invoke("7")), (1, 54), "expected the end"),
        row("a number for an operation", "[1]", (1, 2), "an operation is a map"),
        row("a list for an operation", "[[]]", (1, 2), "an operation is a map"),
        row("no process", r#"{"type":"ok","f":"read"}"#, (1, 1), "no :process"),
        row("no type", r#"[{"process":1,"f":"read"}]"#, (1, 2), "no :type"),
        row("no function", r#"{"process":1,"type":"ok"}"#, (1, 1), "no :f"),
        row("a word for a process", r#"{"process":"x","type":"ok","f":"r"}"#, (1, 1), "neither an"),
        row(
            "a float for a process",
            r#"{"process":1.5,"type":"ok","f":"r"}"#,
            (1, 1),
            "neither an",
        ),
        row(
            "a process past 64 bits",
            r#"{"process":9223372036854775808,"type":"ok","f":"r"}"#,
            (1, 1),
            "neither an integer",
        ),
        row("a number for a type", r#"{"process":1,"type":3,"f":"r"}"#, (1, 1), ":type is none of"),
        row("another type", event(1, "begin", "r", "1"), (1, 1), ":type begin is none of"),
        row("a number for a function", r#"{"process":1,"type":"ok","f":3}"#, (1, 1), "not a word"),
        row("a word for an index", indexed(1, "\"x\""), (1, 1), ":index is a word"),
        row("an index past 64 bits", indexed(1, "1e30"), (1, 1), ":index is a number"),
        row(
            "an index that goes back",
            [indexed(1, "5"), indexed(2, "4")].join("\n"),
            (2, 1),
            "index 4 does not come after",
        ),
        row("a list for a time", invoke("7,\"time\":[]"), (1, 1), ":time is an array"),
        row("a field that stands twice", invoke("7,\"f\":1"), (1, 52), "`f` stands here twice"),
        row("another key", [keyed("invoke", "1"), keyed("ok", "2")].join("\n"), (2, 1), "the key"),
        row("bytes that are no UTF-8", broken_utf8(&invoke("\"é_\"")), (1, 53), "no UTF-8"),
        row("NUL in a string", invoke("\"a\0\""), (1, 52), "control character"),
        row("NUL between events", format!("{}\n\0", invoke("1")), (2, 1), "found byte 0x00"),
        row("half a surrogate pair", invoke(r#""\ud800""#), (1, 51), "surrogate"),
        row(
            "ten thousand levels",
            invoke(&nested("[", "1", "]", 10_000)),
            (1, 50 + 126),
            "nested deeper than 128",
        ),
        row("a huge word", invoke(&"x".repeat(1 << 20)), (1, 50), "expected a value"),
    ]);
    refused(Format::JepsenJson, rows);
}

#[test]
fn what_is_unusual_is_read() {
    let both = |value: &str| [invoke(value), event(1, "ok", "write", value)].join("\n");
    accepted(
        Format::JepsenJson,
        vec![
            ("nothing", vec![], 0),
            ("an empty array", b" [ ]\n".to_vec(), 0),
            ("a byte order mark", b"\xef\xbb\xbf".to_vec(), 0),
            ("blank lines", b"\r\n\n  \n".to_vec(), 0),
            (
                "CRLF and a mark",
                format!("\u{feff}{}\r\n", both("7").replace('\n', "\r\n")).into(),
                1,
            ),
            ("ten levels", both(&nested("[", "1", "]", 10)).into(), 1),
            ("a value past 64 bits", both("123456789012345678901234567890").into(), 1),
            ("a huge string", both(&format!("\"{}\"", "x".repeat(1 << 21))).into(), 1),
            ("a time that goes back is held", both("7,\"time\":-3").into(), 1),
        ],
    );
}
