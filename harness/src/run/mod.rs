//! `ordeal run`: one test.
//!
//! The plan is made and looked at before anything starts. Then everything happens inside the
//! sandbox: the run's folder, the cluster, the clients, the judgement. [`course`] is the run itself
//! and does not know where it is; what knows is here.

pub mod args;
mod client;
pub mod course;
pub mod environment;
pub mod flag;
pub mod folder;
pub mod judge;
mod needs;
mod pace;
pub mod progress;
pub mod real_time;
pub mod record;
mod sandboxed;
mod screen;
pub mod target;
pub mod watch;

pub use args::RunArgs;

use crate::calendar::Moment;
use crate::plan::Plan;
use crate::sandbox::{self, Sandbox, SandboxSpec};
use crate::status;
use course::Course;
use environment::EnvironmentError;
use flag::Flag;
use folder::{Folder, check_out};
use futures::future::{Either, select};
use judge::About;
use ordeal_history::{ReadOptions, read_jsonl};
use ordeal_nemesis::Capability;
use ordeal_reports::{Results, Ruling, html, junit, terminal};
use ordeal_workloads::{Visitor, Workload, visit};
use progress::Progress;
use real_time::RealTime;
use record::Recorder;
use sandboxed::Sandboxed;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use target::Target;
use tokio::signal::unix::{SignalKind, signal};
use watch::Watch;

/// Runs one test, prints its verdict, and gives the exit status.
///
/// Must be called while the process has one thread, as [`sandbox::enter`].
pub fn run(args: RunArgs) -> u8 {
    let plan = match args.plan() {
        Ok(plan) => plan,
        Err(error) => return complain(&error, error.exit_status()),
    };
    if let Some(out) = &args.out
        && let Err(error) = check_out(out)
    {
        return complain(&error, status::USAGE);
    }
    match sandbox::enter(|| inside(&args, &plan)) {
        Ok(status) => status,
        Err(error) => complain(&error, status::UNAVAILABLE),
    }
}

/// Everything that happens inside the sandbox.
fn inside(args: &RunArgs, plan: &Plan) -> u8 {
    match test(args, plan) {
        Ok(status) => status,
        Err(error) => complain(&error.message, error.status),
    }
}

fn complain(error: &dyn std::fmt::Display, status: u8) -> u8 {
    eprintln!("ordeal: {error}");
    status
}

/// Why a test came to no verdict.
struct Failure {
    message: String,
    status: u8,
}

impl Failure {
    fn ours(error: impl std::fmt::Display) -> Failure {
        Failure { message: error.to_string(), status: status::SOFTWARE }
    }

    fn environment(error: impl std::fmt::Display) -> Failure {
        Failure { message: error.to_string(), status: status::UNAVAILABLE }
    }
}

/// What came of the run itself.
struct Ran {
    course: Course,
    db_version: Option<String>,
    broken: Option<std::io::Error>,
}

fn test(args: &RunArgs, plan: &Plan) -> Result<u8, Failure> {
    let began = Moment::now();
    let folder = Folder::create(plan, args.out.as_deref(), began).map_err(Failure::ours)?;
    folder.write("plan.json", &plan.to_json()).map_err(Failure::ours)?;
    let ran = drive(plan, &folder, args.fail_fast)?;
    let file = File::open(folder.history()).map_err(Failure::ours)?;
    let history = read_jsonl(file, ReadOptions { partial: true }).map_err(Failure::ours)?;
    let about = About {
        started_at: began.rfc3339(),
        command: again(&folder, args.fail_fast),
        db_version: ran.db_version,
    };
    let judged = judge::judge(plan, &history, &ran.course, about);
    let results = judged.results;
    let write = |name: &str, text: &str| folder.write(name, text).map_err(Failure::ours);
    let json = serde_json::to_string_pretty(&results).map_err(Failure::ours)?;
    write("results.json", &format!("{json}\n"))?;
    write("report.html", &html(&results, &history))?;
    write("junit.xml", &junit(&results))?;
    if let Some(positions) = &judged.counterexample {
        folder.write_violation(plan, &history, positions, &results).map_err(Failure::ours)?;
    }
    if results.verdict == Ruling::Valid {
        folder.drop_data(plan);
    }
    if args.json {
        print(&format!("{json}\n"));
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print(&terminal(&results, &history, colour));
        print(&format!("Report: {}\n", folder.path().join("report.html").display()));
    }
    if let Some(error) = ran.broken {
        let message = format!("cannot write {}: {error}", folder.history().display());
        return Err(Failure::ours(message));
    }
    Ok(exit_status(&results))
}

