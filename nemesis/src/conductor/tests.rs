use super::Conductor;
use crate::{
    Capability, Cut, Fault, InjectError, Link, Machinery, NodeId, Nodes, Schedule, ScheduledFault,
    Side, Time, VirtualTime,
};
use ordeal_history::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::ready;
use std::time::Duration;

/// A fault's name, and the members of what was noted.
type Note = (String, BTreeMap<String, Value>);

/// Machinery of three nodes that writes down what it is told, with the moment in milliseconds.
struct Machine {
    time: VirtualTime,
    leader: Option<NodeId>,
    /// Not running, by its own fault.
    broken: Option<NodeId>,
    told: RefCell<Vec<String>>,
}

impl Machine {
    fn tell(&self, verb: &str, node: &NodeId) -> Result<(), InjectError> {
        self.told.borrow_mut().push(format!("{} {verb} {node}", self.time.now().as_millis()));
        if self.broken.as_ref() == Some(node) {
            return Err(InjectError(format!("{node} is not running")));
        }
        Ok(())
    }

    fn links(&self, verb: &str, links: &[Link]) {
        let name = |side: &Side| match side {
            Side::Node(node) => node.to_string(),
            Side::Clients => "clients".to_owned(),
        };
        let links: Vec<String> =
            links.iter().map(|link| format!("{}>{}", name(&link.from), name(&link.to))).collect();
        let now_ms = self.time.now().as_millis();
        self.told.borrow_mut().push(format!("{now_ms} {verb} {}", links.join(" ")));
    }
}

impl Machinery for Machine {
    fn offers(&self) -> Vec<Capability> {
        vec![Capability::Kill, Capability::Pause, Capability::Link]
    }
    fn nodes(&self) -> Vec<NodeId> {
        (1..=3).map(NodeId::numbered).collect()
    }
    fn leader(&self) -> impl Future<Output = Option<NodeId>> {
        ready(self.leader.clone())
    }
    fn kill(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        ready(self.tell("kill", node))
    }
    fn start(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        ready(self.tell("start", node))
    }
    fn pause(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        ready(self.tell("pause", node))
    }
    fn resume(&self, node: &NodeId) -> impl Future<Output = Result<(), InjectError>> {
        ready(self.tell("resume", node))
    }
    fn cut(&self, links: &[Link]) -> impl Future<Output = Result<(), InjectError>> {
        self.links("cut", links);
        ready(Ok(()))
    }
    fn heal(&self, links: &[Link]) -> impl Future<Output = Result<u64, InjectError>> {
        self.links("heal", links);
        ready(Ok(links.len() as u64))
    }
}

fn these(numbers: &[usize]) -> Nodes {
    Nodes::These(numbers.iter().copied().map(NodeId::numbered).collect())
}

fn schedule(faults: Vec<(u64, u64, Fault)>) -> Schedule {
    let faults = (0..).zip(faults);
    Schedule(
        faults
            .map(|(id, (at_ms, for_ms, fault))| ScheduledFault { id, at_ms, for_ms, fault })
            .collect(),
    )
}

/// Plays the faults for at most `stop_ms`; what the machinery was told, and the notes.
fn play(
    leader: Option<usize>,
    broken: Option<usize>,
    stop_ms: u64,
    faults: Vec<(u64, u64, Fault)>,
) -> (Vec<String>, Vec<Note>) {
    let time = VirtualTime::new();
    let machine = Machine {
        time: time.clone(),
        leader: leader.map(NodeId::numbered),
        broken: broken.map(NodeId::numbered),
        told: RefCell::default(),
    };
    let notes = RefCell::new(Vec::new());
    let note = |f: &'static str, value: Value| {
        let Value::Object(members) = value else { panic!("a note is an object") };
        let members = members.iter().map(|(name, value)| (name.to_string(), value.clone()));
        notes.borrow_mut().push((f.to_owned(), members.collect()));
    };
    let mut conductor = Conductor::new(&machine, &time, note);
    let stop = time.sleep_until(Duration::from_millis(stop_ms));
    let played = time.run(conductor.play(&schedule(faults), Duration::ZERO, stop));
    assert!(played.is_some(), "the conductor waits for ever");
    drop(conductor);
    (machine.told.into_inner(), notes.into_inner())
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

