//! Jepsen's EDN.

use super::*;

fn event(process: u64, kind: &str, f: &str, value: &str) -> String {
    format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}}}")
}

fn invoke(value: &str) -> String {
    event(1, "invoke", "write", value)
}

#[test]
fn what_is_no_history_is_refused_with_its_place() {
    let mut rows = pairings(event, 1);
    let keyed = |kind: &str, key: &str| event(1, kind, "write", &format!("7, :key {key}"));
    let indexed = |process: u64, index: &str| {
        event(process, "invoke", "read", &format!("nil, :index {index}"))
    };
    rows.extend([
        row("cut in a map", &invoke("7")[..30], (1, 1), "never closed"),
        row("cut in a string", "{:process 1\n :f \"wri", (2, 5), "never closed"),
        row("cut in a vector of maps", format!("[\n{}", invoke("7")), (1, 1), "never closed"),
        row("a closing bracket too many", invoke("7") + "\n ]", (2, 2), "closes nothing"),
        row("a number for an operation", invoke("7") + "\n  17", (2, 3), "an operation is a map"),
        row("a map of an odd number", "{:process}", (1, 1), "a key without a value"),
        row("no process", "{:type :ok, :f :read}", (1, 1), "no :process"),
        row("no type", "{:process 1, :f :read}", (1, 1), "no :type"),
        row("no function", "{:process 1, :type :ok}", (1, 1), "no :f"),
        row("a word for a process", "{:process x :type :ok :f :r}", (1, 1), "neither an integer"),
        row(
            "a float for a process",
            "{:process 1.5 :type :ok :f :r}",
            (1, 1),
            "neither an integer",
        ),
        row(
            "a process past 64 bits",
            "{:process 9223372036854775808 :type :ok :f :r}",
            (1, 1),
            "neither an integer",
        ),
        row("a number for a type", "{:process 1 :type 3 :f :r}", (1, 1), ":type is none of"),
        row("another type", "{:process 1 :type :begin :f :r}", (1, 1), ":type begin is none of"),
        row("a number for a function", "{:process 1 :type :ok :f 3}", (1, 1), ":f is not a word"),
        row("a word for an index", indexed(1, ":x"), (1, 1), ":index is a word"),
        row(
            "an index past 64 bits",
            indexed(1, "9223372036854775808"),
            (1, 1),
            ":index is a number",
        ),
        row(
            "an index that stays",
            [indexed(1, "5"), indexed(2, "5")].join("\n"),
            (2, 1),
            "index 5 does not come after",
        ),
        row(
            "an index that goes back",
            [indexed(1, "5"), indexed(2, "4")].join("\n"),
            (2, 1),
            "index 4 does not come after",
        ),
        row("a word for a time", invoke("7 :time :x"), (1, 1), ":time is a word"),
        row("another key", [keyed("invoke", "1"), keyed("ok", "2")].join("\n"), (2, 1), "the key"),
        row("bytes that are no UTF-8", broken_utf8(&invoke("\"é_\"")), (1, 50), "no UTF-8"),
        row("NUL in a number", invoke("1\0"), (1, 47), "1\\u{0} is no number"),
        row(
            "ten thousand levels",
            invoke(&nested("[", "1", "]", 10_000)),
            (1, 47 + 127),
            "nested 128 deep",
        ),
        row(
            "ten thousand maps",
            invoke(&nested("{1 ", "1", "}", 10_000)),
            (1, 47 + 3 * 126 + 1),
            "nested 128 deep",
        ),
        row("a huge word", invoke(&"1x".repeat(1 << 20)), (1, 47), "… is no number"),
    ]);
    refused(Format::JepsenEdn, rows);
}

#[test]
fn what_is_unusual_is_read() {
    let both = |value: &str| [invoke(value), event(1, "ok", "write", value)].join("\n");
    let times = [
        event(1, "invoke", "read", "nil :time 9"),
        event(1, "ok", "read", "nil :time -5"),
        event(1, "invoke", "read", "nil :time 8"),
    ];
    accepted(
        Format::JepsenEdn,
        vec![
            ("nothing", vec![], 0),
            ("a byte order mark", b"\xef\xbb\xbf".to_vec(), 0),
            ("blank lines", b"\r\n\n  ,, \n".to_vec(), 0),
            ("a comment", b"; nothing here".to_vec(), 0),
            (
                "CRLF and a mark",
                format!("\u{feff}{}\r\n", both("7").replace('\n', "\r\n")).into(),
                1,
            ),
            ("ten levels", both(&nested("[", "1", "]", 10)).into(), 1),
            ("a value past 64 bits", both("123456789012345678901234567890").into(), 1),
            ("a huge string", both(&format!("\"{}\"", "x".repeat(1 << 21))).into(), 1),
            ("NUL in a string", both("\"a\0b\"").into(), 1),
            ("a time that goes back is held", times.join("\n").into(), 2),
        ],
    );
}
