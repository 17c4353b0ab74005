//! The campaign's file: a matrix of tests, as TOML.

use crate::duration;
use crate::nearest::instead;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No campaign has more tests: the folder of each would be a burden to whoever looks at them.
const TESTS_MAX: usize = 100_000;

/// A campaign as its file tells it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Campaign {
    /// What it is called, in file names too.
    pub name: String,
    /// How long it may take, unless the command line says otherwise.
    #[serde(default, deserialize_with = "some_duration")]
    pub budget: Option<Duration>,
    /// How often a test that failed is done again, to tell what is certain from what is not.
    #[serde(default = "one")]
    pub retries: u32,
    /// Names for the binaries that are put on trial, with their paths.
    #[serde(default)]
    pub db: BTreeMap<String, PathBuf>,
    /// The tests.
    #[serde(rename = "test")]
    pub groups: Vec<Group>,
}

/// Tests that differ in what their lists name: each combination is a row, each seed of it a test.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Group {
    name: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    expect: Expected,
    #[serde(default)]
    db: Many<String>,
    #[serde(default)]
    workload: Many<String>,
    #[serde(default)]
    nemesis: Many<String>,
    #[serde(default)]
    nodes: Many<u32>,
    #[serde(default)]
    auth: Many<bool>,
    #[serde(default)]
    tls: Many<bool>,
    #[serde(default)]
    bug: Many<String>,
    #[serde(default)]
    read: Many<String>,
    seeds: Seeds,
    #[serde(default, deserialize_with = "some_duration")]
    time_limit: Option<Duration>,
    #[serde(default)]
    args: Vec<String>,
}

/// Which command does a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `ordeal run`.
    #[default]
    Run,
    /// `ordeal sim`, over all the seeds at once.
    Sim,
}

/// What must come out of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// Nothing is found, with any seed.
    #[default]
    Valid,
    /// A violation is found, with one of its seeds.
    Invalid,
}

/// One value, or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Many<T> {
    One(T),
    Some(Vec<T>),
}

impl<T> Default for Many<T> {
    fn default() -> Many<T> {
        Many::Some(Vec::new())
    }
}

impl<T> Many<T> {
    fn all(&self) -> &[T] {
        match self {
            Many::One(one) => std::slice::from_ref(one),
            Many::Some(these) => these,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Seeds {
    These(Vec<u64>),
    Range(String),
}

/// A test of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// What it is told apart by: the row, and the seeds.
    pub id: String,
    /// What it is a test of, without the seed.
    pub row: String,
    /// The seeds as text: one, or a range.
    pub seeds: String,
    /// Which command does it.
    pub kind: Kind,
    /// What must come out of its row.
    pub expected: Expected,
    /// The command's options.
    pub args: Vec<String>,
    /// The name of the binary, where it is not the embedded cluster.
    pub db: Option<String>,
    /// How long it takes at least.
    pub least: Duration,
}

/// Why a campaign's file cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{path}: {error}; name a campaign's file, such as campaigns/nightly.toml")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is no TOML, or not a campaign.
    #[error("{path}: {place}{message}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line and column, where they are known.
        place: String,
        /// What is wrong.
        message: String,
    },
}

impl Campaign {
    /// Reads the campaign from its file.
    ///
    /// # Errors
    ///
    /// [`FileError`], with line and column.
    pub fn load(path: &Path) -> Result<Campaign, FileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| FileError::Unreadable { path: path.to_owned(), error })?;
        Campaign::parse(&text).map_err(|(place, message)| FileError::Wrong {
            path: path.to_owned(),
            place,
            message,
        })
    }

    fn parse(text: &str) -> Result<Campaign, (String, String)> {
        let campaign: Campaign = toml::from_str(text).map_err(|error| {
            let place = error.span().map(|span| place(text, span.start)).unwrap_or_default();
            (place, error.message().to_owned())
        })?;
        match campaign.mistake() {
            Some(message) => Err((String::new(), message)),
            None => Ok(campaign),
        }
    }

    fn mistake(&self) -> Option<String> {
        if !is_name(&self.name) {
            return Some(format!("name: `{}`: {NAME_RULE}", self.name));
        }
        let mut names = BTreeSet::new();
        for group in &self.groups {
            if !is_name(&group.name) {
                return Some(format!("test: name: `{}`: {NAME_RULE}", group.name));
            }
            if !names.insert(&group.name) {
                return Some(format!("test {}: two tests have this name", group.name));
            }
            if let Some(message) = group.mistake(&self.db) {
                return Some(format!("test {}: {message}", group.name));
            }
        }
        let tests: usize = self.groups.iter().map(Group::size).sum();
        (tests == 0 || tests > TESTS_MAX)
            .then(|| format!("it has {tests} tests; expected 1 to {TESTS_MAX}"))
    }

    /// Every test, the first seed of each row before the second of any: what is left out when the
    /// time is over is then less of each, and never a row.
    pub fn tests(&self) -> Vec<Test> {
        let mut tests: Vec<(usize, Test)> = Vec::new();
        for group in &self.groups {
            for (row, args, db) in group.rows() {
                let seeds = group.seeds();
                tests.extend(
                    seeds
                        .into_iter()
                        .enumerate()
                        .map(|(round, seeds)| (round, group.test(&row, &args, db.clone(), seeds))),
                );
            }
        }
        tests.sort_by_key(|(round, _)| *round);
        tests.into_iter().map(|(_, test)| test).collect()
    }
}

