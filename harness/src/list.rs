//! `ordeal list`: what there is, for a person or as JSON.

use crate::status;
use clap::{Args, ValueEnum};
use ordeal_checker::checkers;
use ordeal_checker::linear::Algorithm;
use ordeal_checker::registry::MODELS;
use ordeal_cluster::bugs;
use ordeal_nemesis::Kind;
use serde_json::{Map, Value, json};
use std::io::Write;

/// What to list, and how.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// What to list; everything when it is left out
    what: Option<What>,
    /// An array of objects with `name` and `summary` (without WHAT: an object of such arrays)
    #[arg(long)]
    json: bool,
}

/// The things that have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Workloads,
    Faults,
    Models,
    Bugs,
    Environments,
    Checkers,
}

/// Where a cluster can run.
const ENVIRONMENTS: [(&str, &str); 3] = [
    (
        "sandbox",
        "each node in namespaces of its own on this machine, on a network of the harness' own; no \
         root",
    ),
    (
        "docker",
        "each node in a container, on a network of the harness' own; Docker's socket, no root",
    ),
    ("ssh", "each node on a host that is there already, reached by the system's ssh (--hosts)"),
];

/// One thing with a name: what every kind of thing can say of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    summary: String,
    /// More that this kind of thing tells, as label and text.
    more: Vec<(&'static str, String)>,
}

/// The things of one kind, as the crates that own them tell of them.
fn entries(what: What) -> Vec<Entry> {
    let entry = |name: &str, summary: &str, more: Vec<(&'static str, String)>| Entry {
        name: name.to_owned(),
        summary: summary.to_owned(),
        more,
    };
    match what {
        What::Workloads => ordeal_workloads::all()
            .into_iter()
            .map(|w| {
                let more = vec![("checks", w.checks.to_owned()), ("faults", w.faults.join(", "))];
                entry(w.name, w.summary, more)
            })
            .collect(),
        What::Faults => {
            Kind::ALL.iter().map(|kind| entry(kind.name(), kind.summary(), Vec::new())).collect()
        }
        What::Models => {
            MODELS.iter().map(|model| entry(model.name, model.summary, Vec::new())).collect()
        }
        What::Checkers => every_checker(),
        What::Bugs => bugs::REGISTRY
            .iter()
            .map(|bug| {
                let more = vec![
                    ("source", bug.source.to_owned()),
                    ("workload", bug.workload.to_owned()),
                    ("fault", bug.fault.to_owned()),
                ];
                entry(bug.name, bug.summary, more)
            })
            .collect(),
        What::Environments => {
            ENVIRONMENTS.iter().map(|(name, summary)| entry(name, summary, Vec::new())).collect()
        }
    }
}

/// Those of the models, and those that need none; each once.
fn every_checker() -> Vec<Entry> {
    let of_models = MODELS.iter().map(|model| model.checker(Algorithm::Auto));
    let mut entries: Vec<Entry> = Vec::new();
    for checker in of_models.chain(checkers()) {
        if entries.iter().all(|known| known.name != checker.name()) {
            let (name, summary) = (checker.name().to_owned(), checker.summary().to_owned());
            entries.push(Entry { name, summary, more: Vec::new() });
        }
    }
    entries
}

/// Lists; gives the exit status.
pub fn run(args: ListArgs) -> u8 {
    let kinds: Vec<What> = match args.what {
        Some(what) => vec![what],
        None => What::value_variants().to_vec(),
    };
    let text = match (args.json, args.what) {
        (true, Some(what)) => format!("{:#}\n", to_json(&entries(what))),
        (true, None) => {
            let all: Map<String, Value> =
                kinds.iter().map(|what| (title(*what), to_json(&entries(*what)))).collect();
            format!("{:#}\n", Value::Object(all))
        }
        (false, _) => kinds.iter().map(|what| to_text(*what, &entries(*what))).collect(),
    };
    // A reader that has gone away (`ordeal list | head`) is no failure of ours.
    let _ = std::io::stdout().write_all(text.as_bytes());
    status::VALID
}

fn title(what: What) -> String {
    what.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

fn to_json(entries: &[Entry]) -> Value {
    entries
        .iter()
        .map(|entry| {
            let mut object = Map::new();
            object.insert("name".into(), json!(entry.name));
            object.insert("summary".into(), json!(entry.summary));
            object.extend(entry.more.iter().map(|(label, text)| ((*label).into(), json!(text))));
            Value::Object(object)
        })
        .collect()
}

fn to_text(what: What, entries: &[Entry]) -> String {
    let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let mut text = format!("{}:\n", title(what));
    for entry in entries {
        text += &format!("  {:width$}  {}\n", entry.name, entry.summary);
        for (label, more) in &entry.more {
            text += &format!("  {:width$}    {label}: {more}\n", "");
        }
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_stands_in_the_documentation_and_says_whether_all_has_it() {
        let text = include_str!("../../docs/faults.md");
        for kind in Kind::ALL {
            let row = text.lines().find(|line| line.starts_with(&format!("| `{kind}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/faults.md has no row for {kind}"));
            for told in [row, kind.summary()] {
                let in_all = Kind::survivable().contains(&kind);
                assert_eq!(told.contains("not in `all`"), !in_all, "{told}");
            }
        }
    }
}
