//! The core by hand: elections, replication, crashes, partitions, reads, snapshots, determinism.

mod crashes;
mod hand;
mod scenarios;

#[path = "hand/auth.rs"]
mod auth;
#[path = "core/membership.rs"]
mod membership;
#[path = "core/raft_bugs.rs"]
mod raft_bugs;

use hand::{Options, World};
use ordeal_cluster::bugs::{Bug, Bugs};
use ordeal_cluster::core::Request;
use ordeal_cluster::error::ApiError;
use ordeal_cluster::proto::etcdserverpb::request_op::Request as Op;
use ordeal_cluster::proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};

const SECOND: u64 = 1_000_000;

fn elected(options: Options) -> (World, u64) {
    let mut world = World::new(options);
    world.until("a leader", 30 * SECOND, |world| world.leader().is_some());
    let leader = world.leader().expect("there is one");
    (world, leader)
}

fn put_acknowledged(world: &mut World, id: u64, key: &str, value: u64) {
    let put = world.put(id, key, value);
    world.until("the put's acknowledgement", 10 * SECOND, |world| world.acknowledged(put));
}

fn get_answered(world: &mut World, id: u64, key: &str) -> u64 {
    let get = world.get(id, key);
    world.until("the get's answer", 10 * SECOND, |world| world.answers.contains_key(&get));
    world.got(get).expect("a value")
}

#[test]
fn clusters_of_every_size_elect_a_leader_and_replicate() {
    for nodes in 1..=7 {
        let (mut world, leader) = elected(Options::new(nodes, nodes));
        let asked = leader % nodes + 1;
        put_acknowledged(&mut world, asked, "k", 7);
        for id in world.ids() {
            assert_eq!(get_answered(&mut world, id, "k"), 7, "{nodes} nodes, read at {id}");
        }
    }
}

#[test]
fn a_new_leader_takes_over_when_the_old_one_crashes_and_nothing_acknowledged_is_lost() {
    for seed in 0..50 {
        let (mut world, leader) = elected(Options::new(3, seed));
        for value in 1..=20 {
            put_acknowledged(&mut world, leader, "k", value);
        }
        world.crash(leader);
        world.until("another leader", 20 * SECOND, |world| {
            world.leader().is_some_and(|id| id != leader)
        });
        let new = world.leader().expect("there is one");
        assert_eq!(get_answered(&mut world, new, "k"), 20);
        world.start(leader);
        put_acknowledged(&mut world, new, "k", 21);
        assert_eq!(get_answered(&mut world, leader, "k"), 21);
    }
}

/// Cuts the power of random nodes at random moments, and gives how many acknowledged puts are gone
/// at the end.
fn lost_in_power_cuts(seed: u64, bugs: Bugs) -> usize {
    let mut options = Options::new(3, seed);
    options.bugs = bugs;
    options.snapshot_count = 25;
    options.segment_bytes = 2_000;
    options.loss_percent = seed % 10;
    let mut world = World::new(options);
    let mut puts = Vec::new();
    for value in 1..=60 {
        for id in world.ids() {
            match (world.is_up(id), world.draw.below(8)) {
                (true, 0) => world.crash(id),
                (false, 0..=3) => world.start(id),
                _ => {}
            }
        }
        let asked = 1 + world.draw.below(3);
        if world.is_up(asked) {
            puts.push((value, world.put(asked, &format!("k{value}"), value)));
        }
        if world.draw.below(4) == 0 {
            // All at once, and soon after the put.
            let pause = world.draw.below(10_000);
            world.run_us(pause);
            world.ids().into_iter().for_each(|id| world.crash(id));
        }
        let pause = world.draw.below(SECOND / 2);
        world.run_us(pause);
    }
    for id in world.ids().into_iter().filter(|id| !world.is_up(*id)).collect::<Vec<_>>() {
        world.start(id);
    }
    world.options.loss_percent = 0;
    world.until("a leader at the end", 60 * SECOND, |world| world.leader().is_some());
    world.run_us(10 * SECOND);
    let acknowledged: Vec<_> =
        puts.into_iter().filter(|(_, put)| world.acknowledged(*put)).collect();
    let mut lost = 0;
    for (value, _) in &acknowledged {
        for id in world.ids() {
            lost += usize::from(get_answered(&mut world, id, &format!("k{value}")) != *value);
        }
    }
    lost
}

