//! What an operator does, against a cluster that keeps a list of its members.

use super::Conductor;
use super::tests::{Note, schedule, text, these};
use crate::link::{Counters, Shape};
use crate::{
    Capability, Fault, InjectError, Link, Machinery, Member, NodeId, Nodes, Schedule, Standing,
    Task, TaskDone, Time, Trigger, VirtualTime,
};
use ordeal_history::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::time::Duration;

/// Three members and a spare, n4. Members are changed only while a majority of them is up.
struct Club {
    time: VirtualTime,
    state: RefCell<ClubState>,
}

struct ClubState {
    members: Vec<Member>,
    up: BTreeSet<NodeId>,
    leader: Option<NodeId>,
    next_id: u64,
    /// Until when who was started last is behind, in milliseconds.
    behind_until_ms: u128,
    told: Vec<String>,
    alarms: u64,
    sent: u64,
    /// The answer to the next removal is lost, and the next member leads.
    loses_answer: bool,
    uncertain: Option<NodeId>,
    /// Who joins next ends by itself once.
    ends_joining: bool,
}

impl Club {
    fn new(time: &VirtualTime) -> Club {
        let node = NodeId::numbered;
        let member = |n: usize| Member { node: Some(node(n)), id: n as u64, learner: false };
        let state = ClubState {
            members: (1..=3).map(member).collect(),
            up: (1..=3).map(node).collect(),
            leader: Some(node(1)),
            next_id: 10,
            behind_until_ms: 0,
            told: Vec::new(),
            alarms: 0,
            sent: 0,
            loses_answer: false,
            uncertain: None,
            ends_joining: false,
        };
        Club { time: time.clone(), state: RefCell::new(state) }
    }

    fn tell(&self, what: &str) {
        let now_ms = self.time.now().as_millis();
        self.state.borrow_mut().told.push(format!("{now_ms} {what}"));
    }

    fn change<T>(&self, change: impl FnOnce(&mut ClubState) -> T) -> Result<T, InjectError> {
        let mut state = self.state.borrow_mut();
        let voters = state.members.iter().filter(|member| !member.learner);
        let up = voters.clone().filter(|m| m.node.as_ref().is_some_and(|n| state.up.contains(n)));
        if up.count() * 2 <= voters.count() {
            return Err(InjectError("no quorum".to_owned()));
        }
        Ok(change(&mut state))
    }
}

