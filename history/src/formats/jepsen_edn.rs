//! Jepsen's `history.edn`: maps, one after the other, or one vector (or list) of them.
//!
//! Both are read without holding the whole text as a tree.

use super::edn::{Fault, Reader};
use super::form::Form;
use super::jepsen_op::{Events, Placed};
use super::{assemble, malformed, utf8, without_mark};
use crate::{History, Malformed};

/// Reads a history in Jepsen's EDN.
///
/// Errors name line and column: bytes that are no UTF-8, text that is no EDN, a form that is no
/// operation, or operations that make no well-formed history. O(length).
pub fn read(input: &[u8]) -> Result<History, Malformed> {
    read_checked(input, |_| Ok(()))
}

/// As [`read`], `accept` having looked at each form.
pub(super) fn read_checked(
    input: &[u8],
    accept: impl Fn(&Form) -> Result<(), String>,
) -> Result<History, Malformed> {
    let placed = placed(input, accept)?;
    assemble(without_mark(input), placed)
}

/// The events, with their places in the text after a byte order mark.
pub(super) fn placed(
    input: &[u8],
    accept: impl Fn(&Form) -> Result<(), String>,
) -> Result<Vec<Placed>, Malformed> {
    let text = utf8(input)?;
    let mut events = Events::default();
    each_top_form(&mut Reader::new(text), |at, form| {
        accept(&form).and_then(|()| events.push(at, form)).map_err(|message| (at, message))?;
        Ok(true)
    })
    .map_err(|(at, message)| malformed(text.as_bytes(), at, message))?;
    Ok(events.finish())
}

/// The first operation's form, if the text begins with one.
pub(super) fn first_form(text: &str) -> Option<Form> {
    let mut first = None;
    let mut reader = Reader::new(text);
    let found = each_top_form(&mut reader, |_, form| {
        first = Some(form);
        Ok(false)
    });
    found.ok().and(first)
}

/// Calls `visit` for each form at the top, or inside a vector or list at the top, until it says
/// `false`.
fn each_top_form(
    reader: &mut Reader<'_>,
    mut visit: impl FnMut(usize, Form) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    // The bracket that we are inside, by its closing one.
    let mut inside: Option<(u8, usize)> = None;
    loop {
        reader.skip_blank(0)?;
        let at = reader.position();
        match (reader.peek(), inside) {
            (None, None) => return Ok(()),
            (None, Some((_, open))) => return Err((open, "this bracket is never closed".into())),
            (Some(byte), Some((close, _))) if byte == close => {
                reader.bump();
                inside = None;
            }
            (Some(open @ (b'[' | b'(')), None) => {
                reader.bump();
                inside = Some((if open == b'[' { b']' } else { b')' }, at));
            }
            (Some(b'#'), None) if reader.skip_collection_tag() => {}
            _ => match reader.next_form()? {
                Some(form) => {
                    if !visit(at, form)? {
                        return Ok(());
                    }
                }
                None => return Ok(()),
            },
        }
    }
}
