//! What the nodes wrote into their logs around the violation, all of them together by time.

use crate::results::Results;
use crate::scene::Scene;
use crate::text::{NAME_MAX, clean, grouped};
use maud::{Markup, html};
use ordeal_history::History;

/// So many lines are shown, those nearest to the violation.
const LINES_MAX: usize = 120;
/// A line further away than this says nothing of it, in microseconds.
const FAR_US: i64 = 10_000_000;
/// A line is cut after so many characters.
const LINE_MAX: usize = 300;

pub(super) fn section(results: &Results, history: &History, scene: &Scene<'_>) -> Markup {
    let Some(violation) = violation_us(results, history) else { return html! {} };
    if scene.logs.is_empty() {
        return html! {};
    }
    let near = nearest(scene, violation);
    html! {
        section #logs {
            h2 { "What the nodes wrote around it" }
            @if scene.lines.is_empty() {
                p.quiet {
                    "When this run's clients began was not recorded, so the logs in "
                    code { "nodes/" } " cannot be laid beside its history."
                }
            } @else if near.is_empty() {
                p.quiet { "No node wrote anything within 10 s of the violation." }
            } @else {
                (table(scene, near, violation))
            }
        }
    }
}

fn table(scene: &Scene<'_>, near: &[crate::logs::Line<'_>], violation: i64) -> Markup {
    let before = near.partition_point(|line| line.time_us <= violation);
    html! {
        p.quiet {
            (grouped(near.len() as u64)) " of " (grouped(scene.lines.len() as u64))
            " lines, those nearest to the violation; the whole logs stand in " code { "nodes/" }
            ". Times are milliseconds from the violation, by each node's own clock."
        }
        div.scroll {
            table.events.logs {
                thead { tr {
                    th.right scope="col" { "ms" } th scope="col" { "node" }
                    th scope="col" { "line" }
                } }
                tbody {
                    @for (at, line) in near.iter().enumerate() {
                        @if at == before { (here()) }
                        tr {
                            td.right { (milliseconds(line.time_us - violation)) }
                            td { bdi { (clean(&scene.logs[line.node].node, NAME_MAX)) } }
                            td.wide { bdi { (clean(line.text, LINE_MAX)) } }
                        }
                    }
                    @if before == near.len() { (here()) }
                }
            }
        }
    }
}

fn here() -> Markup {
    html! {
        tr.breaks { td.right { "0" } td {} td { "Here the history became wrong." } }
    }
}

/// When the history became wrong, in microseconds: the completion that broke it, else the first
/// thing that the counterexample speaks of, else the first death of a node.
fn violation_us(results: &Results, history: &History) -> Option<i64> {
    let found: Vec<_> = results.deciding().filter_map(|c| c.counterexample.as_ref()).collect();
    let events =
        found.iter().flat_map(|c| c.broken_at_event.into_iter().chain(c.events.last().copied()));
    let time = |event: u64| {
        let with = |o: &&ordeal_history::Operation| o.complete == Some(event) || o.invoke == event;
        let operation = history.operations.iter().find(with)?;
        match operation.complete == Some(event) {
            true => operation.complete_time,
            false => Some(operation.invoke_time),
        }
    };
    let deaths = history.notes.iter().filter(|note| note.f == "death").map(|note| note.time);
    let mut moments = events.filter_map(time).chain(deaths.filter(|_| !found.is_empty()));
    Some(i64::try_from(moments.next()? / 1_000).unwrap_or(i64::MAX))
}

/// The lines nearest to `violation`, by time.
fn nearest<'a, 'b>(scene: &'b Scene<'a>, violation: i64) -> &'b [crate::logs::Line<'a>] {
    let lines = &scene.lines;
    let away = |at: usize| lines[at].time_us.saturating_sub(violation).saturating_abs();
    let middle = lines.partition_point(|line| line.time_us <= violation);
    let (mut from, mut to) = (middle, middle);
    while to - from < LINES_MAX {
        let earlier = from.checked_sub(1).map(away).filter(|&us| us <= FAR_US);
        let later = (to < lines.len()).then(|| away(to)).filter(|&us| us <= FAR_US);
        match (earlier, later) {
            (None, None) => break,
            (Some(a), Some(b)) if a > b => to += 1,
            (None, Some(_)) => to += 1,
            _ => from -= 1,
        }
    }
    &lines[from..to]
}

fn milliseconds(us: i64) -> String {
    let (sign, us) = (if us < 0 { "−" } else { "+" }, us.unsigned_abs());
    format!("{sign}{}.{:03}", grouped(us / 1_000), us % 1_000)
}