impl Machinery for Club {
    fn offers(&self) -> Vec<Capability> {
        Vec::new()
    }
    fn nodes(&self) -> Vec<NodeId> {
        (1..=4).map(NodeId::numbered).collect()
    }
    fn leader(&self) -> impl Future<Output = Option<NodeId>> {
        ready(self.state.borrow().leader.clone())
    }
    fn kill(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        self.tell(&format!("kill {node}"));
        let was_up = self.state.borrow_mut().up.remove(node);
        ready(if was_up { Ok(()) } else { Err(InjectError(format!("{node} is not running"))) })
    }
    fn terminate(&self, node: &NodeId) -> impl Future<Output = Result<bool, InjectError>> {
        self.tell(&format!("terminate {node}"));
        self.state.borrow_mut().up.remove(node);
        ready(Ok(true))
    }
    fn start(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        self.tell(&format!("start {node}"));
        let mut state = self.state.borrow_mut();
        if !std::mem::take(&mut state.ends_joining) {
            state.up.insert(node.clone());
        }
        state.behind_until_ms = self.time.now().as_millis() + 500;
        ready(Ok(()))
    }
    fn pause(&self, _: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        ready(Ok(()))
    }
    fn resume(&self, _: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        ready(Ok(()))
    }
    fn cut(&self, _: &[Link]) -> impl Future<Output = Result<(), InjectError>> {
        ready(Ok(()))
    }
    fn heal(&self, _: &[Link]) -> impl Future<Output = Result<u64, InjectError>> {
        ready(Ok(1))
    }
    fn shape(&self, _: &[Link], _: Shape) -> impl Future<Output = Result<(), InjectError>> {
        ready(Ok(()))
    }
    fn traffic(&self, _: &[Link]) -> impl Future<Output = Result<Counters, InjectError>> {
        ready(Ok(Counters::default()))
    }
    fn members(&self) -> impl Future<Output = Result<Vec<Member>, InjectError>> {
        ready(self.change(|state| state.members.clone()))
    }
    fn remove_member(&self, node: &NodeId) -> impl Future<Output = Result<u64, InjectError>> {
        let removed = self.change(|state| {
            let at = state.members.iter().position(|m| m.node.as_ref() == Some(node));
            at.map_or(0, |at| state.members.remove(at).id)
        });
        self.tell(&format!("remove {node}"));
        let mut state = self.state.borrow_mut();
        if std::mem::take(&mut state.loses_answer) {
            state.uncertain = Some(node.clone());
            state.leader = Some(NodeId::numbered(2));
            return ready(Err(InjectError(format!("{node} did not answer"))));
        }
        state.uncertain = None;
        ready(removed)
    }
    fn is_uncertain(&self, node: &NodeId) -> bool {
        self.state.borrow().uncertain.as_ref() == Some(node)
    }
    fn rejoin(&self, node: &NodeId) -> impl Future<Output = Result<bool, InjectError>> {
        let ended = self.state.borrow_mut().up.insert(node.clone());
        if ended {
            self.tell(&format!("start {node} again"));
        }
        ready(Ok(ended))
    }
    fn add_member(
        &self,
        node: &NodeId,
        learner: bool,
    ) -> impl Future<Output = Result<u64, InjectError>> {
        let added = self.change(|state| {
            state.next_id += 1;
            let member = Member { node: Some(node.clone()), id: state.next_id, learner };
            state.members.push(member);
            state.next_id
        });
        self.tell(&format!("add {node}{}", if learner { " (learner)" } else { "" }));
        ready(added)
    }
    fn promote_member(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        if self.time.now().as_millis() < self.state.borrow().behind_until_ms {
            return ready(Err(InjectError(format!("{node} is behind"))));
        }
        let promoted = self.change(|state| {
            let mine = |m: &&mut Member| m.node.as_ref() == Some(node);
            if let Some(member) = state.members.iter_mut().find(mine) {
                member.learner = false;
            }
        });
        self.tell(&format!("promote {node}"));
        ready(promoted)
    }
    fn wipe(&self, node: &NodeId) -> impl Future<Output = Result<u64, InjectError>> {
        self.tell(&format!("wipe {node}"));
        ready(Ok(4096))
    }
    fn standing(&self, node: &NodeId) -> impl Future<Output = Result<Standing, InjectError>> {
        let state = self.state.borrow();
        let there = self.time.now().as_millis() >= state.behind_until_ms;
        let has_leader = there && state.up.contains(node);
        let version = "3.5.30".to_owned();
        ready(Ok(Standing {
            version,
            term: 2,
            revision: 9,
            has_leader,
            learner: false,
            db_bytes: 1,
        }))
    }
    fn maintain(&self, task: &Task) -> impl Future<Output = Result<TaskDone, InjectError>> {
        self.tell(&format!("{task:?}"));
        let mut state = self.state.borrow_mut();
        ready(Ok(match task {
            Task::MoveLeader(to) => {
                state.leader = Some(to.clone());
                TaskDone::Done
            }
            Task::Compact => TaskDone::Revision(77),
            Task::Defragment(_) => TaskDone::Shrunk(9, 5),
            Task::Snapshot(..) => TaskDone::Bytes(20_512),
            Task::RaiseAlarm(_) => {
                state.alarms += 1;
                TaskDone::Alarms(state.alarms)
            }
            Task::DisarmAlarms => {
                state.alarms = 0;
                TaskDone::Alarms(0)
            }
        }))
    }
    fn restore(
        &self,
        of: &NodeId,
        name: &str,
    ) -> impl Future<Output = Result<Vec<NodeId>, InjectError>> {
        self.tell(&format!("restore {name} of {of}"));
        let up = self.state.borrow().up.len();
        assert_eq!(up, 0, "data is put in place of what no process holds open");
        ready(Ok((1..=3).map(NodeId::numbered).collect()))
    }
    fn upgrade(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        self.tell(&format!("upgrade {node}"));
        ready(Ok(()))
    }
    fn snapshots_begun(&self) -> impl Future<Output = Result<BTreeMap<NodeId, u64>, InjectError>> {
        ready(Ok([(NodeId::numbered(1), self.state.borrow().sent)].into()))
    }
}

