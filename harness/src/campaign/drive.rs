//! Runs a campaign's tests, each as a command of its own, side by side.

use super::file::{Expected, Kind, Test};
use super::ledger::{Again, Entry, Ledger, LedgerError};
use crate::status;
use futures::stream::{FuturesUnordered, StreamExt};
use ordeal_reports::{Results, Ruling};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::watch;

/// What a run takes beside the time that its clients work, until one has ended and told.
const BESIDE: Duration = Duration::from_secs(15);
/// How long after the end of its budget a campaign waits for what still runs.
const GRACE: Duration = Duration::from_secs(20);

/// How a campaign is run.
pub struct How {
    /// The program that does a test: this one.
    pub program: PathBuf,
    /// Where the binaries are that are put on trial, by their names.
    pub db: BTreeMap<String, PathBuf>,
    /// How many tests run at once.
    pub jobs: usize,
    /// How long it may take.
    pub budget: Option<Duration>,
    /// How often a failed test is done again.
    pub retries: u32,
}

/// What came of a campaign, beside its ledger.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Whether somebody ended it.
    pub interrupted: bool,
    /// Whether its time was over before its tests were.
    pub out_of_time: bool,
}

/// Runs the tests that the ledger does not know yet.
///
/// # Errors
///
/// When what came of one cannot be written down.
pub async fn drive(tests: &[Test], how: &How, ledger: &mut Ledger) -> Result<Ran, LedgerError> {
    let began = Instant::now();
    let (end, ended) = watch::channel(false);
    let mut found: BTreeSet<String> =
        tests.iter().filter(|test| is_found(test, ledger)).map(|it| it.row.clone()).collect();
    let mut waiting: VecDeque<&Test> =
        tests.iter().filter(|test| !ledger.entries.contains_key(&test.id)).collect();
    let total = tests.len();
    let mut pace = Pace::default();
    let mut ran = Ran::default();
    let mut under_way = FuturesUnordered::new();
    let mut interrupt = std::pin::pin!(interrupted());
    loop {
        while under_way.len() < how.jobs && !ran.interrupted && !ran.out_of_time {
            let Some(test) = waiting.pop_front() else { break };
            if found.contains(&test.row) {
                continue;
            }
            let left = how.budget.map(|budget| budget.saturating_sub(began.elapsed()));
            if left.is_some_and(|left| left < pace.of(test)) {
                ran.out_of_time = true;
                break;
            }
            under_way.push(one(test, how, ledger.folder().to_owned(), ended.clone()));
        }
        if under_way.is_empty() {
            return Ok(ran);
        }
        let over = how.budget.map(|budget| (budget + GRACE).saturating_sub(began.elapsed()));
        tokio::select! {
            Some((test, entry)) = under_way.next() => {
                // What was cut short says nothing, and is done when the campaign goes on.
                let Some(entry) = entry else { continue };
                pace.learn(test, entry.ms);
                if entry.verdict == Some(Ruling::Invalid) && test.expected == Expected::Invalid {
                    found.insert(test.row.clone());
                }
                let told = tell(test, &entry);
                ledger.enter(entry)?;
                let done = ledger.entries.len();
                let left = pace.for_all(&waiting, how.jobs);
                tell!("[{done}/{total}] {told}{}", ahead(left));
            }
            () = &mut interrupt, if !ran.interrupted => {
                ran.interrupted = true;
                end.send_replace(true);
                tell!("interrupted: what is under way is ended");
            }
            () = wait(over), if over.is_some() && !*end.borrow() => {
                ran.out_of_time = true;
                end.send_replace(true);
            }
        }
    }
}

async fn wait(over: Option<Duration>) {
    match over {
        Some(over) => tokio::time::sleep(over).await,
        None => std::future::pending().await,
    }
}

/// Ctrl-C, or what a CI sends when a job is cancelled.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

fn is_found(test: &Test, ledger: &Ledger) -> bool {
    let entry = ledger.entries.get(&test.id);
    test.expected == Expected::Invalid
        && entry.is_some_and(|entry| entry.verdict == Some(Ruling::Invalid))
}

/// Does one test; and again, where it fails against what was expected. `None` when it was cut
/// short.
async fn one<'t>(
    test: &'t Test,
    how: &How,
    root: PathBuf,
    ended: watch::Receiver<bool>,
) -> (&'t Test, Option<Entry>) {
    let name = test.id.replace(['/', ' ', ':', '@', '='], "_");
    let folder = root.join("runs").join(&name);
    let command = match test.kind {
        Kind::Run => "run",
        Kind::Sim => "sim",
    };
    let mut args = vec![command.to_owned()];
    args.extend(test.args.iter().cloned());
    if let Some(path) = test.db.as_ref().and_then(|db| how.db.get(db)) {
        args.extend(["--db".to_owned(), path.display().to_string()]);
    }
    let began = Instant::now();
    let Some(Done { status, words }) = play(&how.program, &args, &folder, &ended).await else {
        return (test, None);
    };
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let verdict = verdict(status);
    let surprising = test.expected == Expected::Valid && verdict != Some(Ruling::Valid);
    let mut again = None;
    if surprising && test.kind == Kind::Run && how.retries > 0 {
        let mut tally = Again { failed: 0, tries: 0 };
        let plan = folder.join("plan.json").display().to_string();
        let args = match verdict {
            Some(_) => vec!["run".to_owned(), "--plan".to_owned(), plan],
            None => args.clone(),
        };
        for number in 1..=how.retries {
            let folder = root.join("runs").join(format!("{name}-again-{number}"));
            let Some(done) = play(&how.program, &args, &folder, &ended).await else {
                return (test, None);
            };
            tally.tries += 1;
            tally.failed += u32::from(done.status != status::VALID);
        }
        again = Some(tally);
    }
    if surprising && test.kind == Kind::Sim {
        shrink(how, &folder, &ended).await;
    }
    let sentence = sentence(&folder, verdict, &words);
    let command = std::iter::once("ordeal".to_owned()).chain(args);
    let command = command.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ");
    let folder = format!("runs/{name}");
    let entry =
        Entry { id: test.id.clone(), status, verdict, sentence, ms, again, folder, command };
    (test, Some(entry))
}

