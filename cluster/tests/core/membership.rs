//! Changes of the membership by hand: joining, joint consensus, promotion, removal, and the bugs.

use ordeal_cluster::bugs::{Bug, Bugs};
use ordeal_cluster::core::{Request, RequestId};
use ordeal_cluster::error::ApiError;
use ordeal_cluster::proto::ordealpb::member_change::Kind;
use ordeal_cluster::proto::ordealpb::{ChangeMembers, MemberChange};

use crate::hand::{Options, World};

const SECOND: u64 = 1_000_000;

fn elected(seed: u64, bugs: Bugs) -> (World, u64) {
    let mut options = Options::new(3, seed);
    options.bugs = bugs;
    let mut world = World::new(options);
    world.until("a leader that has committed", 30 * SECOND, |world| {
        let applied = |id| world.status(id).is_some_and(|status| status.applied.index > 1);
        world.leader().is_some_and(applied)
    });
    let leader = world.leader().expect("there is one");
    (world, leader)
}

fn change(world: &mut World, at: u64, changes: &[(Kind, u64)]) -> RequestId {
    let changes = changes
        .iter()
        .map(|(kind, id)| MemberChange { kind: *kind as i32, id: *id, peer_urls: Vec::new() })
        .collect();
    world.ask(at, Request::ChangeMembers(ChangeMembers { changes }))
}

fn answered(world: &mut World, id: RequestId) -> Result<(), ApiError> {
    world.until("the answer", 20 * SECOND, |world| world.answers.contains_key(&id));
    world.answers[&id].clone().map(drop)
}

/// Asks for a change, again while the leader still waits for the one before.
fn changed(world: &mut World, at: u64, kind: Kind, id: u64) -> Result<(), ApiError> {
    loop {
        let asked = change(world, at, &[(kind, id)]);
        match answered(world, asked) {
            Err(ApiError::Unhealthy) => world.run_us(SECOND / 10),
            result => return result,
        }
    }
}

fn put(world: &mut World, at: u64, value: u64) {
    let id = world.put(at, "k", value);
    assert_eq!(answered(world, id), Ok(()));
}

fn get(world: &mut World, at: u64) -> u64 {
    let id = world.get(at, "k");
    assert_eq!(answered(world, id), Ok(()));
    world.got(id).expect("a value")
}

#[test]
fn two_members_are_added_at_once_by_joint_consensus_and_make_a_majority_with_one_more() {
    for seed in 0..20 {
        let (mut world, leader) = elected(seed, Bugs::default());
        put(&mut world, leader, 7);
        let added = change(&mut world, leader, &[(Kind::Add, 4), (Kind::Add, 5)]);
        world.join(4);
        world.join(5);
        assert_eq!(answered(&mut world, added), Ok(()), "seed {seed}");
        world.until("both have caught up", 20 * SECOND, |world| {
            let at = |id| world.status(id).map_or(0, |status| status.applied.index);
            let leads = world.leader().map_or(u64::MAX, at);
            at(4) >= leads && at(5) >= leads
        });
        // The joint membership is left by an entry of its own, and two of the old may then go.
        world.run_us(2 * SECOND);
        let leader = world.leader().expect("there is one");
        let others: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
        others.iter().for_each(|id| world.crash(*id));
        put(&mut world, leader, 8);
        assert_eq!(get(&mut world, 4), 8, "seed {seed}");
        world.crash(4);
        world.start(4);
        world.crash(5);
        world.start(5);
        assert_eq!(get(&mut world, 5), 8, "seed {seed}: members that joined restart");
    }
}

