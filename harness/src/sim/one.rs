//! One simulation, from its plan to its verdict.

use super::environment::Simulation;
use super::trace::Trace;
use super::world::World;
use crate::plan::Plan;
use crate::run::course::{self, Course};
use crate::run::environment::EnvironmentError;
use crate::run::flag::Flag;
use crate::run::judge::{self, About, Judgements, failed_by_their_disks};
use crate::run::progress::Progress;
use crate::run::record::{Recorder, Sink};
use futures::future::{Either, select};
use ordeal_checker::{Cost, Judgement, Limits, Verdict, Witness};
use ordeal_history::{Event, History, Operation, Outcome, Writer};
use ordeal_nemesis::{NodeId, VirtualTime};
use ordeal_reports::Spacetime;
use ordeal_workloads::{Visitor, Workload, visit};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

/// How much a search may look at: a seed that needs more is worth less than the next ones. The
/// bound is no time, so that a seed's verdict is the same on every machine.
const CONFIGURATIONS_MAX: u64 = 50_000;
/// How long a checker may take whatever it does.
const CHECK_MAX: Duration = Duration::from_secs(120);

/// What came of one simulation.
pub struct Simulated {
    /// What the clients saw.
    pub history: History,
    /// Its events, as they stand in its file.
    pub written: Vec<u8>,
    /// What the checkers say of it.
    pub judgements: Judgements,
    /// Everything that happened, as one number.
    pub trace: u64,
    /// How long it lasted, in simulated time.
    pub lasted: Duration,
    /// What a picture of it is drawn from, where its operations are scripted.
    pub story: Option<Spacetime>,
    /// How often what happened that seldom does.
    pub rare: BTreeMap<&'static str, u64>,
    /// Who led when the clients began.
    pub led: Option<NodeId>,
}

/// Runs the plan.
///
/// # Errors
/// One sentence: why the plan cannot be simulated.
pub fn simulate(plan: &Plan) -> Result<Simulated, String> {
    let time = VirtualTime::new();
    let world = Rc::new(World::new(&time, plan)?);
    let events = Rc::new(RefCell::new(Vec::new()));
    let sink: Sink = {
        let events = events.clone();
        Box::new(move |event: &Event| {
            events.borrow_mut().push(event.clone());
            Ok(())
        })
    };
    let progress = Rc::new(Progress::default());
    let recorder = Recorder::new(&time, sink, progress.clone());
    let environment = Simulation(world.clone());
    let drive = Drive { plan, environment: &environment, time: &time, recorder: &recorder };
    let running = visit(&plan.workload.name, drive);
    let running = running.ok_or("the plan's workload is not there")?;
    let life = async {
        match select(running, pin!(world.live())).await {
            Either::Left((course, _)) => course,
            Either::Right(_) => unreachable!("the world lives for ever"),
        }
    };
    let course = time.run(life).ok_or("the simulation stands still")?;
    let course = course.map_err(|error| error.to_string())?;
    drop(recorder);
    let events = events.take();
    let mut trace = Trace::default();
    trace.add_all(&[world.trace()]);
    let written = written(&events);
    trace.add(&written);
    let history = History::from_events(events).map_err(|error| error.to_string())?;
    let judgements = judged(plan, &history, &course, &world);
    let began = progress.began.get().unwrap_or_default();
    Ok(Simulated {
        history,
        written,
        judgements,
        trace: trace.value(),
        lasted: course.worked,
        story: world.story(began),
        led: world.led_at(began),
        rare: world.notes(),
    })
}

fn judged(plan: &Plan, history: &History, course: &Course, world: &World) -> Judgements {
    let about = About {
        started_at: String::new(),
        clients_began_us: None,
        // Whoever keeps the plan knows where.
        command: String::new(),
        db_version: None,
        logs: BTreeMap::new(),
        limits: Limits {
            time: Some(CHECK_MAX),
            configurations: CONFIGURATIONS_MAX,
            threads: 1,
            ..Limits::default()
        },
    };
    let operations = history.operations.len() as u64;
    let more = vec![safety(world, operations), liveness(plan, history, course)];
    judge::judge(plan, history, course, about, more)
}

