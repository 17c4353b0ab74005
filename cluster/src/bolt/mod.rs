//! Databases in the format of bbolt, written in one go: what etcd keeps its data in, and what its
//! tools take for a snapshot.
//!
//! A file is pages of 4,096 bytes. The first two are *meta pages*, which say where the tree of
//! buckets has its root and how many pages there are; the newer of the two counts. A bucket is a B+
//! tree of *leaf pages* (keys and values) under *branch pages* (the first key of each page below);
//! a node that is larger than a page takes several in a row. A small bucket lies *inline*, in the
//! value under its name. No page here is free, and so there is no list of free pages; etcd writes
//! none either.
//!
//! All is laid out first, from sizes alone, since the first page tells the size of the whole; then
//! the bytes are given one node after another. [`read`] reads such a file as a whole. Nothing is
//! changed in place.

mod page;
pub mod read;
mod schema;
mod tree;

pub use schema::Backend;
pub use tree::{Pairs, Rows};

use page::{Meta, PAGE_BYTES};
use tree::Tree;

/// The first page after the meta pages.
const FIRST_PAGE: u64 = 2;

/// What a bucket may take to lie inline: a quarter of a page.
const INLINE_BYTES_MAX: usize = PAGE_BYTES / 4;

/// One bucket: a name, and what it holds.
pub struct Bucket<'a> {
    /// The name.
    pub name: &'static str,
    /// Keys and values, in the keys' order.
    pub pairs: Box<dyn Pairs + 'a>,
}

/// A database, laid out and ready to be written.
pub struct Database<'a> {
    /// Those of the buckets that have pages of their own.
    trees: Vec<(Box<dyn Pairs + 'a>, Tree)>,
    names: Rows,
    root: Tree,
    pages: u64,
}

impl<'a> Database<'a> {
    /// Lays out a database of these buckets, given in the order of their names.
    pub fn new(buckets: Vec<Bucket<'a>>) -> Self {
        let mut pages = FIRST_PAGE;
        let mut trees = Vec::new();
        let mut names = Rows::default();
        for Bucket { name, pairs } in buckets {
            let everything = 0..pairs.len();
            let value = if tree::leaf_bytes(&*pairs, everything.clone()) <= INLINE_BYTES_MAX {
                let mut value = page::bucket(0);
                page::leaf(&mut value, 0, 0, &*pairs, everything);
                value
            } else {
                let tree = Tree::plan(&*pairs, &mut pages);
                let value = page::bucket(tree.root());
                trees.push((pairs, tree));
                value
            };
            names.push(name.as_bytes(), value);
        }
        let root = Tree::plan(&names, &mut pages);
        Self { trees, names, root, pages }
    }

    /// The size of the file, in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.pages * PAGE_BYTES as u64
    }

    /// Gives the file's bytes, node after node, until some are not taken.
    ///
    /// # Errors
    /// That of the bytes that were not taken.
    pub fn write<E>(&self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        for page in 0..FIRST_PAGE {
            // The first is the newer one.
            let transaction = 1 - page;
            let meta = Meta { root: self.root.root(), pages: self.pages, transaction };
            take(&meta.page(page))?;
        }
        for (pairs, tree) in &self.trees {
            tree.write(&**pairs, 0, &mut take)?;
        }
        self.root.write(&self.names, page::IS_BUCKET, &mut take)
    }
}
