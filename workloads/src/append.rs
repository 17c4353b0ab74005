//! `append`: transactions that append to lists and read them, over a few keys each.
//!
//! A list is one key's value, so an append reads it and writes it back, on condition that nothing
//! of what the transaction read has changed (see [`transactions`](crate::transactions)). From the
//! lists alone the order of all writes can be told, and so every anomaly that Elle knows.

use crate::form::text;
use crate::transactions::{self, Kind, Transactions};
use crate::{Completion, Generator, KeyValue, Options, Planned, Store, Workload};
use ordeal_checker::Checker;
use ordeal_checker::isolation::ListAppend;
use ordeal_history::Value;

static KIND: Kind = Kind {
    prefix: "ordeal/append/",
    write: "append",
    written: |before, new| {
        let mut list = before.as_array().map(<[Value]>::to_vec).unwrap_or_default();
        list.push(new.clone());
        Value::from(list)
    },
    encode,
    decode,
};

/// The workload.
pub struct Append;

impl Workload for Append {
    const NAME: &'static str = "append";
    const SUMMARY: &'static str =
        "transactions that append to lists and read them, guarded by revisions";
    const CHECKS: &'static str =
        "strict serializability (after Elle): lost writes, aborted reads, cycles of dependencies";
    const FAULTS: &'static [&'static str] = &["kill", "partition", "pause"];

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        Box::new(Transactions::new(&KIND, options, slots))
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        transactions::send(&KIND, store, options, operation).await
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(ListAppend::default())]
    }
}

/// The list as text, one number after the other, filled up to its least length.
fn encode(list: &Value, bytes_min: u32) -> Vec<u8> {
    let items = list.as_array().unwrap_or_default();
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    let mut text = items.join(" ").into_bytes();
    let length = text.len().max(bytes_min as usize);
    text.resize(length, b' ');
    text
}

/// What is no list stays a text, which is then a value that nobody wrote.
fn decode(kv: Option<&KeyValue>) -> Value {
    let Some(kv) = kv else { return Value::Null };
    let items = std::str::from_utf8(&kv.value).ok().and_then(|all| {
        let items = all.split_ascii_whitespace().map(|item| item.parse().map(Value::Int));
        items.collect::<Result<Vec<Value>, _>>().ok()
    });
    items.map_or_else(|| text(&kv.value), Value::from)
}
