//! JSON lines. The rules on fields have a table of their own, in `tests/jsonl.rs`.

use super::*;

/// Numbers the events of `text` (`#` stands for the index) and writes their times.
fn numbered(text: &[u8]) -> Vec<u8> {
    let mut numbered = Vec::with_capacity(text.len());
    let mut index = 0;
    for byte in text {
        match byte {
            b'#' => {
                numbered.extend(index.to_string().into_bytes());
                index += 1;
            }
            other => numbered.push(*other),
        }
    }
    numbered
}

/// The process is the first field, so that a broken rule on it has the column 12.
fn event(process: u64, kind: &str, f: &str, value: &str) -> String {
    let rest = format!(r#""type":"{kind}","index":#,"time":4,"value":{value}"#);
    format!(r#"{{"process":{process},"f":"{f}",{rest}}}"#)
}

fn invoke(value: &str) -> String {
    event(1, "invoke", "write", value)
}

#[test]
fn what_is_no_history_is_refused_with_its_place() {
    let mut rows = pairings(event, 12);
    // Here the error stands at the function.
    if let Some(another) = rows.iter_mut().find(|row| row.0 == "another function") {
        another.2 = (2, 18);
    }
    let keyed = |kind: &str, key: &str| event(1, kind, "write", &format!("7,\"key\":{key}"));
    rows.extend([
        row("another key", [keyed("invoke", "1"), keyed("ok", "2")].join("\n"), (2, 73), "the key"),
        row("a number for an event", "17", (1, 1), "the beginning of an event"),
        row("a list for an event", invoke("7") + "\n[]", (2, 1), "the beginning of an event"),
        row("cut in a string", &invoke("7")[..20], (1, 18), "no closing quote"),
        row("cut after a comma", &invoke("7")[..25], (1, 26), "a member's name in quotes"),
        row("two events on a line", invoke("7") + &invoke("7"), (1, 71), "expected the end"),
        row("an event on two lines", invoke("7").replacen(',', ",\n", 1), (1, 14), "the text ends"),
        row("bytes that are no UTF-8", broken_utf8(&invoke("\"é_\"")), (1, 72), "no UTF-8"),
        row("NUL in a string", invoke("\"a\0\""), (1, 71), "control character"),
        row("NUL between events", format!("{}\n\0\n", invoke("1")), (2, 1), "found byte 0x00"),
        row(
            "ten thousand levels",
            invoke(&nested("[", "1", "]", 10_000)),
            (1, 69 + 127),
            "nested deeper than 128",
        ),
        row(
            "ten thousand levels in a field that is ignored",
            invoke(&format!("7,\"more\":{}", nested("{\"a\":", "1", "}", 10_000))),
            (1, 69 + 9 + 5 * 127),
            "nested deeper than 128",
        ),
        row("a huge word", invoke(&"x".repeat(1 << 22)), (1, 69), "expected a value"),
        row(
            "a mistake after a huge line",
            invoke(&format!("\"{}\"", "x".repeat(3 << 20))) + "\n{}",
            (2, 1),
            "the event has no `process`",
        ),
    ]);
    let rows =
        rows.into_iter().map(|(name, text, at, message)| (name, numbered(&text), at, message));
    refused(Format::JsonLines, rows.collect());
}

#[test]
fn what_is_unusual_is_read() {
    let both = |value: &str| {
        let text = [invoke(value), event(1, "ok", "write", value)].join("\n");
        numbered(text.as_bytes())
    };
    let marked = [b"\xef\xbb\xbf\r\n", &both("7")[..]].concat();
    accepted(
        Format::JsonLines,
        vec![
            ("nothing", vec![], 0),
            ("a byte order mark", b"\xef\xbb\xbf".to_vec(), 0),
            ("blank lines", b"\r\n\n  \n".to_vec(), 0),
            ("a mark on a line of its own", marked, 1),
            ("ten levels", both(&nested("[", "1", "]", 10)), 1),
            ("a value past 64 bits", both("123456789012345678901234567890"), 1),
            ("a huge line", both(&format!("\"{}\"", "x".repeat(3 << 20))), 1),
        ],
    );
}
