//! The bytes of one file: sparse, in chunks that two copies share until one of them is written.
//!
//! A file's live and durable contents differ in a few chunks only, so an fsync costs as much as
//! what was written since the last one, and memory holds each byte once.

use super::{CHUNK_BYTES, SECTOR_BYTES};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

pub(super) type Chunk = [u8; CHUNK_BYTES];

/// Stands for space that is reserved and has not been written: it takes no memory of its own.
static ZEROS: LazyLock<Arc<Chunk>> = LazyLock::new(|| Arc::new([0; CHUNK_BYTES]));

const CHUNK: u64 = CHUNK_BYTES as u64;

/// What a file holds. Chunks that are missing read as zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    size: u64,
    chunks: BTreeMap<u64, Arc<Chunk>>,
}

impl Content {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How many chunks take up space.
    pub(super) fn chunks(&self) -> u64 {
        self.chunks.len() as u64
    }

    /// How many chunks of this range do not take up space yet.
    pub(super) fn missing(&self, offset: u64, len: u64) -> u64 {
        if len == 0 {
            return 0;
        }
        let (first, last) = (offset / CHUNK, (offset + len - 1) / CHUNK);
        last - first + 1 - self.chunks.range(first..=last).count() as u64
    }

    /// Up to `len` bytes from `offset`; fewer at the end of the file.
    pub(super) fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let left = self.size.saturating_sub(offset);
        let len = left.min(len as u64) as usize;
        let mut bytes = vec![0; len];
        if len == 0 {
            return bytes;
        }
        let (first, last) = (offset / CHUNK, (offset + len as u64 - 1) / CHUNK);
        for (&index, chunk) in self.chunks.range(first..=last) {
            let start = index * CHUNK;
            let from = offset.max(start);
            let to = (offset + len as u64).min(start + CHUNK);
            bytes[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&chunk[(from - start) as usize..(to - start) as usize]);
        }
        bytes
    }

    /// Writes `data` at `offset`, and grows the file where that reaches past its end.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let within = (at % CHUNK) as usize;
            let len = rest.len().min(CHUNK_BYTES - within);
            let chunk = self.chunks.entry(at / CHUNK).or_insert_with(|| ZEROS.clone());
            Arc::make_mut(chunk)[within..within + len].copy_from_slice(&rest[..len]);
            at += len as u64;
            rest = &rest[len..];
        }
        self.size = self.size.max(at);
    }

    /// Cuts the file, or lets it grow by a hole.
    pub(super) fn set_size(&mut self, size: u64) {
        if size < self.size {
            self.chunks.split_off(&size.div_ceil(CHUNK));
            let within = (size % CHUNK) as usize;
            if within > 0
                && let Some(chunk) = self.chunks.get_mut(&(size / CHUNK))
            {
                Arc::make_mut(chunk)[within..].fill(0);
            }
        }
        self.size = size;
    }

    /// Takes up the space of this range without changing what reads there.
    pub(super) fn reserve(&mut self, offset: u64, len: u64) {
        if len > 0 {
            for index in offset / CHUNK..=(offset + len - 1) / CHUNK {
                self.chunks.entry(index).or_insert_with(|| ZEROS.clone());
            }
        }
    }

    /// Makes this range read as zeros; whole chunks of it give their space back.
    pub(super) fn punch(&mut self, offset: u64, len: u64) {
        let end = offset.saturating_add(len).min(self.size);
        if offset >= end {
            return;
        }
        let touched: Vec<u64> = self
            .chunks
            .range(offset / CHUNK..=(end - 1) / CHUNK)
            .map(|(&index, _)| index)
            .collect();
        for index in touched {
            let start = index * CHUNK;
            let (from, to) = (offset.max(start), end.min(start + CHUNK));
            if to - from == CHUNK {
                self.chunks.remove(&index);
            } else if let Some(chunk) = self.chunks.get_mut(&index) {
                Arc::make_mut(chunk)[(from - start) as usize..(to - start) as usize].fill(0);
            }
        }
    }

    /// Takes over the whole chunk `index` of `other`. The size stays.
    pub(super) fn share(&mut self, index: u64, other: &Content) {
        match other.chunks.get(&index) {
            Some(chunk) => self.chunks.insert(index, chunk.clone()),
            None => self.chunks.remove(&index),
        };
    }

    /// Takes over one sector of `other`. The size stays.
    pub(super) fn copy_sector(&mut self, sector: u64, other: &Content) {
        let (index, within) = place(sector);
        let bytes: [u8; SECTOR_BYTES] = match other.chunks.get(&index) {
            Some(chunk) => std::array::from_fn(|i| chunk[within + i]),
            None => [0; SECTOR_BYTES],
        };
        let chunk = self.chunks.entry(index).or_insert_with(|| ZEROS.clone());
        Arc::make_mut(chunk)[within..within + SECTOR_BYTES].copy_from_slice(&bytes);
    }

    /// One past the last byte that is not zero; 0 for a file of nothing but zeros. A log that
    /// reserves its space ahead ends here, long before its size.
    pub(super) fn data_end(&self) -> u64 {
        self.chunks
            .iter()
            .rev()
            .find_map(|(index, chunk)| {
                let last = chunk.iter().rposition(|&byte| byte != 0)?;
                Some((index * CHUNK + last as u64 + 1).min(self.size))
            })
            .unwrap_or(0)
    }

    /// What is not a hole, with its offset; never past the file's end.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.chunks.iter().map(|(&index, chunk)| {
            let start = index * CHUNK;
            (start, &chunk[..self.size.saturating_sub(start).min(CHUNK) as usize])
        })
    }

    /// The sectors that hold anything but zeros, in order.
    pub(super) fn data_sectors(&self) -> impl Iterator<Item = u64> {
        let per_chunk = (CHUNK_BYTES / SECTOR_BYTES) as u64;
        self.chunks.iter().flat_map(move |(&index, chunk)| {
            chunk
                .chunks_exact(SECTOR_BYTES)
                .zip(index * per_chunk..)
                .filter(|(bytes, _)| bytes.iter().any(|&byte| byte != 0))
                .map(|(_, sector)| sector)
        })
    }
}

