use super::Conductor;
use crate::clock::{ClockChange, ClockReading, ClockSkew, Offset, Reading};
use crate::disk::{Corruption, Damage, Files, Loss, Rule, RuleId, Survivors};
use crate::link::{Counters, Shape, Shaped};
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
pub(super) type Note = (String, BTreeMap<String, Value>);

/// Machinery of three nodes that writes down what it is told, with the moment in milliseconds.
struct Machine {
    time: VirtualTime,
    leader: Option<NodeId>,
    /// Not running, by its own fault.
    broken: Option<NodeId>,
    told: RefCell<Vec<String>>,
    /// What each node's clocks are off by, and since when, in milliseconds, at their rates.
    clocks: RefCell<BTreeMap<NodeId, (u128, ClockReading)>>,
}

impl Machine {
    fn reading(&self, node: &NodeId) -> ClockReading {
        let (since_ms, mut reading) = self.clocks.borrow().get(node).copied().unwrap_or_default();
        let passed_ms = (self.time.now().as_millis() - since_ms) as i64;
        for one in [&mut reading.wall, &mut reading.monotonic] {
            one.ahead_ns += passed_ms * one.rate_ppm;
        }
        reading
    }

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
        vec![Capability::Kill, Capability::Pause, Capability::Link, Capability::Shape]
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
    fn terminate(&self, node: &NodeId) -> impl Future<Output = Result<bool, InjectError>> {
        // The second node does not end when it is asked to.
        ready(self.tell("terminate", node).map(|()| node.0 != "n2"))
    }
    fn shape(&self, links: &[Link], shape: Shape) -> impl Future<Output = Result<(), InjectError>> {
        let Shape { delay_us, loss_ppm, .. } = shape;
        self.links(&format!("{delay_us} us {loss_ppm} ppm"), links);
        ready(Ok(()))
    }
    /// A packet a millisecond, each of them late and none of them lost.
    fn traffic(&self, links: &[Link]) -> impl Future<Output = Result<Counters, InjectError>> {
        let packets = self.time.now().as_millis() as u64 * links.len() as u64;
        let shaped = Shaped { delayed: packets, ..Shaped::default() };
        ready(Ok(Counters { forwarded: packets, bytes: 100 * packets, dropped: 0, shaped }))
    }
    fn set_clock(
        &self,
        node: &NodeId,
        skew: ClockSkew,
    ) -> impl Future<Output = Result<Option<ClockReading>, InjectError>> {
        let mut reading = self.reading(node);
        let turn = |one: &mut Reading, change: Option<ClockChange>| {
            let Some(ClockChange { offset, rate_ppm }) = change else { return };
            one.rate_ppm = rate_ppm;
            match offset {
                Offset::Keep => {}
                Offset::By(ns) => one.ahead_ns += ns,
                Offset::To(ns) => one.ahead_ns = ns,
            }
        };
        turn(&mut reading.wall, skew.wall);
        turn(&mut reading.monotonic, skew.monotonic);
        let set = |one: Reading| format!("{} ms {} ppm", one.ahead_ns / 1_000_000, one.rate_ppm);
        let (wall, monotonic) = (set(reading.wall), set(reading.monotonic));
        let told = self.tell(&format!("wall {wall}, monotonic {monotonic} on"), node);
        self.clocks.borrow_mut().insert(node.clone(), (self.time.now().as_millis(), reading));
        ready(told.map(|()| Some(reading)))
    }
    fn break_disk(
        &self,
        node: &NodeId,
        rule: &Rule,
    ) -> impl Future<Output = Result<RuleId, InjectError>> {
        ready(self.tell(&format!("{:?} on", rule.effect), node).map(|()| RuleId(7)))
    }
    fn mend_disk(
        &self,
        node: &NodeId,
        rule: RuleId,
    ) -> impl Future<Output = Result<u64, InjectError>> {
        assert_eq!(rule, RuleId(7));
        ready(self.tell("mend", node).map(|()| 11))
    }
    fn lose_power(
        &self,
        node: &NodeId,
        survivors: Survivors,
        _: u64,
    ) -> impl Future<Output = Result<Loss, InjectError>> {
        let told = self.tell(&format!("power {survivors:?}"), node);
        ready(told.map(|()| Loss { bytes_lost: 512, ..Loss::default() }))
    }
    fn remember_files(
        &self,
        node: &NodeId,
        files: &Files,
    ) -> impl Future<Output = Result<(), InjectError>> {
        ready(self.tell(&format!("remember {files} of"), node))
    }
    fn corrupt(
        &self,
        node: &NodeId,
        corruption: Corruption,
        files: &Files,
        _: u64,
    ) -> impl Future<Output = Result<Damage, InjectError>> {
        let told = self.tell(&format!("{corruption:?} in {files} of"), node);
        ready(told.map(|()| Damage { path: "db".to_owned(), offset: 3, bytes: 1 }))
    }
    fn read_clock(
        &self,
        node: &NodeId,
    ) -> impl Future<Output = Result<Option<ClockReading>, InjectError>> {
        ready(Ok(Some(self.reading(node))))
    }
}

pub(super) fn these(numbers: &[usize]) -> Nodes {
    Nodes::These(numbers.iter().copied().map(NodeId::numbered).collect())
}

