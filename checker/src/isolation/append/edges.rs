//! The dependencies that version orders imply, and why each is there.

use super::{Append, NONE, list};
use crate::isolation::fan::Fan;
use crate::isolation::graph::{EdgeKind, Edges, RW, WR, WW};
use crate::isolation::story::{Cast, shown};
use crate::isolation::txn::TxnId;
use ordeal_history::Value;

impl Append<'_, '_> {
    /// Adds all dependencies between transactions that happened. O(elements read + appends).
    pub(in crate::isolation) fn add_edges(&self, edges: &mut Edges) {
        let unread = self.unread();
        let tails: Vec<Fan> =
            unread.into_iter().map(|appenders| Fan::new(edges, appenders)).collect();
        for key in 0..self.txns.keys.len() as u32 {
            let mut last = NONE;
            for &append in self.versions(key).iter().filter(|&&append| self.counts(append)) {
                let txn = self.txn(append);
                if last != NONE {
                    edges.add(last, txn, WW);
                }
                last = txn;
            }
            if last != NONE {
                tails[key as usize].enter(edges, last, WW);
            }
        }
        for txn in (0..self.txns.txns.len() as TxnId).filter(|&txn| self.included[txn as usize]) {
            for read in self.external_reads(txn) {
                let key = self.txns.mops[read as usize].key;
                if let Some(writer) = self.last_writer(read) {
                    edges.add(self.txn(writer), txn, WR);
                }
                if !self.fits(read) {
                    continue;
                }
                match self.next_writer(read) {
                    Some(next) => edges.add(txn, self.txn(next), RW),
                    None => tails[key as usize].enter(edges, txn, RW),
                }
            }
        }
    }

    /// By key: the transactions whose appends to it happened and are in no read, ascending.
    fn unread(&self) -> Vec<Vec<TxnId>> {
        let mut unread: Vec<Vec<TxnId>> = vec![Vec::new(); self.txns.keys.len()];
        for (id, mop) in (0..).zip(&self.txns.mops).filter(|(_, mop)| mop.write) {
            // Where reads branch, one that is not in the longest may stand anywhere.
            let key = mop.key as usize;
            let after_all = self.place[id as usize] == NONE && !self.branched[key];
            let known = self.writer(mop.key, mop.value) == Some(id);
            if after_all && known && self.counts(id) && unread[key].last() != Some(&mop.txn) {
                unread[key].push(mop.txn);
            }
        }
        unread
    }

    /// The append that made the version that was read; the last one known, if that one is not.
    fn last_writer(&self, read: u32) -> Option<u32> {
        let mop = &self.txns.mops[read as usize];
        if self.fits(read) {
            let seen = &self.versions(mop.key)[..list(mop.value).len()];
            return seen.iter().rev().copied().find(|&append| self.counts(append));
        }
        let known = |element| self.writer(mop.key, element).filter(|&append| self.counts(append));
        self.read(read).iter().rev().find_map(known)
    }

    /// The first append known to have come after the version that was read.
    fn next_writer(&self, read: u32) -> Option<u32> {
        let mop = &self.txns.mops[read as usize];
        let after = &self.versions(mop.key)[list(mop.value).len()..];
        after.iter().copied().find(|&append| self.counts(append))
    }

    /// Why there is an edge, in a sentence; the transactions whose reads show it are named.
    pub(in crate::isolation) fn explain(
        &self,
        cast: &mut Cast<'_, '_>,
        from: TxnId,
        to: TxnId,
        kind: EdgeKind,
    ) -> Option<String> {
        match kind {
            WW => self.explain_ww(cast, from, to),
            WR => self.external_reads(to).find_map(|read| {
                let writer = self.last_writer(read).filter(|&append| self.txn(append) == from)?;
                let (value, key) = self.named(writer);
                let (writer, reader) = (cast.name(from), cast.name(to));
                Some(format!("{reader} read {value}, which {writer} had appended to {key}"))
            }),
            RW => self.external_reads(from).find_map(|read| {
                let next = self.following(read, to)?;
                let (value, key) = self.named(next);
                let (reader, writer) = (cast.name(from), cast.name(to));
                let shows = self.shown_by(cast, next);
                Some(format!(
                    "{writer} appended {value} to {key} after {reader} had read {key} without \
                     it{shows}"
                ))
            }),
            _ => None,
        }
    }

    fn explain_ww(&self, cast: &mut Cast<'_, '_>, from: TxnId, to: TxnId) -> Option<String> {
        let appends = self.txns.range(from).filter(|&id| self.txns.mops[id].write);
        for append in appends.map(|id| id as u32).filter(|&id| self.place[id as usize] != NONE) {
            let key = self.txns.mops[append as usize].key;
            let place = self.place[append as usize] as usize;
            let after = &self.versions(key)[place + 1..];
            let next = after.iter().copied().find(|&next| self.counts(next));
            let next = match next {
                Some(next) => Some(next).filter(|&next| self.txn(next) == to),
                None => self.unread_append(to, key),
            };
            if let Some(next) = next {
                let ((first, key), (second, _)) = (self.named(append), self.named(next));
                let (before, after) = (cast.name(from), cast.name(to));
                let shows = self.shown_by(cast, next);
                return Some(format!(
                    "{after} appended {second} to {key} after {before} had appended {first}{shows}"
                ));
            }
        }
        None
    }

    /// `to`'s append that came next after the version that was read.
    fn following(&self, read: u32, to: TxnId) -> Option<u32> {
        if !self.fits(read) {
            return None;
        }
        match self.next_writer(read) {
            Some(next) => Some(next).filter(|&next| self.txn(next) == to),
            None => self.unread_append(to, self.txns.mops[read as usize].key),
        }
    }

    /// An append of `txn` to `key` that is in no read.
    fn unread_append(&self, txn: TxnId, key: u32) -> Option<u32> {
        let unread = |&id: &usize| {
            let mop = &self.txns.mops[id];
            mop.write && mop.key == key && self.place[id] == NONE && !self.branched[key as usize]
        };
        self.txns.range(txn).find(unread).map(|id| id as u32)
    }

    /// By whose read the place of `append` is known, as the end of a sentence.
    fn shown_by(&self, cast: &mut Cast<'_, '_>, append: u32) -> String {
        let longest = self.longest[self.txns.mops[append as usize].key as usize];
        if longest == NONE {
            return " (nobody ever read the key)".to_owned();
        }
        let reader = cast.name(self.txn(longest));
        if self.place[append as usize] == NONE {
            return format!(" ({reader}'s, the longest read, does not have it either)");
        }
        let value = shown(self.txns.mops[longest as usize].value);
        format!(" ({reader} read the order: {value})")
    }

    /// An append's element and key, for a sentence.
    pub(super) fn named(&self, append: u32) -> (String, String) {
        let mop = &self.txns.mops[append as usize];
        let key: &Value = self.txns.keys[mop.key as usize];
        (shown(mop.value), shown(key))
    }
}
