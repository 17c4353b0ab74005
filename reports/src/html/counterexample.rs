//! The counterexample: the argument, the picture, each operation's story, and the table.

use crate::band::Band;
use crate::case::{Case, SHOWN_MAX, story};
use crate::results::{CheckerResult, CounterexampleResult, Results};
use crate::text::{NAME_MAX, SENTENCE_MAX, clean, counted, grouped, moment};
use crate::timeline;
use crate::value::{bare, ending, show};
use maud::{Markup, html};
use ordeal_history::{History, Value};

/// At most so many sentences of a checker's argument are shown.
const SENTENCES_MAX: usize = 60;

pub(super) fn sections(results: &Results, history: &History, bands: &[Band]) -> Markup {
    html! {
        @for checker in &results.checkers {
            @if let Some(found) = &checker.counterexample {
                (section(checker, found, history, bands))
            }
        }
    }
}

fn section(
    checker: &CheckerResult,
    found: &CounterexampleResult,
    history: &History,
    bands: &[Band],
) -> Markup {
    let case = Case::new(found, history);
    let key = case.key();
    html! {
        section.counterexample {
            h2 {
                "The counterexample"
                @if !key.is_empty() { ": " bdi { code { (key) } } }
            }
            p.lead {
                (introduction(checker, &case))
                @if !found.anomalies.is_empty() {
                    " Anomalies: "
                    b { (found.anomalies.iter().map(|a| clean(a, NAME_MAX)).collect::<Vec<_>>().join(", ")) }
                    "."
                }
            }
            @if !found.story.is_empty() {
                ol.argument {
                    @for sentence in found.story.iter().take(SENTENCES_MAX) {
                        li { bdi { (clean(sentence, SENTENCE_MAX)) } }
                    }
                }
            }
            @if !case.shown.is_empty() {
                figure {
                    div.scroll.picture tabindex="0" { (timeline::svg(&case, bands)) }
                    figcaption { (legend()) }
                }
                h3 { "Operation by operation" }
                ol.stories {
                    @for shown in &case.shown {
                        li value=(shown.number) .breaks[shown.breaks] {
                            bdi { (story(shown.operation, case.start_ns())) }
                            @if shown.breaks { strong { " Here the history became wrong." } }
                        }
                    }
                }
                (table(&case))
            }
            @if case.shown.len() < case.total {
                p.quiet {
                    "Shown: " (grouped(case.shown.len() as u64)) " of "
                    (grouped(case.total as u64)) " operations; all of them stand in "
                    code { "counterexample.jsonl" } "."
                }
            }
        }
    }
}

fn introduction(checker: &CheckerResult, case: &Case<'_>) -> String {
    let few = counted(case.total as u64, "operation", "operations");
    let name = clean(&checker.name, NAME_MAX);
    match case.total {
        0 => format!("What {name} found:"),
        n if n <= SHOWN_MAX && checker.operations > n as u64 => format!(
            "{few} of {} are enough to show it: no order of these explains every answer.",
            grouped(checker.operations)
        ),
        _ => format!("{few} show it: no order of these explains every answer."),
    }
}

fn legend() -> Markup {
    html! {
        "Time runs to the right; a bar lasts from the question to the answer. The order is exact, the "
        "distances are stretched to be read. A pointed, dashed end has no certain answer: it may have taken "
        "effect at any time since. A struck bar certainly did not. Thin lines lead from a write to "
        "the reads that saw its value."
    }
}

fn table(case: &Case<'_>) -> Markup {
    let number = |n: Option<i64>| n.map(|n| n.to_string()).unwrap_or_default();
    let value = |v: &Value| match v {
        Value::Null => String::new(),
        other => show(other, 40),
    };
    html! {
        details {
            summary { "The same as a table, with the events' places in the history" }
            div.scroll {
                table.events {
                    thead { tr {
                        @for name in [
                            "", "process", "operation", "key", "asked with", "answer", "outcome", "node",
                            "revision", "version", "asked at", "answered at", "events",
                        ] { th scope="col" { (name) } }
                    } }
                    tbody {
                        @for shown in &case.shown {
                            @let o = shown.operation;
                            tr.breaks[shown.breaks] {
                                th scope="row" { (shown.number) }
                                td { (o.process) }
                                td { bdi { (clean(&o.f, NAME_MAX)) } }
                                td { bdi { (o.key.as_ref().map(|key| bare(key, NAME_MAX)).unwrap_or_default()) } }
                                td { bdi { (value(&o.input)) } }
                                td { bdi { (value(&o.output)) } }
                                td { (ending(o.outcome)) }
                                td { bdi { (o.node.as_deref().map(|n| clean(n, NAME_MAX)).unwrap_or_default()) } }
                                td { (number(o.revision)) }
                                td { (number(o.version)) }
                                td { (moment(o.invoke_time)) }
                                td { (o.complete_time.map(moment).unwrap_or_default()) }
                                td { (o.invoke) @if let Some(end) = o.complete { ", " (end) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
