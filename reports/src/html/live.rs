//! A run that goes on, as it is served: rate, outcomes, faults, and the verdict so far.

use super::STYLE;
use super::context::policy;
use crate::text::{NAME_MAX, clean};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const SCRIPT: &str = include_str!("script/live.js");

/// The page of a run that goes on. It asks `address`, which is its own server's, every second for
/// what came of the run, and goes to the report when there is one.
pub fn live(name: &str, address: &str) -> String {
    let policy =
        policy(SCRIPT).replacen("default-src 'none'", "default-src 'none'; connect-src 'self'", 1);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="color-scheme" content="light dark";
                title { "under way: " (clean(name, NAME_MAX)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main #live data-address=(address) {
                    header.verdict.live {
                        p.sign aria-hidden="true" { "●" }
                        div {
                            h1 #live-verdict { "under way" }
                            p.sentence #live-sentence role="status" { "Waiting for events." }
                            p.subject { bdi { (clean(name, 200)) } }
                        }
                    }
                    (numbers())
                    section {
                        h2 { "Rate" }
                        div.picture { svg.live #live-plot width="100%" height="200" role="img"
                            aria-label="Operations a second, by outcome" {} }
                        p.quiet {
                            "Operations that ended in each second: ok below, failed above, "
                            "indeterminate on top; faults behind."
                        }
                    }
                    section { h2 { "Faults" } ol.stories #live-faults {} }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn numbers() -> Markup {
    html! {
        dl.expectation {
            @for (id, name) in [("ok", "ok"), ("fail", "failed"), ("info", "indeterminate"),
                ("rate", "a second"), ("landed", "faults landed"), ("time", "into the run")] {
                div { dt { (name) } dd id=(format!("live-{id}")) { "0" } }
            }
        }
    }
}
