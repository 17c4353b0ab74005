//! Readers for histories that other tools recorded, and the look that tells them apart.
//!
//! Each reader is one `read(&[u8]) -> Result<History, Malformed>`. They differ in how an event is
//! written; what makes events a well-formed history is decided in one place for all of them
//! ([`History::from_events`]). An event's index is its position in the text.
//!
//! Deliberately absent: any reading of what the operations mean. A failed cas is a failed cas; the
//! checker decides that it says "not equal".

mod edn;
mod form;
pub mod jepsen_edn;
pub mod jepsen_json;
mod jepsen_op;
pub mod porcupine_kv;
pub mod porcupine_log;
#[cfg(test)]
mod tests;

use crate::reader::place as place_in_lines;
use crate::{History, Malformed, ReadError, ReadOptions, read_jsonl};
use jepsen_op::Placed;

/// A way to write a history down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Ordeal's own JSON lines, `history.jsonl`.
    JsonLines,
    /// Jepsen's `history.edn`.
    JepsenEdn,
    /// Jepsen's operations as JSON.
    JepsenJson,
    /// Jepsen's log lines, as in Porcupine's etcd tests.
    PorcupineJepsenLog,
    /// Porcupine's kv logs.
    PorcupineKvLog,
}

impl Format {
    /// All of them, in the order in which help lists them.
    pub const ALL: [Format; 5] = [
        Format::JsonLines,
        Format::JepsenEdn,
        Format::JepsenJson,
        Format::PorcupineJepsenLog,
        Format::PorcupineKvLog,
    ];

    /// The name that `--format` takes.
    pub fn name(self) -> &'static str {
        match self {
            Format::JsonLines => "jsonl",
            Format::JepsenEdn => "jepsen-edn",
            Format::JepsenJson => "jepsen-json",
            Format::PorcupineJepsenLog => "jepsen-log",
            Format::PorcupineKvLog => "kv-log",
        }
    }
}

/// Reads a history in `format`.
///
/// Errors name line and column; `options` concern [`Format::JsonLines`] alone. O(length).
pub fn read(input: &[u8], format: Format, options: ReadOptions) -> Result<History, ReadError> {
    Ok(match format {
        Format::JsonLines => return read_jsonl(input, options),
        Format::JepsenEdn => jepsen_edn::read(input)?,
        Format::JepsenJson => jepsen_json::read(input)?,
        Format::PorcupineJepsenLog => porcupine_log::read(input)?,
        Format::PorcupineKvLog => porcupine_kv::read(input)?,
    })
}

/// Line and column (in bytes, both from 1) of an event of a history that [`read`] accepted, for a
/// message on what the event says: in JSON lines those of its value, else where the event begins.
///
/// `None` when `input` in that format has no such event. O(length).
pub fn place(input: &[u8], format: Format, event: u64) -> Option<(u64, u64)> {
    let placed = match format {
        Format::JsonLines => return place_in_lines(input, event),
        Format::JepsenEdn | Format::PorcupineKvLog => jepsen_edn::placed(input, |_| Ok(())),
        Format::JepsenJson => jepsen_json::placed(input),
        Format::PorcupineJepsenLog => porcupine_log::placed(input),
    };
    let placed = placed.ok()?;
    let event = placed.get(usize::try_from(event).ok()?)?;
    let found = malformed(without_mark(input), event.at, String::new());
    Some((found.line, found.column))
}

/// Which format `input` is written in, from how it begins.
///
/// Never fails: what looks like nothing known is [`Format::JsonLines`], whose reader then says
/// what is wrong with it. It looks at the first operation alone.
pub fn detect(input: &[u8]) -> Format {
    let input = without_mark(input);
    let significant = |b: &u8| !b.is_ascii_whitespace() && *b != b',';
    let mut bytes = input.iter().copied().filter(significant);
    let (first, second, third) = (bytes.next(), bytes.next(), bytes.next());
    match (first, second, third) {
        (None, ..) | (Some(b'{'), Some(b'"' | b'}'), _) => Format::JsonLines,
        (Some(b'['), Some(b'{'), Some(b'"' | b'}')) | (Some(b'['), Some(b']'), None) => {
            Format::JepsenJson
        }
        (Some(b'{' | b'[' | b'(' | b'#' | b';' | b'^'), ..) => detect_edn(input),
        _ if first_line(input).is_some_and(porcupine_log::is_line) => Format::PorcupineJepsenLog,
        _ => Format::JsonLines,
    }
}

fn detect_edn(input: &[u8]) -> Format {
    // What comes after the bytes that are no UTF-8 cannot change how it begins.
    let text = match std::str::from_utf8(input) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&input[..error.valid_up_to()]).unwrap_or_default(),
    };
    match jepsen_edn::first_form(text) {
        Some(form) if porcupine_kv::is_operation(&form) => Format::PorcupineKvLog,
        _ => Format::JepsenEdn,
    }
}

/// The first line that is not empty.
fn first_line(input: &[u8]) -> Option<&str> {
    let line = input.split(|&b| b == b'\n').find(|line| !line.trim_ascii().is_empty())?;
    std::str::from_utf8(line).ok()
}

/// `input` without the byte order mark that some editors put first.
fn without_mark(input: &[u8]) -> &[u8] {
    input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input)
}

/// `input` as text, without a byte order mark.
fn utf8(input: &[u8]) -> Result<&str, Malformed> {
    let input = without_mark(input);
    std::str::from_utf8(input)
        .map_err(|error| malformed(input, error.valid_up_to(), "these bytes are no UTF-8".into()))
}

/// An error at byte `at` of `input`.
fn malformed(input: &[u8], at: usize, message: String) -> Malformed {
    let before = &input[..at.min(input.len())];
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
    Malformed { line: line as u64, column: (before.len() - start + 1) as u64, message }
}

/// The history that `placed` make, under the rules that hold for every format.
fn assemble(input: &[u8], placed: Vec<Placed>) -> Result<History, Malformed> {
    let places: Vec<usize> = placed.iter().map(|placed| placed.at).collect();
    History::from_events(placed.into_iter().map(|placed| placed.event)).map_err(|error| {
        // It counts events from 1 where it says line.
        let place = usize::try_from(error.line).unwrap_or(1).saturating_sub(1);
        malformed(input, places.get(place).copied().unwrap_or(input.len()), error.message)
    })
}