/// What names may be made of, for they are names of folders too.
const NAME_RULE: &str = "expected letters, digits, dots and dashes";

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !name.is_empty() && name.len() <= 60 && !name.starts_with('.') && name.chars().all(fits)
}

impl Group {
    fn mistake(&self, dbs: &BTreeMap<String, PathBuf>) -> Option<String> {
        let known: Vec<&str> = dbs.keys().map(String::as_str).chain(["embedded"]).collect();
        for db in self.db.all() {
            if !known.contains(&db.as_str()) {
                let instead = instead(db, &known);
                return Some(format!("db: there is no `{db}` in [db]{instead}"));
            }
            if self.kind == Kind::Sim && db != "embedded" {
                return Some(format!("db: `{db}` cannot be simulated; leave it out"));
            }
        }
        let sandbox_alone = !self.auth.all().is_empty() || !self.tls.all().is_empty();
        if self.kind == Kind::Sim && sandbox_alone {
            return Some("auth and tls are for kind = \"run\"".to_owned());
        }
        let seeds = match &self.seeds {
            Seeds::These(these) => these.len() as u64,
            Seeds::Range(text) => match range(text) {
                Ok(range) => range.end - range.start,
                Err(message) => return Some(format!("seeds: {message}")),
            },
        };
        (seeds == 0).then(|| "seeds: there is none; name some, such as \"0..10\"".to_owned())
    }

    fn size(&self) -> usize {
        self.rows().len().saturating_mul(self.seeds().len())
    }

    /// What each test of a row is told: its seeds, as text.
    fn seeds(&self) -> Vec<String> {
        match (&self.seeds, self.kind) {
            (Seeds::These(these), _) => these.iter().map(u64::to_string).collect(),
            (Seeds::Range(text), Kind::Sim) => vec![text.clone()],
            (Seeds::Range(text), Kind::Run) => {
                let range = range(text).unwrap_or(0..0);
                range.take(TESTS_MAX + 1).map(|seed| seed.to_string()).collect()
            }
        }
    }

    /// Each combination: its name, its options, and the name of its binary.
    fn rows(&self) -> Vec<(String, Vec<String>, Option<String>)> {
        let mut rows = vec![(self.name.clone(), Vec::new(), None)];
        let words = [
            ("", "--workload", self.workload.all()),
            ("", "--nemesis", self.nemesis.all()),
            ("bug-", "--bug", self.bug.all()),
            ("", "--read", self.read.all()),
        ];
        for (prefix, option, values) in words {
            rows = product(rows, values, |value, args| {
                args.extend([option.to_owned(), value.clone()]);
                format!("{prefix}{}", value.replace(',', "+"))
            });
        }
        rows = product(rows, self.nodes.all(), |nodes, args| {
            args.extend(["--nodes".to_owned(), nodes.to_string()]);
            format!("{nodes}-nodes")
        });
        for (option, values) in [("auth", self.auth.all()), ("tls", self.tls.all())] {
            rows = product(rows, values, |on, args| {
                args.extend(on.then(|| format!("--{option}")));
                if *on { option.to_owned() } else { format!("no-{option}") }
            });
        }
        if self.db.all().is_empty() {
            return rows;
        }
        let with = |(name, args, _): &(String, Vec<String>, Option<String>), db: &String| {
            (format!("{name}/{db}"), args.clone(), (db != "embedded").then(|| db.clone()))
        };
        self.db.all().iter().flat_map(|db| rows.iter().map(move |row| with(row, db))).collect()
    }

    fn test(&self, row: &str, args: &[String], db: Option<String>, seeds: String) -> Test {
        let mut all = args.to_vec();
        let limit = self.time_limit.map(|it| format!("{}ms", it.as_millis()));
        all.extend(limit.into_iter().flat_map(|it| ["--time-limit".to_owned(), it]));
        all.extend(self.args.iter().cloned());
        let one = !seeds.contains("..");
        all.push(if one { "--seed" } else { "--seeds" }.to_owned());
        all.push(seeds.clone());
        Test {
            id: format!("{row}/seed-{}", seeds.replace("..", "-to-")),
            row: row.to_owned(),
            kind: self.kind,
            expected: self.expect,
            args: all,
            db,
            // Simulated time is not ours.
            least: match self.kind {
                Kind::Run => self.time_limit.unwrap_or(Duration::from_secs(20)),
                Kind::Sim => Duration::ZERO,
            },
            seeds,
        }
    }
}

type Row = (String, Vec<String>, Option<String>);

/// Every row with every value; as they are where there is none.
fn product<T>(
    rows: Vec<Row>,
    values: &[T],
    mut add: impl FnMut(&T, &mut Vec<String>) -> String,
) -> Vec<Row> {
    if values.is_empty() {
        return rows;
    }
    let mut all = Vec::with_capacity(rows.len() * values.len());
    for (name, args, db) in rows {
        for value in values {
            let mut args = args.clone();
            let word = add(value, &mut args);
            all.push((format!("{name}/{word}"), args, db.clone()));
        }
    }
    all
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    crate::sim::args::seeds(text)
}

fn one() -> u32 {
    1
}

fn some_duration<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    duration::parse(&text).map(Some).map_err(serde::de::Error::custom)
}

/// `line 3, column 7: ` of a position in a text.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: ")
}

#[cfg(test)]
mod tests;
