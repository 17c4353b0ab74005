//! What a campaign has done so far, on disk as it goes: a line for each test that has ended.

use super::file::{Expected, Test};
use ordeal_reports::Ruling;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The lines' file.
const LINES: &str = "tests.jsonl";
/// Says which campaign a folder is of.
const HEAD: &str = "campaign.json";

/// Which campaign a folder is of, and which part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its name.
    pub campaign: String,
    /// Which shard, of how many: `2/4`.
    pub shard: Option<String>,
    /// Every test that the shard has, by its id: what was not run can be told from it.
    pub tests: Vec<Listed>,
}

/// A test, as far as it must be known to judge the campaign without its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// What it is told apart by.
    pub id: String,
    /// The row that it belongs to.
    pub row: String,
    /// The seeds, as text.
    pub seeds: String,
    /// What must come out of its row.
    pub expected: Expected,
}

impl From<&Test> for Listed {
    fn from(test: &Test) -> Listed {
        let Test { id, row, seeds, expected, .. } = test.clone();
        Listed { id, row, seeds, expected }
    }
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which test.
    pub id: String,
    /// The exit status of its command.
    pub status: u8,
    /// Its verdict; `None` when there was none, for Ordeal or the environment failed.
    pub verdict: Option<Ruling>,
    /// Why, in a sentence.
    pub sentence: String,
    /// How long it took, in milliseconds, what was done again not counted.
    pub ms: u64,
    /// When it was run again after it had failed: how often it failed once more, and of how many.
    pub again: Option<Again>,
    /// Its folder, below the campaign's.
    pub folder: String,
    /// The command that does it once more.
    pub command: String,
}

/// What came of doing a failed test again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// How often it failed once more.
    pub failed: u32,
    /// How often it was done again.
    pub tries: u32,
}

/// Why a campaign's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It belongs to something else.
    #[error("{0}: this folder holds {1}; give a new folder with --out")]
    Foreign(PathBuf, String),
    /// It is none.
    #[error("{0}: no campaign lies here: there is no campaign.json in it")]
    Absent(PathBuf),
    /// A file in it is broken.
    #[error("{path}: line {line}: {error}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// The system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// A campaign's folder: what has ended is written down before anything else begins.
pub struct Ledger {
    folder: PathBuf,
    file: File,
    /// What has ended, by its test.
    pub entries: BTreeMap<String, Entry>,
}

impl Ledger {
    /// Opens the folder of this campaign, or makes it.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: when the folder holds something else, or cannot be written.
    pub fn open(folder: &Path, head: &Head) -> Result<Ledger, LedgerError> {
        let io = |error| LedgerError::Io { path: folder.to_owned(), error };
        std::fs::create_dir_all(folder).map_err(io)?;
        let entries = match read(folder) {
            Ok((found, entries)) if found == *head => entries,
            Ok((found, _)) => {
                let part = found.shard.map(|shard| format!(", shard {shard}")).unwrap_or_default();
                let what = match found.campaign == head.campaign {
                    true => format!("other tests of the campaign {}{part}", found.campaign),
                    false => format!("the campaign {}{part}", found.campaign),
                };
                return Err(LedgerError::Foreign(folder.to_owned(), what));
            }
            Err(LedgerError::Absent(_)) => {
                if std::fs::read_dir(folder).map_err(io)?.next().is_some() {
                    let what = "no campaign, and something else".to_owned();
                    return Err(LedgerError::Foreign(folder.to_owned(), what));
                }
                let text = serde_json::to_string_pretty(head).unwrap_or_default();
                write(&folder.join(HEAD), &text)?;
                BTreeMap::new()
            }
            Err(error) => return Err(error),
        };
        let path = folder.join(LINES);
        // A line that was cut by a kill is left out, and its test is done again.
        let kept: String = entries.values().map(line).collect();
        write(&path, &kept)?;
        let file = OpenOptions::new().append(true).open(&path);
        let file = file.map_err(|error| LedgerError::Io { path, error })?;
        Ok(Ledger { folder: folder.to_owned(), file, entries })
    }

    /// The campaign's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes down what came of a test.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Io`].
    pub fn enter(&mut self, entry: Entry) -> Result<(), LedgerError> {
        let written = self.file.write_all(line(&entry).as_bytes());
        written.map_err(|error| LedgerError::Io { path: self.folder.join(LINES), error })?;
        self.entries.insert(entry.id.clone(), entry);
        Ok(())
    }
}

/// What lies in a campaign's folder. A last line that was cut is passed over.
///
/// # Errors
///
/// [`LedgerError`].
pub fn read(folder: &Path) -> Result<(Head, BTreeMap<String, Entry>), LedgerError> {
    let path = folder.join(HEAD);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(LedgerError::Absent(folder.to_owned()));
        }
        Err(error) => return Err(LedgerError::Io { path, error }),
    };
    let head = serde_json::from_str(&text).map_err(|error| LedgerError::Broken {
        line: error.line(),
        path,
        error,
    })?;
    let path = folder.join(LINES);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(LedgerError::Io { path, error }),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut entries = BTreeMap::new();
    for (at, line) in whole.lines().enumerate() {
        let entry: Entry = serde_json::from_str(line).map_err(|error| LedgerError::Broken {
            path: path.clone(),
            line: at + 1,
            error,
        })?;
        entries.insert(entry.id.clone(), entry);
    }
    Ok((head, entries))
}

fn line(entry: &Entry) -> String {
    format!("{}\n", serde_json::to_string(entry).unwrap_or_default())
}

/// Writes a file of the campaign, whole.
///
/// # Errors
///
/// [`LedgerError::Io`].
pub fn write(path: &Path, text: &str) -> Result<(), LedgerError> {
    std::fs::write(path, text).map_err(|error| LedgerError::Io { path: path.to_owned(), error })
}
