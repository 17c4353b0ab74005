//! The bytes of pages. Numbers are little-endian, as on every machine that etcd is made for.

use std::ops::Range;

use super::tree::Pairs;

/// The size of a page.
pub(super) const PAGE_BYTES: usize = 4096;

/// Number, kind, count of elements and count of further pages that a node takes.
pub(super) const HEADER_BYTES: usize = 16;

/// What an element takes besides its key and value.
pub(super) const ELEMENT_BYTES: usize = 16;

/// Marks a leaf's element as a bucket.
pub(super) const IS_BUCKET: u32 = 1;

pub(super) const BRANCH: u16 = 1;
pub(super) const LEAF: u16 = 2;
const META: u16 = 4;

pub(super) const MAGIC: u32 = 0xed0c_daed;
pub(super) const VERSION: u32 = 2;

/// In place of the page of the list of free pages, where there is none.
const NO_FREELIST: u64 = u64::MAX;

/// What a meta page says.
pub(super) struct Meta {
    /// The page of the root of the buckets' tree.
    pub root: u64,
    /// How many pages the file has.
    pub pages: u64,
    /// The transaction that wrote it: of two meta pages the higher one counts.
    pub transaction: u64,
}

impl Meta {
    /// The whole page, the first or the second.
    pub fn page(&self, nth: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(PAGE_BYTES);
        header(&mut out, nth, META, 0, 0);
        let begin = out.len();
        for number in [MAGIC, VERSION, PAGE_BYTES as u32, 0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&bucket(self.root));
        for number in [NO_FREELIST, self.pages, self.transaction] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let sum = fnv_1a(&out[begin..]);
        out.extend_from_slice(&sum.to_le_bytes());
        out.resize(PAGE_BYTES, 0);
        out
    }
}

/// What a bucket's value begins with: the page of its root, 0 if it follows here, and a counter
/// that etcd makes no use of.
pub(super) fn bucket(root: u64) -> Vec<u8> {
    [root.to_le_bytes(), [0; 8]].concat()
}

/// A leaf with some of the pairs, without the zeros up to a whole page.
pub(super) fn leaf(
    out: &mut Vec<u8>,
    page: u64,
    flags: u32,
    pairs: &dyn Pairs,
    which: Range<usize>,
) {
    let begin = out.len();
    let overflow = overflow(super::tree::leaf_bytes(pairs, which.clone()));
    header(out, page, LEAF, which.len(), overflow);
    let mut data = HEADER_BYTES + which.len() * ELEMENT_BYTES;
    for (element, nth) in which.clone().enumerate() {
        let (key, value) = (pairs.key(nth).len(), pairs.value_len(nth));
        // The place is told from the element on.
        let place = data - (HEADER_BYTES + element * ELEMENT_BYTES);
        for number in [flags, place as u32, key as u32, value as u32] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        data += key + value;
    }
    for nth in which {
        out.extend_from_slice(&pairs.key(nth));
        pairs.put_value(nth, out);
    }
    debug_assert_eq!(out.len() - begin, data, "the pairs are as long as they said");
}

/// A branch to pages, each with its first key, without the zeros up to a whole page.
pub(super) fn branch(out: &mut Vec<u8>, page: u64, below: &[(Vec<u8>, u64)]) {
    let mut data = HEADER_BYTES + below.len() * ELEMENT_BYTES;
    let whole = data + below.iter().map(|(key, _)| key.len()).sum::<usize>();
    header(out, page, BRANCH, below.len(), overflow(whole));
    for (element, (key, child)) in below.iter().enumerate() {
        let place = data - (HEADER_BYTES + element * ELEMENT_BYTES);
        for number in [place as u32, key.len() as u32] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&child.to_le_bytes());
        data += key.len();
    }
    for (key, _) in below {
        out.extend_from_slice(key);
    }
}

/// How many pages a node of so many bytes takes besides its first.
fn overflow(bytes: usize) -> usize {
    bytes.div_ceil(PAGE_BYTES).max(1) - 1
}

fn header(out: &mut Vec<u8>, page: u64, kind: u16, count: usize, overflow: usize) {
    out.extend_from_slice(&page.to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&(count as u16).to_le_bytes());
    out.extend_from_slice(&(overflow as u32).to_le_bytes());
}

/// The checksum of meta pages: Fowler, Noll and Vo's, in 64 bits.
pub(super) fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