/// Makes the first violation of a simulation small. What comes of it lies beside it.
async fn shrink(how: &How, folder: &Path, ended: &watch::Receiver<bool>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let reproducers = entries.flatten().map(|entry| entry.path().join("reproducer.json"));
    let Some(first) = reproducers.filter(|path| path.is_file()).min() else { return };
    let args = ["shrink".to_owned(), first.display().to_string()];
    play(&how.program, &args, &folder.join("small"), ended).await;
}

struct Done {
    status: u8,
    /// The last line that it said.
    words: String,
}

/// Runs the command into a folder that it finds new; `None` when it was cut short.
async fn play(
    program: &Path,
    args: &[String],
    folder: &Path,
    ended: &watch::Receiver<bool>,
) -> Option<Done> {
    // Left by a campaign that was killed here: the test is done from its beginning.
    if folder.exists() {
        std::fs::remove_dir_all(folder).ok()?;
    }
    let mut command = Command::new(program);
    // A group of its own: Ctrl-C comes to this process, which passes it on once.
    command.args(args).arg("--out").arg(folder).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let words = format!("{} could not be started: {error}", program.display());
            return Some(Done { status: status::SOFTWARE, words });
        }
    };
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let mut ended = ended.clone();
    let output = child.wait_with_output();
    let mut output = std::pin::pin!(output);
    let output = tokio::select! {
        output = &mut output => output,
        Ok(_) = ended.wait_for(|ended| *ended) => {
            if let Some(pid) = pid {
                let pid = nix::unistd::Pid::from_raw(pid);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
            }
            let _ = output.await;
            return None;
        }
    };
    Some(match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let words = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("");
            let code = output.status.code().and_then(|code| u8::try_from(code).ok());
            Done { status: code.unwrap_or(status::SOFTWARE), words: words.to_owned() }
        }
        Err(error) => Done { status: status::SOFTWARE, words: error.to_string() },
    })
}

fn verdict(status: u8) -> Option<Ruling> {
    match status {
        status::VALID => Some(Ruling::Valid),
        status::INVALID => Some(Ruling::Invalid),
        status::UNKNOWN => Some(Ruling::Unknown),
        _ => None,
    }
}

/// Why a test has the verdict that it has: what its checkers say, or what was said last.
fn sentence(folder: &Path, verdict: Option<Ruling>, words: &str) -> String {
    let load = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let of_run = || -> Option<String> {
        let results: Results = serde_json::from_str(&load("results.json")?).ok()?;
        let told = results.checkers.iter().find(|it| it.verdict == results.verdict)?;
        Some(match results.verdict {
            Ruling::Valid => told.reason.clone(),
            _ => format!("{}: {}", told.name, told.reason),
        })
    };
    let of_sim = || -> Option<String> {
        let summary: serde_json::Value = serde_json::from_str(&load("summary.json")?).ok()?;
        let count = |field: &str| summary[field].as_u64().unwrap_or(0);
        let (runs, invalid, unknown) = (count("runs"), count("invalid"), count("unknown"));
        Some(format!("{runs} seeds: {invalid} invalid, {unknown} unknown"))
    };
    match verdict {
        Some(_) => of_run().or_else(of_sim).unwrap_or_default(),
        None => words.to_owned(),
    }
}

/// What a test takes, as far as is known: the time that it asks for, and what those before it took
/// beside theirs.
#[derive(Default)]
struct Pace {
    beside_ms: u64,
    ended: u64,
}

impl Pace {
    fn learn(&mut self, test: &Test, ms: u64) {
        let least_ms = u64::try_from(test.least.as_millis()).unwrap_or(u64::MAX);
        self.beside_ms = self.beside_ms.saturating_add(ms.saturating_sub(least_ms));
        self.ended += 1;
    }

    fn of(&self, test: &Test) -> Duration {
        let beside = self.beside_ms.checked_div(self.ended).map(Duration::from_millis);
        test.least + beside.unwrap_or(BESIDE)
    }

    fn for_all(&self, waiting: &VecDeque<&Test>, jobs: usize) -> Duration {
        let all: Duration = waiting.iter().map(|test| self.of(test)).sum();
        all / u32::try_from(jobs.max(1)).unwrap_or(1)
    }
}

fn ahead(left: Duration) -> String {
    match left.as_secs() {
        0 => String::new(),
        seconds @ 1..120 => format!(" · about {seconds} s to go"),
        seconds => format!(" · about {} min to go", seconds.div_ceil(60)),
    }
}

fn tell(test: &Test, entry: &Entry) -> String {
    let word = match (entry.verdict, test.expected) {
        (Some(Ruling::Invalid), Expected::Invalid) => "found",
        (Some(ruling), _) => ruling.word(),
        (None, _) => "failed",
    };
    let again = entry.again.map(|Again { failed, tries }| {
        format!(", and {failed} of {tries} times when it was done again")
    });
    let why = match entry.verdict {
        Some(Ruling::Valid) => String::new(),
        _ => format!(": {}", entry.sentence),
    };
    format!("{word} {} ({} s{}){why}", test.id, entry.ms / 1_000, again.unwrap_or_default())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