/// The chunk that a sector is in, and the byte in it where the sector starts.
pub(super) fn place(sector: u64) -> (u64, usize) {
    let byte = sector * SECTOR_BYTES as u64;
    (byte / CHUNK, (byte % CHUNK) as usize)
}

#[cfg(test)]
mod tests {
    use super::Content;

    #[test]
    fn a_hole_reads_as_zeros_and_takes_no_space() {
        let mut content = Content::default();
        content.write(1 << 40, b"far");
        assert_eq!((content.size(), content.chunks()), ((1 << 40) + 3, 1));
        assert_eq!(content.read(0, 4), [0; 4]);
        assert_eq!(content.read(1 << 40, 10), b"far");
    }

    #[test]
    fn what_a_cut_took_does_not_come_back_when_the_file_grows() {
        let mut content = Content::default();
        content.write(0, &[7; 6000]);
        content.set_size(5000);
        content.set_size(6000);
        assert_eq!(content.read(4999, 2), [7, 0]);
        assert_eq!(content.data_end(), 5000);
    }

    #[test]
    fn copies_share_until_one_is_written() {
        let mut one = Content::default();
        one.write(0, &[1; 8192]);
        let two = one.clone();
        one.write(4096, b"x");
        assert_eq!((one.read(4096, 1), two.read(4096, 1)), (b"x".to_vec(), vec![1]));
    }

    #[test]
    fn reserving_counts_as_space_and_punching_gives_it_back() {
        let mut content = Content::default();
        content.reserve(0, 10_000);
        assert_eq!((content.chunks(), content.size(), content.missing(0, 20_000)), (3, 0, 2));
        content.write(0, &[9; 10_000]);
        content.punch(100, 8092);
        assert_eq!((content.read(99, 2), content.read(8191, 2)), (vec![9, 0], vec![0, 9]));
        assert_eq!(content.chunks(), 2);
    }
}
