//! One bucket's B+ tree: which pairs go to which page, and then the pages.

use std::borrow::Cow;
use std::ops::Range;

use super::page::{self, ELEMENT_BYTES, HEADER_BYTES, PAGE_BYTES};

/// Keys and values by their place in the order of the keys. Lengths are asked for first, the bytes
/// themselves only when they are written.
pub trait Pairs {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A key.
    fn key(&self, nth: usize) -> Cow<'_, [u8]>;

    /// The length of a value.
    fn value_len(&self, nth: usize) -> usize;

    /// Appends a value.
    fn put_value(&self, nth: usize, out: &mut Vec<u8>);
}

/// Few pairs, as they are.
#[derive(Debug, Default)]
pub struct Rows(Vec<(Vec<u8>, Vec<u8>)>);

impl Rows {
    /// Adds a pair behind the others.
    pub fn push(&mut self, key: &[u8], value: Vec<u8>) {
        self.0.push((key.to_vec(), value));
    }

    /// Brings pairs into order.
    pub fn sorted(mut pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        pairs.sort();
        Self(pairs)
    }
}

impl Pairs for Rows {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn key(&self, nth: usize) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0[nth].0)
    }

    fn value_len(&self, nth: usize) -> usize {
        self.0[nth].1.len()
    }

    fn put_value(&self, nth: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0[nth].1);
    }
}

/// A node: which pairs, or which nodes of the level below, are in it.
struct Node {
    children: Range<usize>,
    /// The place of the first pair under it.
    first: usize,
    page: u64,
    pages: u64,
}

/// Where everything of a bucket goes.
pub(super) struct Tree {
    /// The leaves, then one level of branches above another; the last has one node.
    levels: Vec<Vec<Node>>,
}

impl Tree {
    /// Lays out a tree from a page on, and moves that on behind it.
    pub fn plan(pairs: &dyn Pairs, next: &mut u64) -> Self {
        let size = |nth| pairs.key(nth).len() + pairs.value_len(nth);
        let mut levels = vec![level(pairs.len(), 1, size, |nth| nth, next)];
        while let Some(below) = levels.last().filter(|below| below.len() > 1) {
            let size = |nth: usize| pairs.key(below[nth].first).len();
            // Two children at least, or a level of long keys would be no shorter than the last.
            let above = level(below.len(), 2, size, |nth| below[nth].first, next);
            levels.push(above);
        }
        Self { levels }
    }

    /// The page of the root.
    pub fn root(&self) -> u64 {
        self.levels.last().map_or(0, |level| level[0].page)
    }

    /// Gives the pages in their order.
    pub fn write<E>(
        &self,
        pairs: &dyn Pairs,
        flags: u32,
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = Vec::new();
        for (height, level) in self.levels.iter().enumerate() {
            for node in level {
                bytes.clear();
                if let Some(below) = height.checked_sub(1).map(|below| &self.levels[below]) {
                    let below = below[node.children.clone()].iter();
                    let below = below.map(|node| (pairs.key(node.first).into_owned(), node.page));
                    page::branch(&mut bytes, node.page, &below.collect::<Vec<_>>());
                } else {
                    page::leaf(&mut bytes, node.page, flags, pairs, node.children.clone());
                }
                bytes.resize(node.pages as usize * PAGE_BYTES, 0);
                take(&bytes)?;
            }
        }
        Ok(())
    }
}

/// The bytes of a leaf with some of the pairs.
pub(super) fn leaf_bytes(pairs: &dyn Pairs, which: Range<usize>) -> usize {
    let sizes = which.map(|nth| ELEMENT_BYTES + pairs.key(nth).len() + pairs.value_len(nth));
    HEADER_BYTES + sizes.sum::<usize>()
}

/// Fills one node after another, each with as much as a page takes, and `least` in any case, so
/// that the last takes more where fewer would be left. An empty level is one empty node.
fn level(
    count: usize,
    least: usize,
    size: impl Fn(usize) -> usize,
    first: impl Fn(usize) -> usize,
    next: &mut u64,
) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut begin = 0;
    loop {
        let mut end = begin;
        let mut bytes = HEADER_BYTES;
        while end < count {
            let more = ELEMENT_BYTES + size(end);
            let is_full = end - begin >= least && bytes + more > PAGE_BYTES;
            if is_full && count - end >= least {
                break;
            }
            bytes += more;
            end += 1;
        }
        let pages = bytes.div_ceil(PAGE_BYTES) as u64;
        nodes.push(Node { children: begin..end, first: first(begin), page: *next, pages });
        *next += pages;
        begin = end;
        if begin >= count {
            return nodes;
        }
    }
}
