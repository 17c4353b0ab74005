//! What the nodes wrote into their logs around the violation, all of them together by time.

use crate::logs::{Line, written_until};
use crate::results::Results;
use crate::scene::Scene;
use crate::text::{NAME_MAX, clean, counted, grouped};
use maud::{Markup, html};
use ordeal_history::History;

/// So many lines are shown, those nearest to the violation.
const LINES_MAX: usize = 120;
/// So many of them without being asked for.
const OPEN_MAX: usize = 30;
/// A line further away than this says nothing of it, in microseconds.
const FAR_US: i64 = 10_000_000;
/// A line is cut after so many characters.
const LINE_MAX: usize = 300;

pub(super) fn section(results: &Results, history: &History, scene: &Scene<'_>) -> Markup {
    let Some(violation) = violation_us(results, history) else { return html! {} };
    if scene.logs.is_empty() {
        return html! {};
    }
    let (from, to) = nearest(&scene.lines, violation, LINES_MAX, FAR_US);
    let near = &scene.lines[from..to];
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
                (told(scene, near, violation))
            }
        }
    }
}

fn told(scene: &Scene<'_>, near: &[Line<'_>], violation: i64) -> Markup {
    let before = near.partition_point(|line| line.time_us <= violation);
    let (from, to) = nearest(near, violation, OPEN_MAX, i64::MAX);
    let table =
        |lines: &[Line<'_>], here_at: Option<usize>| table(scene, lines, here_at, violation);
    html! {
        p.quiet {
            (grouped(near.len() as u64)) " of " (grouped(scene.lines.len() as u64))
            " lines, those nearest to the violation; the whole logs stand in " code { "nodes/" }
            ". Times are milliseconds from the violation, by each node's own clock."
        }
        (more(&near[..from], "earlier", table(&near[..from], None)))
        (table(&near[from..to], Some(before.saturating_sub(from))))
        (more(&near[to..], "later", table(&near[to..], None)))
    }
}

/// Lines further away, to be opened.
fn more(lines: &[Line<'_>], which: &str, table: Markup) -> Markup {
    html! {
        @if !lines.is_empty() {
            details {
                summary {
                    (counted(lines.len() as u64, "line", "lines")) " " (which)
                }
                (table)
            }
        }
    }
}

/// `lines` as rows, and before the one at `here_at` the violation.
fn table(scene: &Scene<'_>, lines: &[Line<'_>], here_at: Option<usize>, violation: i64) -> Markup {
    html! {
        div.scroll {
            table.events.logs {
                thead { tr {
                    th.right scope="col" { "ms" } th scope="col" { "node" }
                    th scope="col" { "line" }
                } }
                tbody {
                    @for (at, line) in lines.iter().enumerate() {
                        @if Some(at) == here_at { (here()) }
                        tr {
                            td.right { (milliseconds(line.time_us - violation)) }
                            td { bdi { (clean(&scene.logs[line.node].node, NAME_MAX)) } }
                            td.wide { bdi { (clean(&said(line.text), LINE_MAX)) } }
                        }
                    }
                    @if Some(lines.len()) == here_at { (here()) }
                }
            }
        }
    }
}

/// What a line says, without the time, which stands beside it: an object of JSON, as etcd writes
/// them, as its message and then the other members that are not about the writing itself.
fn said(line: &str) -> String {
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line);
    let Ok(mut object) = object else {
        return line.get(written_until(line)..).unwrap_or(line).trim_start().to_owned();
    };
    let Some(serde_json::Value::String(message)) = object.remove("msg") else {
        return line.to_owned();
    };
    let level = object.remove("level");
    let level = level.as_ref().and_then(|level| level.as_str()).filter(|level| *level != "info");
    let mut out = level.map(|level| format!("{level}: {message}")).unwrap_or(message);
    for (name, value) in object {
        if name != "ts" && name != "caller" && name != "stacktrace" {
            match value {
                serde_json::Value::String(text) => out.push_str(&format!(" {name}={text}")),
                other => out.push_str(&format!(" {name}={other}")),
            }
        }
    }
    out
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

/// From where to where the lines lie that are nearest to `violation`: at most `most` of them, and
/// none further away than `far_us`.
fn nearest(lines: &[Line<'_>], violation: i64, most: usize, far_us: i64) -> (usize, usize) {
    let away = |at: usize| lines[at].time_us.saturating_sub(violation).saturating_abs();
    let middle = lines.partition_point(|line| line.time_us <= violation);
    let (mut from, mut to) = (middle, middle);
    while to - from < most {
        let earlier = from.checked_sub(1).map(away).filter(|&us| us <= far_us);
        let later = (to < lines.len()).then(|| away(to)).filter(|&us| us <= far_us);
        match (earlier, later) {
            (None, None) => break,
            (Some(a), Some(b)) if a > b => to += 1,
            (None, Some(_)) => to += 1,
            _ => from -= 1,
        }
    }
    (from, to)
}

fn milliseconds(us: i64) -> String {
    let (sign, us) = (if us < 0 { "−" } else { "+" }, us.unsigned_abs());
    format!("{sign}{}.{:03}", grouped(us / 1_000), us % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_without_its_time_and_etcds_objects_as_sentences() {
        for (line, told) in [
            ("2026-11-21T16:37:36.249Z became leader at term 2", "became leader at term 2"),
            ("2026-11-21 16:37:36.249123 I | raft: x", "I | raft: x"),
            ("raft2026/11/21 16:37:36 INFO: x", "INFO: x"),
            (
                r#"{"level":"warn","ts":"x","caller":"a.go:1","msg":"slow","took":"1s","size":3}"#,
                "warn: slow size=3 took=1s",
            ),
            (r#"{"level":"info","ts":"x","msg":"ready"}"#, "ready"),
            (r#"{"no":"message"}"#, r#"{"no":"message"}"#),
            ("goroutine 1 [running]:", "goroutine 1 [running]:"),
            ("2026-11-21T16:37:36.249Z", ""),
            ("é", "é"),
        ] {
            assert_eq!(said(line), told, "{line}");
        }
    }
}
