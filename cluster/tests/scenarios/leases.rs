//! Leases: granted, kept alive, expired by the leader alone, and remembered.

use ordeal_cluster::bugs::{Bug, Bugs};
use ordeal_cluster::core::{Request, Response};
use ordeal_cluster::error::ApiError;
use ordeal_cluster::proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
};
use ordeal_cluster::state::Applied;

use super::{answered, asked, put_with_lease};
use crate::hand::{Options, World};
use crate::{SECOND, elected, first_seed_that_fails, get_answered, put_acknowledged};

fn grant(world: &mut World, id: u64, lease: i64, ttl: i64) -> Result<(i64, i64), ApiError> {
    let request = Request::LeaseGrant(LeaseGrantRequest { id: lease, ttl });
    asked(world, id, request).map(|response| match response {
        Response::Applied(Applied::LeaseGrant(granted)) => (granted.id, granted.ttl),
        other => panic!("a grant's answer was due, not {other:?}"),
    })
}

/// Keeps a lease alive; gives the time to live, 0 if it is gone.
fn keep_alive(world: &mut World, id: u64, lease: i64) -> i64 {
    let request = Request::LeaseKeepAlive(LeaseKeepAliveRequest { id: lease });
    match asked(world, id, request) {
        Ok(Response::LeaseKeepAlive(kept)) => kept.ttl,
        other => panic!("a renewal's answer was due, not {other:?}"),
    }
}

fn time_to_live(world: &mut World, id: u64, lease: i64) -> LeaseTimeToLiveResponse {
    let request = LeaseTimeToLiveRequest { id: lease, keys: true };
    match asked(world, id, Request::LeaseTimeToLive(request)) {
        Ok(Response::LeaseTimeToLive(lives)) => lives,
        other => panic!("a time to live was due, not {other:?}"),
    }
}

fn keys_at(world: &mut World, id: u64) -> Vec<String> {
    let request = ordeal_cluster::proto::etcdserverpb::RangeRequest {
        key: vec![0].into(),
        range_end: vec![0].into(),
        ..Default::default()
    };
    match asked(world, id, Request::Range(request)) {
        Ok(Response::Applied(Applied::Range(range))) => {
            range.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.key).into_owned()).collect()
        }
        other => panic!("a range was due, not {other:?}"),
    }
}

#[test]
fn ids_and_times_to_live_are_bounded_as_in_etcd() {
    let (mut world, leader) = elected(Options::new(3, 1));
    for (lease, ttl, expected) in [
        (7, 10, Ok((7, 10))),
        (-5, 10, Ok((-5, 10))),
        // One and a half election timeouts of one second, rounded up.
        (8, 1, Ok((8, 2))),
        (9, -3, Ok((9, 2))),
        (7, 10, Err(ApiError::LeaseExists)),
        (10, 9_000_000_001, Err(ApiError::LeaseTtlTooLarge)),
        (11, 9_000_000_000, Ok((11, 9_000_000_000))),
    ] {
        assert_eq!(grant(&mut world, leader, lease, ttl), expected, "lease {lease}, ttl {ttl}");
    }
    let (chosen, _) = grant(&mut world, leader, 0, 10).expect("a grant");
    let (other, _) = grant(&mut world, leader % 3 + 1, 0, 10).expect("a grant");
    assert!(chosen > 0 && other > 0 && chosen != other, "{chosen} {other}");
    let unknown = Request::LeaseRevoke(LeaseRevokeRequest { id: 99 });
    assert_eq!(asked(&mut world, leader, unknown), Err(ApiError::LeaseNotFound));
    let bound = asked(&mut world, leader, put_with_lease("k", 99));
    assert_eq!(bound, Err(ApiError::LeaseNotFound));
    assert_eq!(time_to_live(&mut world, leader, 99).ttl, -1);
    assert_eq!(keep_alive(&mut world, leader, 99), 0);
}

