//! The hash of the store, by which members are compared: etcd's own, so that it can be compared
//! with theirs too.
//!
//! It is CRC-32C over the store's name and, in the order of revisions, every version as etcd keeps
//! it: the revision as bytes, then the encoded pair.

use prost::Message;
use rustc_hash::FxHashSet;

use super::{Mvcc, Version};
use crate::error::ApiError;

/// A hash and what it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvHash {
    /// The hash.
    pub hash: u32,
    /// The revision up to which versions count.
    pub revision: i64,
    /// The revision below which history is gone; -1 before the first compaction, as with etcd.
    pub compact_revision: i64,
}

impl Mvcc {
    /// Hashes every version up to a revision; 0 is the newest. Takes time and memory in proportion
    /// to the store.
    ///
    /// # Errors
    /// A revision outside what is kept.
    pub fn hash(&self, revision: i64) -> Result<KvHash, ApiError> {
        let revision = self.readable(revision, self.revision)?;
        let mut crc = Crc32c::new();
        crc.update(b"key");
        let mut encoded = Vec::new();
        let kept = self.visible_at(revision);
        let is_gone = |version: &Version| {
            version.main <= self.compacted
                && !kept.is_empty()
                && !kept.contains(&(version.main, version.sub))
        };
        for (key, version) in self.records(revision) {
            if is_gone(version) {
                continue;
            }
            crc.update(&version.record_key());
            encoded.clear();
            version.record(key).encode_raw(&mut encoded);
            crc.update(&encoded);
        }
        let compact_revision = if self.compacted == 0 { -1 } else { self.compacted };
        Ok(KvHash { hash: crc.finish(), revision, compact_revision })
    }

    /// The versions that a read at a revision sees. What has been compacted counts in the hash only
    /// if it is among them, whether or not it is gone yet: members compact at their own pace.
    fn visible_at(&self, revision: i64) -> FxHashSet<(i64, i64)> {
        if self.compacted <= 0 {
            return FxHashSet::default();
        }
        let seen = self.keys().filter_map(|(_, history)| Self::visible(history, revision));
        seen.map(|version| (version.main, version.sub)).collect()
    }
}

/// The Castagnoli polynomial, its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

struct Crc32c(u32);

impl Crc32c {
    fn new() -> Self {
        Self(!0)
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |crc, byte| {
            TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8)
        });
    }

    fn finish(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Crc32c;

    #[test]
    fn the_checksum_is_castagnolis() {
        let mut crc = Crc32c::new();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.finish(), 0xe306_9283);
    }
}
