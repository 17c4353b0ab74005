//! The simulation, from outside.

use super::one::{Simulated, simulate};
use super::shrink::{class_of, shrink};
use super::swarm::Swarm;
use crate::plan::{Plan, PlanOptions};
use ordeal_nemesis::{Asked, Kind};
use ordeal_reports::Ruling;
use std::time::Duration;

fn swarm(nemesis: &[Kind], bug: Option<&str>) -> Swarm {
    let options = PlanOptions {
        bugs: bug.into_iter().map(str::to_owned).collect(),
        nemesis: nemesis.iter().copied().map(Asked::from).collect(),
        time_limit_ms: 6_000,
        rate_per_s: 100,
        keys: 4,
        ..PlanOptions::default()
    };
    Swarm { options, nodes: None, every_kind: false, fixed_mix: false }
}

fn run(plan: &Plan) -> Simulated {
    simulate(plan).unwrap_or_else(|why| panic!("seed {}: {why}", plan.seed))
}

fn plan(swarm: &Swarm, seed: u64) -> Plan {
    swarm.plan(seed).expect("a plan")
}

const FAULTS: [Kind; 8] = [
    Kind::Kill,
    Kind::Pause,
    Kind::Partition,
    Kind::PowerLoss,
    Kind::FsyncDelay,
    Kind::Delay,
    Kind::Loss,
    Kind::ClockJump,
];

#[test]
fn a_seed_is_the_whole_story() {
    let swarm = swarm(&FAULTS, None);
    for seed in 0..4 {
        let plan = plan(&swarm, seed);
        let (first, second) = (run(&plan), run(&plan));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.written, second.written, "seed {seed}");
        let other = run(&Plan { seed: seed + 1_000, ..plan });
        assert_ne!(first.trace, other.trace, "seed {seed}");
    }
}

#[test]
fn a_cluster_without_bugs_breaks_no_promise_and_the_faults_land() {
    let swarm = swarm(&FAULTS, None);
    let mut landed = 0;
    for seed in 0..12 {
        let simulated = run(&plan(&swarm, seed));
        let results = &simulated.judgements.results;
        assert_ne!(results.verdict, Ruling::Invalid, "seed {seed}: {:?}", results.checkers);
        assert!(simulated.history.operations.len() > 100, "seed {seed} did next to nothing");
        landed += results.faults.values().map(|counts| counts.landed).sum::<u64>();
    }
    assert!(landed > 12, "{landed} faults landed in twelve runs");
}

/// Looks for a bug in the first seeds; gives the plan, and what came of it.
fn find(bug: &str, seeds: u64) -> (Plan, Simulated) {
    let swarm = swarm(&FAULTS, Some(bug));
    let found = (0..seeds).map(|seed| plan(&swarm, seed)).find_map(|plan| {
        let simulated = run(&plan);
        let invalid = simulated.judgements.results.verdict == Ruling::Invalid;
        invalid.then_some((plan, simulated))
    });
    found.unwrap_or_else(|| panic!("{bug} was not found in {seeds} seeds"))
}

#[test]
fn planted_bugs_are_found() {
    // A stale read is seen by its value, by the revision in its header, or by both.
    let stale = &["linearizable-register", "revisions"][..];
    for (bug, checkers) in [
        ("local-read", stale),
        ("lease-read-wall-clock", stale),
        // Seen from inside, or at the end, when members differ.
        ("applied-index-early", &["safety", "members-equal"]),
        ("read-index-id-reuse", stale),
    ] {
        let (plan, simulated) = find(bug, 150);
        let class = class_of(&simulated);
        let seen = checkers.iter().any(|checker| class.contains(*checker));
        assert!(seen, "{bug}, seed {}: {class:?}", plan.seed);
    }
}

#[test]
fn a_violation_shrinks_to_its_core_and_stays_the_same() {
    let (plan, simulated) = find("local-read", 150);
    let shrunk = shrink(&plan, Duration::from_secs(600)).expect("it is a violation");
    assert!(shrunk.is_minimal);
    let (before, after) = (class_of(&simulated), class_of(&shrunk.simulated));
    assert!(!after.is_empty() && after.is_subset(&before), "{before:?}, {after:?}");
    let operations = shrunk.simulated.history.operations.len();
    let faults = shrunk.plan.schedule.0.len();
    assert!(operations <= 4 && faults <= 2, "{operations} operations and {faults} faults are left");
    assert!(shrunk.plan.nodes.len() <= plan.nodes.len());
    // What is written down is the whole story too.
    let text = shrunk.plan.to_json();
    let again: Plan = serde_json::from_str(&text).expect("a plan");
    assert_eq!(run(&again).trace, shrunk.simulated.trace);
}

/// Everything that a cluster must survive and a simulation offers.
fn all() -> Vec<Kind> {
    Kind::survivable().into_iter().filter(|it| super::OFFERED.contains(&it.needs())).collect()
}

#[test]
fn every_workload_is_simulated_under_all_faults_and_a_seed_is_the_whole_story() {
    for workload in ["watch", "lease", "lock", "lock-set", "lock-set-fenced", "election", "auth"] {
        let name = workload.to_owned();
        let options = PlanOptions { workload: name, ..swarm(&all(), None).options };
        let swarm = Swarm { options, nodes: Some(3), every_kind: false, fixed_mix: false };
        let mut succeeded = 0;
        for seed in 0..3 {
            let plan = plan(&swarm, seed);
            let (first, second) = (run(&plan), run(&plan));
            assert_eq!(first.trace, second.trace, "{workload}, seed {seed}");
            let results = &first.judgements.results;
            // Locks of etcd do not fence, and `lock-set` is there to show it.
            if workload != "lock-set" {
                let said = &results.checkers;
                assert_ne!(results.verdict, Ruling::Invalid, "{workload}, seed {seed}: {said:?}");
            }
            let ok = |operation: &&ordeal_history::Operation| {
                operation.outcome == ordeal_history::Outcome::Ok
            };
            succeeded += first.history.operations.iter().filter(ok).count();
        }
        assert!(succeeded > 30, "{workload}: {succeeded} operations succeeded in three seeds");
    }
}

#[test]
fn members_join_and_leave_and_operators_do_their_work() {
    let kinds = [
        Kind::MemberAdd,
        Kind::MemberRemove,
        Kind::MemberReplace,
        Kind::Wipe,
        Kind::Learner,
        Kind::MoveLeader,
        Kind::Compact,
        Kind::Defrag,
        Kind::Snapshot,
        Kind::Alarm,
    ];
    for kind in kinds {
        let swarm = Swarm { nodes: Some(5), every_kind: true, ..swarm(&[kind], None) };
        let mut landed = 0;
        for seed in 0..3 {
            let simulated = run(&plan(&swarm, seed));
            let results = &simulated.judgements.results;
            let said = &results.checkers;
            assert_ne!(results.verdict, Ruling::Invalid, "{kind}, seed {seed}: {said:?}");
            landed += results.faults.get(kind.name()).map_or(0, |counts| counts.landed);
        }
        assert!(landed > 0, "{kind} never landed");
    }
}
