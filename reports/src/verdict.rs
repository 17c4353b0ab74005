//! The verdict in one sentence, the same on the page, in the terminal and in Markdown.

use crate::results::{Results, Ruling};
use crate::text::{NAME_MAX, clean, counted, duration, grouped, listed};

/// The sentence that a reader sees first.
pub(crate) fn sentence(results: &Results) -> String {
    let operations = counted(results.outcomes().total(), "operation", "operations");
    let deciding: Vec<String> = results.deciding().map(|c| clean(&c.name, NAME_MAX)).collect();
    match results.verdict {
        Ruling::Valid => {
            let landed = results.fault_counts().landed;
            let under = match landed {
                0 => "and no fault landed".to_owned(),
                _ => format!("while {} landed", counted(landed, "fault", "faults")),
            };
            format!("Everything that the clients saw was consistent: {operations}, {under}.")
        }
        Ruling::Unknown if deciding.is_empty() => {
            format!("Nothing is proved either way: no checker judged the {operations}.")
        }
        Ruling::Unknown => {
            format!("Nothing is proved either way: {} could not tell.", listed(&deciding))
        }
        Ruling::Invalid => {
            let found = results.deciding().find_map(|c| c.counterexample.as_ref());
            match found.map_or(0, |c| c.operations) {
                0 => format!("The test failed: see what {} found.", listed(&deciding)),
                1 => format!(
                    "The clients saw what no correct store can show: 1 of {operations} proves it."
                ),
                few => format!(
                    "The clients saw what no correct store can show: {} of {operations} prove it.",
                    grouped(few)
                ),
            }
        }
    }
}

/// One line on what was tested: `register on embedded 0.1.0, 5 nodes, 20 s, seed 7`.
pub(crate) fn subject(results: &Results) -> String {
    let tested = &results.tested;
    let mut parts = Vec::new();
    let db = clean(&tested.db, 200);
    let db = match &tested.db_version {
        Some(version) => format!("{db} {}", clean(version, NAME_MAX)),
        None => db,
    };
    match (tested.workload.as_str(), db.trim()) {
        ("", "") => {}
        ("", db) => parts.push(db.to_owned()),
        (workload, "") => parts.push(clean(workload, NAME_MAX)),
        (workload, db) => parts.push(format!("{} on {db}", clean(workload, NAME_MAX))),
    }
    if !tested.nodes.is_empty() {
        parts.push(counted(tested.nodes.len() as u64, "node", "nodes"));
    }
    parts.push(duration(results.duration_ms.saturating_mul(1_000_000)));
    parts.push(format!("seed {}", results.seed));
    parts.join(", ")
}

/// That a violation ended the run, and when; `None` when none did.
pub(crate) fn stopped(results: &Results) -> Option<String> {
    let after = duration(results.stopped_after_ms?.saturating_mul(1_000_000));
    Some(format!("The run was stopped at the violation, after {after}: --fail-fast was given."))
}

/// The warning that belongs in large letters; `None` without a planted bug.
pub(crate) fn bug_warning(results: &Results) -> Option<String> {
    if results.bug.is_empty() {
        return None;
    }
    let names: Vec<String> = results.bug.iter().map(|b| clean(b, NAME_MAX)).collect();
    let (noun, verb) = if names.len() == 1 { ("bug", "was") } else { ("bugs", "were") };
    Some(format!("The planted {noun} {} {verb} switched on", listed(&names)))
}
