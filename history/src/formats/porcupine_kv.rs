//! Porcupine's kv logs: one EDN map a line, `get`, `put` and `append` of strings, each with its
//! `:key`, without times or indexes.
//!
//! They are EDN, and Jepsen's reader reads them; what they say beyond it is their members.

use super::form::Form;
use super::jepsen_edn;
use crate::{History, Malformed};

/// Reads a kv log.
///
/// Errors as [`jepsen_edn::read`], and for an operation other than those three. O(length).
pub fn read(input: &[u8]) -> Result<History, Malformed> {
    jepsen_edn::read_checked(input, |form| {
        if is_operation(form) {
            return Ok(());
        }
        Err("a kv log has only :get, :put and :append, each with :key and :value".into())
    })
}

/// Whether `form` is an operation of a kv log, and not one that Jepsen itself wrote.
pub(super) fn is_operation(form: &Form) -> bool {
    let Form::Map(members) = form else { return false };
    let member = |wanted: &str| {
        let found = members.iter().find(|(name, _)| matches!(name, Form::Text(n) if n == wanted));
        found.map(|(_, value)| value)
    };
    let f = matches!(member("f"), Some(Form::Text(f)) if matches!(&**f, "get" | "put" | "append"));
    f && member("key").is_some() && member("value").is_some() && member("time").is_none()
}
