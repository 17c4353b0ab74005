//! The anomalies that need no search for cycles.

use super::{Append, NONE, list};
use crate::isolation::model::{Anomaly, Kind, Order};
use crate::isolation::story::{Cast, shown};
use crate::isolation::txn::{Status, TxnId};
use ordeal_history::Value;
use rustc_hash::FxHashMap;

impl<'h> Append<'_, 'h> {
    pub(super) fn find_anomalies(&mut self) {
        for key in 0..self.txns.keys.len() as u32 {
            self.check_versions(key);
        }
        let mut updates = FxHashMap::default();
        for txn in 0..self.txns.txns.len() as TxnId {
            if self.txns.txns[txn as usize].status != Status::Committed {
                continue;
            }
            for read in self.txns.range(txn) {
                if !self.txns.mops[read].write {
                    self.check_read(read as u32);
                }
            }
            if self.txns.steps(txn).len() > 1 {
                self.check_inside(txn);
                self.check_update(txn, &mut updates);
            }
        }
    }

    /// Keeps one finding of each kind. `tell` gives the story, and its last part the key.
    fn found(
        &mut self,
        kind: Kind,
        key: u32,
        tell: impl FnOnce(&Self, &mut Cast<'_, 'h>) -> String,
    ) {
        if self.findings.iter().any(|finding| finding.anomaly.kind == kind) {
            return;
        }
        let mut cast = Cast::new(self.txns, "append");
        let story = vec![tell(self, &mut cast)];
        let anomaly = Anomaly { kind, order: Order::Data };
        let finding = cast.tell(anomaly, story, Some(self.txns.keys[key as usize]));
        self.findings.push(finding);
    }

    pub(super) fn incompatible(&mut self, read: u32) {
        let key = self.txns.mops[read as usize].key;
        let longest = self.longest[key as usize];
        self.found(Kind::IncompatibleOrder, key, |all, cast| {
            let (one, two) = (cast.name(all.txn(longest)), cast.name(all.txn(read)));
            let seen = |mop: u32| shown(all.txns.mops[mop as usize].value);
            let key = shown(all.txns.keys[key as usize]);
            format!(
                "{one} read {key} as {}, {two} as {}: a list that only grows cannot have been \
                 both.",
                seen(longest),
                seen(read)
            )
        });
        // Elements of a branch are not in the version order, so they are looked at one by one.
        for element in list(self.txns.mops[read as usize].value) {
            match self.writer(key, element) {
                None => self.garbage(read, element),
                Some(append) if append != NONE => self.check_aborted(read, append),
                Some(_) => {}
            }
        }
    }

    /// Looks at the elements of a key's longest read, and so at those of all that fit.
    fn check_versions(&mut self, key: u32) {
        let longest = self.longest[key as usize];
        if longest == NONE {
            return;
        }
        let elements = self.read(longest);
        let mut aborted = None;
        for (at, element) in elements.iter().enumerate() {
            match self.writer(key, element) {
                None => self.garbage(longest, element),
                Some(NONE) => {}
                Some(append) if self.place[append as usize] as usize != at => {
                    self.duplicate(longest, element);
                }
                Some(append) => {
                    self.check_aborted(longest, append);
                    match self.txns.txns[self.txn(append) as usize].status {
                        Status::Aborted => aborted = Some(append),
                        _ => self.check_dirty(longest, aborted, append),
                    }
                }
            }
        }
    }

    fn garbage(&mut self, read: u32, element: &Value) {
        let key = self.txns.mops[read as usize].key;
        self.found(Kind::GarbageRead, key, |all, cast| {
            let reader = cast.name(all.txn(read));
            let key = shown(all.txns.keys[key as usize]);
            format!("{reader} read {} in {key}, which nobody ever appended.", shown(element))
        });
    }

    fn duplicate(&mut self, read: u32, element: &Value) {
        let key = self.txns.mops[read as usize].key;
        self.found(Kind::DuplicateElements, key, |all, cast| {
            let reader = cast.name(all.txn(read));
            let key = shown(all.txns.keys[key as usize]);
            let element = shown(element);
            format!("{reader} read {element} twice in {key}, though it was appended once.")
        });
    }

    fn check_aborted(&mut self, read: u32, append: u32) {
        let writer = self.txn(append);
        if self.txns.txns[writer as usize].status != Status::Aborted {
            return;
        }
        self.found(Kind::G1a, self.txns.mops[read as usize].key, |all, cast| {
            let (reader, writer) = (cast.name(all.txn(read)), cast.name(writer));
            let (value, key) = all.named(append);
            format!(
                "{reader} read {value} in {key}, which {writer} appended; but {writer} aborted."
            )
        });
    }

    fn check_dirty(&mut self, read: u32, aborted: Option<u32>, append: u32) {
        let Some(aborted) = aborted.filter(|_| self.counts(append)) else { return };
        self.found(Kind::DirtyUpdate, self.txns.mops[read as usize].key, |all, cast| {
            let (one, two) = (cast.name(all.txn(aborted)), cast.name(all.txn(append)));
            let reader = cast.name(all.txn(read));
            let ((first, key), (second, _)) = (all.named(aborted), all.named(append));
            format!(
                "{two} committed {second} on top of {first}, which {one} had appended to {key} \
                 and then aborted, as {reader} read."
            )
        });
    }

    /// Intermediate reads: what others saw of `txn`'s key before its last append to it.
    fn check_read(&mut self, read: u32) {
        let mop = &self.txns.mops[read as usize];
        let (key, reader) = (mop.key, mop.txn);
        let Some((last, before)) = list(mop.value).split_last() else { return };
        // Mostly the version order has it.
        let known = if self.fits(read) { self.versions(key)[before.len()] } else { NONE };
        let known = Some(known).filter(|&append| append != NONE);
        let writer = || self.writer(key, last).filter(|&append| append != NONE);
        let Some(append) = known.or_else(writer) else { return };
        let writer = self.txn(append);
        if writer == reader {
            return;
        }
        let rest = append as usize + 1..self.txns.range(writer).end;
        let later = self.txns.mops[rest].iter().find(|later| later.write && later.key == key);
        let Some(later) = later.map(|later| shown(later.value)) else { return };
        self.found(Kind::G1b, key, |all, cast| {
            let (reader, writer) = (cast.name(reader), cast.name(writer));
            let (value, key) = all.named(append);
            format!(
                "{reader} read {key} up to {value}, a state from the middle of {writer}, which \
                 appended {later} after it."
            )
        });
    }

    /// A transaction's reads against its own earlier reads and appends.
    fn check_inside(&mut self, txn: TxnId) {
        let range = self.txns.range(txn);
        let steps = self.txns.steps(txn);
        for (at, mop) in steps.iter().enumerate() {
            let read = (range.start + at) as u32;
            let earlier = |from: usize| steps[from..at].iter().filter(|e| e.key == mop.key);
            if earlier(0).next().is_none() {
                continue;
            }
            if mop.write {
                self.check_future(txn, read);
                continue;
            }
            let base = steps[..at].iter().rposition(|e| !e.write && e.key == mop.key);
            let seen = list(mop.value);
            let own: Vec<&Value> = earlier(base.map_or(0, |b| b + 1)).map(|e| e.value).collect();
            let start = base
                .map_or(seen.len().saturating_sub(own.len()), |base| list(steps[base].value).len());
            let before = base.map(|base| list(steps[base].value));
            let right = seen.len() >= start
                && before.is_none_or(|before| seen.starts_with(before))
                && seen[start..].iter().eq(own.iter().copied());
            if !right {
                self.internal(txn, read);
            }
        }
    }

    fn internal(&mut self, txn: TxnId, read: u32) {
        let key = self.txns.mops[read as usize].key;
        self.found(Kind::Internal, key, |all, cast| {
            let name = cast.name(txn);
            let (seen, key) = all.named(read);
            format!("{name} read {key} as {seen}, against its own earlier steps.")
        });
    }

    /// Whether an earlier read of this transaction saw its append `append`.
    fn check_future(&mut self, txn: TxnId, append: u32) {
        let mop = &self.txns.mops[append as usize];
        let start = self.txns.range(txn).start;
        let earlier = &self.txns.mops[start..append as usize];
        let saw = |read: &&crate::isolation::txn::Mop<'_>| {
            !read.write && read.key == mop.key && list(read.value).contains(mop.value)
        };
        if !earlier.iter().any(|read| saw(&read)) {
            return;
        }
        self.found(Kind::FutureRead, mop.key, |all, cast| {
            let name = cast.name(txn);
            let (value, key) = all.named(append);
            format!("{name} read {value} in {key} before it appended it itself.")
        });
    }

    /// Two transactions that read one version and both appended to it.
    fn check_update(&mut self, txn: TxnId, updates: &mut FxHashMap<(u32, &'h [Value]), TxnId>) {
        let reads: Vec<u32> = self.external_reads(txn).collect();
        for read in reads {
            let key = self.txns.mops[read as usize].key;
            let rest = &self.txns.mops[read as usize..self.txns.range(txn).end];
            if !rest.iter().any(|mop| mop.write && mop.key == key) {
                continue;
            }
            // The last element names the version, where elements are unique.
            let list = self.read(read);
            let version = &list[list.len().saturating_sub(1)..];
            let first = *updates.entry((key, version)).or_insert(txn);
            if first != txn {
                self.found(Kind::LostUpdate, key, |all, cast| {
                    let (one, two) = (cast.name(first), cast.name(txn));
                    let (seen, key) = all.named(read);
                    format!(
                        "{one} and {two} both read {key} as {seen} and both appended to it; one \
                         did not see the other."
                    )
                });
            }
        }
    }
}
