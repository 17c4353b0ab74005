//! The anomalies that need no search for cycles.

use super::{NONE, Register};
use crate::isolation::model::{Anomaly, Kind, Order};
use crate::isolation::story::{Cast, shown};
use crate::isolation::txn::{Status, TxnId};
use rustc_hash::FxHashMap;

impl<'h> Register<'_, 'h> {
    pub(super) fn find_anomalies(&mut self) {
        let mut updates: FxHashMap<(u32, u32), TxnId> = FxHashMap::default();
        for txn in 0..self.txns.txns.len() as TxnId {
            if self.txns.txns[txn as usize].status != Status::Committed {
                continue;
            }
            for read in self.txns.range(txn).filter(|&id| !self.txns.mops[id].write) {
                self.check_read(txn, read as u32);
            }
            let both: Vec<(u32, u32)> = self
                .reads_of(txn)
                .iter()
                .filter(|read| self.last_write(txn, read.key).is_some())
                .map(|read| (read.key, read.write))
                .collect();
            for (key, version) in both {
                let first = *updates.entry((key, version)).or_insert(txn);
                if first != txn {
                    self.lost_update(key, version, first, txn);
                }
            }
        }
    }

    fn found(
        &mut self,
        kind: Kind,
        key: u32,
        tell: impl FnOnce(&Self, &mut Cast<'_, 'h>) -> String,
    ) {
        if self.findings.iter().any(|finding| finding.anomaly.kind == kind) {
            return;
        }
        let mut cast = Cast::new(self.txns, "write");
        let story = vec![tell(self, &mut cast)];
        let anomaly = Anomaly { kind, order: Order::Data };
        let finding = cast.tell(anomaly, story, Some(self.txns.keys[key as usize]));
        self.findings.push(finding);
    }

    fn check_read(&mut self, txn: TxnId, read: u32) {
        let mop = self.txns.mops[read as usize];
        let start = self.txns.range(txn).start;
        let earlier = &self.txns.mops[start..read as usize];
        if let Some(last) = earlier.iter().rev().find(|earlier| earlier.key == mop.key) {
            if last.value != mop.value {
                self.internal(txn, read, last.write);
            }
            return;
        }
        match self.writer(mop.key, mop.value) {
            Some(NONE) => {}
            None if mop.value.is_null() => {}
            None => self.found(Kind::GarbageRead, mop.key, |all, cast| {
                let (key, value) = all.named(read);
                format!("{} read {key} as {value}, which nobody ever wrote.", cast.name(txn))
            }),
            Some(write) if self.txn(write) == txn => {
                self.found(Kind::FutureRead, mop.key, |all, cast| {
                    let (key, value) = all.named(read);
                    format!("{} read {key} as {value} before it wrote that itself.", cast.name(txn))
                });
            }
            Some(write) => self.check_writer(txn, write),
        }
    }

    fn internal(&mut self, txn: TxnId, read: u32, wrote: bool) {
        let key = self.txns.mops[read as usize].key;
        self.found(Kind::Internal, key, |all, cast| {
            let (key, value) = all.named(read);
            let step = if wrote { "write" } else { "read" };
            let name = cast.name(txn);
            format!("{name} read {key} as {value}, against its own {step} just before.")
        });
    }

    /// Whether the write that `reader` saw is one that others may see.
    fn check_writer(&mut self, reader: TxnId, write: u32) {
        let (writer, key) = (self.txn(write), self.txns.mops[write as usize].key);
        if self.txns.txns[writer as usize].status == Status::Aborted {
            self.found(Kind::G1a, key, |all, cast| {
                let (reader, writer) = (cast.name(reader), cast.name(writer));
                let (key, value) = all.named(write);
                format!(
                    "{reader} read {key} as {value}, which {writer} wrote; but {writer} aborted."
                )
            });
        }
        let rest = &self.txns.mops[write as usize + 1..self.txns.range(writer).end];
        let later = rest.iter().find(|later| later.write && later.key == key);
        if let Some(later) = later.map(|later| shown(later.value)) {
            self.found(Kind::G1b, key, |all, cast| {
                let (reader, writer) = (cast.name(reader), cast.name(writer));
                let (key, value) = all.named(write);
                format!(
                    "{reader} read {key} as {value}, a state from the middle of {writer}, which \
                     wrote {later} after it."
                )
            });
        }
    }

    fn lost_update(&mut self, key: u32, version: u32, first: TxnId, second: TxnId) {
        self.found(Kind::LostUpdate, key, |all, cast| {
            let (one, two) = (cast.name(first), cast.name(second));
            let value = match version {
                NONE => "nothing".to_owned(),
                write => {
                    format!("{}, which {} wrote,", all.named(write).1, cast.name(all.txn(write)))
                }
            };
            let key = shown(all.txns.keys[key as usize]);
            format!("{one} and {two} both read {key} as {value} and both wrote it; one is lost.")
        });
    }
}
