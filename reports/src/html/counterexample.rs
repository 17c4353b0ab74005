//! The counterexample: the argument, the picture, each operation's story, and the table.

use crate::band::Band;
use crate::case::{Case, SHOWN_MAX, Shown, story};
use crate::cycle::cycle;
use crate::expectation::{Expectation, alternatives, expectation, held};
use crate::results::{CheckerResult, CounterexampleResult, Difference, Results};
use crate::text::{NAME_MAX, SENTENCE_MAX, clean, counted, grouped, moment};
use crate::timeline;
use crate::told::{self, Change};
use crate::value::{bare, ending, label, show};
use maud::{Markup, html};
use ordeal_history::{History, Operation, Value};
use std::collections::BTreeSet;

/// At most so many sentences of a checker's argument are shown.
const SENTENCES_MAX: usize = 60;
/// More sentences or operations than these are not all open at once.
const OPEN_MAX: usize = 12;
/// At most so many keys that differ, of so many members, are shown.
const KEYS_MAX: usize = 100;
const MEMBERS_MAX: usize = 16;

pub(super) fn sections(results: &Results, history: &History, bands: &[Band]) -> Markup {
    let found = || results.checkers.iter().filter(|checker| checker.counterexample.is_some());
    let several = found().count() > 1;
    html! {
        @for checker in found() {
            @if let Some(found) = &checker.counterexample {
                (section((checker, several), found, history, bands))
            }
        }
    }
}

