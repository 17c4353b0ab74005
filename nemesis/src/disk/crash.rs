//! Power loss: what of the pending changes reached stable storage, and what never happened.

use super::file::{Moment, Settled};
use super::image::Image;
use super::tree::{Ino, Tree};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which of the pending changes survive a power loss. What was fsynced survives each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Survivors {
    /// Nothing pending survives.
    Nothing,
    /// The disk wrote in order and was cut off: everything up to a random moment survives, so the
    /// last write may be torn between two of its sectors.
    Prefix,
    /// The disk wrote in an order of its own: each pending sector survives with a chance of one
    /// half, and of the changes to names a random prefix (a journal is written in order).
    Scattered,
}

/// What a power loss took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Bytes written and not fsynced that are gone; whole sectors, up to the file's end.
    pub bytes_lost: u64,
    /// Bytes written and not fsynced that survived.
    pub bytes_kept: u64,
    /// Sectors that are gone.
    pub sectors_lost: u64,
    /// Creations, renames, removals and changes of rights that are gone.
    pub changes_lost: u64,
    /// Those of them that survived without an fsync.
    pub changes_kept: u64,
    /// Requests under way, each answered with EIO.
    pub requests_failed: u64,
    /// The files that lost bytes, with how many.
    pub files: BTreeMap<String, u64>,
}

impl Image {
    /// Goes back to the durable image and what `survivors` adds to it. Every number but the
    /// root's is new afterwards: what the kernel still caches leads nowhere.
    pub(super) fn lose_power(&mut self, survivors: Survivors, rng: &mut ChaCha8Rng) -> Loss {
        let mut loss = Loss::default();
        let cut = self.cut(survivors, rng);
        self.settle_names(survivors, cut, rng, &mut loss);
        let paths: BTreeMap<Ino, String> = self
            .inodes
            .keys()
            .map(|&ino| (ino, self.live.path(ino).to_string_lossy().into_owned()))
            .collect();
        for (ino, inode) in &mut self.inodes {
            let settled = inode.file.lose(|moment| match survivors {
                Survivors::Nothing => false,
                Survivors::Prefix => moment <= cut,
                Survivors::Scattered => rng.random(),
            });
            loss.add(&paths[ino], settled);
        }
        self.start_over(self.durable.clone());
        loss
    }

    /// The last moment that survives when the disk wrote in order.
    fn cut(&self, survivors: Survivors, rng: &mut ChaCha8Rng) -> Moment {
        if survivors != Survivors::Prefix {
            return 0;
        }
        let mut moments: Vec<Moment> =
            self.inodes.values().flat_map(|inode| inode.file.moments()).collect();
        moments.extend(self.journal.iter().map(|(moment, _)| *moment));
        moments.push(0);
        moments.sort_unstable();
        moments.choose(rng).copied().unwrap_or(0)
    }

    fn settle_names(
        &mut self,
        survivors: Survivors,
        cut: Moment,
        rng: &mut ChaCha8Rng,
        loss: &mut Loss,
    ) {
        let journal = std::mem::take(&mut self.journal);
        let kept = match survivors {
            Survivors::Nothing => 0,
            Survivors::Prefix => journal.partition_point(|(moment, _)| *moment <= cut),
            Survivors::Scattered => rng.random_range(0..=journal.len()),
        };
        for (_, change) in &journal[..kept] {
            let replayed = self.durable.apply(change);
            debug_assert_eq!(replayed, Ok(()), "what the live tree took, the durable one takes");
        }
        self.durable.drop_nameless();
        loss.changes_kept = kept as u64;
        loss.changes_lost = (journal.len() - kept) as u64;
    }

    /// Takes `tree` for both trees, under new numbers.
    fn start_over(&mut self, mut tree: Tree) {
        let mut old = std::mem::take(&mut self.inodes);
        let mut moved = Vec::new();
        let next = &mut self.next;
        tree.renumber(|ino| {
            moved.push((ino, *next));
            *next += 1;
            *next - 1
        });
        moved.push((super::tree::ROOT, super::tree::ROOT));
        for (before, after) in moved {
            let inode = old.remove(&before).map(|inode| inode.unreferenced());
            self.inodes.insert(after, inode.unwrap_or_else(|| self.blank()));
        }
        self.used_chunks = self.inodes.values().map(|inode| inode.file.live().chunks()).sum();
        self.live = tree.clone();
        self.durable = tree;
    }
}

impl Loss {
    fn add(&mut self, path: &str, settled: Settled) {
        self.bytes_lost += settled.bytes_lost;
        self.bytes_kept += settled.bytes_kept;
        self.sectors_lost += settled.sectors_lost;
        if settled.bytes_lost > 0 {
            *self.files.entry(path.to_owned()).or_default() += settled.bytes_lost;
        }
    }
}
