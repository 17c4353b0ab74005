//! Whole runs against a cluster in memory, on virtual time.

mod fail_fast;
mod fake;

use super::course::{self, Course};
use super::environment::{Death, EnvironmentError};
use super::flag::Flag;
use super::judge;
use super::record::Recorder;
use super::watch::Watch;
use crate::plan::{Plan, PlanOptions};
use fake::Fake;
use ordeal_history::{Event, EventType, History, Outcome, Process};
use ordeal_nemesis::{Capability, Kind, NodeId, Time, VirtualTime};
use ordeal_workloads::Register;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// What came of a run.
struct Ran {
    events: Vec<Event>,
    course: Result<Course, EnvironmentError>,
    fake: Fake,
    plan: Plan,
    ended: Duration,
}

impl Ran {
    /// The history, which must be well-formed: one operation at a time a process, none after info.
    fn history(&self) -> History {
        History::from_events(self.events.iter().cloned()).expect("a well-formed history")
    }

    fn course(&self) -> &Course {
        self.course.as_ref().expect("the run ran")
    }
}

fn options(seed: u64) -> PlanOptions {
    PlanOptions { seed, ..PlanOptions::default() }
}

/// Runs a plan of these options; `meddle` sees the cluster before the start, and what it returns
/// runs beside the run. Writing fails after so many events.
fn run<F: Future<Output = ()>>(
    options: PlanOptions,
    events_max: usize,
    meddle: impl FnOnce(&Fake, Flag) -> F,
) -> Ran {
    run_watched(options, events_max, false, meddle)
}

