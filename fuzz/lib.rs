//! What every fuzz target asks of a reader.
//!
//! A text is either a history or an error with a place inside that text. A history that was read
//! is the same history once it has been written as JSON lines and read again. Deliberately absent:
//! any expectation of which texts are histories; the tests of `ordeal-history` have those.

use ordeal_history::formats::{self, Format};
use ordeal_history::{Event, History, Malformed, ReadError, ReadOptions, Writer, read_jsonl};

/// Reads `input` in `format` and holds what comes of it to the rules above.
pub fn read(input: &[u8], format: Format) -> Option<History> {
    let whole = read_with(input, format, ReadOptions::default());
    let forgiven = read_with(input, format, ReadOptions { partial: true });
    assert!(whole.is_none() || forgiven.is_some(), "what is whole needs no forgiving");
    let history = whole.or(forgiven)?;
    round_trip(&history);
    Some(history)
}

fn read_with(input: &[u8], format: Format, options: ReadOptions) -> Option<History> {
    match formats::read(input, format, options) {
        Ok(history) => Some(history),
        Err(ReadError::Malformed(malformed)) => {
            has_a_place(input, &malformed);
            None
        }
        Err(ReadError::Io(error)) => panic!("there is no input or output here: {error}"),
    }
}

/// The place of an error is a place of the text, or the one after its end.
fn has_a_place(input: &[u8], malformed: &Malformed) {
    assert!(!malformed.message.is_empty() && malformed.message.len() < 500, "{malformed}");
    assert!(!malformed.message.contains(char::is_control), "{malformed}");
    let line = (malformed.line as usize).checked_sub(1).expect("lines count from 1");
    let text = input.split(|&byte| byte == b'\n').nth(line).expect("there is such a line");
    assert!((1..=text.len() as u64 + 1).contains(&malformed.column), "{malformed}");
}

/// Writes `history` and reads it again: operations, notes and their order must be the same.
fn round_trip(history: &History) {
    let notes = history.notes.iter().cloned();
    let operations = history.operations.iter().flat_map(|operation| operation.events());
    let mut events: Vec<Event> = operations.chain(notes).collect();
    events.sort_by_key(|event| event.index);
    assert_eq!(events.len() as u64, history.events);
    let mut writer = Writer::new(Vec::new());
    events.iter().for_each(|event| writer.write(event).expect("a vector takes all"));
    let text = writer.into_inner();
    let again = read_jsonl(&text[..], ReadOptions::default())
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)));
    assert_eq!(again.operations, history.operations);
    assert_eq!(again.notes, history.notes);
    assert_eq!(again.events, history.events);
}
