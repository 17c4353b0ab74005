//! Writes that are proposed twice, and reads on the word of a wall clock.

use ordeal_cluster::bugs::{Bug, Bugs};
use ordeal_cluster::core::{Request, Response};
use ordeal_cluster::proto::etcdserverpb::RangeRequest;
use ordeal_cluster::state::Applied;

use super::asked;
use crate::hand::Options;
use crate::{SECOND, elected, first_seed_that_fails, get_answered, put_acknowledged};

/// Puts keys of their own through the members while the leader is cut off again and again; gives
/// whether any was put twice.
fn puts_twice(seed: u64, bugs: Bugs) -> bool {
    let mut options = Options::new(3, seed);
    options.bugs = bugs;
    let (mut world, _) = elected(options);
    for value in 0..12 {
        for id in world.ids() {
            world.put(id, &format!("k{value}-{id}"), value);
        }
        let pause = world.draw.below(4_000);
        world.run_us(pause);
        if let Some(leader) = world.leader() {
            world.isolate(leader);
        }
        world.run_us(4 * SECOND);
        world.heal();
        world.run_us(SECOND);
    }
    world.until("a leader", 30 * SECOND, |world| world.leader().is_some());
    let all = RangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..Default::default() };
    match asked(&mut world, 1, Request::Range(all)) {
        Ok(Response::Applied(Applied::Range(range))) => range.kvs.iter().any(|kv| kv.version > 1),
        other => panic!("a range was due, not {other:?}"),
    }
}

#[test]
fn no_write_is_applied_twice_however_often_the_leader_falls() {
    for seed in 0..5 {
        assert!(!puts_twice(seed, Bugs::default()), "seed {seed}");
    }
}

#[test]
fn retry_duplicates_applies_a_write_twice_within_ten_seeds() {
    let bugs = Bugs::default().with(Bug::RetryDuplicates);
    assert!(first_seed_that_fails(10, |seed| puts_twice(seed, bugs)).is_some());
}

/// Sets the leader's wall clock back and cuts the leader off; gives whether it answers a read with
/// a value that another leader has replaced.
fn reads_stale(seed: u64, bugs: Bugs) -> bool {
    let mut options = Options::new(5, seed);
    options.bugs = bugs;
    let (mut world, old) = elected(options);
    put_acknowledged(&mut world, old, "k", 1);
    assert_eq!(get_answered(&mut world, old, "k"), 1);
    world.behind_us.insert(old, 3_600 * SECOND);
    world.isolate(old);
    let mut reads = Vec::new();
    let mut put = None;
    for _ in 0..80 {
        world.run_us(SECOND / 20);
        let new = world.ids().into_iter().find(|id| *id != old && world.leads(*id));
        match (new, put) {
            (Some(new), None) => put = Some(world.put(new, "k", 2)),
            (_, Some(put)) if world.acknowledged(put) => reads.push(world.get(old, "k")),
            _ => {}
        }
    }
    world.run_us(10 * SECOND);
    reads.into_iter().any(|read| world.got(read) == Some(1))
}

#[test]
fn a_wall_clock_that_is_set_back_makes_no_read_stale() {
    for seed in 0..15 {
        assert!(!reads_stale(seed, Bugs::default()), "seed {seed}");
    }
}

#[test]
fn lease_read_wall_clock_reads_stale_within_thirty_seeds() {
    let bugs = Bugs::default().with(Bug::LeaseReadWallClock);
    assert!(first_seed_that_fails(30, |seed| reads_stale(seed, bugs)).is_some());
}