#[test]
fn a_learner_does_not_count_until_it_is_promoted_in_sync() {
    for seed in 0..20 {
        let (mut world, leader) = elected(seed, Bugs::default());
        for value in 1..=30 {
            put(&mut world, leader, value);
        }
        let asked = leader % 3 + 1;
        let added = changed(&mut world, asked, Kind::AddLearner, 4);
        assert_eq!(added, Ok(()));
        let second = changed(&mut world, asked, Kind::AddLearner, 5);
        assert_eq!(second, Err(ApiError::TooManyLearners));
        let early = changed(&mut world, asked, Kind::Promote, 4);
        assert_eq!(early, Err(ApiError::LearnerNotReady), "seed {seed}");
        world.join(4);
        world.until("the learner knows that it is one", 20 * SECOND, |world| {
            world.status(4).is_some_and(|status| status.revision == 31)
        });
        let refused = world.put(4, "k", 99);
        assert_eq!(answered(&mut world, refused), Err(ApiError::Learner));
        world.run_us(SECOND);
        let promoted = changed(&mut world, asked, Kind::Promote, 4);
        assert_eq!(promoted, Ok(()), "seed {seed}");
        // Until it has applied its promotion it still takes itself for a learner.
        let last = world.status(leader).expect("it is up").commit;
        world.until("it hears of it", 20 * SECOND, |world| {
            world.status(4).is_some_and(|status| status.applied.index >= last)
        });
        put(&mut world, 4, 31);
        let removed = changed(&mut world, asked, Kind::Remove, 4);
        assert_eq!(removed, Ok(()));
        let again = changed(&mut world, asked, Kind::Add, 4);
        assert_eq!(again, Err(ApiError::MemberExists), "never again");
    }
}

/// Asks the leader for two changes in one moment; gives the answer to the second.
fn second_of_two(bugs: Bugs) -> Result<(), ApiError> {
    let (mut world, leader) = elected(3, bugs);
    let first = change(&mut world, leader, &[(Kind::Add, 4)]);
    let second = change(&mut world, leader, &[(Kind::Add, 5)]);
    world.join(4);
    world.join(5);
    assert_eq!(answered(&mut world, first), Ok(()));
    answered(&mut world, second)
}

#[test]
fn a_change_waits_for_the_one_before_unless_one_step_membership_is_on() {
    assert_eq!(second_of_two(Bugs::default()), Err(ApiError::Unhealthy));
    assert_eq!(second_of_two(Bugs::default().with(Bug::OneStepMembership)), Ok(()));
}

/// Asks a new leader for a change in the moment of its election.
fn change_at_election(bugs: Bugs) -> Result<(), ApiError> {
    let mut options = Options::new(3, 5);
    options.bugs = bugs;
    let mut world = World::new(options);
    world.until("a leader", 30 * SECOND, |world| world.leader().is_some());
    let leader = world.leader().expect("there is one");
    let added = change(&mut world, leader, &[(Kind::AddLearner, 4)]);
    answered(&mut world, added)
}

#[test]
fn a_new_leader_commits_an_entry_of_its_own_term_first_unless_membership_before_commit_is_on() {
    assert_eq!(change_at_election(Bugs::default()), Err(ApiError::Unhealthy));
    let bugs = Bugs::default().with(Bug::MembershipBeforeCommit);
    assert_eq!(change_at_election(bugs), Ok(()));
}

#[test]
fn a_leader_that_is_removed_while_it_writes_steps_down_and_the_others_go_on() {
    for seed in 0..20 {
        let (mut world, leader) = elected(seed, Bugs::default());
        world.run_us(6 * SECOND);
        let removal = change(&mut world, leader, &[(Kind::Remove, leader)]);
        // What is on its way to the disk when the removal is applied is the point.
        for value in 0..60 {
            world.put(leader, "k", value);
            world.run_us(SECOND / 500);
        }
        world.until("the removal", 20 * SECOND, |world| world.answers.contains_key(&removal));
        assert_eq!(world.answers[&removal].clone().map(drop), Ok(()), "seed {seed}");
        world.until("another leader", 30 * SECOND, |world| {
            world.ids().into_iter().any(|id| id != leader && world.leads(id))
        });
        let next = world.ids().into_iter().find(|id| *id != leader && world.leads(*id));
        put(&mut world, next.expect("there is one"), 1_000);
    }
}
