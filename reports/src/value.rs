//! Values and operations in words, short and harmless.

use crate::text::{clean, grouped, push_clean};
use ordeal_history::{Operation, Outcome, Value};

/// Nesting deeper than this is shown as `…`.
const DEPTH_MAX: usize = 12;

/// `value` as JSON, at most about `max` characters long; what is left out is counted.
pub fn show(value: &Value, max: usize) -> String {
    let mut out = String::new();
    push(&mut out, value, max.max(4), 0);
    out
}

/// `value` as a JSON tree. A number that no double can hold loses digits.
pub fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(n) => (*n).into(),
        Value::Number(n) => serde_json::from_str(n).unwrap_or_else(|_| n.to_string().into()),
        Value::String(s) => s.to_string().into(),
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, v)| (name.to_string(), json(v))).collect()
        }
    }
}

fn push(out: &mut String, value: &Value, max: usize, depth: usize) {
    let start = out.len();
    let left = |out: &String| max.saturating_sub(out.len() - start);
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(n) => out.push_str(&n.to_string()),
        Value::Number(n) => out.push_str(&clean(n, max)),
        Value::String(s) => push_string(out, s, max),
        Value::Array(_) | Value::Object(_) if depth >= DEPTH_MAX => out.push('…'),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                if left(out) < 4 {
                    out.push_str(&format!("… {} more", grouped((items.len() - i) as u64)));
                    break;
                }
                let room = left(out);
                push(out, item, room, depth + 1);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (i, (name, item)) in members.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                if left(out) < 8 {
                    out.push_str(&format!("… {} more", grouped((members.len() - i) as u64)));
                    break;
                }
                let room = left(out);
                push_string(out, name, room);
                out.push_str(": ");
                let room = left(out);
                push(out, item, room, depth + 1);
            }
            out.push('}');
        }
    }
}

fn push_string(out: &mut String, text: &str, max: usize) {
    out.push('"');
    let quoted = text.get(..text.len().min(max * 4 + 4)).unwrap_or(text);
    let length = if quoted.contains(['"', '\\']) {
        push_clean(out, &text.replace('\\', "\\\\").replace('"', "\\\""), max);
        text.chars().count()
    } else {
        push_clean(out, text, max)
    };
    if length > max && max < 8 && length < 64 {
        out.push_str("…\"");
    } else if length > max {
        out.push_str(&format!("…\" ({} characters)", grouped(length as u64)));
    } else {
        out.push('"');
    }
}

/// An operation in a few characters, for a bar: `write 17`, `read nothing`, `cas 3 → 4`.
///
/// `max` bounds each value, in characters.
pub fn label(operation: &Operation, max: usize) -> String {
    labelled(operation, clean(&operation.f, 16), max)
}

/// The same with its key, for a picture of operations on several.
pub fn label_with_key(operation: &Operation, max: usize) -> String {
    let f = clean(&operation.f, 16);
    match &operation.key {
        Some(key) if &*operation.f != "txn" => {
            labelled(operation, format!("{f} {}", bare(key, max)), max)
        }
        _ => labelled(operation, f, max),
    }
}

fn labelled(operation: &Operation, f: String, max: usize) -> String {
    let output = || match &operation.output {
        Value::Null => "nothing".to_owned(),
        value => show(value, max),
    };
    match (&*operation.f, operation.outcome) {
        ("read" | "get" | "dequeue" | "pop", Outcome::Ok) => format!("{f} {}", output()),
        ("read" | "get" | "dequeue" | "pop", _) => format!("{f} ?"),
        ("cas", _) => match &operation.input {
            Value::Array(pair) if pair.len() == 2 => {
                format!("{f} {} → {}", show(&pair[0], max), show(&pair[1], max))
            }
            other => format!("{f} {}", show(other, max)),
        },
        ("txn", outcome) => {
            let value = match outcome {
                Outcome::Ok => &operation.output,
                _ => &operation.input,
            };
            match steps(value, max, outcome == Outcome::Ok) {
                Some(steps) => steps.join(", "),
                None => format!("{f} {}", show(value, max)),
            }
        }
        (_, Outcome::Ok) if operation.input == Value::Null => match operation.output {
            Value::Null => f,
            _ => format!("{f} {}", output()),
        },
        _ if operation.input == Value::Null => f,
        _ => format!("{f} {}", show(&operation.input, max)),
    }
}

/// A transaction's steps in a few words each: `append x 5, r y [1, 2]`; one without a value read
/// nothing where it was `answered`. `None` when the value has another form.
pub fn steps(value: &Value, max: usize, answered: bool) -> Option<Vec<String>> {
    let Value::Array(steps) = value else { return None };
    let step = |step: &Value| match step {
        Value::Array(parts) => match &parts[..] {
            [Value::String(f), key, value] => {
                let value = match value {
                    Value::Null if answered => "nothing".to_owned(),
                    Value::Null => "?".to_owned(),
                    value => show(value, max),
                };
                Some(format!("{} {} {value}", clean(f, 12), bare(key, max)))
            }
            _ => None,
        },
        _ => None,
    };
    let most = 12;
    let mut all: Vec<String> = steps.iter().take(most).map(step).collect::<Option<_>>()?;
    if steps.len() > most {
        all.push(format!("… {} more", grouped((steps.len() - most) as u64)));
    }
    (!all.is_empty()).then_some(all)
}

/// A key without the quotes that a plain name does not need.
pub fn bare(key: &Value, max: usize) -> String {
    match key {
        Value::String(name)
            if !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c)) =>
        {
            clean(name, max)
        }
        other => show(other, max),
    }
}

/// How an operation ended, in the words of a picture's legend.
pub fn ending(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Fail => "failed",
        Outcome::Info => "indeterminate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(s: &str) -> Value {
        Value::String(s.into())
    }

    #[test]
    fn values_are_json_cut_to_size() {
        let many = Value::Array((0..1000).map(Value::Int).collect());
        for (value, max, shown) in [
            (Value::Null, 20, "null"),
            (Value::Int(-7), 20, "-7"),
            (string("a\"b\\c"), 20, r#""a\"b\\c""#),
            (string("\u{202e}<b>"), 20, "\"\\u{202e}<b>\""),
            (string(&"x".repeat(3000)), 4, "\"xxxx…\" (3,000 characters)"),
            (many, 12, "[0, 1, 2, … 997 more]"),
            (Value::Array([Value::Null, string("k")].into()), 40, r#"[null, "k"]"#),
        ] {
            assert_eq!(show(&value, max), shown);
        }
    }

    #[test]
    fn a_transaction_is_told_step_by_step() {
        let step = |f, key, value| Value::Array([string(f), string(key), value].into());
        let seen = Value::Array([Value::Int(1), Value::Int(2)].into());
        let txn = Value::Array(
            [
                step("append", "x", Value::Int(5)),
                step("r", "y z", seen),
                step("r", "x", Value::Null),
            ]
            .into(),
        );
        let told = steps(&txn, 20, false).expect("it has the form of a transaction");
        assert_eq!(told, ["append x 5", "r \"y z\" [1, 2]", "r x ?"]);
        assert_eq!(steps(&txn, 20, true).expect("the same")[2], "r x nothing");
        assert_eq!(steps(&Value::Array([Value::Int(1)].into()), 20, true), None);
    }

    #[test]
    fn deep_nesting_ends() {
        let deep = (0..100).fold(Value::Int(1), |v, _| Value::Array([v].into()));
        assert_eq!(show(&deep, 1000), format!("{}…{}", "[".repeat(12), "]".repeat(12)));
    }
}
