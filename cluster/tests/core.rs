//! The core by hand: elections, replication, crashes, partitions, reads, snapshots, determinism.

mod hand;

use hand::{Options, World};
use ordeal_cluster::bugs::{Bug, Bugs};
use ordeal_cluster::error::ApiError;

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

#[test]
fn power_cuts_at_any_moment_lose_nothing_that_was_acknowledged() {
    for seed in 0..60 {
        let mut options = Options::new(3, seed);
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
        for (value, _) in &acknowledged {
            for id in world.ids() {
                let found = get_answered(&mut world, id, &format!("k{value}"));
                assert_eq!(found, *value, "seed {seed}, node {id}");
            }
        }
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
        assert_eq!(get_answered(&mut world, old, "k"), 2);
    }
    stale
}

#[test]
fn an_isolated_leader_answers_no_read() {
    assert_eq!(stale_reads_of_an_isolated_leader(Bugs::default(), 40), 0);
}

#[test]
fn local_read_gives_stale_reads_within_forty_seeds() {
    let bugs = Bugs::default().with(Bug::LocalRead);
    assert!(stale_reads_of_an_isolated_leader(bugs, 40) > 0);
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
fn the_same_seed_gives_the_same_trace_and_another_another() {
    for seed in 0..5 {
        assert_eq!(eventful_trace(seed), eventful_trace(seed), "seed {seed}");
        assert_ne!(eventful_trace(seed), eventful_trace(seed + 1), "seed {seed}");
    }
}
