//! What a person and a CI job read of a run: HTML, text, JUnit, Markdown, and `results.json`.
//!
//! Everything here is a pure function of [`Results`] and the history: no file is read or written,
//! no clock is asked, and the same input gives the same bytes. Whoever judges a run makes a
//! [`Results`] with [`Results::judge`] and hands it to [`html`], [`terminal`], [`junit`] and
//! [`markdown`]; the report of a stored run is made again from its `results.json` and history.
//!
//! Whatever came from the store under test (keys, values, names, errors) is hostile until shown
//! otherwise: it is escaped where it is written and made harmless and short before (`text`).
//!
//! Deliberately absent: scripts and anything fetched. The page is complete without either, and its
//! content security policy forbids both.

mod band;
mod case;
mod clocks;
mod html;
mod judge;
mod junit;
mod layout;
mod markdown;
mod plots;
mod results;
mod samples;
mod terminal;
mod text;
mod timeline;
mod value;
mod verdict;

pub use band::{Band, Note, Phase, bands, notes};
pub use html::{RunSummary, html, index};
pub use judge::{Circumstances, Judged, count_faults, count_operations, coverage};
pub use junit::junit;
pub use markdown::markdown;
pub use results::{
    CheckerResult, CounterexampleResult, FORMAT, FaultCounts, Outcomes, Results, Ruling, Tested,
};
pub use terminal::{counterexample, terminal};
