//! Jepsen's log of operations as Porcupine's etcd tests hold it: one operation a line,
//! `INFO  jepsen.util - 3⇥:invoke⇥:cas⇥[0 3]`, fields parted by tabs or blanks.
//!
//! `:timed-out` stands where the value would. What a timeout means was decided when the log was
//! written: a read that timed out is a `:fail` (it saw nothing), a write or cas an `:info`.

use super::edn::{Fault, Reader};
use super::form::Form;
use super::jepsen_op::{Events, Placed};
use super::{assemble, malformed, utf8, without_mark};
use crate::{History, Malformed};

const LOGGER: &str = "jepsen.util - ";

/// Reads such a log; lines that another logger wrote are skipped.
///
/// Errors name line and column: a line that is no operation, or operations that make no
/// well-formed history. O(length).
pub fn read(input: &[u8]) -> Result<History, Malformed> {
    let placed = placed(input)?;
    assemble(without_mark(input), placed)
}

/// The events, with their places in the text after a byte order mark.
pub(super) fn placed(input: &[u8]) -> Result<Vec<Placed>, Malformed> {
    let text = utf8(input)?;
    let mut events = Events::default();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        operation(line)
            .and_then(|form| match form {
                Some(form) => events.push(start, form).map_err(|message| (0, message)),
                None => Ok(()),
            })
            .map_err(|(at, message)| malformed(text.as_bytes(), start + at, message))?;
        start += line.len();
    }
    Ok(events.finish())
}

/// Whether `line` could stand in such a log.
pub(super) fn is_line(line: &str) -> bool {
    line.contains(LOGGER) || matches!(operation(line), Ok(Some(_)))
}

/// The operation on `line` as a map, or `None` if the line is empty or another logger's.
fn operation(line: &str) -> Result<Option<Form>, Fault> {
    let from = match line.find(LOGGER) {
        Some(at) => at + LOGGER.len(),
        None if line.trim().is_empty() || line.contains(" - ") => return Ok(None),
        None => 0,
    };
    let mut reader = Reader::new(line);
    reader.skip_to(from);
    let mut field = |name: &str| {
        let form = reader.next_form()?;
        let end = (line.trim_end().len(), format!("the line ends where its {name} should stand"));
        form.ok_or(end)
    };
    let process = field("process")?;
    let kind = field("type")?;
    let f = field("function")?;
    let mut value = field("value")?;
    let mut error = reader.next_form()?.unwrap_or(Form::Nil);
    let at = reader.position();
    if reader.next_form()?.is_some() {
        return Err((at, "after value and error the line must end".into()));
    }
    if matches!(&value, Form::Text(word) if word == "timed-out") {
        error = std::mem::replace(&mut value, Form::Nil);
    }
    let members =
        [("process", process), ("type", kind), ("f", f), ("value", value), ("error", error)];
    let named = members.into_iter().map(|(name, form)| (Form::Text(name.into()), form));
    Ok(Some(Form::Map(named.collect())))
}
