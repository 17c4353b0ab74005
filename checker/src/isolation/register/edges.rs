//! The dependencies that are known, and why each is there.

use super::{External, NONE, Register};
use crate::isolation::fan::Fan;
use crate::isolation::graph::{EdgeKind, Edges, Graph, INFERRED, REALTIME, RW, WR, WW};
use crate::isolation::story::{Cast, shown};
use crate::isolation::txn::TxnId;

impl Register<'_, '_> {
    /// The graph of all that is known. O(n log n), times the writers of one key at one moment.
    pub(in crate::isolation) fn graph(&self) -> Graph {
        let mut edges = Edges::new(self.txns.txns.len());
        let fans: Vec<Fan> = self
            .versions
            .iter()
            .map(|versions| Fan::new(&mut edges, versions.iter().map(|&(txn, _)| txn).collect()))
            .collect();
        let next = self.next_versions();
        for &(write, to) in &next {
            edges.add(self.txn(write), to, WW);
        }
        let by_end = self.by_end();
        for read in &self.reads {
            if read.write == NONE {
                fans[read.key as usize].enter(&mut edges, read.txn, RW);
                continue;
            }
            let writer = self.txn(read.write);
            if !self.included[writer as usize] {
                continue;
            }
            edges.add(writer, read.txn, WR);
            let first = next.partition_point(|&(write, _)| write < read.write);
            for &(_, after) in next[first..].iter().take_while(|(write, _)| *write == read.write) {
                edges.add(read.txn, after, RW);
            }
            for after in self.invoked_next(read.key, writer) {
                edges.add(read.txn, after, RW | REALTIME);
            }
            for before in self.ended_last(&by_end[read.key as usize], read, writer) {
                edges.add(before, writer, INFERRED | REALTIME);
            }
        }
        edges.add_process(self.txns, &self.included);
        edges.add_realtime(self.txns, &self.included);
        edges.build(self.txns.txns.len())
    }

    /// Writes, and transactions whose versions are known to come after theirs whatever the time;
    /// ascending.
    fn next_versions(&self) -> Vec<(u32, TxnId)> {
        let mut next = Vec::new();
        for read in self.reads.iter().filter(|read| read.write != NONE) {
            if self.last_write(read.txn, read.key).is_some() {
                next.push((read.write, read.txn));
            }
        }
        for versions in &self.versions {
            let mut dated: Vec<(i64, TxnId, u32)> = versions
                .iter()
                .filter_map(|&(txn, write)| {
                    Some((self.txns.txns[txn as usize].revision?, txn, write))
                })
                .collect();
            dated.sort_unstable();
            for pair in dated.windows(2).filter(|pair| pair[0].0 < pair[1].0) {
                next.push((pair[0].2, pair[1].1));
            }
        }
        next.sort_unstable();
        next
    }

    /// By key: its writers' completions, ascending.
    fn by_end(&self) -> Vec<Vec<(u64, TxnId)>> {
        let ends = |versions: &Vec<(TxnId, u32)>| {
            let mut ends: Vec<(u64, TxnId)> = versions
                .iter()
                .map(|&(txn, _)| (self.txns.txns[txn as usize].complete, txn))
                .collect();
            ends.sort_unstable();
            ends
        };
        self.versions.iter().map(ends).collect()
    }

