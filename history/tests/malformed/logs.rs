//! Porcupine's two formats: Jepsen's log lines, and kv logs.

use super::*;

fn line(process: u64, kind: &str, f: &str, value: &str) -> String {
    format!("INFO  jepsen.util - {process}\t:{kind}\t:{f}\t{value}")
}

#[test]
fn a_log_that_is_no_history_is_refused_with_its_place() {
    let mut rows = pairings(line, 1);
    let with = |rest: &str| format!("INFO  jepsen.util - {rest}");
    rows.extend([
        row("cut after the process", with("3"), (1, 22), "its type should stand"),
        row("cut after the type", with("3\t:invoke\t\n"), (1, 30), "its function should stand"),
        row("cut after the function", with("3 :ok :read"), (1, 32), "its value should stand"),
        row("cut in a value", with("3 :invoke :cas [1"), (1, 36), "never closed"),
        row("more than error and value", with("3 :ok :read 1 2 3"), (1, 36), "the line must end"),
        row("a word for a process", with("x :ok :read 1"), (1, 1), "neither an integer"),
        row(
            "a process past 64 bits",
            with("9223372036854775808 :ok :read 1"),
            (1, 1),
            "neither an integer",
        ),
        row("another type", with("3 :begin :read 1"), (1, 1), ":type begin is none of"),
        row("a number for a type", with("3 4 :read 1"), (1, 1), ":type is none of"),
        row("a number for a function", with("3 :ok 4 1"), (1, 1), ":f is not a word"),
        row(
            "bytes that are no UTF-8",
            broken_utf8(&with("3 :ok :read \"_\"")),
            (1, 34),
            "no UTF-8",
        ),
        row("NUL in a number", with("3 :ok :read 1\0"), (1, 33), "is no number"),
        row(
            "ten thousand levels",
            line(3, "invoke", "write", &nested("[", "1", "]", 10_000)),
            (1, 38 + 128),
            "nested 128 deep",
        ),
        row("a huge word", line(3, "invoke", "write", &"1x".repeat(1 << 20)), (1, 38), "no number"),
    ]);
    refused(Format::PorcupineJepsenLog, rows);
}

#[test]
fn a_log_that_is_unusual_is_read() {
    let both =
        |value: &str| [line(3, "invoke", "write", value), line(3, "ok", "write", value)].join("\n");
    accepted(
        Format::PorcupineJepsenLog,
        vec![
            ("nothing", vec![], 0),
            ("a byte order mark", b"\xef\xbb\xbf".to_vec(), 0),
            ("blank lines", b"\r\n\n  \n".to_vec(), 0),
            (
                "CRLF and a mark",
                format!("\u{feff}{}\r\n", both("7").replace('\n', "\r\n")).into(),
                1,
            ),
            ("ten levels", both(&nested("[", "1", "]", 10)).into(), 1),
            ("a value past 64 bits", both("123456789012345678901234567890").into(), 1),
        ],
    );
}

fn kv(process: u64, kind: &str, f: &str, value: &str) -> String {
    // The pairings speak of writes and reads.
    let f = if f == "write" { "put" } else { "get" };
    format!("{{:process {process}, :type :{kind}, :f :{f}, :key \"k\", :value {value}}}")
}

#[test]
fn a_kv_log_that_is_no_history_is_refused_with_its_place() {
    let mut rows = pairings(kv, 1);
    if let Some(another) = rows.iter_mut().find(|row| row.0 == "another function") {
        another.3 = "completes `put` of event 0 as `get`";
    }
    let put = |value: &str| kv(1, "invoke", "write", value);
    let other = put("\"a\"").replace("invoke", "ok").replace("\"k\"", "\"j\"");
    rows.extend([
        row("another key", [put("\"a\""), other].join("\n"), (2, 1), "the key"),
        row("another operation", put("1").replace(":put", ":cas"), (1, 1), "only :get, :put and"),
        row("no key", put("1").replace(":key", ":k"), (1, 1), "each with :key"),
        row("cut", &put("\"abc\"")[..58], (1, 55), "never closed"),
        row("bytes that are no UTF-8", broken_utf8(&put("\"_\"")), (1, 56), "no UTF-8"),
        row("NUL in a number", put("1\0"), (1, 55), "is no number"),
        row(
            "ten thousand levels",
            put(&nested("[", "1", "]", 10_000)),
            (1, 55 + 127),
            "nested 128",
        ),
    ]);
    refused(Format::PorcupineKvLog, rows);
}

#[test]
fn a_kv_log_that_is_unusual_is_read() {
    let both =
        |value: &str| [kv(1, "invoke", "write", value), kv(1, "ok", "write", value)].join("\n");
    accepted(
        Format::PorcupineKvLog,
        vec![
            ("nothing", vec![], 0),
            ("a byte order mark", b"\xef\xbb\xbf".to_vec(), 0),
            ("blank lines", b"\r\n\n  \n".to_vec(), 0),
            (
                "CRLF and a mark",
                format!("\u{feff}{}\r\n", both("\"7\"").replace('\n', "\r\n")).into(),
                1,
            ),
            ("a huge string", both(&format!("\"{}\"", "x".repeat(1 << 21))).into(), 1),
        ],
    );
}