/// Plays a schedule for a minute; `meddle` runs beside it.
fn play(schedule: &Schedule, meddle: impl AsyncFnOnce(&Club)) -> (ClubState, Vec<Note>) {
    let time = VirtualTime::new();
    let club = Club::new(&time);
    let notes = RefCell::new(Vec::new());
    let note = |f: &'static str, value: Value| {
        let Value::Object(members) = value else { panic!("a note is an object") };
        let members = members.iter().map(|(name, value)| (name.to_string(), value.clone()));
        let members: BTreeMap<String, Value> = members.collect();
        notes.borrow_mut().push((f.to_owned(), members));
    };
    let mut conductor = Conductor::new(&club, &time, note);
    let stop = time.sleep_until(Duration::from_secs(60));
    let both = async {
        futures::join!(conductor.play(schedule, Duration::ZERO, stop), meddle(&club));
    };
    assert!(time.run(both).is_some(), "the conductor waits for ever");
    drop(conductor);
    (club.state.into_inner(), notes.into_inner())
}

async fn nothing(_: &Club) {}

/// Plays these faults, and gives what the machinery was told without the times, and the notes.
fn told(faults: Vec<(u64, u64, Fault)>) -> (Vec<String>, Vec<Note>) {
    let (state, notes) = play(&schedule(faults), nothing);
    let mut members: Vec<NodeId> = state.members.into_iter().filter_map(|m| m.node).collect();
    members.sort();
    assert_eq!(members, (1..=3).map(NodeId::numbered).collect::<Vec<_>>(), "at the end");
    assert_eq!(state.up.len(), 3, "all run at the end: {:?}", state.told);
    let untimed = |line: &String| line.split_once(' ').map(|(_, what)| what.to_owned());
    (state.told.iter().filter_map(untimed).collect(), notes)
}

#[test]
fn each_kind_takes_its_steps_in_order_and_leaves_the_cluster_as_it_was() {
    let node = NodeId::numbered;
    let rows: [(Fault, &[&str]); 9] = [
        (
            Fault::MemberAdd { node: node(4) },
            &["add n4", "start n4", "remove n4", "kill n4", "wipe n4"],
        ),
        (
            Fault::MemberRemove { nodes: Nodes::Leader },
            &["remove n1", "kill n1", "wipe n1", "add n1", "start n1"],
        ),
        (
            Fault::MemberReplace { nodes: these(&[2]) },
            &["remove n2", "kill n2", "wipe n2", "add n2", "start n2"],
        ),
        (
            Fault::Wipe { nodes: these(&[3]) },
            &["kill n3", "wipe n3", "remove n3", "add n3", "start n3"],
        ),
        (
            Fault::Learner { nodes: these(&[2]) },
            &["remove n2", "kill n2", "wipe n2", "add n2 (learner)", "start n2", "promote n2"],
        ),
        (Fault::MoveLeader { nodes: these(&[1, 3]) }, &["MoveLeader(NodeId(\"n3\"))"]),
        (Fault::Alarm { nodes: these(&[1]) }, &["RaiseAlarm(NodeId(\"n1\"))", "DisarmAlarms"]),
        (
            Fault::Restore { nodes: Nodes::Leader },
            &[
                "Snapshot(NodeId(\"n1\"), \"snapshot-0\")",
                "kill n1",
                "kill n2",
                "kill n3",
                "kill n4",
                "restore snapshot-0 of n1",
                "start n1",
                "start n2",
                "start n3",
            ],
        ),
        (
            Fault::Upgrade { order: vec![node(3), node(1)] },
            &["terminate n3", "upgrade n3", "start n3", "terminate n1", "upgrade n1", "start n1"],
        ),
    ];
    for (fault, expected) in rows {
        let (found, notes) = told(vec![(100, 300, fault.clone())]);
        assert_eq!(found, expected, "{fault:?}");
        let (_, end) = notes.last().expect("a note");
        assert_eq!((&end["phase"], &end["landed"]), (&text("end"), &Value::Bool(true)), "{end:?}");
        assert!(!end.contains_key("error"), "{end:?}");
    }
}