/// One counterexample; where there are `several` its heading names its checker.
fn section(
    (checker, several): (&CheckerResult, bool),
    found: &CounterexampleResult,
    history: &History,
    bands: &[Band],
) -> Markup {
    let case = Case::new(found, history);
    let key = case.key();
    let expectation = expectation(&checker.name, &case);
    let anomalies: Vec<String> = found.anomalies.iter().map(|a| clean(a, NAME_MAX)).collect();
    html! {
        section.counterexample {
            h2 {
                "The counterexample"
                @if several { " of " bdi { (clean(&checker.name, NAME_MAX)) } }
                @if !key.is_empty() { ": " bdi { code { (key) } } }
            }
            p.lead {
                (introduction(checker, &case))
                @if !anomalies.is_empty() { " Anomalies: " b { (anomalies.join(", ")) } "." }
            }
            (argument(checker, &found.story))
            @if let Some(expectation) = &expectation { (expected(expectation, &case)) }
            (changes(&case))
            @if !found.differences.is_empty() { (differences(&found.differences)) }
            @if let Some(cycle) = &cycle(&found.story) { (super::cycle::section(cycle)) }
            @if !case.shown.is_empty() { (operations(&case, bands)) }
            @if let Some(expectation) = &expectation { (order(expectation, &case)) }
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

/// What the checker has to say: all of it, or when that is long, what it comes to first.
fn argument(checker: &CheckerResult, story: &[String]) -> Markup {
    let sentences = || {
        html! {
            ol.argument {
                @for sentence in story.iter().take(SENTENCES_MAX) {
                    li { bdi { (clean(sentence, SENTENCE_MAX)) } }
                }
            }
        }
    };
    html! {
        @if story.len() > OPEN_MAX {
            p.argument { bdi { (clean(&checker.reason, SENTENCE_MAX)) } }
            details {
                summary { "The whole argument, " (story.len()) " sentences" }
                (sentences())
            }
        } @else if !story.is_empty() { (sentences()) }
    }
}

fn operations(case: &Case<'_>, bands: &[Band]) -> Markup {
    html! {
        figure {
            div.scroll.picture tabindex="0" { (timeline::svg(case, bands)) }
            figcaption { (legend()) }
        }
        h3 { "Operation by operation" }
        @if case.shown.len() > OPEN_MAX {
            (stories(case, |shown| shown.breaks))
            details {
                summary { "All " (case.shown.len()) " of them" }
                (stories(case, |_| true))
            }
        } @else { (stories(case, |_| true)) }
        (table(case))
    }
}

/// Those of the operations that are `wanted`, each in prose.
fn stories(case: &Case<'_>, wanted: fn(&Shown<'_>) -> bool) -> Markup {
    html! {
        ol.stories {
            @for shown in case.shown.iter().filter(|shown| wanted(shown)) {
                li value=(shown.number) .breaks[shown.breaks] {
                    a href=(format!("#op-{}", shown.operation.invoke)) title="in the history" {
                        "◎"
                    }
                    " " bdi { (story(shown.operation, case.start_ns())) }
                    @if shown.breaks { strong { " Here the history became wrong." } }
                }
            }
        }
    }
}

/// Expected and seen, side by side.
fn expected(expectation: &Expectation, case: &Case<'_>) -> Markup {
    let wrong = case.shown.iter().find(|shown| shown.number == expectation.number);
    let node = wrong.and_then(|shown| shown.operation.node.as_deref());
    let revision = wrong.and_then(|shown| shown.operation.revision);
    html! {
        dl.expectation {
            div.right-answer {
                dt { "expected" } dd { bdi { (alternatives(&expectation.expected)) } }
            }
            div.wrong-answer { dt { "seen" } dd { bdi { (held(&expectation.seen)) } } }
            @if let Some(node) = node {
                div { dt { "answered by" } dd { bdi { (clean(node, NAME_MAX)) } } }
            }
            @if let Some(revision) = revision { div { dt { "at revision" } dd { (revision) } } }
        }
    }
}

/// For a watch: the changes that were acknowledged beside those that it told of.
fn changes(case: &Case<'_>) -> Markup {
    let changes = told::changes(case);
    let numbers =
        |numbers: &[usize]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let told = |change: &Change| {
        let told = change.told.iter().map(|(number, nth)| format!("{number} (event {nth})"));
        told.collect::<Vec<_>>().join(", ")
    };
    html! {
        @if !changes.is_empty() {
            h3 { "What was changed, and what the watch told" }
            div.scroll { table.events {
                thead { tr {
                    th.right scope="col" { "revision" } th scope="col" { "key" }
                    th scope="col" { "change" } th scope="col" { "acknowledged to operation" }
                    th scope="col" { "told by the watch, in operation" }
                } }
                tbody {
                    @for change in &changes {
                        tr.breaks[change.told.len() != 1] {
                            th.right scope="row" { (change.revision) }
                            td { bdi { (change.key) } }
                            td { bdi { (clean(&change.what, NAME_MAX)) } }
                            td { (numbers(&change.made)) }
                            td {
                                @match change.told.len() {
                                    0 => b { "✗ not here" },
                                    1 => (told(change)),
                                    _ => b { "✗ more than once: " (told(change)) },
                                }
                            }
                        }
                    }
                }
            } }
            p.quiet {
                "Only what the counterexample speaks of; a change that no operation here made was "
                "acknowledged to another one."
            }
        }
    }
}

/// The state before and after each operation, in an order that holds but for the wrong answer.
fn order(expectation: &Expectation, case: &Case<'_>) -> Markup {
    if expectation.order.iter().any(|step| step.states.is_none()) {
        return html! {};
    }
    let told = |number: usize| {
        let shown = case.shown.iter().find(|shown| shown.number == number);
        shown.map(|shown| label(shown.operation, 40)).unwrap_or_default()
    };
    html! {
        h3 { "An order that explains all but that answer" }
        div.scroll { table.events {
            thead { tr {
                th scope="col" {} th scope="col" { "before" } th scope="col" { "operation" }
                th scope="col" { "after" }
            } }
            tbody {
                @for step in &expectation.order {
                    @if let Some((before, after)) = &step.states {
                        tr.breaks[step.breaks] {
                            th scope="row" { (step.number) }
                            td { bdi { (held(before)) } }
                            td { bdi {
                                (told(step.number))
                                @if step.breaks {
                                    ": expected " (alternatives(&expectation.expected))
                                }
                            } }
                            td { bdi { (held(after)) } }
                        }
                    }
                }
            }
        } }
    }
}

/// The keys on which members of a cluster do not agree.
fn differences(differences: &[Difference]) -> Markup {
    let members: BTreeSet<&str> =
        differences.iter().flat_map(|d| d.members.keys().map(String::as_str)).collect();
    let members: Vec<&str> = members.into_iter().take(MEMBERS_MAX).collect();
    html! {
        h3 { "Where the members differ" }
        div.scroll { table.events.differences {
            thead { tr {
                th scope="col" { "key" }
                @for member in &members { th scope="col" { bdi { (clean(member, NAME_MAX)) } } }
            } }
            tbody {
                @for difference in differences.iter().take(KEYS_MAX) {
                    tr {
                        th scope="row" { bdi { (clean(&difference.key, NAME_MAX)) } }
                        @for member in &members {
                            @let text = difference.members.get(*member).map(String::as_str);
                            @let odd = difference.is_odd(member);
                            td.odd[odd] {
                                @if odd { "≠ " }
                                bdi { (text.map_or("absent".to_owned(), |text| clean(text, 60))) }
                            }
                        }
                    }
                }
            }
        } }
        @if differences.len() > KEYS_MAX {
            p.quiet { "And " (grouped((differences.len() - KEYS_MAX) as u64)) " more keys." }
        }
        p.quiet { "≠ marks what most of the members do not say." }
    }
}

fn introduction(checker: &CheckerResult, case: &Case<'_>) -> String {
    let few = counted(case.total as u64, "operation", "operations");
    let name = clean(&checker.name, NAME_MAX);
    let about_order = name.starts_with("linearizable") || cycle(&case.found.story).is_some();
    let why = match about_order {
        true => ": no order of these explains every answer.",
        false => ".",
    };
    match case.total {
        0 => format!("What {name} found:"),
        n if n <= SHOWN_MAX && checker.operations > n as u64 => {
            format!("{few} of {} are enough to show it{why}", grouped(checker.operations))
        }
        1 => format!("{few} shows it{why}"),
        _ => format!("{few} show it{why}"),
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
