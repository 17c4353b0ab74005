//! The runs that are stored below a folder.

use crate::campaign;
use crate::plan::Plan;
use ordeal_reports::{CampaignSummary, Results, RunSummary};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Runs lie at most so deep: `runs/NAME/TIME`, and a campaign's one deeper.
const DEPTH_MAX: usize = 4;
/// A run without results whose history has not grown for so long has ended without them.
const STILL_MAX: Duration = Duration::from_secs(30);

/// What the index tells of each run below `folder`: those that ended, and those under way. A
/// folder that is no run, or cannot be read, is passed over.
pub fn runs(folder: &Path) -> Vec<RunSummary> {
    let mut found = Vec::new();
    look(folder, folder, 0, &mut found);
    found
}

fn look(root: &Path, folder: &Path, depth: usize, found: &mut Vec<RunSummary>) {
    if depth > 0 && folder.join("plan.json").exists() {
        found.extend(summary(root, folder));
        return;
    }
    if depth > 0 && folder.join("results.json").exists() {
        found.extend(summary(root, folder));
        return;
    }
    for below in folders(folder).iter().filter(|_| depth < DEPTH_MAX) {
        look(root, below, depth + 1, found);
    }
}

fn summary(root: &Path, folder: &Path) -> Option<RunSummary> {
    let name = below(root, folder)?;
    match std::fs::read_to_string(folder.join("results.json")) {
        Ok(text) => {
            let results: Results = serde_json::from_str(&text).ok()?;
            let report = format!("{name}/report.html");
            Some(RunSummary::new(&test(&results), &report, &results))
        }
        Err(_) => is_live(folder).then(|| under_way(folder, &name)).flatten(),
    }
}

/// What the index tells of each campaign whose folder is `folder` or lies below it. One that cannot
/// be read is passed over.
pub fn campaigns(folder: &Path) -> Vec<CampaignSummary> {
    let mut found = Vec::new();
    look_for_campaigns(folder, folder, 0, &mut found);
    found
}

fn look_for_campaigns(root: &Path, folder: &Path, depth: usize, found: &mut Vec<CampaignSummary>) {
    if let Some(mut summary) = campaign::summary(folder) {
        summary.index = below(root, folder).map(|name| format!("{name}/index.html"));
        found.push(summary);
        return;
    }
    if depth < DEPTH_MAX {
        for below in folders(folder) {
            look_for_campaigns(root, &below, depth + 1, found);
        }
    }
}

/// The folders in a folder, by name. `latest` is a link, and the run that it leads to is found by
/// its own name.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// The path from `root` to `folder`, its parts divided by `/`; `None` when they are the same.
fn below(root: &Path, folder: &Path) -> Option<String> {
    let below = folder.strip_prefix(root).ok()?;
    let name = below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
    (!name.is_empty()).then_some(name)
}

/// What makes two runs runs of the same test: the workload, the store, and how it was treated.
fn test(results: &Results) -> String {
    let tested = &results.tested;
    let db = Path::new(&tested.db).file_name().map(|name| name.to_string_lossy());
    let mut parts = vec![format!("{} on {}", tested.workload, db.unwrap_or_default())];
    if !tested.nemesis.is_empty() {
        parts.push(tested.nemesis.join("+"));
    }
    parts.extend((!results.bug.is_empty()).then(|| format!("bug {}", results.bug.join("+"))));
    let read = tested.options.get("read").filter(|read| *read != "linearizable");
    parts.extend(read.map(|read| format!("{read} reads")));
    parts.join(", ")
}

/// Whether the run in `folder` goes on: it has no results, and its history still grows.
pub fn is_live(folder: &Path) -> bool {
    let written = std::fs::metadata(folder.join("history.jsonl"))
        .or_else(|_| std::fs::metadata(folder.join("plan.json")))
        .and_then(|data| data.modified());
    let still = written.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    !folder.join("results.json").exists() && still.is_none_or(|still| still < STILL_MAX)
}

fn under_way(folder: &Path, name: &str) -> Option<RunSummary> {
    let plan = Plan::load(&folder.join("plan.json")).ok()?;
    Some(RunSummary {
        test: format!("{} on {}", plan.workload.name, plan.db.word()),
        report: format!("live/{name}"),
        // After every run that ended, whatever its time: an index shows the newest first.
        started_at: "now".to_owned(),
        seed: plan.seed,
        bug: plan.bugs.clone(),
        live: true,
        ..RunSummary::default()
    })
}