#[test]
fn power_cuts_at_any_moment_lose_nothing_that_was_acknowledged() {
    for seed in 0..60 {
        assert_eq!(lost_in_power_cuts(seed, Bugs::default()), 0, "seed {seed}");
    }
}

/// The first seed at which a run goes wrong: it says so, or the world finds an invariant broken.
fn first_seed_that_fails(seeds: u64, run: impl Fn(u64) -> bool) -> Option<u64> {
    (0..seeds).find(|seed| {
        let run = std::panic::AssertUnwindSafe(|| run(*seed));
        std::panic::catch_unwind(run).unwrap_or(true)
    })
}

#[test]
fn ack_before_fsync_loses_acknowledged_writes_within_twenty_seeds() {
    let bugs = Bugs::default().with(Bug::AckBeforeFsync);
    assert!(first_seed_that_fails(20, |seed| lost_in_power_cuts(seed, bugs) > 0).is_some());
}

/// Two members elect a leader while the third is cut off. Then the leader is cut off before it has
/// sent a single entry, its voter loses power, and the third asks that voter for its vote.
fn second_vote(seed: u64, bugs: Bugs) {
    let mut options = Options::new(3, seed);
    options.bugs = bugs;
    let mut world = World::new(options);
    let third = 1 + seed % 3;
    world.isolate(third);
    world.until("a leader", 30 * SECOND, |world| world.leader().is_some());
    let leader = world.leader().expect("there is one");
    world.heal();
    world.isolate(leader);
    let voter = 6 - third - leader;
    world.crash(voter);
    world.start(voter);
    world.run_us(10 * SECOND);
    world.heal();
    put_acknowledged(&mut world, third, "k", 1);
}

#[test]
fn a_voter_that_lost_power_does_not_vote_again_in_the_term() {
    for seed in 0..50 {
        second_vote(seed, Bugs::default());
    }
}

#[test]
fn vote_not_persisted_gives_a_term_two_leaders_within_fifty_seeds() {
    let bugs = Bugs::default().with(Bug::VoteNotPersisted);
    let found = first_seed_that_fails(50, |seed| {
        second_vote(seed, bugs);
        false
    });
    assert!(found.is_some());
}

/// Restarts a member that missed a write, and asks it before it has met the others.
fn read_after_restart(seed: u64, bugs: Bugs) -> Option<u64> {
    let mut options = Options::new(3, seed);
    options.bugs = bugs;
    let (mut world, leader) = elected(options);
    put_acknowledged(&mut world, leader, "k", 1);
    let behind = leader % 3 + 1;
    assert_eq!(get_answered(&mut world, behind, "k"), 1);
    world.isolate(behind);
    put_acknowledged(&mut world, leader, "k", 2);
    world.heal();
    for id in world.ids() {
        world.crash(id);
    }
    for id in world.ids() {
        world.start(id);
    }
    let get = world.get(behind, "k");
    world.run_us(10 * SECOND);
    world.got(get)
}

#[test]
fn a_restarted_member_does_not_answer_from_an_old_log() {
    for seed in 0..20 {
        let got = read_after_restart(seed, Bugs::default());
        assert!(matches!(got, Some(2) | None), "seed {seed}: {got:?}");
    }
}

#[test]
fn read_during_replay_gives_a_stale_read_within_twenty_seeds() {
    let bugs = Bugs::default().with(Bug::ReadDuringReplay);
    assert!(first_seed_that_fails(20, |seed| read_after_restart(seed, bugs) == Some(1)).is_some());
}

