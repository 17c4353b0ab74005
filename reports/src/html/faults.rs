//! The faults one by one: when, what, and what showed that they landed.

use super::over_time::swatch;
use crate::band::{Band, Phase, band_name, evidence, notes, text};
use crate::text::{clean, duration, grouped};
use maud::{Markup, html};
use ordeal_history::History;

/// At most so many faults are listed.
const ROWS_MAX: usize = 200;

pub(super) fn section(history: &History, bands: &[Band]) -> Markup {
    let refused: Vec<_> = notes(history).filter(|note| note.phase == Phase::Failed).collect();
    if bands.is_empty() && refused.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Faults" }
            div.scroll {
                table.events {
                    thead { tr {
                        th scope="col" {}
                        th scope="col" { "fault" }
                        th.right scope="col" { "from" }
                        th.right scope="col" { "for" }
                        th scope="col" { "landed" }
                        th scope="col" { "seen" }
                    } }
                    tbody {
                        @for band in bands.iter().take(ROWS_MAX) { (row(band)) }
                        @for note in refused.iter().take(ROWS_MAX) {
                            tr {
                                td { (swatch(note.kind)) }
                                td { bdi { (note.what()) } }
                                td.right { (duration(note.event.time)) }
                                td {}
                                td { "refused" }
                                td.wide { bdi { (error(text(&note.event.value, "error"))) } }
                            }
                        }
                    }
                }
            }
            @let beyond = |rows: usize| rows.saturating_sub(ROWS_MAX);
            @let more = beyond(bands.len()) + beyond(refused.len());
            @if more > 0 { p.quiet { "And " (grouped(more as u64)) " more." } }
        }
    }
}

fn row(band: &Band) -> Markup {
    let landed = match (band.landed, band.ended) {
        (true, _) => "yes",
        (false, true) => "no",
        (false, false) => "not known",
    };
    html! {
        tr {
            td { (swatch(&band.kind)) }
            td { bdi { (band_name(band, 120)) } }
            td.right { (duration(band.start_ns)) }
            td.right {
                (duration(band.end_ns.saturating_sub(band.start_ns)))
                @if !band.ended { ", to the end" }
            }
            td { (landed) }
            td.wide {
                bdi { (band.seen.as_ref().map(evidence).unwrap_or_default()) }
                @if band.error.is_some() { " " bdi { (error(band.error.as_deref())) } }
            }
        }
    }
}

fn error(text: Option<&str>) -> String {
    text.map(|text| format!("({})", clean(text, 240))).unwrap_or_default()
}
