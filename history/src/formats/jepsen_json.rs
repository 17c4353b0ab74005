//! Jepsen's operations as JSON: one array of objects, or objects one after the other.
//!
//! A tuple of `jepsen.independent` is an array here, as in EDN without a tag.

use super::form::Form;
use super::jepsen_op::{Events, Placed};
use super::{assemble, malformed, without_mark};
use crate::json::{Parser, SyntaxError};
use crate::{History, Malformed};

/// Reads a history in Jepsen's JSON.
///
/// Errors name line and column: text that is no JSON, a value that is no operation, or operations
/// that make no well-formed history. O(length).
pub fn read(input: &[u8]) -> Result<History, Malformed> {
    let placed = placed(input)?;
    assemble(without_mark(input), placed)
}

/// The events, with their places in the text after a byte order mark.
pub(super) fn placed(input: &[u8]) -> Result<Vec<Placed>, Malformed> {
    let input = without_mark(input);
    events(input).map_err(|error| malformed(input, error.at, error.message.into_owned()))
}

fn events(input: &[u8]) -> Result<Vec<Placed>, SyntaxError> {
    let mut parser = Parser::new(input);
    let mut events = Events::default();
    let array = parser.take_if(b'[');
    if array && parser.take_if(b']') {
        parser.end()?;
        return Ok(events.finish());
    }
    loop {
        parser.space();
        if !array && parser.peek().is_none() {
            break;
        }
        let at = parser.at;
        let value = parser.value(1)?;
        let pushed = events.push(at, Form::from(value));
        pushed.map_err(|message| SyntaxError { at, message: message.into() })?;
        if array && parser.take_if(b']') {
            parser.end()?;
            break;
        }
        if array && !parser.take_if(b',') {
            return parser.unexpected("`,` or `]`");
        }
    }
    Ok(events.finish())
}
