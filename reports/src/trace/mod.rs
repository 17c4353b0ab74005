//! The whole history in a form that a page can carry: a million operations in a few megabytes.
//!
//! A **trace** is columns, not rows: what stands in a column is alike, so that its differences are
//! small (`columns`) and deflate finds the rest. Operations are cut into chunks, each compressed by
//! itself, so that a browser unpacks one after another and stays answerable in between. Strings
//! stand once, in dictionaries (`dictionary`), made harmless and short. Of more operations than a
//! page can bear only some are kept (`pick`), and every one that a checker spoke of is among them.
//!
//! `docs/reports.md` has the layout byte by byte; `html/script/decode.js` reads it.

mod columns;
mod dictionary;
mod head;
mod pick;

use crate::band::Band;
use crate::leaders::Reign;
use crate::results::Results;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use columns::Columns;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use head::Head;
use ordeal_history::{History, Operation};
use std::io::Write;

/// Operations in a chunk.
const CHUNK: usize = 1 << 16;
/// More operations than these are thinned.
pub(crate) const OPERATIONS_MAX: usize = 1_000_000;

/// A trace, ready to be written into a page.
pub(crate) struct Trace {
    /// Head and chunks, in order: deflated, then in base64.
    pub blocks: Vec<String>,
    /// How many operations are in it.
    pub kept: usize,
    /// How many the history has.
    pub total: usize,
}

/// Packs `history`. O(operations · log).
pub(crate) fn pack(
    results: &Results,
    history: &History,
    bands: &[Band],
    reigns: &[Reign],
) -> Trace {
    let marked = marked(results, history);
    let kept = pick::pick(history, &marked, OPERATIONS_MAX);
    let mut columns = Columns::default();
    let bodies: Vec<Vec<u8>> = kept
        .chunks(CHUNK)
        .map(|part| columns.chunk(part.iter().map(|&at| &history.operations[at as usize])))
        .collect();
    let head = Head::new(results, history, (bands, reigns), (&kept, &marked), columns);
    let head = serde_json::to_vec(&head).expect("strings and numbers are JSON");
    let blocks = std::iter::once(&head).chain(&bodies).map(|block| packed(block)).collect();
    Trace { blocks, kept: kept.len(), total: history.operations.len() }
}

/// Positions of the operations that some checker's counterexample speaks of, ascending; with each
/// whether the history became wrong there.
fn marked(results: &Results, history: &History) -> Vec<(u32, bool)> {
    let mut marked = Vec::new();
    for found in results.checkers.iter().filter_map(|c| c.counterexample.as_ref()) {
        let broken = found.broken_at_event;
        for &event in &found.events {
            let at = history.operations.binary_search_by_key(&event, |o| o.invoke);
            marked.extend(at.map(|at| (at as u32, false)));
        }
        let breaks = |o: &Operation| o.complete == broken || Some(o.invoke) == broken;
        let at = broken.and_then(|_| history.operations.iter().position(breaks));
        marked.extend(at.map(|at| (at as u32, true)));
    }
    marked.sort_unstable_by_key(|&(at, breaks)| (at, !breaks));
    marked.dedup_by_key(|&mut (at, _)| at);
    marked
}

fn packed(bytes: &[u8]) -> String {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(5));
    let deflated = encoder.write_all(bytes).and_then(|()| encoder.finish());
    STANDARD.encode(deflated.expect("memory can be written to"))
}