#[test]
fn whoever_may_have_been_taken_out_joins_again_though_another_leads_by_then() {
    let fault = Fault::MemberRemove { nodes: Nodes::Leader };
    let (state, notes) = play(&schedule(vec![(100, 300, fault)]), async |club: &Club| {
        club.state.borrow_mut().loses_answer = true;
    });
    let told: Vec<&str> =
        state.told.iter().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
    assert_eq!(told, ["remove n1", "remove n1", "kill n1", "wipe n1", "add n1", "start n1"]);
    assert_eq!((state.members.len(), state.up.len()), (3, 3));
    let (_, end) = notes.last().expect("a note");
    assert_eq!((&end["phase"], &end["landed"]), (&text("end"), &Value::Bool(true)), "{end:?}");
}

#[test]
fn a_node_that_ends_while_it_joins_is_started_again() {
    let fault = Fault::MemberReplace { nodes: these(&[3]) };
    let (state, notes) = play(&schedule(vec![(100, 300, fault)]), async |club: &Club| {
        club.state.borrow_mut().ends_joining = true;
    });
    let last: Vec<&str> =
        state.told.iter().rev().take(2).filter_map(|line| Some(line.split_once(' ')?.1)).collect();
    assert_eq!(last, ["start n3 again", "start n3"]);
    let (_, end) = notes.last().expect("a note");
    assert!(!end.contains_key("error"), "{end:?}");
}

#[test]
fn a_spare_joins_again_after_it_has_left() {
    let join = || Fault::MemberAdd { node: NodeId::numbered(4) };
    let (found, _) = told(vec![(0, 100, join()), (5_000, 100, join())]);
    let once = ["add n4", "start n4", "remove n4", "kill n4", "wipe n4"];
    assert_eq!(found, [once, once].concat());
}