#[test]
fn keys_are_bound_bound_anew_and_let_go() {
    let (mut world, leader) = elected(Options::new(3, 2));
    grant(&mut world, leader, 1, 100).expect("a grant");
    grant(&mut world, leader, 2, 100).expect("a grant");
    for key in ["a", "b", "c", "d"] {
        asked(&mut world, leader, put_with_lease(key, 1)).expect("a put");
    }
    asked(&mut world, leader, put_with_lease("b", 2)).expect("a put");
    put_acknowledged(&mut world, leader, "c", 1);
    let delete = ordeal_cluster::proto::etcdserverpb::DeleteRangeRequest {
        key: "d".into(),
        ..Default::default()
    };
    asked(&mut world, leader, Request::DeleteRange(delete)).expect("a deletion");
    let before = world.status(leader).expect("it is up").revision;
    for id in world.ids() {
        assert_eq!(time_to_live(&mut world, id, 1).keys, ["a"]);
        assert_eq!(time_to_live(&mut world, id, 2).keys, ["b"]);
    }
    asked(&mut world, leader, put_with_lease("e", 1)).expect("a put");
    let revoke = Request::LeaseRevoke(LeaseRevokeRequest { id: 1 });
    asked(&mut world, leader, revoke).expect("a revocation");
    assert_eq!(keys_at(&mut world, leader), ["b", "c"]);
    let after = world.status(leader).expect("it is up").revision;
    assert_eq!(after, before + 2, "a put, and all of a lease's keys in one revision");
}

#[test]
fn a_lease_expires_unless_it_is_kept_alive_through_any_member() {
    for seed in 0..10 {
        let (mut world, leader) = elected(Options::new(3, seed));
        let follower = leader % 3 + 1;
        grant(&mut world, follower, 1, 3).expect("a grant");
        grant(&mut world, follower, 2, 3).expect("a grant");
        asked(&mut world, follower, put_with_lease("kept", 1)).expect("a put");
        asked(&mut world, follower, put_with_lease("left", 2)).expect("a put");
        for _ in 0..10 {
            assert_eq!(keep_alive(&mut world, follower, 1), 3, "seed {seed}");
            world.run_us(SECOND);
        }
        assert_eq!(keys_at(&mut world, follower), ["kept"], "seed {seed}");
        assert_eq!(keep_alive(&mut world, follower, 2), 0, "seed {seed}");
        world.run_us(5 * SECOND);
        assert!(keys_at(&mut world, follower).is_empty(), "seed {seed}");
    }
}

#[test]
fn whoever_hears_that_a_lease_is_over_finds_none_of_its_keys() {
    let mut over = 0;
    for step in 0..60 {
        let (mut world, leader) = elected(Options::new(3, 5));
        let follower = leader % 3 + 1;
        grant(&mut world, leader, 1, 3).expect("a grant");
        asked(&mut world, leader, put_with_lease("bound", 1)).expect("a put");
        world.run_us(3 * SECOND - SECOND / 10 + step * SECOND / 100);
        let by = if step % 2 == 0 { leader } else { follower };
        if keep_alive(&mut world, by, 1) == 0 {
            over += 1;
            assert!(keys_at(&mut world, leader).is_empty(), "step {step}");
        }
    }
    assert!((1..60).contains(&over), "{over} of 60 came after the end");
}

#[test]
fn a_new_leader_gives_every_lease_its_whole_time_again() {
    let (mut world, leader) = elected(Options::new(3, 3));
    grant(&mut world, leader, 1, 10).expect("a grant");
    world.run_us(8 * SECOND);
    world.crash(leader);
    world.until("another leader", 20 * SECOND, |w| w.leader().is_some_and(|id| id != leader));
    let new = world.leader().expect("there is one");
    let left = time_to_live(&mut world, new, 1);
    assert!((9..=11).contains(&left.ttl) && left.granted_ttl == 10, "{left:?}");
    world.run_us(7 * SECOND);
    assert!(time_to_live(&mut world, new, 1).ttl > 0);
    world.until("the lease's end", 10 * SECOND, |w| {
        w.state(new).is_some_and(|state| state.kv.leases().is_empty())
    });
}

