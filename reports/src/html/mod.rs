//! The report's page: one file, nothing fetched.
//!
//! In the order in which a woken person needs it: the verdict, what each checker said, how to do it
//! again, what was tested and that something happened at all; then the counterexample; then the
//! whole history and the run over time. Everything wide scrolls in a box of its own, so a narrow
//! window stays whole. All but the whole history is there without a script too, and the one script
//! that may run is named in the content security policy by its hash.

mod campaigns;
mod context;
mod counterexample;
mod curves;
mod cycle;
mod facts;
mod faults;
mod index;
mod live;
mod logs;
mod over_time;
mod pictures;
mod trends;

pub use campaigns::CampaignSummary;
pub use index::{RunSummary, Serving, encoded, index};
pub use live::live;
pub(crate) use pictures::alone;
pub use pictures::{Picture, pictures};

use crate::band::{Band, bands};
use crate::logs::NodeLog;
use crate::results::{CheckerResult, Results, Ruling};
use crate::scene::Scene;
use crate::spacetime::{self, Spacetime};
use crate::text::{NAME_MAX, SENTENCE_MAX, clean, counted, duration};
use crate::trace;
use crate::verdict::{bug_warning, sentence, stopped, subject};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ordeal_history::History;

/// Dark colours come after the light ones, which they replace.
const STYLE: &str = concat!(
    include_str!("colours.css"),
    include_str!("dark.css"),
    include_str!("style.css"),
    include_str!("picture.css"),
);

/// The part of the style that pictures need, in light colours.
const STYLE_OF_PICTURES: &str = concat!(include_str!("colours.css"), include_str!("picture.css"));

/// The report of a run as one self-contained HTML file, with what the nodes wrote into their
/// `logs` around the violation. O(operations · log).
pub fn html(results: &Results, history: &History, logs: &[NodeLog]) -> String {
    html_with_spacetime(results, history, logs, None)
}

/// The same with the spacetime diagram of a run that is small enough for one.
pub fn html_with_spacetime(
    results: &Results,
    history: &History,
    logs: &[NodeLog],
    story: Option<&Spacetime>,
) -> String {
    let bands = bands(history);
    let scene = Scene::new(results, history, &bands, logs);
    let trace = trace::pack(results, history, &bands, &scene.reigns);
    let title = format!("{}: {}", results.verdict, subject(results));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(context::report_policy());
                meta name="color-scheme" content="light dark";
                meta name="generator" content="Ordeal";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (patterns())
                main {
                    (first_screen(results))
                    (facts::section(results, &scene))
                    (counterexample::sections(results, history, &bands))
                    @if let Some(story) = story {
                        (in_space_and_time(story, results, history, &bands))
                    }
                    (logs::section(results, history, &scene))
                    (context::section(&trace))
                    (over_time::sections(history, &scene))
                    (faults::section(history, &bands))
                }
                (footer(results))
                (context::data(&trace))
            }
        }
    };
    page.into_string()
}

/// The section with the diagram.
fn in_space_and_time(
    story: &Spacetime,
    results: &Results,
    history: &History,
    bands: &[Band],
) -> Markup {
    html! {
        section #spacetime aria-label="Space and time" {
            h2 { "Space and time" }
            figure {
                div.scroll.picture tabindex="0" {
                    (spacetime::svg(story, results, history, bands))
                }
                figcaption {
                    "Time runs down. A line is a message from node to node, one that ends in ✗ "
                    "halfway never arrives. A dot is what a node did: an fsync, or in words what "
                    "changed its role. The bars are the clients' operations, full for ok, hollow "
                    "for failed, dashed for indeterminate, those of the counterexample with a "
                    "thick border. "
                    (spacetime::left_out(story, results, history))
                }
            }
        }
    }
}

/// The class and the sign of a verdict; the sign says it to those who do not see the colour.
fn ruling(ruling: Ruling) -> (&'static str, &'static str) {
    match ruling {
        Ruling::Valid => ("valid", "✓"),
        Ruling::Invalid => ("invalid", "✗"),
        Ruling::Unknown => ("unknown", "?"),
    }
}