    /// The writers of `key` invoked after `writer` had completed, but for those that came after
    /// another of them had completed too.
    fn invoked_next(&self, key: u32, writer: TxnId) -> impl Iterator<Item = TxnId> + '_ {
        let versions = &self.versions[key as usize];
        let end = self.txns.txns[writer as usize].complete;
        let invoke = |txn: TxnId| self.txns.txns[txn as usize].invoke;
        let first = versions.partition_point(|&(txn, _)| invoke(txn) < end);
        let mut earliest_end = u64::MAX;
        versions[first..].iter().map(|&(txn, _)| txn).take_while(move |&txn| {
            let concurrent = invoke(txn) < earliest_end;
            earliest_end = earliest_end.min(self.txns.txns[txn as usize].complete);
            concurrent
        })
    }

    /// The writers that had completed before `read` was invoked, but for those that had completed
    /// before another of them was invoked; of those, the ones concurrent with the one that was
    /// read, for of the others real time says enough.
    fn ended_last<'s>(
        &'s self,
        by_end: &'s [(u64, TxnId)],
        read: &External,
        writer: TxnId,
    ) -> impl Iterator<Item = TxnId> + 's {
        let invoke = self.txns.txns[read.txn as usize].invoke;
        let count = by_end.partition_point(|&(end, _)| end < invoke);
        let mut latest_invoke = 0;
        by_end[..count]
            .iter()
            .rev()
            .take_while(move |&&(end, txn)| {
                let concurrent = end > latest_invoke;
                latest_invoke = latest_invoke.max(self.txns.txns[txn as usize].invoke);
                concurrent
            })
            .map(|&(_, txn)| txn)
            .filter(move |&txn| {
                let (one, two) = (&self.txns.txns[txn as usize], &self.txns.txns[writer as usize]);
                txn != writer && one.complete > two.invoke && two.complete > one.invoke
            })
    }

    /// Why there is an edge, in a sentence.
    pub(in crate::isolation) fn explain(
        &self,
        cast: &mut Cast<'_, '_>,
        from: TxnId,
        to: TxnId,
        kind: EdgeKind,
    ) -> Option<String> {
        match kind {
            WR => self.reads_of(to).iter().find_map(|read| {
                let write = Some(read.write).filter(|&w| w != NONE && self.txn(w) == from)?;
                let (key, value) = self.named(write);
                let (writer, reader) = (cast.name(from), cast.name(to));
                Some(format!("{reader} read {key} as {value}, which {writer} wrote"))
            }),
            _ if kind & RW != 0 => self.explain_rw(cast, from, to, kind),
            _ if kind & (WW | INFERRED) != 0 => self.explain_ww(cast, from, to, kind),
            _ => None,
        }
    }

    fn explain_rw(
        &self,
        cast: &mut Cast<'_, '_>,
        from: TxnId,
        to: TxnId,
        kind: EdgeKind,
    ) -> Option<String> {
        self.reads_of(from).iter().find_map(|read| {
            let (key, later) = self.named(self.last_write(to, read.key)?);
            let (reader, next) = (cast.name(from), cast.name(to));
            if read.write == NONE {
                return Some(format!(
                    "{reader} read {key} as nothing, so {next} wrote {later} after"
                ));
            }
            let (_, seen) = self.named(read.write);
            let writer = self.txn(read.write);
            let first = cast.name(writer);
            let why = if kind & REALTIME != 0 {
                let end = self.txns.txns[writer as usize].complete;
                if end >= self.txns.txns[to as usize].invoke {
                    return None;
                }
                format!("{first} had completed before {next} was invoked")
            } else {
                self.order_known(cast, read.write, to)?
            };
            Some(format!(
                "{reader} read {key} as {seen}, which {first} wrote, and {next} overwrote it by \
                 {later}: {why}"
            ))
        })
    }

    fn explain_ww(
        &self,
        cast: &mut Cast<'_, '_>,
        from: TxnId,
        to: TxnId,
        kind: EdgeKind,
    ) -> Option<String> {
        let mut writes = self.txns.range(from).filter(|&id| self.txns.mops[id].write);
        writes.find_map(|id| {
            let key = self.txns.mops[id].key;
            let first = self.last_write(from, key)?;
            let second = self.last_write(to, key)?;
            let ((shown_key, early), (_, late)) = (self.named(first), self.named(second));
            let why = if kind & INFERRED != 0 {
                let invoke = |txn: TxnId| self.txns.txns[txn as usize].invoke;
                let end = self.txns.txns[from as usize].complete;
                let shows = |read: &&External| {
                    read.write != NONE
                        && self.txn(read.write) == to
                        && read.key == key
                        && invoke(read.txn) > end
                };
                let reader = self.reads.iter().find(shows)?.txn;
                let (before, reader) = (cast.name(from), cast.name(reader));
                format!("{reader} was invoked after {before} had completed, and read {late}")
            } else {
                self.order_known(cast, first, to)?
            };
            let (before, after) = (cast.name(from), cast.name(to));
            Some(format!("{after} wrote {late} to {shown_key} after {before} wrote {early}: {why}"))
        })
    }

    /// Why `to`'s version comes after that of `write`, whatever the time.
    fn order_known(&self, cast: &mut Cast<'_, '_>, write: u32, to: TxnId) -> Option<String> {
        let key = self.txns.mops[write as usize].key;
        let read = self.reads_of(to).iter().find(|read| read.key == key && read.write == write);
        let next = cast.name(to);
        if read.is_some() {
            return Some(format!("{next} itself read that before it wrote"));
        }
        let revision = |txn: TxnId| self.txns.txns[txn as usize].revision;
        let (early, late) = (revision(self.txn(write))?, revision(to)?);
        (early < late).then(|| format!("their revisions are {early} and {late}"))
    }

    /// A write's key and value, for a sentence.
    pub(super) fn named(&self, write: u32) -> (String, String) {
        let mop = &self.txns.mops[write as usize];
        (shown(self.txns.keys[mop.key as usize]), shown(mop.value))
    }
}
