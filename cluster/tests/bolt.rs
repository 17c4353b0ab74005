//! The database that snapshots are saved as, read back by a reader that shares no code with the
//! writer: every page is of one node, keys are in order and found by way of the branches, and what
//! was put in comes out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

use ordeal_cluster::bolt::read::File;
use ordeal_cluster::bolt::{Bucket, Database, Rows};
use proptest::prelude::*;

const PAGE: usize = 4096;

type Table = BTreeMap<Vec<u8>, Vec<u8>>;

fn written(tables: &BTreeMap<&'static str, Table>) -> Vec<u8> {
    let buckets = tables.iter().map(|(name, table)| {
        let entries = table.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Bucket { name, pairs: Box::new(Rows::sorted(entries)) }
    });
    let database = Database::new(buckets.collect());
    let mut file = Vec::new();
    let Ok(()) = database.write(|bytes| {
        file.extend_from_slice(bytes);
        Ok::<_, Infallible>(())
    });
    assert_eq!(file.len() as u64, database.len_bytes(), "it is as long as it said");
    file
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes")).into()
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// An element of a leaf: whether it is a bucket, its key, its value.
type Element = (bool, Vec<u8>, Vec<u8>);

struct Reader<'a> {
    file: &'a [u8],
    /// By page, how many nodes claim it.
    claims: Vec<usize>,
}

impl Reader<'_> {
    /// The elements under a page, in their order.
    fn node(&mut self, page: u64) -> Vec<Element> {
        let at = page as usize * PAGE;
        assert_eq!(u64_at(self.file, at), page, "a page knows its number");
        let pages = u32_at(self.file, at + 12) + 1;
        for claim in &mut self.claims[page as usize..page as usize + pages] {
            *claim += 1;
        }
        let node = self.file[at..at + pages * PAGE].to_vec();
        if u16_at(&node, 8) == 2 {
            return leaf(&node);
        }
        assert_eq!(u16_at(&node, 8), 1, "page {page} is a branch");
        let mut all = Vec::new();
        for nth in 0..u16_at(&node, 10) {
            let element = 16 + 16 * nth;
            let key = element + u32_at(&node, element);
            let key = node[key..key + u32_at(&node, element + 4)].to_vec();
            let below = self.node(u64_at(&node, element + 8));
            assert_eq!(below[0].1, key, "a branch names the first key below");
            all.extend(below);
        }
        assert!(u16_at(&node, 10) > 1, "a branch has something to tell apart");
        all
    }
}

fn leaf(node: &[u8]) -> Vec<Element> {
    let elements = 0..u16_at(node, 10);
    let elements = elements.map(|nth| {
        let element = 16 + 16 * nth;
        let key = element + u32_at(node, element + 4);
        let value = key + u32_at(node, element + 8);
        let bytes = |which: Range<usize>| node[which].to_vec();
        let end = value + u32_at(node, element + 12);
        (u32_at(node, element) == 1, bytes(key..value), bytes(value..end))
    });
    elements.collect()
}

fn in_order(elements: Vec<Element>, are_buckets: bool) -> Table {
    assert!(elements.windows(2).all(|pair| pair[0].1 < pair[1].1), "keys are in order");
    assert!(elements.iter().all(|(is_bucket, ..)| *is_bucket == are_buckets));
    elements.into_iter().map(|(_, key, value)| (key, value)).collect()
}

fn read(file: &[u8]) -> BTreeMap<String, Table> {
    let pages = file.len() / PAGE;
    assert_eq!(file.len() % PAGE, 0, "whole pages");
    let mut transactions = Vec::new();
    for meta in 0..2 {
        let at = meta * PAGE;
        assert_eq!((u64_at(file, at), u16_at(file, at + 8)), (meta as u64, 4), "a meta page");
        assert_eq!(u32_at(file, at + 16), 0xed0c_daed);
        assert_eq!(u32_at(file, at + 24), PAGE);
        assert_eq!(u64_at(file, at + 56), pages as u64, "as many pages as it says");
        transactions.push(u64_at(file, at + 64));
    }
    assert!(transactions[0] > transactions[1], "the first counts");
    let mut reader = Reader { file, claims: vec![0; pages] };
    reader.claims[..2].fill(1);
    let names = in_order(reader.node(u64_at(file, 32)), true);
    let mut tables = BTreeMap::new();
    for (name, value) in names {
        let elements = match u64_at(&value, 0) {
            0 => leaf(&value[16..]),
            root => reader.node(root),
        };
        tables.insert(String::from_utf8(name).expect("text"), in_order(elements, false));
    }
    assert!(reader.claims.iter().all(|claims| *claims == 1), "each page is of one node");
    tables
}

fn check(tables: &BTreeMap<&'static str, Table>) {
    let expected: BTreeMap<String, Table> =
        tables.iter().map(|(name, table)| ((*name).to_owned(), table.clone())).collect();
    let file = written(tables);
    assert_eq!(read(&file), expected);
    let reader = File::open(&file).expect("a database");
    for (name, table) in tables {
        let pairs = reader.bucket(name).expect("a bucket");
        assert!(pairs.is_sorted(), "{name}");
        assert_eq!(Table::from_iter(pairs), *table, "{name}");
    }
    assert_eq!(reader.bucket("none"), Ok(Vec::new()));
}

#[test]
fn empty_buckets_and_no_buckets_are_databases_too() {
    check(&BTreeMap::new());
    check(&BTreeMap::from([("a", Table::new()), ("b", Table::new())]));
}

#[test]
fn a_tree_of_three_levels_is_whole() {
    let table: Table =
        (0..40_000_u64).map(|n| (n.to_be_bytes().to_vec(), n.to_le_bytes().to_vec())).collect();
    check(&BTreeMap::from([("a", table)]));
}

#[test]
fn keys_of_more_than_a_page_are_branched_to() {
    let table: Table = (0..9_u8).map(|n| (vec![n; 5_000], vec![n])).collect();
    check(&BTreeMap::from([("a", table)]));
}

fn tables() -> impl Strategy<Value = BTreeMap<&'static str, Table>> {
    let value = prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..40),
        2 => (any::<u8>(), 900_usize..20_000).prop_map(|(byte, len)| vec![byte; len]),
    ];
    let key = proptest::collection::vec(any::<u8>(), 1..60);
    let table = proptest::collection::btree_map(key, value, 0..300);
    let names = proptest::sample::select(vec!["alarm", "auth", "key", "lease", "meta"]);
    proptest::collection::btree_map(names, table, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(60)
    })]

    #[test]
    fn what_is_put_in_comes_out(tables in tables()) {
        check(&tables);
    }
}
