//! The power goes behind every single operation of a disk, in every way that a disk may take it.

mod images;
mod life;
mod model;
mod orders;

use std::collections::BTreeMap;
use std::sync::Arc;

use images::Unsettled;
use life::Life;
use model::{Candidates, Held};
use ordeal_cluster::core::Node;
use ordeal_cluster::disk::MemDisk;

use crate::hand::World;
use crate::hand::disk::{Line, Watched};

/// Draws for [`MemDisk::crash`] that lose all that was not synced.
fn all_is_lost() -> u64 {
    0
}

/// What is checked of every disk that a node may come back to.
struct Trial<'a> {
    world: &'a World,
    id: u64,
    candidates: Candidates,
    /// How often the state that a node came back with could be held against the cluster's.
    compared: usize,
    images: usize,
}

impl Trial<'_> {
    /// The log is one that may be; the node goes on from it with the state that all had there.
    fn recovers(&mut self, disk: &MemDisk, what: &dyn Fn() -> String) {
        self.images += 1;
        let opened = self.world.open(self.id, Arc::new(disk.clone()));
        let (log, recovered) = opened.unwrap_or_else(|error| panic!("{}: {error}", what()));
        drop(log);
        let held = Held::of(&recovered);
        let possible = self.candidates.possible();
        assert!(possible.contains(&held), "{}: {held:?} is none of {possible:#?}", what());
        let node = Node::new(self.world.config(self.id, 1_000), recovered);
        let mut node = node.expect("the configuration is good");
        node.flush(&mut Vec::new());
        let applied = node.status().applied.index;
        if let Some(known) = self.world.states.get(&applied) {
            self.compared += 1;
            assert!(*known == World::bytes_of(node.state()), "{}: another state", what());
        }
    }

    /// Recovery that is itself cut short at each of its operations leaves a disk that recovers.
    fn recovers_from_recovery(&mut self, disk: &MemDisk, what: &dyn Fn() -> String) {
        let operations = self.recovery(&disk.copy(), None);
        for stop in 0..operations {
            for keep in [false, true] {
                let disk = disk.copy();
                self.recovery(&disk, Some(stop));
                // The names survive an odd first draw; the odd ones behind it zero no sector.
                disk.crash(|| u64::from(keep));
                let what = || format!("{}, recovery stopped at {stop}, kept {keep}", what());
                self.recovers(&disk, &what);
            }
        }
    }

    /// Recovers, to the operation given or to the end; gives how many operations that took.
    fn recovery(&self, disk: &MemDisk, stop: Option<u64>) -> u64 {
        let watched = Watched::over(disk.clone());
        if let Some(stop) = stop {
            watched.power_goes_after(stop);
        }
        let opened = self.world.open(self.id, Arc::new(watched.clone()));
        assert_eq!(opened.is_err(), stop.is_some(), "it ends where the power does");
        watched.operations()
    }

    /// A process that was killed leaves all on the disk, but not all of it durable. What its
    /// successor has read, and so acts on, must not be lost when the power goes then.
    fn what_was_read_is_durable(&mut self, disk: &MemDisk, what: &dyn Fn() -> String) {
        let open = || self.world.open(self.id, Arc::new(disk.clone())).expect("it recovers");
        let (log, read) = open();
        disk.crash(all_is_lost);
        drop(log);
        let (_, found) = open();
        assert_eq!(Held::of(&found), Held::of(&read), "{}: what was read is lost", what());
    }
}

#[test]
fn whatever_a_disk_is_left_with_behind_any_operation_the_node_comes_back_with_all_it_promised() {
    for seed in 0..2 {
        let mut life = Life::new(seed);
        life.world.records_states = true;
        life.live();
        life.check();
        for id in life.world.ids() {
            let lines = life.world.disk(id).lines();
            assert_eventful(&lines, id == life.victim);
            let candidates = Candidates::default();
            let mut trial = Trial { world: &life.world, id, candidates, compared: 0, images: 0 };
            let mut unsettled = Unsettled::default();
            for (nth, line) in lines.iter().enumerate() {
                trial.candidates.take(line);
                if !unsettled.take(line) {
                    continue;
                }
                for (kept, disk) in unsettled.images() {
                    let what = || format!("seed {seed}, node {id}, line {nth}, {kept}");
                    // First, because it leaves the disk repaired.
                    if nth % 10 == 0 {
                        trial.recovers_from_recovery(&disk, &what);
                    }
                    trial.recovers(&disk, &what);
                }
                let what = || format!("seed {seed}, node {id}, line {nth}, killed");
                trial.what_was_read_is_durable(&unsettled.unharmed(), &what);
            }
            let Trial { compared, images, .. } = trial;
            println!("seed {seed}, node {id}: {images} disks, {compared} states compared");
            assert!(images > 1_000 && compared * 2 > images, "{compared} of {images}");
        }
    }
}

/// Whether a life has had in it what it is for.
fn assert_eventful(lines: &[Line], victim: bool) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines {
        let what = match line {
            Line::Wrote(write) if write.install.is_some() => "installed snapshot",
            Line::Wrote(write) if write.release.is_some() => "released log",
            Line::Remove { path } if path.ends_with(".wal") => "removed segment",
            Line::Remove { path } if path.ends_with(".snap") => "removed snapshot",
            Line::Rename { .. } => "finished snapshot",
            Line::Promised => "promise",
            _ => continue,
        };
        *seen.entry(what).or_default() += 1;
    }
    let expected = ["released log", "removed segment", "removed snapshot", "finished snapshot"];
    for what in expected.into_iter().chain(victim.then_some("installed snapshot")) {
        assert!(seen.contains_key(what), "no {what}: {seen:?}");
    }
}

#[test]
fn at_whichever_operation_the_power_goes_the_member_joins_again_and_nothing_acknowledged_is_lost() {
    for seed in 0..2 {
        let mut whole = Life::new(seed);
        let begun = whole.world.disk(whole.victim).operations();
        whole.live();
        let operations = whole.world.disk(whole.victim).operations() - begun;
        whole.check();
        assert_eq!(whole.cuts, 0);
        assert!(operations > 100, "{operations}");
        for stop in 0..operations {
            let mut life = Life::new(seed);
            life.world.disk(life.victim).power_goes_after(stop);
            life.live();
            life.check();
            assert!(life.cuts > 0, "seed {seed}: the power did not go at {stop}");
        }
    }
}
