//! The store of runs: one folder a run, and a link to the newest.

use crate::calendar::Moment;
use crate::plan::Plan;
use ordeal_history::{Event, History, Writer};
use ordeal_nemesis::NodeId;
use ordeal_reports::{Results, Ruling};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where runs are kept, unless `--out` says otherwise.
const RUNS: &str = "runs";

/// A run's folder.
pub struct Folder {
    path: PathBuf,
}

/// Why a folder cannot hold a run, or a file in it could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// `--out` names a folder that holds something.
    #[error("--out {}: this folder is not empty; give a new or an empty one", .0.display())]
    NotEmpty(PathBuf),
    /// `--out` names something that is no folder.
    #[error("--out {}: this is no folder; give a new or an empty one", .0.display())]
    NoFolder(PathBuf),
    /// The system refused.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Whether `--out` may be used: it is not there, or an empty folder.
///
/// # Errors
///
/// [`FolderError`], which is a mistake on the command line.
pub fn check_out(out: &Path) -> Result<(), FolderError> {
    match std::fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(FolderError::NotEmpty(out.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(FolderError::NoFolder(out.to_owned()))
        }
        Err(source) => Err(FolderError::Io { path: out.to_owned(), source }),
    }
}

impl Folder {
    /// Makes the folder of a run that begins now, and the link `runs/latest` to it; or takes `out`.
    ///
    /// # Errors
    ///
    /// When the folder or the link could not be made.
    pub fn create(plan: &Plan, out: Option<&Path>, began: Moment) -> Result<Folder, FolderError> {
        let path = match out {
            Some(out) => out.to_owned(),
            None => {
                let name = format!("{}-{}", plan.workload.name, plan.db.word());
                Path::new(RUNS).join(name).join(began.for_folder())
            }
        };
        let failed = |source| FolderError::Io { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(failed)?;
        let absolute = std::fs::canonicalize(&path).map_err(failed)?;
        if out.is_none() {
            link_latest(&absolute).map_err(failed)?;
        }
        Ok(Folder { path: absolute })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The nodes' folders lie in here.
    pub fn nodes(&self) -> PathBuf {
        self.path.join("nodes")
    }

    /// What each node wrote to its log; of one that cannot be read, nothing.
    pub fn logs(&self, plan: &Plan) -> BTreeMap<NodeId, String> {
        let log = |node: &NodeId| {
            let bytes = std::fs::read(self.nodes().join(&node.0).join("log")).unwrap_or_default();
            (node.clone(), String::from_utf8_lossy(&bytes).into_owned())
        };
        plan.everyone().iter().map(log).collect()
    }

    /// The history's file.
    pub fn history(&self) -> PathBuf {
        self.path.join("history.jsonl")
    }

    /// Writes one of the run's files, whole.
    ///
    /// # Errors
    ///
    /// [`FolderError::Io`].
    pub fn write(&self, name: &str, text: &str) -> Result<(), FolderError> {
        let path = self.path.join(name);
        std::fs::write(&path, text).map_err(|source| FolderError::Io { path, source })
    }

    /// Opens the history for writing as the run goes: each event is one write of one whole line.
    ///
    /// # Errors
    ///
    /// [`FolderError::Io`].
    pub fn begin_history(&self) -> Result<Writer<File>, FolderError> {
        let path = self.history();
        let file = File::create(&path).map_err(|source| FolderError::Io { path, source })?;
        Ok(Writer::new(file))
    }

    /// Writes the counterexample, as a history of its own, and the reproducer.
    ///
    /// # Errors
    ///
    /// [`FolderError::Io`].
    pub fn write_violation(
        &self,
        plan: &Plan,
        history: &History,
        positions: &[u32],
        results: &Results,
    ) -> Result<(), FolderError> {
        let events = history.events_of(positions);
        let trace = lines(&events).map_err(|source| FolderError::Io {
            path: self.path.join("counterexample.jsonl"),
            source,
        })?;
        self.write("counterexample.jsonl", &trace)?;
        let checkers: Vec<&str> = results
            .deciding()
            .filter(|checker| checker.verdict == Ruling::Invalid)
            .map(|checker| checker.name.as_str())
            .collect();
        let trace: Vec<serde_json::Value> =
            trace.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let reproducer = json!({
            "version": 1,
            "plan": plan,
            "trace": trace,
            "expected": { "verdict": results.verdict, "checkers": checkers },
        });
        self.write("reproducer.json", &format!("{reproducer:#}\n"))
    }

    /// Takes the nodes' data away, and leaves their logs.
    pub fn drop_data(&self, plan: &Plan) {
        for node in &plan.everyone() {
            // What cannot be taken away does no harm.
            let _ = std::fs::remove_dir_all(self.nodes().join(&node.0).join("data"));
        }
    }
}

/// Points `runs/latest` at the run, in one step: nobody sees it missing.
fn link_latest(run: &Path) -> io::Result<()> {
    let runs = std::fs::canonicalize(RUNS)?;
    let target = run.strip_prefix(&runs).unwrap_or(run);
    let fresh = runs.join(format!(".latest-{}", std::process::id()));
    // A leftover of a process of the same number.
    let _ = std::fs::remove_file(&fresh);
    std::os::unix::fs::symlink(target, &fresh)?;
    std::fs::rename(&fresh, runs.join("latest"))
}

fn lines(events: &[Event]) -> io::Result<String> {
    let mut writer = Writer::new(Vec::new());
    for event in events {
        writer.write(event)?;
    }
    writer.flush()?;
    String::from_utf8(writer.into_inner()).map_err(io::Error::other)
}

/// A sink for the recorder that writes to this history.
pub fn sink(mut writer: Writer<impl Write + 'static>) -> super::record::Sink {
    Box::new(move |event| writer.write(event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanOptions;

    #[test]
    fn a_folder_that_holds_something_is_refused_by_name() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        assert!(check_out(&folder.path().join("new")).is_ok());
        assert!(check_out(folder.path()).is_ok());
        std::fs::write(folder.path().join("file"), "")?;
        assert!(matches!(check_out(folder.path()), Err(FolderError::NotEmpty(_))));
        let file = folder.path().join("file");
        assert!(matches!(check_out(&file), Err(FolderError::NoFolder(_))));
        Ok(())
    }

    #[test]
    fn a_given_folder_is_the_runs_own_and_holds_its_files() -> Result<(), FolderError> {
        let temporary = tempfile::tempdir().map_err(|source| FolderError::Io {
            path: PathBuf::from("a temporary folder"),
            source,
        })?;
        let plan = Plan::derive(&PlanOptions::default()).expect("the defaults make sense");
        let out = temporary.path().join("out");
        let folder = Folder::create(&plan, Some(&out), Moment::now())?;
        folder.write("plan.json", &plan.to_json())?;
        let mut writer = folder.begin_history()?;
        let event = Event::new(
            0,
            1,
            ordeal_history::Process::Client(0),
            ordeal_history::EventType::Invoke,
            "read",
        );
        assert!(writer.write(&event).is_ok());
        let text = std::fs::read_to_string(out.join("history.jsonl")).unwrap_or_default();
        assert!(text.ends_with('\n') && text.contains("invoke"), "{text}");
        assert_eq!(Plan::load(&out.join("plan.json")).ok(), Some(plan));
        Ok(())
    }
}
