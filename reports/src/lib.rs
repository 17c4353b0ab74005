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
//! Deliberately absent: anything fetched, and any script but the page's own, which its content
//! security policy names by its hash. Verdict and counterexample are complete without it.

mod band;
mod campaign;
mod case;
mod clocks;
mod cycle;
mod expectation;
mod html;
mod judge;
mod junit;
mod layout;
mod leaders;
mod logs;
mod markdown;
mod meters;
mod plots;
mod results;
mod samples;
mod scene;
mod spacetime;
mod terminal;
mod text;
mod timeline;
mod told;
mod trace;
mod value;
mod verdict;
mod windows;

pub use band::{Band, Note, Phase, bands, note, notes};
pub use campaign::{CampaignTest, Standing, campaign_junit, campaign_markdown, campaign_record};
pub use html::{
    CampaignSummary, Picture, RunSummary, Serving, encoded, html, html_with_spacetime, index, live,
    pictures,
};
pub use judge::{Circumstances, Judged, count_faults, count_operations, coverage};
pub use junit::junit;
pub use logs::NodeLog;
pub use markdown::markdown;
pub use results::{
    CheckerResult, CounterexampleResult, Difference, FORMAT, FaultCounts, Latency, Outcomes,
    Results, Ruling, Tested,
};
pub use spacetime::{Moment, Sent, Spacetime, spacetime_svg};
pub use terminal::{counterexample, terminal};
