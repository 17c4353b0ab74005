//! Strings that stand once, named by their numbers.

use crate::text::{clean, grouped};
use ordeal_history::Value;
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::hash::Hash;

/// More text than this is not carried by a page: what comes later stands as one word for all.
const BYTES_MAX: usize = 12 << 20;

/// A dictionary. What is asked for by equal strings or values has one number.
#[derive(Default)]
pub(super) struct Dictionary {
    entries: Vec<String>,
    bytes: usize,
    strings: HashMap<std::sync::Arc<str>, u64>,
    values: HashMap<Shape, u64>,
    full: Option<u64>,
}

/// What tells values apart here: two of one shape are shown alike.
#[derive(PartialEq, Eq, Hash)]
enum Shape {
    Int(i64),
    Shown(String),
}

impl Dictionary {
    /// The number of `text`, made harmless and cut after `max` characters.
    pub(super) fn of(&mut self, text: &std::sync::Arc<str>, max: usize) -> u64 {
        if let Some(&number) = self.strings.get(text) {
            return number;
        }
        let number = self.add(clean(text, max));
        self.strings.insert(text.clone(), number);
        number
    }

    /// The number of `value`, shown by `show`.
    pub(super) fn with(&mut self, value: &Value, show: impl Fn(&Value) -> String) -> u64 {
        if let Value::String(text) = value
            && let Some(&number) = self.strings.get(text)
        {
            return number;
        }
        let shown = show(value);
        let number = match value {
            Value::Int(n) => match self.values.get(&Shape::Int(*n)) {
                Some(&number) => number,
                None => self.add_as(Shape::Int(*n), shown),
            },
            _ => match self.values.get(&Shape::Shown(shown.clone())) {
                Some(&number) => number,
                None => self.add_as(Shape::Shown(shown.clone()), shown),
            },
        };
        if let Value::String(text) = value {
            self.strings.insert(text.clone(), number);
        }
        number
    }

    fn add_as(&mut self, shape: Shape, shown: String) -> u64 {
        let number = self.add(shown);
        self.values.insert(shape, number);
        number
    }

    fn add(&mut self, shown: String) -> u64 {
        if let Some(full) = self.full {
            return full;
        }
        self.bytes += shown.len();
        let number = self.entries.len() as u64;
        if self.bytes > BYTES_MAX {
            let told = format!("(not in this page: more than {} bytes)", grouped(BYTES_MAX as u64));
            self.entries.push(told);
            self.full = Some(number);
        } else {
            self.entries.push(shown);
        }
        number
    }
}

impl Serialize for Dictionary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(serializer)
    }
}
