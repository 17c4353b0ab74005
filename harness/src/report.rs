//! `ordeal report`: the report of a stored run, written again.

use crate::status;
use clap::Args;
use ordeal_history::{History, ReadError, ReadOptions, read_jsonl};
use ordeal_reports::Results;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Which run.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The run's folder, such as `runs/latest`
    run: PathBuf,
}

/// Why a report could not be written again. Each names the file.
#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error("{path}: {error}; name a run's folder, with results.json and history.jsonl in it")]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{path}: {error}")]
    NoResults { path: PathBuf, error: serde_json::Error },
    #[error("{path}: {error}")]
    NoHistory { path: PathBuf, error: ReadError },
    #[error("{path}: cannot be written: {error}")]
    Unwritable { path: PathBuf, error: io::Error },
}

/// Writes the report again; gives the exit status: 0 when it is written, whatever its verdict.
pub fn run(args: ReportArgs) -> u8 {
    match write_again(&args.run) {
        Ok(path) => {
            println!("{}", path.display());
            status::VALID
        }
        Err(error) => {
            eprintln!("ordeal report: {error}");
            match error {
                ReportError::Unwritable { .. } => status::SOFTWARE,
                _ => status::USAGE,
            }
        }
    }
}

fn write_again(folder: &Path) -> Result<PathBuf, ReportError> {
    let (results, history) = load(folder)?;
    for (name, text) in [
        ("report.html", ordeal_reports::html(&results, &history)),
        ("junit.xml", ordeal_reports::junit(&results)),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| ReportError::Unwritable { path, error })?;
    }
    Ok(folder.join("report.html"))
}

fn load(folder: &Path) -> Result<(Results, History), ReportError> {
    let path = folder.join("results.json");
    let text = fs::read_to_string(&path)
        .map_err(|error| ReportError::Unreadable { path: path.clone(), error })?;
    let results =
        serde_json::from_str(&text).map_err(|error| ReportError::NoResults { path, error })?;
    let path = folder.join("history.jsonl");
    let file = fs::File::open(&path)
        .map_err(|error| ReportError::Unreadable { path: path.clone(), error })?;
    let history = read_jsonl(file, ReadOptions { partial: true })
        .map_err(|error| ReportError::NoHistory { path, error })?;
    Ok((results, history))
}