/// Stops the leader for longer than the lease lives, while it is kept alive through another.
/// Gives whether the lease and its key are there in the end.
fn survives_a_pause_of_the_leader(seed: u64, bugs: Bugs) -> bool {
    let mut options = Options::new(3, seed);
    options.bugs = bugs;
    let (mut world, old) = elected(options);
    let other = old % 3 + 1;
    grant(&mut world, other, 1, 4).expect("a grant");
    asked(&mut world, other, put_with_lease("k", 1)).expect("a put");
    world.pause(old, 7 * SECOND);
    let resumes = world.now_us + 7 * SECOND;
    world.until("another leader", 6 * SECOND, |w| {
        w.ids().iter().any(|id| *id != old && w.leads(*id))
    });
    while world.now_us < resumes + 3 * SECOND {
        if keep_alive(&mut world, other, 1) == 0 {
            return false;
        }
        world.run_us(SECOND / 2);
    }
    keys_at(&mut world, other) == ["k"]
}

#[test]
fn an_old_leader_that_wakes_up_revokes_nothing() {
    for seed in 0..20 {
        assert!(survives_a_pause_of_the_leader(seed, Bugs::default()), "seed {seed}");
    }
}

#[test]
fn old_leader_revokes_ends_leases_that_were_kept_alive_within_twenty_seeds() {
    let bugs = Bugs::default().with(Bug::OldLeaderRevokes);
    let found = first_seed_that_fails(20, |seed| !survives_a_pause_of_the_leader(seed, bugs));
    assert!(found.is_some());
}

/// Restarts every member from a snapshot, and gives what a put with a lease that was granted
/// before it is answered.
fn put_after_restart(seed: u64, bugs: Bugs) -> Result<(), ApiError> {
    let mut options = Options::new(3, seed);
    options.bugs = bugs;
    options.snapshot_count = 10;
    let (mut world, leader) = elected(options);
    grant(&mut world, leader, -5, 1_000).expect("a grant");
    asked(&mut world, leader, put_with_lease("bound", -5)).expect("a put");
    for value in 0..40 {
        put_acknowledged(&mut world, leader, "k", value);
    }
    world.run_us(SECOND);
    for id in world.ids() {
        world.crash(id);
    }
    for id in world.ids() {
        world.start(id);
    }
    world.until("a leader", 30 * SECOND, |world| world.leader().is_some());
    let put = world.ask(1, put_with_lease("after", -5));
    answered(&mut world, put)?;
    let leader = world.leader().expect("there is one");
    assert_eq!(time_to_live(&mut world, leader, -5).keys, ["after", "bound"]);
    assert_eq!(get_answered(&mut world, leader, "k"), 39);
    Ok(())
}

#[test]
fn leases_and_what_is_bound_to_them_survive_in_snapshots() {
    for seed in 0..10 {
        assert_eq!(put_after_restart(seed, Bugs::default()), Ok(()), "seed {seed}");
    }
}

#[test]
fn snapshot_omits_leases_forgets_them_at_the_first_restart() {
    let bugs = Bugs::default().with(Bug::SnapshotOmitsLeases);
    assert_eq!(put_after_restart(1, bugs), Err(ApiError::LeaseNotFound));
}

#[test]
fn a_thousand_leases_that_end_together_are_revoked_over_a_while() {
    let (mut world, leader) = elected(Options::new(1, 4));
    for lease in 1..=1_200 {
        world.ask(leader, Request::LeaseGrant(LeaseGrantRequest { id: lease, ttl: 5 }));
    }
    let count = |world: &World| world.state(leader).map_or(0, |state| state.kv.leases().len());
    world.until("all grants", 5 * SECOND, |world| count(world) == 1_200);
    world.until("the first revocations", 10 * SECOND, |world| count(world) < 1_200);
    assert!(count(&world) >= 700, "{} are left", count(&world));
    world.until("all revocations", 10 * SECOND, |world| count(world) == 0);
}
