//! How values stand in the store, and in the history.

use crate::KeyValue;
use ordeal_history::Value;
use std::sync::Arc;

/// What fills a value up.
const FILLER: u8 = b'.';

/// A number as the store holds it: at least so many bytes.
pub(crate) fn encode(value: i64, bytes_min: u32) -> Vec<u8> {
    let mut text = value.to_string().into_bytes();
    let length = text.len().max(bytes_min as usize);
    text.resize(length, FILLER);
    text
}

/// A value as it goes into the history: the number, or the text if somebody made something else
/// of it, which then is a value that nobody wrote; `null` where there is no key.
pub(crate) fn decode(kv: Option<&KeyValue>) -> Value {
    kv.map_or(Value::Null, |kv| decode_bytes(&kv.value))
}

/// The same of bytes.
pub(crate) fn decode_bytes(bytes: &[u8]) -> Value {
    let text = String::from_utf8_lossy(bytes);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    match text.trim_end_matches(char::from(FILLER)).parse() {
        Ok(number) if encode(number, length) == bytes => Value::Int(number),
        _ => Value::String(text.into()),
    }
}

/// Bytes as a text.
pub(crate) fn text(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into())
}

/// An object of these members.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    fields(members.into())
}

/// The same of as many as there are.
pub(crate) fn fields(members: Vec<(&str, Value)>) -> Value {
    let members = members.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
    Value::Object(Arc::new(members))
}

/// A member of an object.
pub(crate) fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    if let Value::Object(members) = value { members.get(name) } else { None }
}

/// The same, if it is not `null`.
pub(crate) fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    member(value, name).filter(|member| !member.is_null())
}

/// A member that is a whole number.
pub(crate) fn number(value: &Value, name: &str) -> Option<i64> {
    member(value, name).and_then(Value::as_i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_and_what_was_not_stays_visible() {
        for (value, bytes_min, stored) in [(7, 0, "7"), (-12, 2, "-12"), (7, 4, "7...")] {
            assert_eq!(encode(value, bytes_min), stored.as_bytes());
            assert_eq!(decode_bytes(stored.as_bytes()), Value::Int(value));
        }
        for text in ["07", "x", "", "7.x", "+7"] {
            assert_eq!(decode_bytes(text.as_bytes()), Value::from(text));
        }
    }
}