/// The same with a check that runs along, and ends the run if it is to fail fast.
fn run_watched<F: Future<Output = ()>>(
    options: PlanOptions,
    events_max: usize,
    fail_fast: bool,
    meddle: impl FnOnce(&Fake, Flag) -> F,
) -> Ran {
    let plan = Plan::derive(&options).expect("a plan");
    let time = VirtualTime::new();
    let fake = Fake::new(&time, options.nodes);
    let events = Rc::new(RefCell::new(Vec::new()));
    let seen = events.clone();
    let sink = Box::new(move |event: &Event| {
        if seen.borrow().len() >= events_max {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        seen.borrow_mut().push(event.clone());
        Ok(())
    });
    let watch = Watch::new(&judge::checkers(&plan), fail_fast);
    let recorder = Recorder::new(&time, sink, Rc::default()).with_watch(watch);
    let interrupt = Flag::default();
    let meddling = meddle(&fake, interrupt.clone());
    let running = course::run::<Register, _, _>(&plan, &fake, &time, &recorder, &interrupt);
    let (course, ()) = time
        .run(async { futures::join!(running, meddling) })
        .expect("the run waits for something that never comes");
    let events = events.take();
    Ran { events, course, ended: time.now(), fake, plan }
}

async fn nothing() {}

#[test]
fn a_run_makes_a_well_formed_history_in_which_everything_happened() {
    let mut landed = BTreeMap::<Kind, u32>::new();
    for seed in 0..20 {
        let ran = run(options(seed), usize::MAX, |_, _| nothing());
        let history = ran.history();
        assert_eq!(ran.course().silent, [], "seed {seed}");
        assert!(!ran.course().interrupted);
        let count = |f: &str, outcome| {
            history.operations.iter().filter(|o| &*o.f == f && o.outcome == outcome).count()
        };
        for f in ["read", "write", "cas"] {
            assert!(count(f, Outcome::Ok) > 500, "seed {seed}: {f}");
        }
        for kind in Kind::survivable() {
            let it_landed = history.notes.iter().any(|note| {
                note.f == kind.name() && note.value.to_string().contains("\"landed\":true")
            });
            *landed.entry(kind).or_default() += u32::from(it_landed);
        }
        let state = ran.fake.state.borrow();
        assert!(state.down.is_empty() && state.paused.is_empty() && state.cut.is_empty());
        assert!(state.shaped.is_empty(), "{:?}", state.shaped);
        assert_eq!(state.told.last().map(String::as_str), Some("stop"));
    }
    // A fault that strikes nodes which another one has killed does not land; members change one at
    // a time, and in twenty seconds not for each kind that does so.
    assert_eq!(landed.len(), Kind::survivable().len(), "{landed:?}");
    for (kind, count) in landed {
        let least = if kind.needs() == Capability::Members { 5 } else { 15 };
        assert!(count >= least, "{kind} landed in {count} runs");
    }
}

#[test]
fn the_same_plan_gives_the_same_history_to_the_last_event() {
    let (one, two) = (
        run(options(3), usize::MAX, |_, _| nothing()),
        run(options(3), usize::MAX, |_, _| nothing()),
    );
    assert!(one.events.len() > 10_000, "{}", one.events.len());
    assert_eq!(one.events, two.events);
    assert_ne!(one.events, run(options(4), usize::MAX, |_, _| nothing()).events);
}

#[test]
fn the_rate_is_kept_and_the_time_limit_ends_the_work() {
    let calm = PlanOptions { nemesis: Vec::new(), ..options(1) };
    let ran = run(calm, usize::MAX, |_, _| nothing());
    let limit_ns = ran.plan.time_limit_ms * 1_000_000;
    let history = ran.history();
    let worked = history.operations.iter().filter(|o| o.invoke_time < limit_ns).count();
    assert!((9_900..=10_000).contains(&worked), "{worked} operations in 20 s at 500 a second");
    assert!(ran.course().worked <= Duration::from_millis(ran.plan.time_limit_ms + 1_000));
}

#[test]
fn at_the_end_every_slot_reads_the_keys_of_the_last_phase() {
    let ran = run(options(5), usize::MAX, |_, _| nothing());
    let limit_ns = ran.plan.time_limit_ms * 1_000_000;
    let history = ran.history();
    let after: Vec<_> = history
        .operations
        .iter()
        .filter(|o| o.invoke_time > limit_ns + 1_000_000_000)
        .chain(history.operations.iter().rev().take(160))
        .collect();
    assert!(after.iter().all(|o| &*o.f == "read" && o.outcome == Outcome::Ok));
    let nodes: std::collections::BTreeSet<_> = after.iter().map(|o| o.node.clone()).collect();
    assert_eq!(nodes.len(), 5, "through every node");
}

#[test]
fn a_process_is_retired_after_an_indeterminate_outcome_and_its_slot_goes_on() {
    // The members stay, and so each slot stays with its node.
    let mut options = options(6);
    options.nemesis.retain(|asked| asked.kind.needs() != Capability::Members);
    let ran = run(options, usize::MAX, |_, _| nothing());
    let infos = ran
        .events
        .iter()
        .filter(|e| e.kind == EventType::Info && matches!(e.process, Process::Client(_)));
    let retired: Vec<i64> = infos
        .filter_map(|event| match event.process {
            Process::Client(number) => Some(number),
            Process::Nemesis => None,
        })
        .collect();
    assert!(!retired.is_empty(), "twenty seconds of faults leave some outcomes open");
    let concurrency = i64::from(ran.plan.concurrency);
    for process in retired {
        let heir = Process::Client(process + concurrency);
        let node =
            |p: Process| ran.events.iter().find(|e| e.process == p).and_then(|e| e.node.clone());
        assert!(node(heir).is_none() || node(heir) == node(Process::Client(process)));
    }
}

#[test]
fn a_refused_connection_is_a_fail_and_is_not_hammered() {
    let calm = PlanOptions { nemesis: Vec::new(), ..options(1) };
    let ran = run(calm, usize::MAX, |fake, _| {
        let (time, state) = (fake.time.clone(), fake.state.clone());
        async move {
            time.sleep(Duration::from_secs(5)).await;
            state.borrow_mut().down.insert(NodeId::numbered(2));
        }
    });
    let refused = ran.events.iter().filter(|event| {
        event.kind == EventType::Fail && event.error.as_ref().is_some_and(|e| e.contains("refused"))
    });
    // Two slots, fifteen seconds, at most one attempt in a tenth of a second.
    let refused = refused.count();
    assert!((200..=300).contains(&refused), "{refused}");
}

#[test]
fn an_interrupt_ends_the_run_early_and_orderly() {
    let ran = run(options(7), usize::MAX, |fake, interrupt| {
        let time = fake.time.clone();
        async move {
            time.sleep(Duration::from_millis(6_300)).await;
            interrupt.raise();
        }
    });
    assert!(ran.course().interrupted);
    assert!(ran.ended < Duration::from_secs(9), "{:?}", ran.ended);
    assert!(ran.history().operations.len() > 1_000);
    let state = ran.fake.state.borrow();
    assert!(state.down.is_empty() && state.paused.is_empty() && state.cut.is_empty());
    assert_eq!(state.told.last().map(String::as_str), Some("stop"));
}

#[test]
fn a_fault_that_the_environment_cannot_do_is_refused_by_name_before_the_start() {
    let ran = run(options(8), usize::MAX, |fake, _| {
        fake.offers.borrow_mut().retain(|offered| *offered != Capability::Link);
        nothing()
    });
    let said = ran.course.map_or_else(|error| error.to_string(), |_| String::new());
    assert!(said.contains("asks for partition,flap,swizzle, which"), "{said}");
    assert_eq!(ran.ended, Duration::ZERO);
}

#[test]
fn a_cluster_that_never_answers_is_an_error_that_names_the_node() {
    let ran = run(options(8), usize::MAX, |fake, _| {
        fake.state.borrow_mut().mute.insert(NodeId::numbered(4));
        nothing()
    });
    let said = ran.course.map_or_else(|error| error.to_string(), |_| String::new());
    assert!(said.contains("n4 acknowledged no read within 30 s"), "{said}");
    assert!(said.contains("n4 has nothing to say"), "{said}");
}

#[test]
fn a_node_that_dies_on_its_own_is_told_and_one_that_stays_silent_too() {
    let ran = run(options(9), usize::MAX, |fake, _| {
        let (time, state) = (fake.time.clone(), fake.state.clone());
        async move {
            time.sleep(Duration::from_secs(3)).await;
            let (node, last_words) = (NodeId::numbered(1), "panic".to_owned());
            state.borrow_mut().deaths.push(Death { node, how: "SIGABRT".to_owned(), last_words });
            state.borrow_mut().mute.insert(NodeId::numbered(5));
        }
    });
    let deaths: Vec<&NodeId> = ran.course().deaths.iter().map(|death| &death.node).collect();
    assert_eq!(deaths, [&NodeId::numbered(1)]);
    assert_eq!(ran.course().silent, [NodeId::numbered(5)]);
    assert!(ran.events.iter().any(|e| e.f == "death" && e.process == Process::Nemesis));
}

#[test]
fn a_disk_that_is_full_ends_the_run_and_leaves_whole_events() {
    let ran = run(options(10), 5_000, |_, _| nothing());
    assert_eq!(ran.events.len(), 5_000);
    assert!(ran.ended < Duration::from_secs(20), "{:?}", ran.ended);
    assert_eq!(ran.history().events, 5_000);
}

#[test]
fn members_that_stay_unequal_are_a_violation_of_their_own() {
    let calm = PlanOptions { nemesis: Vec::new(), ..options(1) };
    let differs = |node: Option<NodeId>| {
        let ran = run(calm.clone(), usize::MAX, |fake, _| {
            fake.state.borrow_mut().differs = node;
            nothing()
        });
        let survey = ran.course().survey.clone().expect("the members were asked");
        survey.values().flatten().map(|said| said.hash.hash).collect::<Vec<_>>()
    };
    assert_eq!(differs(None), [0; 5]);
    assert_eq!(differs(Some(NodeId::numbered(2))), [0, 1, 0, 0, 0]);
}