/// A transaction that puts a key and reads at a revision that is not there yet.
fn put_and_read_the_future(seed: u64, bugs: Bugs) {
    let mut options = Options::new(3, seed);
    options.bugs = bugs;
    let (mut world, leader) = elected(options);
    let put = PutRequest { key: "k".into(), value: "1".into(), ..PutRequest::default() };
    let get = RangeRequest { key: "k".into(), revision: 1_000, ..RangeRequest::default() };
    let ops = [Op::RequestPut(put), Op::RequestRange(get)];
    let success = ops.map(|op| RequestOp { request: Some(op) }).to_vec();
    let txn = world.ask(leader, Request::Txn(TxnRequest { success, ..TxnRequest::default() }));
    world.run_us(5 * SECOND);
    assert_eq!(world.answers[&txn], Err(ApiError::FutureRevision));
    assert_eq!(get_answered(&mut world, leader, "k"), 0, "what fails changes nothing");
}

#[test]
fn a_transaction_that_fails_changes_nothing_on_any_member() {
    put_and_read_the_future(1, Bugs::default());
}

#[test]
fn apply_differs_makes_members_differ_at_the_first_such_transaction() {
    let bugs = Bugs::default().with(Bug::ApplyDiffers);
    let found = first_seed_that_fails(1, |seed| {
        put_and_read_the_future(seed, bugs);
        false
    });
    assert_eq!(found, Some(0));
}

#[test]
fn deleting_nothing_takes_a_revision_only_with_revision_skips() {
    for (bugs, after) in [(Bugs::default(), 1), (Bugs::default().with(Bug::RevisionSkips), 2)] {
        let mut options = Options::new(1, 1);
        options.bugs = bugs;
        let (mut world, leader) = elected(options);
        let delete = DeleteRangeRequest { key: "k".into(), ..DeleteRangeRequest::default() };
        let delete = world.ask(leader, Request::DeleteRange(delete));
        world.until("an answer", SECOND, |world| world.acknowledged(delete));
        assert_eq!(world.status(leader).expect("it is up").revision, after);
    }
}

/// Isolates the leader, writes through the others, and asks the old leader, and one that is cut
/// off together with it, what it knows. Gives how many reads were answered with the old value.
fn stale_reads_of_an_isolated_leader(bugs: Bugs, seeds: u64) -> usize {
    let mut stale = 0;
    for seed in 0..seeds {
        let mut options = Options::new(5, seed);
        options.bugs = bugs;
        let (mut world, old) = elected(options);
        put_acknowledged(&mut world, old, "k", 1);
        let companion = old % 5 + 1;
        for id in world.ids() {
            if id != old && id != companion {
                for inside in [old, companion] {
                    world.cut.extend([(inside, id), (id, inside)]);
                }
            }
        }
        world.until("another leader", 20 * SECOND, |world| {
            world.leader().is_some_and(|id| id != old)
        });
        let new = world.leader().expect("there is one");
        put_acknowledged(&mut world, new, "k", 2);
        let reads = [world.get(old, "k"), world.get(companion, "k")];
        world.run_us(10 * SECOND);
        for read in reads {
            match &world.answers[&read] {
                Ok(_) if world.got(read) == Some(1) => stale += 1,
                Ok(_) => panic!("seed {seed}: a minority cannot know the new value"),
                Err(error) => assert!(
                    matches!(error, ApiError::Timeout | ApiError::LeaderChanged),
                    "seed {seed}: {error}"
                ),
            }
        }
        world.heal();
        // Even one that reads locally has heard of the new leader by then.
        world.run_us(3 * SECOND);
        assert_eq!(get_answered(&mut world, old, "k"), 2);
    }
    stale
}

#[test]
fn an_isolated_leader_answers_no_read() {
    assert_eq!(stale_reads_of_an_isolated_leader(Bugs::default(), 40), 0);
}

