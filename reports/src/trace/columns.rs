//! Columns of numbers, each written as its difference to what stood there before.
//!
//! A number is a varint: seven bits a byte, the lowest first. A signed one is folded first
//! (0, −1, 1, −2 become 0, 1, 2, 3). No number reaches 2⁵³, so that a script reads all of them
//! exactly; what is greater in a history of another tool is held at that.

use super::dictionary::Dictionary;
use crate::text::NAME_MAX;
use crate::value::{bare, show};
use ordeal_history::{Operation, Outcome, Value};

/// The greatest number that is written, and in both signs the greatest integer.
const NUMBER_MAX: u64 = (1 << 53) - 1;
const INTEGER_MAX: i64 = 1 << 48;
/// Values are cut after so many characters.
const VALUE_MAX: usize = 64;

/// How many columns an operation has.
const COLUMNS: usize = 12;

/// A value: nothing, the same as the input, or what the tag in its lowest two bits says.
const NOTHING: u64 = 0;
const SAME: u64 = 4;
const INTEGER: u64 = 1;
const TEXT: u64 = 2;
const PAIR: u64 = 3;

/// What goes from chunk to chunk: the dictionaries, and the last number of each column.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) fs: Dictionary,
    pub(super) keys: Dictionary,
    pub(super) nodes: Dictionary,
    pub(super) texts: Dictionary,
    time_us: u64,
    event: u64,
    process: i64,
    values: [i64; 2],
    revision: i64,
}

impl Columns {
    /// The columns of the next operations, one after another.
    pub(super) fn chunk<'a>(
        &mut self,
        operations: impl ExactSizeIterator<Item = &'a Operation>,
    ) -> Vec<u8> {
        let room = operations.len() * 2;
        let mut columns: [Vec<u8>; COLUMNS] = std::array::from_fn(|_| Vec::with_capacity(room));
        for operation in operations {
            self.push(&mut columns, operation);
        }
        columns.concat()
    }

    fn push(&mut self, columns: &mut [Vec<u8>; COLUMNS], o: &Operation) {
        let [time, latency, event, end, process, how, key, node, input, output, revision, error] =
            columns;
        let asked_us = (o.invoke_time / 1_000).min(NUMBER_MAX / 4);
        varint(time, asked_us.saturating_sub(self.time_us));
        self.time_us = self.time_us.max(asked_us);
        let took_us = |end: u64| (end.saturating_sub(o.invoke_time) / 1_000).min(NUMBER_MAX / 4);
        varint(latency, o.complete_time.map_or(0, |end| took_us(end) + 1));
        varint(event, o.invoke.saturating_sub(self.event));
        self.event = o.invoke;
        varint(end, o.complete.map_or(0, |end| end.saturating_sub(o.invoke)));
        let number = o.process.clamp(-INTEGER_MAX, INTEGER_MAX);
        signed(process, number - self.process);
        self.process = number;
        let outcome = match o.outcome {
            Outcome::Ok => 0,
            Outcome::Fail => 1,
            Outcome::Info => 2,
        };
        varint(how, self.fs.of(&o.f, NAME_MAX) * 3 + outcome);
        varint(key, o.key.as_ref().map_or(0, |k| self.keys.with(k, |k| bare(k, NAME_MAX)) + 1));
        varint(node, o.node.as_ref().map_or(0, |node| self.nodes.of(node, NAME_MAX) + 1));
        self.value(input, 0, &o.input);
        if o.output == o.input && o.input != Value::Null {
            varint(output, SAME);
        } else {
            self.value(output, 1, &o.output);
        }
        match o.revision.filter(|r| r.abs() <= INTEGER_MAX) {
            Some(number) => {
                varint(revision, folded(number - self.revision) + 1);
                self.revision = number;
            }
            None => varint(revision, 0),
        }
        varint(error, o.error.as_ref().map_or(0, |text| self.texts.of(text, 200) + 1));
    }

    fn value(&mut self, out: &mut Vec<u8>, column: usize, value: &Value) {
        match value {
            Value::Null => varint(out, NOTHING),
            Value::Int(n) if n.abs() <= INTEGER_MAX => {
                varint(out, folded(n - self.values[column]) << 2 | INTEGER);
                self.values[column] = *n;
            }
            Value::Array(pair) => match pair[..] {
                [Value::Int(a), Value::Int(b)] if a.abs().max(b.abs()) <= INTEGER_MAX / 4 => {
                    varint(out, folded(a - self.values[column]) << 2 | PAIR);
                    signed(out, b - a);
                    self.values[column] = b;
                }
                _ => self.text(out, value),
            },
            _ => self.text(out, value),
        }
    }

    fn text(&mut self, out: &mut Vec<u8>, value: &Value) {
        varint(out, self.texts.with(value, |value| show(value, VALUE_MAX)) << 2 | TEXT);
    }
}

/// A signed number as one without a sign, small ones small.
fn folded(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

fn signed(out: &mut Vec<u8>, n: i64) {
    varint(out, folded(n));
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    debug_assert!(n <= NUMBER_MAX, "{n} is more than a script can read");
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