pub(super) fn schedule(faults: Vec<(u64, u64, Fault)>) -> Schedule {
    let faults = (0..).zip(faults);
    Schedule(
        faults
            .map(|(id, (at_ms, for_ms, fault))| {
                let when = None;
                ScheduledFault { id, at_ms, for_ms, fault, when }
            })
            .collect(),
    )
}

/// Plays the faults for at most `stop_ms`; what the machinery was told, and the notes.
pub(super) fn play(
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
        clocks: RefCell::default(),
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

pub(super) fn text(text: &str) -> Value {
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
        (None, None, Fault::Kill { nodes: Nodes::Leader }, "no node led for 3000 ms"),
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

#[test]
fn clocks_are_set_right_when_their_fault_is_over_but_a_monotonic_one_never_back() {
    let nodes = || these(&[1]);
    let rows = [
        (
            Fault::ClockJump { nodes: nodes(), wall_ms: -20_000, monotonic_ms: 500 },
            "wall -20000 ms 0 ppm, monotonic 500 ms 0 ppm",
            "wall 0 ms 0 ppm, monotonic 500 ms 0 ppm",
            [("wall_ahead_us", -20_000_000), ("monotonic_ahead_us", 500_000), ("times_set", 1)],
        ),
        (
            Fault::ClockDrift { nodes: nodes(), wall_ppm: -500_000, monotonic_ppm: 1_000_000 },
            "wall 0 ms -500000 ppm, monotonic 0 ms 1000000 ppm",
            "wall 0 ms 0 ppm, monotonic 1000 ms 0 ppm",
            [
                ("wall_ahead_us", -500_000),
                ("monotonic_ahead_us", 1_000_000),
                ("wall_rate_ppm", -500_000),
            ],
        ),
    ];
    for (fault, begun, over, expected) in rows {
        let (told, notes) = play(None, None, 60_000, vec![(100, 1_000, fault)]);
        assert_eq!(told, [format!("100 {begun} on n1"), format!("1100 {over} on n1")]);
        let (_, end) = &notes[1];
        assert_eq!(end["landed"], Value::Bool(true));
        let Value::Object(seen) = &end["seen"] else { panic!("{end:?}") };
        let Value::Object(clocks) = &seen["clocks"] else { panic!("{end:?}") };
        let Value::Object(n1) = &clocks["n1"] else { panic!("{end:?}") };
        for (name, value) in expected {
            assert_eq!(n1[name], Value::Int(value), "{name}");
        }
    }
}

#[test]
fn a_strobe_leaps_there_and_back_until_it_is_over() {
    let strobe =
        Fault::ClockStrobe { nodes: these(&[2]), wall_ms: 300, monotonic_ms: 0, period_ms: 100 };
    let (told, notes) = play(None, None, 60_000, vec![(0, 210, strobe)]);
    let ahead =
        |ms: u32, at_ms: u32| format!("{at_ms} wall {ms} ms 0 ppm, monotonic 0 ms 0 ppm on n2");
    let expected = [(300, 0), (0, 50), (300, 100), (0, 150), (300, 200), (0, 210)];
    assert_eq!(told, expected.map(|(ms, at_ms)| ahead(ms, at_ms)));
    assert!(notes[1].1["seen"].to_string().contains("\"wall_ahead_us\":300000"), "{notes:?}");
}

#[test]
fn faults_that_overlap_on_a_clock_add_up_and_the_last_sets_it_right() {
    let drift = |wall_ppm| Fault::ClockDrift { nodes: these(&[1]), wall_ppm, monotonic_ppm: 0 };
    let jump = Fault::ClockJump { nodes: these(&[1]), wall_ms: 5_000, monotonic_ms: 0 };
    let monotonic = Fault::ClockDrift { nodes: these(&[1]), wall_ppm: 0, monotonic_ppm: 1_000_000 };
    let (told, _) = play(
        None,
        None,
        60_000,
        vec![
            (0, 1_000, drift(1_000_000)),
            (200, 400, jump),
            (400, 1_000, monotonic),
            (800, 100, drift(-3_000_000)),
        ],
    );
    let (wall, monotonic): (Vec<_>, Vec<_>) = told
        .iter()
        .map(|line| line.split_once(", monotonic ").expect("both clocks are told"))
        .unzip();
    assert_eq!(
        wall,
        [
            "0 wall 0 ms 1000000 ppm",
            "200 wall 5200 ms 1000000 ppm",
            "400 wall 5400 ms 1000000 ppm",
            "600 wall 600 ms 1000000 ppm",
            "800 wall 800 ms -1000000 ppm",
            "900 wall 700 ms 1000000 ppm",
            "1000 wall 0 ms 0 ppm",
            "1400 wall 0 ms 0 ppm",
        ]
    );
    assert_eq!(monotonic.last(), Some(&"1000 ms 0 ppm on n1"));
}

#[test]
fn a_clock_that_cannot_be_set_is_said_not_to_have_been() {
    let jump = Fault::ClockJump { nodes: these(&[1, 2]), wall_ms: 1, monotonic_ms: 0 };
    let (_, notes) = play(None, Some(1), 60_000, vec![(0, 100, jump)]);
    assert_eq!(notes[0].1["error"], text("n1 is not running"));
    let seen = notes[1].1["seen"].to_string();
    assert!(seen.contains("n2") && !seen.contains("n1"), "{seen}");
}