#[test]
fn reads_that_no_majority_confirms_are_stale_within_forty_seeds() {
    for bug in [Bug::LocalRead, Bug::ReadIndexNoQuorum] {
        assert!(stale_reads_of_an_isolated_leader(Bugs::default().with(bug), 40) > 0, "{bug}");
    }
}

#[test]
fn a_write_that_no_majority_takes_ends_in_a_timeout() {
    let (mut world, leader) = elected(Options::new(3, 1));
    put_acknowledged(&mut world, leader, "k", 1);
    world.isolate(leader);
    let put = world.put(leader, "k", 2);
    let start = world.now_us;
    world.until("an answer", 20 * SECOND, |world| world.answers.contains_key(&put));
    assert_eq!(world.answers[&put], Err(ApiError::Timeout));
    let waited = world.now_us - start;
    assert!((7 * SECOND..8 * SECOND).contains(&waited), "waited {waited} µs");
    world.heal();
    let other = leader % 3 + 1;
    assert_eq!(get_answered(&mut world, other, "k"), 1, "it was lost with the old leader");
}

#[test]
fn a_write_asked_before_there_is_a_leader_waits_for_one() {
    let mut world = World::new(Options::new(3, 5));
    let put = world.put(2, "k", 1);
    world.until("the acknowledgement", 20 * SECOND, |world| world.acknowledged(put));
}

#[test]
fn a_follower_that_lags_behind_the_log_is_caught_up_by_a_snapshot() {
    for seed in 0..20 {
        let mut options = Options::new(3, seed);
        options.snapshot_count = 10;
        options.segment_bytes = 1_000;
        options.loss_percent = 5;
        let (mut world, leader) = elected(options);
        let lagging = leader % 3 + 1;
        world.crash(lagging);
        let asked = lagging % 3 + 1;
        for value in 1..=60 {
            let put = world.put(asked, "k", value);
            world.until("an answer", 20 * SECOND, |world| world.answers.contains_key(&put));
        }
        world.start(lagging);
        world.until("a snapshot to be installed", 60 * SECOND, |world| {
            world.notes.iter().any(|note| note.starts_with("installed"))
        });
        world.options.loss_percent = 0;
        world.run_us(3 * SECOND);
        // What it installed must also be what it starts from again.
        world.crash(lagging);
        world.start(lagging);
        world.run_us(3 * SECOND);
        let asked = get_answered(&mut world, asked, "k");
        assert_eq!(get_answered(&mut world, lagging, "k"), asked, "seed {seed}");
    }
}

fn eventful_trace(seed: u64) -> u64 {
    let mut options = Options::new(5, seed);
    options.snapshot_count = 20;
    options.loss_percent = 5;
    let mut world = World::new(options);
    for value in 0..100 {
        let id = 1 + world.draw.below(5);
        match world.draw.below(10) {
            0 => world.crash(id),
            1 => world.isolate(id),
            2 => world.heal(),
            _ if !world.is_up(id) => world.start(id),
            3..=5 => drop(world.get(id, "k")),
            _ => drop(world.put(id, "k", value)),
        }
        let pause = world.draw.below(SECOND);
        world.run_us(pause);
    }
    world.trace
}

#[test]
fn a_fresh_process_gives_the_same_trace() {
    const SEED: &str = "ORDEAL_TEST_TRACE_SEED";
    if let Ok(seed) = std::env::var(SEED) {
        println!("trace {:x}", eventful_trace(seed.parse().expect("a number")));
        return;
    }
    let program = std::env::current_exe().expect("this program");
    let output = std::process::Command::new(program)
        .args(["--exact", "a_fresh_process_gives_the_same_trace", "--nocapture"])
        .env(SEED, "3")
        .output()
        .expect("it runs");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains(&format!("trace {:x}", eventful_trace(3))), "{shown}");
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_another() {
    for seed in 0..5 {
        assert_eq!(eventful_trace(seed), eventful_trace(seed), "seed {seed}");
        assert_ne!(eventful_trace(seed), eventful_trace(seed + 1), "seed {seed}");
    }
}
