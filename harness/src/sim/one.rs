//! One simulation, from its plan to its verdict.

use super::environment::Simulation;
use super::trace::Trace;
use super::world::World;
use crate::plan::Plan;
use crate::run::course::{self, Course};
use crate::run::environment::EnvironmentError;
use crate::run::flag::Flag;
use crate::run::judge::{self, About, Judgements};
use crate::run::progress::Progress;
use crate::run::record::{Recorder, Sink};
use futures::future::{Either, select};
use ordeal_checker::{Cost, Judgement, Limits, Verdict, Witness};
use ordeal_history::{Event, History, Writer};
use ordeal_nemesis::VirtualTime;
use ordeal_reports::Spacetime;
use ordeal_workloads::{Visitor, Workload, visit};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

/// How long a checker may take: a seed that needs longer is worth less than the next ones.
const CHECK_MAX: Duration = Duration::from_secs(10);

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
    Ok(Simulated {
        history,
        written,
        judgements,
        trace: trace.value(),
        lasted: course.worked,
        story: world.story(progress.began.get().unwrap_or_default()),
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
        limits: Limits { time: Some(CHECK_MAX), threads: 1, ..Limits::default() },
    };
    let operations = history.operations.len() as u64;
    judge::judge(plan, history, course, about, vec![safety(world, operations)])
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
