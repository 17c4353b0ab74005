//! Corruption in place: what stands on stable storage is not what was written there.
//!
//! Only files that no process holds open are touched: a process that is running has read them
//! already, and would write over the damage or mask it. Corrupt a node that is down.

use super::content::Content;
use super::image::Image;
use super::rules::Files;
use super::tree::Ino;
use super::{DiskError, SECTOR_BYTES};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A way for stored bytes to go bad. The file is drawn from those chosen that hold any data.
///
/// The tail is that of the data, not of the file: a log that reserves its space ahead has
/// megabytes of zeros after its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corruption {
    /// One bit is turned, in a sector that holds data.
    FlipBit,
    /// The file ends up to this many bytes before its data did.
    TruncateTail {
        /// Bytes; at least one is cut.
        bytes_max: u64,
    },
    /// Up to this many bytes at the end of the data are zeros.
    ZeroTail {
        /// Bytes; at least one is zeroed.
        bytes_max: u64,
    },
    /// The file is as it was when `Disk::remember` was called last.
    OldCopy,
}

/// What a corruption did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The file.
    pub path: String,
    /// The first byte that is different.
    pub offset: u64,
    /// How many bytes of data are different or gone; 0 when only the size changed.
    pub bytes: u64,
}

impl Image {
    /// Keeps the durable bytes of these files for [`Corruption::OldCopy`]; how many there are.
    pub(super) fn remember(&mut self, files: &Files) -> usize {
        let chosen = self.chosen(files);
        for (path, ino) in &chosen {
            if let Some(inode) = self.inodes.get(ino) {
                self.remembered.insert(path.clone(), inode.file.durable().clone());
            }
        }
        chosen.len()
    }

    /// Damages one of these files, drawn from `rng`.
    pub(super) fn corrupt(
        &mut self,
        corruption: Corruption,
        files: &Files,
        rng: &mut ChaCha8Rng,
    ) -> Result<Damage, DiskError> {
        let nothing = || DiskError::NothingToCorrupt { files: files.clone() };
        let mut chosen = self.chosen(files);
        if let Some(path) = self.in_use(files) {
            return Err(DiskError::InUse { path });
        }
        chosen.retain(|(path, ino)| self.can_be_damaged(corruption, path, *ino));
        let (path, ino) = chosen.choose(rng).cloned().ok_or_else(nothing)?;
        let before = self.inodes.get(&ino).ok_or_else(nothing)?.file.live().clone();
        let after = match corruption {
            Corruption::FlipBit => flip(&before, rng),
            Corruption::TruncateTail { bytes_max } => {
                let mut content = before.clone();
                content.set_size(tail(&before, bytes_max, rng));
                content
            }
            Corruption::ZeroTail { bytes_max } => {
                let mut content = before.clone();
                content.punch(tail(&before, bytes_max, rng), before.size());
                content
            }
            Corruption::OldCopy => self.remembered.get(&path).cloned().ok_or_else(nothing)?,
        };
        let (offset, bytes) = difference(&before, &after).ok_or_else(nothing)?;
        self.replace(ino, after).map_err(|_| nothing())?;
        Ok(Damage { path, offset, bytes })
    }

    /// One of these files that is open, if any is.
    pub(super) fn in_use(&self, files: &Files) -> Option<String> {
        self.chosen(files).into_iter().find(|(_, ino)| self.is_open(*ino)).map(|(path, _)| path)
    }

    fn chosen(&self, files: &Files) -> Vec<(String, Ino)> {
        self.files()
            .into_iter()
            .map(|(path, ino)| (path.to_string_lossy().into_owned(), ino))
            .filter(|(path, _)| files.contain(path))
            .collect()
    }

    fn can_be_damaged(&self, corruption: Corruption, path: &str, ino: Ino) -> bool {
        let Some(inode) = self.inodes.get(&ino) else {
            return false;
        };
        let content = inode.file.live();
        match corruption {
            Corruption::OldCopy => {
                self.remembered.get(path).is_some_and(|old| difference(content, old).is_some())
            }
            _ => content.data_end() > 0,
        }
    }
}

fn flip(before: &Content, rng: &mut ChaCha8Rng) -> Content {
    let sectors: Vec<u64> = before.data_sectors().collect();
    let start = sectors.choose(rng).map_or(0, |sector| sector * SECTOR_BYTES as u64);
    let mut bytes = before.read(start, SECTOR_BYTES);
    let at = rng.random_range(0..bytes.len().max(1));
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << rng.random_range(0..8);
    }
    let mut after = before.clone();
    after.write(start, &bytes);
    after
}

/// Where a tail of up to `bytes_max` bytes of data begins.
fn tail(content: &Content, bytes_max: u64, rng: &mut ChaCha8Rng) -> u64 {
    let end = content.data_end();
    end - rng.random_range(1..=bytes_max.clamp(1, end.max(1))).min(end)
}

/// The first byte that differs, and how many do. What only one of them has is different.
fn difference(one: &Content, other: &Content) -> Option<(u64, u64)> {
    const STEP: usize = 1 << 16;
    let end = one.data_end().max(other.data_end());
    let shared = one.size().min(other.size());
    let (mut first, mut bytes) = (None, 0);
    let mut at = 0;
    while at < end.min(shared) {
        let (a, b) = (one.read(at, STEP), other.read(at, STEP));
        for (place, _) in (at..shared).zip(a.iter().zip(&b)).filter(|(_, (x, y))| x != y) {
            first = first.or(Some(place));
            bytes += 1;
        }
        at += STEP as u64;
    }
    if one.size() != other.size() {
        first = first.or(Some(shared));
        bytes += end.saturating_sub(shared);
    }
    first.map(|first| (first, bytes))
}