#[test]
fn the_note_tells_who_was_a_member_before_and_after_and_what_was_seen() {
    let (_, notes) = told(vec![(0, 100, Fault::MemberReplace { nodes: these(&[2]) })]);
    let Value::Object(seen) = &notes[1].1["seen"] else { panic!("{notes:?}") };
    let before = r#"[{"id":"1","node":"n1"},{"id":"2","node":"n2"},{"id":"3","node":"n3"}]"#;
    let after = r#"[{"id":"1","node":"n1"},{"id":"3","node":"n3"},{"id":"b","node":"n2"}]"#;
    assert_eq!(seen["members_before"].to_string(), before);
    assert_eq!(seen["members_after"].to_string(), after);
    let rows = [
        (Fault::Compact {}, r#""revision":77"#),
        (Fault::Snapshot { nodes: these(&[1]) }, r#""bytes":20512"#),
        (Fault::Defrag { nodes: these(&[1]) }, r#""bytes_after":5,"bytes_before":9"#),
        (Fault::MoveLeader { nodes: these(&[2]) }, r#""from":"n1","leader":"n2""#),
        (Fault::Wipe { nodes: these(&[2]) }, r#""bytes":4096,"did":"wipe""#),
    ];
    for (fault, expected) in rows {
        let (_, notes) = told(vec![(0, 100, fault)]);
        let seen = notes[1].1["seen"].to_string();
        assert!(seen.contains(expected), "{seen}");
    }
}

#[test]
fn an_operator_waits_for_somebody_to_lead_longer_than_the_others_do() {
    let leaderless = async |club: &Club| {
        club.state.borrow_mut().leader = None;
        club.time.sleep(Duration::from_millis(5_950)).await;
        club.state.borrow_mut().leader = Some(NodeId::numbered(2));
    };
    let wipe = Fault::Wipe { nodes: Nodes::Leader };
    let kill = Fault::Kill { nodes: Nodes::Leader };
    let faults = vec![(100, 100, kill), (100, 100, wipe)];
    let (state, notes) = play(&schedule(faults), leaderless);
    assert_eq!(notes[0].1["error"], text("no node led for 3000 ms"), "{notes:?}");
    assert_eq!(state.told[..2], ["6000 kill n2", "6000 wipe n2"]);
}

#[test]
fn a_cluster_is_restored_under_other_faults_and_those_held_down_start_when_they_are_let_go() {
    let restore = Fault::Restore { nodes: these(&[2]) };
    let kill = Fault::Kill { nodes: these(&[3]) };
    let (found, notes) = told(vec![(0, 500, restore.clone()), (200, 3_000, kill)]);
    let all = ["kill n1", "kill n2", "kill n3", "kill n4", "restore snapshot-0 of n2"];
    let begin = ["Snapshot(NodeId(\"n2\"), \"snapshot-0\")", "kill n3"];
    let end = ["start n1", "start n2", "start n3"];
    assert_eq!(found, [&begin[..], &all, &end].concat());
    assert!(notes.iter().all(|(_, note)| !note.contains_key("error")), "{notes:?}");
    // Members do not change meanwhile: the snapshot is restored for those of the beginning.
    let remove = Fault::MemberRemove { nodes: these(&[1]) };
    let (found, _) = told(vec![(0, 500, restore), (200, 300, remove)]);
    let restored = found.iter().position(|did| did.starts_with("restore"));
    let removed = found.iter().position(|did| did == "remove n1");
    assert!(restored.is_some() && restored < removed, "{found:?}");
}

#[test]
fn a_member_is_not_taken_out_while_the_others_are_too_few_without_it() {
    let kill = Fault::Kill { nodes: these(&[2]) };
    let wipe = Fault::Wipe { nodes: these(&[3]) };
    let (found, notes) = told(vec![(0, 2_000, kill.clone()), (500, 100, wipe.clone())]);
    let expected = ["kill n2", "start n2", "kill n3", "wipe n3", "remove n3", "add n3", "start n3"];
    assert_eq!(found, expected);
    assert!(notes.iter().all(|(_, note)| note["phase"] != text("failed")), "{notes:?}");
    // Where the other fault outlasts its patience it fails, and says why.
    let (found, notes) = told(vec![(0, 20_000, kill), (500, 100, wipe)]);
    assert_eq!(found, ["kill n2", "start n2"]);
    let error = "without n3 1 members run, and 2 are a majority";
    assert_eq!(notes[1].1["error"], text(error), "{notes:?}");
}

#[test]
fn what_is_under_way_when_the_run_stops_is_undone_last() {
    let remove = Fault::MemberRemove { nodes: these(&[1]) };
    let kill = Fault::Kill { nodes: these(&[2]) };
    let (found, _) = told(vec![(0, 90_000, remove), (50_000, 90_000, kill)]);
    let end = ["kill n2", "start n2", "add n1", "start n1"];
    assert_eq!(found[found.len() - 4..], end, "{found:?}");
    // Of a rolling restart the member that is down is started, and no other one is ended.
    let order = (1..=3).map(NodeId::numbered).collect();
    let (found, _) = told(vec![(59_900, 1, Fault::RollingRestart { order })]);
    assert!(found == ["terminate n1", "start n1"], "{found:?}");
}

#[test]
fn a_fault_waits_for_what_it_was_told_to_wait_for() {
    let waiting = |when| {
        let mut schedule = schedule(vec![(500, 100, Fault::Kill { nodes: Nodes::Leader })]);
        schedule.0[0].when = Some(when);
        schedule
    };
    let elected = play(&waiting(Trigger::Election), async |club: &Club| {
        club.time.sleep(Duration::from_millis(1_990)).await;
        club.state.borrow_mut().leader = Some(NodeId::numbered(3));
    });
    assert_eq!(elected.0.told, ["2000 kill n3", "2100 start n3"]);
    let sent = play(&waiting(Trigger::Snapshot), async |club: &Club| {
        club.time.sleep(Duration::from_millis(690)).await;
        club.state.borrow_mut().sent = 1;
    });
    assert_eq!(sent.0.told, ["700 kill n1", "800 start n1"]);
    let (state, notes) = play(&waiting(Trigger::Lock), nothing);
    assert_eq!(state.told, [] as [&str; 0]);
    assert_eq!(notes[0].1["error"], text("no client held a lock"));
    assert_eq!(notes[0].1["phase"], text("failed"));
}