fn first_screen(results: &Results) -> Markup {
    let (class, sign) = ruling(results.verdict);
    html! {
        header.verdict.(class) {
            p.sign aria-hidden="true" { (sign) }
            div {
                h1 { (results.verdict.word()) }
                p.sentence { (sentence(results)) }
                p.subject { (subject(results)) }
                @if results.interrupted {
                    p.interrupted {
                        "The run was interrupted: "
                        "this is a verdict on what was recorded until then."
                    }
                }
                @if let Some(stopped) = stopped(results) {
                    p.interrupted { (stopped) }
                }
            }
        }
        @if let Some(warning) = bug_warning(results) {
            aside.bug {
                p.large { (warning) }
                p {
                    "The cluster was broken on purpose. "
                    "This verdict says whether the test finds it."
                }
            }
        }
        section.checkers aria-label="Checkers" {
            @for checker in results.checkers.iter().filter(|it| !passed(it)) {
                (checker_line(checker))
            }
            @if results.checkers.iter().any(passed) {
                ul.passed {
                    @for checker in results.checkers.iter().filter(|it| passed(it)) {
                        (passed_line(checker))
                    }
                }
            }
        }
        @if !results.command.is_empty() {
            section.again {
                h2 { "Do it again" }
                pre.command tabindex="0" { code { (clean(&results.command, 4_000)) } }
                button.copy type="button" hidden { "Copy" }
            }
        }
    }
}

fn passed(checker: &CheckerResult) -> bool {
    checker.verdict == Ruling::Valid
}

/// A checker that found nothing, in one line: what did not pass is to be seen first.
fn passed_line(checker: &CheckerResult) -> Markup {
    let (class, sign) = ruling(checker.verdict);
    html! {
        li.(class) {
            span.sign aria-hidden="true" { (sign) }
            b { bdi { (clean(&checker.name, NAME_MAX)) } }
            span.word { (checker.verdict.word()) }
            span.reason { bdi { (clean(&checker.reason, SENTENCE_MAX)) } }
            span.small { (cost(checker)) }
        }
    }
}

/// What the verdict took: `2,873 operations · 196 ms · by blocks`.
fn cost(checker: &CheckerResult) -> String {
    let mut small = Vec::new();
    if checker.operations > 0 {
        small.push(counted(checker.operations, "operation", "operations"));
    }
    small.push(duration(checker.ms.max(1).saturating_mul(1_000_000)));
    if checker.ms == 0 {
        small.pop();
        small.push("under 1 ms".to_owned());
    }
    if !checker.algorithm.is_empty() {
        small.push(format!("by {}", clean(&checker.algorithm, NAME_MAX)));
    }
    if checker.configurations > 0 {
        small.push(counted(checker.configurations, "configuration", "configurations"));
    }
    small.join(" · ")
}

fn checker_line(checker: &CheckerResult) -> Markup {
    let (class, sign) = ruling(checker.verdict);
    html! {
        div.checker.(class) {
            span.sign aria-hidden="true" { (sign) }
            div {
                p.name {
                    b { bdi { (clean(&checker.name, NAME_MAX)) } } " "
                    span.word { (checker.verdict.word()) }
                }
                p.reason { bdi { (clean(&checker.reason, SENTENCE_MAX)) } }
                p.small { (cost(checker)) }
            }
        }
    }
}

/// The fills of the faults' bands: a colour and a pattern for each kind.
fn patterns() -> Markup {
    html! {
        svg.defs aria-hidden="true" width="0" height="0" {
            defs {
                pattern #band-kill width="8" height="8" patternUnits="userSpaceOnUse" {
                    rect.fill-kill width="8" height="8" {}
                    path.line-kill d="M -2 10 L 10 -2 M -2 2 L 2 -2 M 6 10 L 10 6" {}
                }
                pattern #band-pause width="8" height="8" patternUnits="userSpaceOnUse" {
                    rect.fill-pause width="8" height="8" {}
                    circle.dot-pause cx="2" cy="2" r="1.1" {}
                    circle.dot-pause cx="6" cy="6" r="1.1" {}
                }
                pattern #band-partition width="8" height="8" patternUnits="userSpaceOnUse" {
                    rect.fill-partition width="8" height="8" {}
                    path.line-partition d="M -2 -2 L 10 10 M 6 -2 L 10 2 M -2 6 L 2 10" {}
                }
                pattern #band-fault width="8" height="8" patternUnits="userSpaceOnUse" {
                    rect.fill-fault width="8" height="8" {}
                    path.line-fault d="M 4 0 V 8" {}
                }
                pattern #band-link width="8" height="8" patternUnits="userSpaceOnUse" {
                    rect.fill-link width="8" height="8" {}
                    path.line-link d="M 0 4 H 8" {}
                }
            }
        }
    }
}

fn footer(results: &Results) -> Markup {
    html! {
        footer {
            p {
                "Written by Ordeal " (clean(&results.tested.ordeal, NAME_MAX))
                @if !results.started_at.is_empty() {
                    " for the run of " (clean(&results.started_at, NAME_MAX))
                }
                ". The same facts for programs stand in " code { "results.json" }
                ", every event in " code { "history.jsonl" } "."
            }
        }
    }
}
