//! `ordeal report`: the report of a stored run, written again; or the index over a folder of runs.

use crate::packed;
use crate::status;
use crate::store;
use clap::Args;
use ordeal_history::{History, ReadError, ReadOptions, read_jsonl};
use ordeal_reports::{NodeLog, Results, Serving};
use std::fs;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

/// Of a node's log so many bytes are read, the last ones.
const LOG_MAX: u64 = 32 << 20;

/// Which run.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The run's folder, such as `runs/latest`; or a folder of runs, for the index over them
    run: PathBuf,
    /// Write the timeline of the counterexample and the plots as SVG files into this folder too
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
}

/// Why a report could not be written. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of the run is not there.
    #[error(
        "{path}: {error}; name a run's folder, with results.json and history.jsonl in it, or a \
         folder of such"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// `results.json` is none.
    #[error("{path}: {error}")]
    NoResults {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        error: serde_json::Error,
    },
    /// `history.jsonl` is none.
    #[error("{path}: {error}")]
    NoHistory {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        error: ReadError,
    },
    /// The index has no plots.
    #[error("--svg {0}: the index over runs has no pictures of a run; name one run's folder")]
    NoPictures(PathBuf),
    /// A plot could not be drawn.
    #[error("{0}")]
    Undrawn(String),
    /// The system does not let it be written.
    #[error("{path}: cannot be written: {error}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Writes the report again; gives the exit status: 0 when it is written, whatever its verdict.
pub fn run(args: ReportArgs) -> u8 {
    match write_again(&args) {
        Ok(path) => {
            say!("{}", path.display());
            status::VALID
        }
        Err(error) => {
            tell!("ordeal report: {error}");
            match error {
                ReportError::Unwritable { .. } | ReportError::Undrawn(_) => status::SOFTWARE,
                _ => status::USAGE,
            }
        }
    }
}

fn write_again(args: &ReportArgs) -> Result<PathBuf, ReportError> {
    let folder = &args.run;
    if !folder.join("results.json").exists() {
        let (runs, campaigns) = (store::runs(folder), store::campaigns(folder));
        if !runs.is_empty() || !campaigns.is_empty() {
            let index = || ordeal_reports::index(&runs, &campaigns, Serving::File);
            return match &args.svg {
                Some(svg) => Err(ReportError::NoPictures(svg.clone())),
                None => put(folder, "index.html", &index()),
            };
        }
    }
    let (results, history) = load(folder)?;
    write(folder, &results, &history)?;
    if let Some(svg) = &args.svg {
        let unwritable = |error| ReportError::Unwritable { path: svg.clone(), error };
        fs::create_dir_all(svg).map_err(unwritable)?;
        let pictures = ordeal_reports::pictures(&results, &history, &logs(folder));
        for picture in pictures.map_err(ReportError::Undrawn)? {
            put(svg, &picture.file, &picture.svg)?;
        }
    }
    Ok(folder.join("report.html"))
}

/// Writes everything that is made of a run's results and history: the page, with what stands in
/// the nodes' logs, `junit.xml` and `summary.md`.
///
/// # Errors
///
/// [`ReportError::Unwritable`].
pub fn write(folder: &Path, results: &Results, history: &History) -> Result<(), ReportError> {
    let story = story(folder);
    let page = ordeal_reports::html_with_spacetime(results, history, &logs(folder), story.as_ref());
    put(folder, "report.html", &page)?;
    put(folder, "junit.xml", &ordeal_reports::junit(results))?;
    put(folder, "summary.md", &ordeal_reports::markdown(results))?;
    Ok(())
}

/// What the spacetime diagram of a shrunk simulation is drawn from, where there is one.
fn story(folder: &Path) -> Option<ordeal_reports::Spacetime> {
    let text = fs::read_to_string(folder.join("spacetime.json")).ok()?;
    serde_json::from_str(&text).ok()
}

fn put(folder: &Path, name: &str, text: &str) -> Result<PathBuf, ReportError> {
    let path = folder.join(name);
    match fs::write(&path, text) {
        Ok(()) => Ok(path),
        Err(error) => Err(ReportError::Unwritable { path, error }),
    }
}

fn load(folder: &Path) -> Result<(Results, History), ReportError> {
    let path = folder.join("results.json");
    let text = fs::read_to_string(&path)
        .map_err(|error| ReportError::Unreadable { path: path.clone(), error })?;
    let results =
        serde_json::from_str(&text).map_err(|error| ReportError::NoResults { path, error })?;
    let path = packed::find(&folder.join("history.jsonl"));
    let file = packed::open(&path)
        .map_err(|error| ReportError::Unreadable { path: path.clone(), error })?;
    let history = read_jsonl(file, ReadOptions { partial: true })
        .map_err(|error| ReportError::NoHistory { path, error })?;
    Ok((results, history))
}

/// The logs of a run's nodes, by their names. One that is not there or cannot be read is left out:
/// a report without it is better than none.
fn logs(folder: &Path) -> Vec<NodeLog> {
    let Ok(nodes) = fs::read_dir(folder.join("nodes")) else { return Vec::new() };
    let mut logs: Vec<NodeLog> = nodes
        .flatten()
        .filter_map(|node| {
            let text = tail(&node.path().join("log")).ok()?;
            Some(NodeLog { node: node.file_name().to_string_lossy().into_owned(), text })
        })
        .collect();
    logs.sort_by(|a, b| a.node.cmp(&b.node));
    logs
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let skipped = file.metadata()?.len().saturating_sub(LOG_MAX);
    file.seek(io::SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(LOG_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
