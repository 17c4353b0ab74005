//! What a trace tells before its operations: names, faults, leaders, anomalies.

use super::CHUNK;
use super::columns::Columns;
use super::dictionary::Dictionary;
use crate::band::{Band, band_class, band_name, end_of};
use crate::leaders::Reign;
use crate::results::Results;
use crate::text::{NAME_MAX, clean};
use ordeal_history::History;
use serde::Serialize;

/// The version of the layout.
const VERSION: u32 = 1;
/// Faults and leaders beyond these are left out.
const BANDS_MAX: usize = 5_000;

#[derive(Serialize)]
pub(super) struct Head {
    version: u32,
    /// Operations in the trace, in the history, and in each chunk but the last.
    count: usize,
    total: usize,
    chunk: usize,
    end_us: u64,
    /// Clients at once: processes that are alike modulo this are one client's, one after another.
    slots: u64,
    fs: Dictionary,
    keys: Dictionary,
    nodes: Dictionary,
    texts: Dictionary,
    /// Places in the trace that a checker spoke of, and whether the history became wrong there.
    anomalies: Vec<(usize, bool)>,
    bands: Vec<HeadBand>,
    reigns: Vec<HeadReign>,
}

#[derive(Serialize)]
struct HeadBand {
    from_us: u64,
    to_us: u64,
    class: &'static str,
    name: String,
}

#[derive(Serialize)]
struct HeadReign {
    from_us: u64,
    to_us: u64,
    node: String,
    term: u64,
}

impl Head {
    pub(super) fn new(
        results: &Results,
        history: &History,
        (bands, reigns): (&[Band], &[Reign]),
        (kept, marked): (&[u32], &[(u32, bool)]),
        columns: Columns,
    ) -> Head {
        let place = |&(at, breaks): &(u32, bool)| Some((kept.binary_search(&at).ok()?, breaks));
        let end_ns = end_of(history).max(results.duration_ms.saturating_mul(1_000_000));
        Head {
            version: VERSION,
            count: kept.len(),
            total: history.operations.len(),
            chunk: CHUNK,
            end_us: (end_ns / 1_000).clamp(1, 1 << 50),
            slots: results.tested.concurrency.min(1 << 20),
            fs: columns.fs,
            keys: columns.keys,
            nodes: columns.nodes,
            texts: columns.texts,
            anomalies: marked.iter().filter_map(place).collect(),
            bands: bands.iter().take(BANDS_MAX).map(HeadBand::new).collect(),
            reigns: reigns.iter().take(BANDS_MAX).map(HeadReign::new).collect(),
        }
    }
}

impl HeadBand {
    fn new(band: &Band) -> HeadBand {
        HeadBand {
            from_us: band.start_ns / 1_000,
            to_us: band.end_ns / 1_000,
            class: band_class(&band.kind),
            name: band_name(band, 60),
        }
    }
}

impl HeadReign {
    fn new(reign: &Reign) -> HeadReign {
        HeadReign {
            from_us: reign.start_ns / 1_000,
            to_us: reign.end_ns / 1_000,
            node: clean(&reign.node, NAME_MAX),
            term: reign.term,
        }
    }
}
