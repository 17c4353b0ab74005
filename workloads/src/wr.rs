//! `wr`: transactions that write and read registers, over a few keys each.
//!
//! As `append`, but a write replaces what was there, as most users' writes do. The order of a
//! key's values is then told by revisions and by what transactions read before they wrote.

use crate::form::{decode, encode};
use crate::transactions::{self, Kind, Transactions};
use crate::{Completion, Generator, Options, Planned, Store, Workload};
use ordeal_checker::Checker;
use ordeal_checker::isolation::RwRegister;

static KIND: Kind = Kind {
    prefix: "ordeal/wr/",
    write: "w",
    written: |_, new| new.clone(),
    encode: |value, bytes_min| encode(value.as_i64().unwrap_or_default(), bytes_min),
    decode,
};

/// The workload.
pub struct Wr;

impl Workload for Wr {
    const NAME: &'static str = "wr";
    const SUMMARY: &'static str =
        "transactions that write registers and read them, guarded by revisions";
    const CHECKS: &'static str =
        "strict serializability (after Elle), with revisions as the order of versions";
    const FAULTS: &'static [&'static str] = &["kill", "partition", "pause"];

    fn generator(options: &Options, slots: usize) -> Box<dyn Generator> {
        Box::new(Transactions::new(&KIND, options, slots))
    }

    async fn send<S: Store>(store: &mut S, options: &Options, operation: &Planned) -> Completion {
        transactions::send(&KIND, store, options, operation).await
    }

    fn checkers(_options: &Options) -> Vec<Box<dyn Checker>> {
        vec![Box::new(RwRegister::default())]
    }
}
