//! What was tested, and what shows that it was a test at all.

use crate::results::{FaultCounts, Outcomes, Results};
use crate::scene::Scene;
use crate::text::{NAME_MAX, clean, counted, duration, grouped};
use maud::{Markup, html};

/// Kinds of operation or fault beyond these are summed in one row.
const ROWS_MAX: usize = 40;

pub(super) fn section(results: &Results, scene: &Scene<'_>) -> Markup {
    html! {
        div.columns {
            section { h2 { "What was tested" } (tested(results)) }
            section {
                h2 { "What happened" }
                (operations(results))
                (faults(results))
                (leaders(scene))
            }
        }
    }
}

fn tested(results: &Results) -> Markup {
    let tested = &results.tested;
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push((name.to_owned(), value));
        }
    };
    let version = tested.db_version.as_deref().map(|v| format!(" {v}")).unwrap_or_default();
    row("store", format!("{}{version}", tested.db));
    row(
        "nodes",
        match tested.nodes.len() {
            0 => String::new(),
            n => format!("{n} ({})", tested.nodes.join(", ")),
        },
    );
    row("workload", tested.workload.clone());
    row(
        "faults",
        match tested.nemesis.is_empty() {
            true => "none".to_owned(),
            false => tested.nemesis.join(", "),
        },
    );
    if tested.concurrency > 0 {
        row("clients at once", grouped(tested.concurrency));
    }
    for (name, value) in tested.options.iter().filter(|(_, value)| !is_off(value)) {
        // What the plan's faults ask of a cluster; which they are stands above.
        row(if name == "faults" { "these faults" } else { name }, value.clone());
    }
    row("duration", duration(results.duration_ms.saturating_mul(1_000_000)));
    row("started", results.started_at.clone());
    row("seed", results.seed.to_string());
    row("planted bugs", results.bug.join(", "));
    row("environment", tested.environment.clone());
    for (name, value) in &tested.host {
        row(name, value.clone());
    }
    row("ordeal", tested.ordeal.clone());
    html! {
        dl.facts {
            @for (name, value) in rows.iter().take(ROWS_MAX) {
                dt { (clean(name, NAME_MAX)) }
                dd { bdi { (clean(value, 160)) } }
            }
        }
    }
}

/// An option that is off says nothing here; `results.json` has it.
fn is_off(value: &str) -> bool {
    value == "false" || value == "0"
}

fn operations(results: &Results) -> Markup {
    let sum = results.outcomes();
    let rest = results.operations.values().skip(ROWS_MAX).fold(Outcomes::default(), |a, b| {
        Outcomes { ok: a.ok + b.ok, fail: a.fail + b.fail, info: a.info + b.info }
    });
    let cells = |o: &Outcomes| {
        html! {
            @for n in [o.ok, o.fail, o.info, o.total()] { td.zero[n == 0] { (grouped(n)) } }
        }
    };
    html! {
        div.scroll {
            table.numbers {
                thead { tr {
                    th scope="col" { "operations" }
                    th scope="col" { "ok" }
                    th scope="col" { "failed" }
                    th scope="col" {
                        abbr title="may or may not have taken effect" { "indeterminate" }
                    }
                    th scope="col" { "all" }
                } }
                tbody {
                    @for (f, outcomes) in results.operations.iter().take(ROWS_MAX) {
                        tr { th scope="row" { bdi { (clean(f, NAME_MAX)) } } (cells(outcomes)) }
                    }
                    @if rest.total() > 0 { tr { th scope="row" { "others" } (cells(&rest)) } }
                }
                @if results.operations.len() != 1 {
                    tfoot { tr { th scope="row" { "all" } (cells(&sum)) } }
                }
            }
        }
    }
}

fn faults(results: &Results) -> Markup {
    if results.faults.is_empty() {
        return html! { p.quiet { "No fault was scheduled." } };
    }
    let cells = |c: &FaultCounts| {
        html! {
            @for n in [c.scheduled, c.started, c.landed, c.failed] {
                td.zero[n == 0] { (grouped(n)) }
            }
        }
    };
    html! {
        div.scroll {
            table.numbers {
                thead { tr {
                    th scope="col" { "faults" }
                    th scope="col" { "scheduled" }
                    th scope="col" { "started" }
                    th scope="col" { abbr title="seen to have an effect" { "landed" } }
                    th scope="col" { abbr title="could not be injected" { "refused" } }
                } }
                tbody {
                    @for (kind, counts) in results.faults.iter().take(ROWS_MAX) {
                        tr { th scope="row" { bdi { (clean(kind, NAME_MAX)) } } (cells(counts)) }
                    }
                }
                @if results.faults.len() > 1 {
                    tfoot { tr { th scope="row" { "all" } (cells(&results.fault_counts())) } }
                }
            }
        }
    }
}

/// For how long there was no leader, where the nodes' logs tell.
fn leaders(scene: &Scene<'_>) -> Markup {
    let Some(without_ns) = scene.without_leader_ns() else { return html! {} };
    let began = scene.reigns.iter().filter(|reign| reign.start_ns > 0).count();
    html! {
        p.leaders {
            @if without_ns == 0 { b { "Never" } } @else { b { (duration(without_ns)) } }
            " in " (duration(scene.end_ns)) " without a leader; "
            (counted(began as u64, "leader was elected", "leaders were elected"))
            " while the clients worked "
            span.quiet { "(by their own logs: one that is cut off may not know)" }
        }
    }
}
