//! The counterexample: the argument, the picture, each operation's story, and the table.

use crate::band::Band;
use crate::case::{Case, SHOWN_MAX, story};
use crate::results::{CheckerResult, CounterexampleResult, Results};
use crate::text::{NAME_MAX, SENTENCE_MAX, clean, counted, grouped, moment};
use crate::timeline;
use crate::value::{bare, ending, show};
use maud::{Markup, html};
use ordeal_history::{History, Operation, Value};

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
    let anomalies: Vec<String> = found.anomalies.iter().map(|a| clean(a, NAME_MAX)).collect();
    html! {
        section.counterexample {
            h2 {
                "The counterexample"
                @if !key.is_empty() { ": " bdi { code { (key) } } }
            }
            p.lead {
                (introduction(checker, &case))
                @if !anomalies.is_empty() { " Anomalies: " b { (anomalies.join(", ")) } "." }
            }
            @if !found.story.is_empty() {
                ol.argument {
                    @for sentence in found.story.iter().take(SENTENCES_MAX) {
                        li { bdi { (clean(sentence, SENTENCE_MAX)) } }
                    }
                }
            }
            @if !case.shown.is_empty() { (operations(&case, bands)) }
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

fn operations(case: &Case<'_>, bands: &[Band]) -> Markup {
    html! {
        figure {
            div.scroll.picture tabindex="0" { (timeline::svg(case, bands)) }
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
        (table(case))
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
        "Time runs to the right; a bar lasts from the question to the answer. The order is exact, "
        "the distances are stretched to be read. A pointed, dashed end has no certain answer: it "
        "may have taken effect at any time since. A struck bar certainly did not. Thin lines lead "
        "from a write to the reads that saw its value."
    }
}

/// A column of the table: its name, and its text for an operation.
type Column = (&'static str, fn(&Operation) -> String);

const COLUMNS: [Column; 12] = [
    ("process", |o| o.process.to_string()),
    ("operation", |o| clean(&o.f, NAME_MAX)),
    ("key", |o| o.key.as_ref().map(|key| bare(key, NAME_MAX)).unwrap_or_default()),
    ("asked with", |o| value(&o.input)),
    ("answer", |o| value(&o.output)),
    ("outcome", |o| ending(o.outcome).to_owned()),
    ("node", |o| o.node.as_deref().map(|node| clean(node, NAME_MAX)).unwrap_or_default()),
    ("revision", |o| o.revision.map(|n| n.to_string()).unwrap_or_default()),
    ("version", |o| o.version.map(|n| n.to_string()).unwrap_or_default()),
    ("asked, ms", |o| milliseconds(o.invoke_time)),
    ("answered, ms", |o| o.complete_time.map(milliseconds).unwrap_or_default()),
    ("events", |o| match o.complete {
        Some(end) => format!("{}, {end}", o.invoke),
        None => o.invoke.to_string(),
    }),
];

fn value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => show(other, 40),
    }
}

fn milliseconds(ns: u64) -> String {
    let moment = moment(ns);
    moment.strip_suffix(" ms").map(str::to_owned).unwrap_or(moment)
}

fn table(case: &Case<'_>) -> Markup {
    let said = |(_, text): &Column| case.shown.iter().any(|s| !text(s.operation).is_empty());
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| said(column)).collect();
    html! {
        details {
            summary { "The same as a table, with the events' places in the history" }
            div.scroll {
                table.events {
                    thead { tr {
                        th scope="col" {}
                        @for (name, _) in &columns { th scope="col" { (name) } }
                    } }
                    tbody {
                        @for shown in &case.shown {
                            tr.breaks[shown.breaks] {
                                th scope="row" { (shown.number) }
                                @for (_, text) in &columns {
                                    td { bdi { (text(shown.operation)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
