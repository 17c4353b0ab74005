//! Reads what etcd's tools and [`super::Database`] write: the buckets of a file, pair by pair.
//!
//! What is not as it must be is an error, not a panic: a snapshot may be cut off or damaged.

use super::FIRST_PAGE;
use super::page::{BRANCH, ELEMENT_BYTES, HEADER_BYTES, IS_BUCKET, LEAF, MAGIC, VERSION, fnv_1a};

/// Branches lie on branches at most so deep; etcd's largest files have four.
const DEPTH_MAX: usize = 32;
/// Where a meta page's checksum is, told from the end of the page's header; it is of what precedes.
const CHECKSUM_AT: usize = 56;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// A database that lies in memory.
pub struct File<'a> {
    bytes: &'a [u8],
    page_bytes: usize,
    root: u64,
}

impl<'a> File<'a> {
    /// Looks at the two meta pages: of those that are whole the newer one counts.
    ///
    /// # Errors
    /// Neither is whole: this is no such database, or it is damaged.
    pub fn open(bytes: &'a [u8]) -> Result<Self, String> {
        // The second lies behind the first, whose size only it tells; etcd's pages have 4 KiB as a
        // rule, and the system's elsewhere.
        let sizes = [4096, 8192, 16_384, 65_536];
        let second = sizes.into_iter().filter_map(|size| meta(bytes, size, size));
        let metas = meta(bytes, 0, 0).into_iter().chain(second);
        let (_, root, page_bytes) = metas
            .max_by_key(|(transaction, ..)| *transaction)
            .ok_or("it is no database of etcd's: neither of its first two pages is whole")?;
        Ok(Self { bytes, page_bytes, root })
    }

    /// The pairs of the bucket of this name, in the keys' order; none when there is no such bucket.
    ///
    /// # Errors
    /// A page that is not what it must be, with its number.
    pub fn bucket(&self, name: &str) -> Result<Vec<Pair>, String> {
        let mut found = None;
        self.walk(self.root, 0, &mut |is_bucket, key, value| {
            if is_bucket && key == name.as_bytes() {
                found = Some(value.to_vec());
            }
        })?;
        let Some(value) = found else { return Ok(Vec::new()) };
        let mut pairs = Vec::new();
        let mut take = |_, key: &[u8], value: &[u8]| pairs.push((key.to_vec(), value.to_vec()));
        match u64_at(&value, 0).ok_or_else(|| format!("the bucket {name} is cut off"))? {
            // It lies in the value, behind its header.
            0 => leaf(value.get(16..).unwrap_or_default(), &mut take)
                .ok_or_else(|| format!("the bucket {name} is damaged"))?,
            root => self.walk(root, 0, &mut take)?,
        }
        Ok(pairs)
    }

    /// Gives the elements under a page in order.
    fn walk(
        &self,
        page: u64,
        depth: usize,
        take: &mut impl FnMut(bool, &[u8], &[u8]),
    ) -> Result<(), String> {
        let damaged = || format!("page {page} is damaged");
        let node = self.node(page).filter(|_| depth < DEPTH_MAX).ok_or_else(damaged)?;
        match u16_at(node, 8) {
            Some(LEAF) => leaf(node, take).ok_or_else(damaged),
            Some(BRANCH) => {
                for nth in 0..u16_at(node, 10).ok_or_else(damaged)?.into() {
                    let element = HEADER_BYTES + nth * ELEMENT_BYTES;
                    let below = u64_at(node, element + 8).ok_or_else(damaged)?;
                    self.walk(below, depth + 1, take)?;
                }
                Ok(())
            }
            _ => Err(damaged()),
        }
    }

    /// The bytes of the page and of those that belong to it, when it knows its own number.
    fn node(&self, page: u64) -> Option<&'a [u8]> {
        let begin = usize::try_from(page).ok()?.checked_mul(self.page_bytes)?;
        let head = self.bytes.get(begin..)?;
        let pages = usize::try_from(u32_at(head, 12)?).ok()? + 1;
        let known = page >= FIRST_PAGE && u64_at(head, 0)? == page;
        head.get(..pages.checked_mul(self.page_bytes)?).filter(|_| known)
    }
}

/// The transaction, the root and the page size of a whole meta page there, of a file whose pages
/// are of `size` bytes; 0 is any.
fn meta(bytes: &[u8], at: usize, size: usize) -> Option<(u64, u64, usize)> {
    let meta = bytes.get(at + HEADER_BYTES..)?;
    let page_bytes = usize::try_from(u32_at(meta, 8)?).ok()?;
    let whole = u32_at(meta, 0)? == MAGIC
        && u32_at(meta, 4)? == VERSION
        && u64_at(meta, CHECKSUM_AT)? == fnv_1a(&meta[..CHECKSUM_AT])
        && page_bytes >= HEADER_BYTES
        && (size == 0 || page_bytes == size);
    whole.then_some((u64_at(meta, 48)?, u64_at(meta, 16)?, page_bytes))
}

/// Gives the elements of a leaf; `None` when they are not all in it.
fn leaf(node: &[u8], take: &mut impl FnMut(bool, &[u8], &[u8])) -> Option<()> {
    for nth in 0..u16_at(node, 10)?.into() {
        let element: usize = HEADER_BYTES + nth * ELEMENT_BYTES;
        let number = |at: usize| usize::try_from(u32_at(node, element + at)?).ok();
        // The place is told from the element on.
        let key = element.checked_add(number(4)?)?;
        let value = key.checked_add(number(8)?)?;
        let end = value.checked_add(number(12)?)?;
        let is_bucket = u32_at(node, element)? & IS_BUCKET != 0;
        take(is_bucket, node.get(key..value)?, node.get(value..end)?);
    }
    Some(())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
