//! The whole history, to look around in: the frame that the script fills, and the data for it.

use crate::text::grouped;
use crate::trace::Trace;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

/// The only script of a page. It takes text from the trace and from the page, and makes text of it.
const SCRIPT: &str = concat!(
    "\"use strict\";\n",
    include_str!("script/decode.js"),
    include_str!("script/model.js"),
    include_str!("script/search.js"),
    include_str!("script/canvas.js"),
    include_str!("script/main.js"),
);

/// Nothing may be fetched, and nothing may run but this very script, whatever stands in the page.
pub(super) fn policy(script: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(script));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; \
         base-uri 'none'; form-action 'none'"
    )
}

pub(super) fn report_policy() -> String {
    policy(SCRIPT)
}

/// What a search may look like.
const EXAMPLES: &str = "428  key:k7  process:9  rev:871  outcome:info  node:n2";

pub(super) fn section(trace: &Trace) -> Markup {
    if trace.total == 0 {
        return html! {};
    }
    html! {
        section #context hidden {
            h2 { "The whole history" }
            div.tools {
                label { "rows " select #history-by {
                    option value="process" { "by client" }
                    option value="key" { "by key" }
                    option value="node" { "by node" }
                } }
                button #history-all type="button" { "whole run" }
                button #history-in type="button" aria-label="zoom in" { "+" }
                button #history-out type="button" aria-label="zoom out" { "−" }
                button #history-previous type="button" { "◂ anomaly " kbd { "p" } }
                button #history-next type="button" { "anomaly ▸ " kbd { "n" } }
                label.find { "find " input #history-search type="search" spellcheck="false"
                    autocomplete="off"
                    placeholder=(EXAMPLES); kbd { "/" } }
            }
            p.quiet #history-said role="status" {}
            div.picture.canvas {
                canvas #history-canvas tabindex="0" role="img"
                    aria-label="Every operation of the run over time" {}
            }
            p.quiet.beside { span #history-window {} " " span #history-hover {} }
            dl.facts #history-operation aria-live="polite" {}
            ol.found #history-found {}
            p.quiet {
                "Drag to move; the wheel zooms once the picture is clicked, or with Ctrl; arrows, "
                kbd { "+" } " " kbd { "−" } " and " kbd { "0" } " do the same. Click an operation "
                "to read it: the address then leads to it. Solid is ok, dotted with ✗ failed, "
                "dashed with an arrow indeterminate; from afar failed ones are low, indeterminate "
                "ones tall; a triangle marks what a checker spoke of, a filled one where the "
                "history became wrong."
            }
            @if trace.kept < trace.total {
                p.quiet {
                    "This page holds " (grouped(trace.kept as u64)) " of "
                    (grouped(trace.total as u64)) " operations: every one that a checker spoke "
                    "of, the slowest, what did not succeed, and of the rest as many as it can bear."
                }
            }
        }
    }
}

/// The data, and the script that reads it; they come last, so that what is above is seen before.
pub(super) fn data(trace: &Trace) -> Markup {
    html! {
        @if trace.total > 0 {
            @for block in &trace.blocks {
                script.trace type="application/octet-stream" { (PreEscaped(block)) }
            }
        }
        script { (PreEscaped(SCRIPT)) }
    }
}
