//! Bugs of Raft and of what is kept on disk, each at work, and the same schedule without it.

use ordeal_cluster::bugs::{Bug, Bugs};

use crate::hand::{Options, World};

const SECOND: u64 = 1_000_000;

fn elected(seed: u64, bugs: Bugs, snapshot_count: u64) -> (World, u64) {
    let mut options = Options::new(3, seed);
    options.bugs = bugs;
    options.snapshot_count = snapshot_count;
    let mut world = World::new(options);
    world.until("a leader", 30 * SECOND, |world| world.leader().is_some());
    let leader = world.leader().expect("there is one");
    (world, leader)
}

fn put(world: &mut World, at: u64, value: u64) {
    let put = world.put(at, "k", value);
    world.until("the acknowledgement", 10 * SECOND, |world| world.acknowledged(put));
}

fn get(world: &mut World, at: u64) -> u64 {
    let get = world.get(at, "k");
    world.until("the answer", 10 * SECOND, |world| world.answers.contains_key(&get));
    world.got(get).expect("a value")
}

/// Whether a run over some seed goes wrong: it says so, or the world finds an invariant broken.
fn goes_wrong(bug: Option<Bug>, run: impl Fn(u64, Bugs) -> bool) -> bool {
    let bugs: Bugs = bug.into_iter().collect();
    (0..20).any(|seed| {
        let run = std::panic::AssertUnwindSafe(|| run(seed, bugs));
        if bug.is_some() { std::panic::catch_unwind(run).unwrap_or(true) } else { run() }
    })
}

/// The leader acknowledges a put and is cut off before the others hear that it is committed. The
/// next leader is asked in the moment of its election.
fn read_at_election(seed: u64, bugs: Bugs) -> bool {
    let (mut world, leader) = elected(seed, bugs, 1_000);
    put(&mut world, leader, 1);
    put(&mut world, leader, 2);
    world.isolate(leader);
    world.until("another leader", 30 * SECOND, |world| {
        world.leader().is_some_and(|id| id != leader)
    });
    let new = world.leader().expect("there is one");
    get(&mut world, new) != 2
}

#[test]
fn read_index_before_term_commit_reads_what_is_stale() {
    assert!(!goes_wrong(None, read_at_election));
    assert!(goes_wrong(Some(Bug::ReadIndexBeforeTermCommit), read_at_election));
}

/// Figure 8 of the Raft paper: a leader's entry reaches nobody, another leads meanwhile without
/// being heard, and the first, leading again, brings its old entry to the third member alone.
fn figure_eight(seed: u64, bugs: Bugs) -> bool {
    let (mut world, first) = elected(seed, bugs, 1_000);
    put(&mut world, first, 1);
    world.isolate(first);
    let old = world.put(first, "k", 2);
    world
        .until("another leader", 30 * SECOND, |world| world.leader().is_some_and(|id| id != first));
    let second = world.leader().expect("there is one");
    world.heal();
    world.isolate(second);
    let ended = |world: &World| world.answers.contains_key(&old);
    world.until("the first leads again, or gives up", 30 * SECOND, ended);
    if !world.acknowledged(old) {
        return false;
    }
    world.heal();
    world.isolate(first);
    let third = (1..=3).find(|id| ![first, second].contains(id)).expect("there are three");
    world.until("a leader of the others", 30 * SECOND, |world| {
        world.leader().is_some_and(|id| id != first)
    });
    get(&mut world, third) != 2
}

#[test]
fn commit_prior_term_loses_an_acknowledged_write() {
    assert!(!goes_wrong(None, figure_eight));
    assert!(goes_wrong(Some(Bug::CommitPriorTerm), figure_eight));
}

/// A member restarts from its snapshot; then all members are compared. The world itself compares
/// their revisions after every entry.
fn restart_from_snapshot(seed: u64, bugs: Bugs) -> bool {
    let (mut world, leader) = elected(seed, bugs, 20);
    for value in 1..=50 {
        put(&mut world, leader, value);
    }
    world.run_us(SECOND);
    let restarted = leader % 3 + 1;
    world.crash(restarted);
    world.start(restarted);
    put(&mut world, leader, 51);
    get(&mut world, restarted) != 51
}

#[test]
fn an_applied_index_that_is_not_the_states_makes_members_differ() {
    assert!(!goes_wrong(None, restart_from_snapshot));
    assert!(goes_wrong(Some(Bug::AppliedIndexEarly), restart_from_snapshot));
    assert!(goes_wrong(Some(Bug::AppliedIndexLate), restart_from_snapshot));
}