#[test]
fn a_fault_is_injected_and_ended_in_its_time_and_noted_with_what_was_seen() {
    let cut = Cut::Isolate(Nodes::Leader);
    let (told, notes) = play(Some(2), None, 60_000, vec![(500, 1_000, Fault::Partition { cut })]);
    assert_eq!(told, ["500 cut n1>n2 n2>n1 n2>n3 n3>n2", "1500 heal n1>n2 n2>n1 n2>n3 n3>n2"]);
    let (name, start) = &notes[0];
    assert_eq!((name.as_str(), &start["phase"]), ("partition", &text("start")));
    assert_eq!(start["what"], text("isolate n2 (the leader)"));
    assert_eq!(start["nodes"], Value::Array([text("n2")].into()));
    let (_, end) = &notes[1];
    assert_eq!((&end["phase"], &end["landed"]), (&text("end"), &Value::Bool(true)));
    let Value::Object(seen) = &end["seen"] else { panic!("{end:?}") };
    assert_eq!(seen["dropped"], Value::Int(4));
}

#[test]
fn a_node_killed_by_two_faults_starts_again_after_the_second() {
    let (told, notes) = play(
        None,
        None,
        60_000,
        vec![
            (0, 1_000, Fault::Kill { nodes: these(&[1, 2]) }),
            (500, 1_000, Fault::Kill { nodes: these(&[2, 3]) }),
        ],
    );
    assert_eq!(
        told,
        [
            "0 kill n1",
            "0 kill n2",
            "500 kill n3",
            "1000 start n1",
            "1500 start n2",
            "1500 start n3"
        ]
    );
    assert_eq!(notes[1].1["error"], text("n2 had been killed already"));
}

#[test]
fn a_link_cut_twice_carries_again_after_the_second_heal() {
    let isolate = |node| Fault::Partition { cut: Cut::Isolate(these(&[node])) };
    let (told, _) =
        play(None, None, 60_000, vec![(0, 1_000, isolate(1)), (500, 1_000, isolate(2))]);
    assert_eq!(
        told,
        [
            "0 cut n1>n2 n1>n3 n2>n1 n3>n1",
            "500 cut n2>n3 n3>n2",
            "1000 heal n1>n3 n3>n1",
            "1500 heal n1>n2 n2>n1 n2>n3 n3>n2",
        ]
    );
}

#[test]
fn whatever_is_under_way_when_the_run_stops_is_ended() {
    let (told, notes) = play(
        None,
        None,
        700,
        vec![
            (0, 9_000, Fault::Pause { nodes: these(&[3]) }),
            (600, 9_000, Fault::Kill { nodes: these(&[1]) }),
            (800, 9_000, Fault::Kill { nodes: these(&[2]) }),
        ],
    );
    assert_eq!(told, ["0 pause n3", "600 kill n1", "700 resume n3", "700 start n1"]);
    assert!(notes[2..].iter().all(|(_, note)| note["landed"] == Value::Bool(true)), "{notes:?}");
}

#[test]
fn what_could_not_be_injected_is_said_to_have_failed() {
    let rows = [
        (None, None, Fault::Kill { nodes: Nodes::Leader }, "no node led for 1500 ms"),
        (None, Some(2), Fault::Pause { nodes: these(&[2]) }, "n2 is not running"),
        (None, Some(1), Fault::Kill { nodes: these(&[1]) }, "n1 is not running"),
    ];
    for (leader, broken, fault, error) in rows {
        let (_, notes) = play(leader, broken, 60_000, vec![(0, 1_000, fault)]);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert_eq!(notes[0].1["phase"], text("failed"));
        assert_eq!(notes[0].1["error"], text(error));
    }
}

#[test]
fn a_paused_node_that_was_killed_is_started_and_not_resumed() {
    let (told, _) = play(
        None,
        None,
        60_000,
        vec![
            (0, 1_000, Fault::Pause { nodes: these(&[1]) }),
            (500, 1_000, Fault::Kill { nodes: these(&[1]) }),
        ],
    );
    assert_eq!(told, ["0 pause n1", "500 kill n1", "1500 start n1"]);
}