/// The line `safety`: what Raft promises held in every moment.
fn safety(world: &World, operations: u64) -> Judgement {
    let (verdict, reason) = match world.broken() {
        Some(what) => {
            let story = vec![what.clone()];
            let found = ordeal_checker::Counterexample { story, ..Default::default() };
            (Verdict::Invalid(found), format!("A promise of Raft was broken: {what}."))
        }
        None => {
            let reason =
                "One leader a term, and the same state after the same entry, at all times.";
            (Verdict::Valid(Witness::default()), reason.to_owned())
        }
    };
    let (checker, algorithm) = ("safety".to_owned(), "watch".to_owned());
    Judgement { checker, verdict, algorithm, reason, operations, cost: Cost::default() }
}

/// How many election timeouts a question may take when all faults are over: one for a leader to be
/// missed, which may be drawn twice as long, and one to elect another.
const ANSWER_MAX_ELECTIONS: u64 = 3;

/// The line `liveness`: when all faults were over every member answered within a bound, and then
/// whatever was asked was answered, unless the client did not wait for as long as an election may
/// take, or for what may never come (that is cut off without an error). In simulated time no busy
/// machine is to blame.
fn liveness(plan: &Plan, history: &History, course: &Course) -> Judgement {
    let excused = failed_by_their_disks(plan);
    let silent = course.silent.iter().filter(|node| !excused.contains(*node));
    let silent: Vec<String> = silent.map(ToString::to_string).collect();
    let recovered = course.recovered.unwrap_or(Duration::MAX);
    let since = u64::try_from(recovered.as_nanos()).unwrap_or(u64::MAX);
    let positions = 0_u32..;
    let asked = positions.zip(&history.operations).filter(|(_, it)| it.invoke_time >= since);
    let bound_ns = ANSWER_MAX_ELECTIONS * plan.tuning.election_ms * 1_000_000;
    let waited = |operation: &Operation| {
        let end = operation.complete_time.unwrap_or(u64::MAX);
        end - operation.invoke_time >= bound_ns
    };
    let is_owed = |it: &Operation| it.complete_time.is_none() || it.error.is_some();
    let unanswered = |it: &Operation| it.outcome == Outcome::Info && waited(it) && is_owed(it);
    let hung: Vec<u32> = asked
        .filter(|(_, operation)| excused.is_empty() && unanswered(operation))
        .map(|(position, _)| position)
        .collect();
    let told = if !silent.is_empty() {
        Some(format!("After the last fault {} answered no read in 20 s", silent.join(", ")))
    } else if !hung.is_empty() {
        Some(format!(
            "{} operations were asked after all faults and not answered in {} election timeouts",
            hung.len(),
            ANSWER_MAX_ELECTIONS
        ))
    } else {
        None
    };
    let (verdict, reason) = match told {
        Some(what) => {
            let story = vec![what.clone()];
            let found =
                ordeal_checker::Counterexample { operations: hung, story, ..Default::default() };
            (Verdict::Invalid(found), format!("{what}."))
        }
        None => {
            let reason =
                "When the faults were over every member answered, and every question in time.";
            (Verdict::Valid(Witness::default()), reason.to_owned())
        }
    };
    let operations = history.operations.len() as u64;
    let (checker, algorithm) = ("liveness".to_owned(), "watch".to_owned());
    Judgement { checker, verdict, algorithm, reason, operations, cost: Cost::default() }
}

/// The history as it would stand in its file.
fn written(events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for event in events {
        // Memory does not refuse a write.
        let _ = writer.write(event);
    }
    writer.into_inner()
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Course, EnvironmentError>> + 'a>>;

/// Runs the course of whichever workload the plan names.
struct Drive<'a> {
    plan: &'a Plan,
    environment: &'a Simulation,
    time: &'a VirtualTime,
    recorder: &'a Recorder<'a, VirtualTime>,
}

impl<'a> Visitor for Drive<'a> {
    type Output = Running<'a>;

    fn visit<W: Workload>(self) -> Running<'a> {
        let Drive { plan, environment, time, recorder } = self;
        Box::pin(async move {
            let never = Flag::default();
            course::run::<W, _, _>(plan, environment, time, recorder, &never).await
        })
    }
}