/// The command line that does the same again.
fn again(folder: &Folder, fail_fast: bool) -> String {
    let fail_fast = if fail_fast { " --fail-fast" } else { "" };
    format!("ordeal run --plan {}{fail_fast}", folder.path().join("plan.json").display())
}

/// Prints, and does not mind that nobody reads.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn exit_status(results: &Results) -> u8 {
    match results.verdict {
        _ if results.interrupted => status::INTERRUPTED,
        Ruling::Valid => status::VALID,
        Ruling::Invalid => status::INVALID,
        Ruling::Unknown => status::UNKNOWN,
    }
}

/// Builds the cluster, and drives the test on real time.
fn drive(plan: &Plan, folder: &Folder, fail_fast: bool) -> Result<Ran, Failure> {
    let spec = SandboxSpec { nodes: plan.nodes.clone(), seed: plan.seed };
    let sandbox = Sandbox::new(spec).map_err(Failure::environment)?;
    let mut addresses = BTreeMap::new();
    for node in &plan.nodes {
        addresses.insert(node.clone(), sandbox.address(node).map_err(Failure::environment)?);
    }
    let target = Target::new(plan, addresses, &folder.nodes()).map_err(Failure::ours)?;
    let sandboxed = Sandboxed::new(sandbox, target);
    if plan.schedule.kinds().iter().any(|kind| kind.needs() == Capability::Disk) {
        sandboxed.mount_disks().map_err(Failure::environment)?;
    }
    let sink = folder::sink(folder.begin_history().map_err(Failure::ours)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::ours)?;
    let driven = runtime.block_on(async {
        let time = RealTime::new();
        let progress = Rc::new(Progress::default());
        let watch = Watch::new(&judge::checkers(plan), fail_fast);
        let recorder = Recorder::new(&time, sink, progress.clone()).with_watch(watch);
        let limit = Duration::from_millis(plan.time_limit_ms);
        let drive = Drive { plan, environment: &sandboxed, time: &time, recorder: &recorder };
        let running = visit(&plan.workload.name, drive);
        let running = running.ok_or_else(|| Failure::ours("the plan's workload is not there"))?;
        let screen = pin!(screen::show(&progress, &time, limit));
        let course = match select(running, screen).await {
            Either::Left((course, _)) => course.map_err(Failure::environment)?,
            Either::Right(((), _)) => return Err(Failure::ours("the screen ended before the run")),
        };
        Ok((course, recorder.error()))
    });
    let (course, broken) = driven?;
    Ok(Ran { course, db_version: sandboxed.version_seen(), broken })
}

/// Runs the course of whichever workload the plan names.
struct Drive<'a> {
    plan: &'a Plan,
    environment: &'a Sandboxed,
    time: &'a RealTime,
    recorder: &'a Recorder<'a, RealTime>,
}

type Running<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Course, EnvironmentError>> + 'a>>;

impl<'a> Visitor for Drive<'a> {
    type Output = Running<'a>;

    fn visit<W: Workload>(self) -> Running<'a> {
        Box::pin(async move {
            let interrupt = Flag::default();
            let listening = interrupts(interrupt.clone());
            let Drive { plan, environment, time, recorder } = self;
            let running = course::run::<W, _, _>(plan, environment, time, recorder, &interrupt);
            match select(pin!(running), pin!(listening)).await {
                Either::Left((course, _)) => course,
                Either::Right((error, running)) => {
                    // The run goes on, and cannot be interrupted.
                    eprintln!("ordeal: cannot listen for interrupts: {error}");
                    running.await
                }
            }
        })
    }
}

/// Raises the flag at each SIGINT and SIGTERM. Returns only when it cannot listen.
async fn interrupts(flag: Flag) -> std::io::Error {
    let signals =
        signal(SignalKind::interrupt()).and_then(|int| Ok((int, signal(SignalKind::terminate())?)));
    let (mut int, mut term) = match signals {
        Ok(signals) => signals,
        Err(error) => return error,
    };
    loop {
        select(pin!(int.recv()), pin!(term.recv())).await;
        if !flag.is_raised() {
            eprintln!("ordeal: interrupted: healing, stopping, and judging what was recorded");
        }
        flag.raise();
    }
}

#[cfg(test)]
mod tests;
