//! Follows the histories of runs that go on, as they grow.
//!
//! One thread of its own does it: the checks that run along are not made to wander between
//! threads. It reads whole lines, so what is being written is left for the next look.

use crate::plan::Plan;
use crate::run::judge::checkers;
use crate::run::watch::Watch;
use ordeal_history::{Event, EventType, Process, Value};
use ordeal_reports::Phase;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use tokio::sync::oneshot;

/// More seconds than these are summed into the last.
const SECONDS_MAX: usize = 1 << 17;
/// More faults than these are not told.
const BANDS_MAX: usize = 2_000;
/// More runs than these are not followed at once: the one that was not asked for longest is left.
const RUNS_MAX: usize = 16;

/// Asks the thread that follows.
pub struct Watcher(mpsc::Sender<Question>);

struct Question {
    folder: PathBuf,
    report: Option<String>,
    answer: oneshot::Sender<Option<String>>,
}

impl Watcher {
    /// What came so far of the run in `folder`, as JSON; `report` is where its report is, once it
    /// is there. `None` when its history cannot be read.
    pub async fn look(&self, folder: PathBuf, report: Option<String>) -> Option<String> {
        let (answer, told) = oneshot::channel();
        self.0.send(Question { folder, report, answer }).ok()?;
        told.await.ok().flatten()
    }
}

/// Starts the thread; it ends when nobody can ask any more.
pub fn start() -> Watcher {
    let (ask, questions) = mpsc::channel::<Question>();
    std::thread::spawn(move || {
        let mut runs: Vec<(PathBuf, Followed)> = Vec::new();
        for Question { folder, report, answer } in questions {
            let mut run = match runs.iter().position(|(known, _)| *known == folder) {
                Some(at) => runs.remove(at).1,
                None => Followed::new(&folder),
            };
            let told = run.look(&folder.join("history.jsonl"), report);
            runs.push((folder, run));
            if runs.len() > RUNS_MAX {
                runs.remove(0);
            }
            // Who asked may have gone.
            let _ = answer.send(told.ok());
        }
    });
    Watcher(ask)
}

/// A run, as far as its history was read.
struct Followed {
    read: u64,
    watch: Watch,
    state: State,
    open: BTreeMap<(String, i64), usize>,
}

/// What is told of it.
#[derive(Default, Serialize)]
struct State {
    ok: u64,
    fail: u64,
    info: u64,
    landed: u64,
    time_ms: u64,
    /// For each second the operations that ended in it: ok, fail, info.
    seconds: Vec<[u64; 3]>,
    bands: Vec<Band>,
    /// Whether a check runs along.
    watched: bool,
    violation: Option<Violation>,
    report: Option<String>,
}

#[derive(Serialize)]
struct Band {
    what: String,
    from_s: f64,
    to_s: Option<f64>,
}

#[derive(Serialize)]
struct Violation {
    time_ms: u64,
    reason: String,
}

/// A line of a history.
#[derive(Deserialize)]
struct Line<'a> {
    index: u64,
    time: u64,
    process: serde_json::Value,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    f: Cow<'a, str>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    actual: Option<&'a RawValue>,
    revision: Option<i64>,
    version: Option<i64>,
    node: Option<String>,
    error: Option<String>,
}

impl Line<'_> {
    fn event(self) -> Option<Event> {
        let process = match &self.process {
            serde_json::Value::String(name) if name == "nemesis" => Process::Nemesis,
            number => Process::Client(number.as_i64()?),
        };
        let kind = match self.kind {
            "invoke" => EventType::Invoke,
            "ok" => EventType::Ok,
            "fail" => EventType::Fail,
            "info" => EventType::Info,
            _ => return None,
        };
        let value = |raw: Option<&RawValue>| raw.and_then(|raw| Value::parse(raw.get()).ok());
        let mut event = Event::new(self.index, self.time, process, kind, &*self.f);
        event.key = value(self.key);
        event.value = value(self.value).unwrap_or_default();
        event.actual = value(self.actual);
        (event.revision, event.version) = (self.revision, self.version);
        (event.node, event.error) = (self.node, self.error);
        Some(event)
    }
}

impl Followed {
    fn new(folder: &Path) -> Followed {
        let checkers = match Plan::load(&folder.join("plan.json")) {
            Ok(plan) => checkers(&plan),
            Err(_) => Vec::new(),
        };
        let watch = Watch::new(&checkers, false);
        let state = State { watched: watch.is_watching(), ..State::default() };
        Followed { read: 0, watch, state, open: BTreeMap::new() }
    }

    /// Reads what was written since, and tells all of it.
    fn look(&mut self, history: &Path, report: Option<String>) -> io::Result<String> {
        let mut file = File::open(history)?;
        file.seek(io::SeekFrom::Start(self.read))?;
        let mut lines = BufReader::with_capacity(1 << 18, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = lines.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                break;
            }
            self.read += length as u64;
            let event = std::str::from_utf8(&line)
                .ok()
                .and_then(|line| serde_json::from_str::<Line<'_>>(line).ok().and_then(Line::event));
            if let Some(event) = event {
                self.see(&event);
            }
        }
        self.state.report = report;
        Ok(serde_json::to_string(&self.state)?)
    }

    fn see(&mut self, event: &Event) {
        self.state.time_ms = self.state.time_ms.max(event.time / 1_000_000);
        if let Some(violation) = self.watch.see(event) {
            let (time_ms, reason) = (violation.time_ns / 1_000_000, violation.reason.clone());
            self.state.violation = Some(Violation { time_ms, reason });
        }
        if event.process == Process::Nemesis {
            return self.see_note(event);
        }
        let state = &mut self.state;
        let (count, place) = match event.kind {
            EventType::Invoke => return,
            EventType::Ok => (&mut state.ok, 0),
            EventType::Fail => (&mut state.fail, 1),
            EventType::Info => (&mut state.info, 2),
        };
        *count += 1;
        let second = usize::try_from(event.time / 1_000_000_000).unwrap_or(SECONDS_MAX);
        let second = second.min(SECONDS_MAX - 1);
        if state.seconds.len() <= second {
            state.seconds.resize(second + 1, [0; 3]);
        }
        state.seconds[second][place] += 1;
    }

    fn see_note(&mut self, event: &Event) {
        let Some(note) = ordeal_reports::note(event) else { return };
        let (at_s, id) = (event.time as f64 / 1e9, (note.kind.to_owned(), note.id));
        match note.phase {
            Phase::Start if self.state.bands.len() < BANDS_MAX => {
                self.open.insert(id, self.state.bands.len());
                let what = note.what();
                self.state.bands.push(Band { what, from_s: at_s, to_s: None });
            }
            Phase::End => {
                self.state.landed += u64::from(note.landed);
                if let Some(at) = self.open.remove(&id) {
                    self.state.bands[at].to_s = Some(at_s);
                }
            }
            Phase::Start | Phase::Failed => {}
        }
    }
}
