//! A sorted map in chunks that are shared until one side changes them.
//!
//! A clone costs one reference count a chunk, some 10,000 for a million keys, so a snapshot can be
//! written by another thread while the state machine goes on: the first change to a chunk after a
//! clone copies that chunk alone.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

/// Keys a chunk holds before it is split in two.
const CHUNK: usize = 128;

/// A map from keys to `V`, in the keys' byte order.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkedMap<V> {
    /// None is empty; they are in order, and so is each within.
    chunks: Vec<Arc<Vec<(Bytes, V)>>>,
    len: usize,
}

impl<V> Default for ChunkedMap<V> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<V: Clone> ChunkedMap<V> {
    /// The number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value at a key. Logarithmic.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let at = chunk.binary_search_by(|(k, _)| k[..].cmp(key)).ok()?;
        Some(&chunk[at].1)
    }

    /// The value at a key, to change; the chunk is copied first if it is shared.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let chunk = self.chunk_of(key);
        let chunk = self.chunks.get_mut(chunk)?;
        let at = chunk.binary_search_by(|(k, _)| k[..].cmp(key)).ok()?;
        Some(&mut Arc::make_mut(chunk)[at].1)
    }

    /// Puts a value at a key that has none yet, or replaces the one that it has.
    pub fn insert(&mut self, key: Bytes, value: V) {
        let nth = self.chunk_of(&key);
        let Some(chunk) = self.chunks.get_mut(nth) else {
            self.chunks.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return;
        };
        let chunk = Arc::make_mut(chunk);
        match chunk.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => chunk[at].1 = value,
            Err(at) => {
                chunk.insert(at, (key, value));
                self.len += 1;
                if chunk.len() > CHUNK {
                    // Keys often come in rising order: then the left part is never touched
                    // again, and is better left nearly full.
                    let cut = if at + 1 == chunk.len() { CHUNK * 7 / 8 } else { CHUNK / 2 };
                    let right = chunk.split_off(cut);
                    self.chunks.insert(nth + 1, Arc::new(right));
                }
            }
        }
    }

    /// Takes a key out, and gives its value.
    pub fn remove(&mut self, key: &[u8]) -> Option<V> {
        let nth = self.chunk_of(key);
        let chunk = self.chunks.get_mut(nth)?;
        let at = chunk.binary_search_by(|(k, _)| k[..].cmp(key)).ok()?;
        let (_, value) = Arc::make_mut(chunk).remove(at);
        if chunk.is_empty() {
            self.chunks.remove(nth);
        }
        self.len -= 1;
        Some(value)
    }

    /// Of the values that `concerns` is true for, keeps those for which `keep`, which may change
    /// the value, is true. Linear; but only chunks with such a value are copied if they are shared.
    pub fn retain(
        &mut self,
        concerns: impl Fn(&V) -> bool,
        mut keep: impl FnMut(&Bytes, &mut V) -> bool,
    ) {
        for chunk in &mut self.chunks {
            if chunk.iter().any(|(_, value)| concerns(value)) {
                Arc::make_mut(chunk)
                    .retain_mut(|(key, value)| !concerns(value) || keep(key, value));
            }
        }
        self.chunks.retain(|chunk| !chunk.is_empty());
        self.len = self.chunks.iter().map(|chunk| chunk.len()).sum();
    }

    /// The keys from `start` on that are before `end`, in order.
    pub fn range<'a>(
        &'a self,
        start: &[u8],
        end: Bound<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a Bytes, &'a V)> {
        let first = self.chunk_of(start);
        let skipped = self
            .chunks
            .get(first)
            .map_or(0, |chunk| chunk.partition_point(|(key, _)| &key[..] < start));
        self.chunks[first.min(self.chunks.len())..]
            .iter()
            .flat_map(|chunk| chunk.iter())
            .skip(skipped)
            .map(|(key, value)| (key, value))
            .take_while(move |(key, _)| match end {
                Bound::Included(end) => &key[..] <= end,
                Bound::Excluded(end) => &key[..] < end,
                Bound::Unbounded => true,
            })
    }

    /// Every key, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &V)> {
        self.range(&[], Bound::Unbounded)
    }

    /// The chunk in which a key is, or would be put.
    fn chunk_of(&self, key: &[u8]) -> usize {
        let after = self.chunks.partition_point(|chunk| &chunk[0].0[..] <= key);
        after.saturating_sub(1)
    }
}
