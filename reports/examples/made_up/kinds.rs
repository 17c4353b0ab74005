//! Made-up runs of other kinds than a stale read, judged by the real checkers where there are any.

use super::{Told, circumstances, faults, history, noise, object, string};
use ordeal_checker::{Checker, Counterexample, Judgement, Limits, Verdict, isolation};
use ordeal_history::{Event, History, Outcome, Value};
use ordeal_reports::{
    Circumstances, Difference, Judged, Moment, NodeLog, Results, Sent, Spacetime, coverage,
};

const MS: u64 = 1_000;

fn told(process: i64, f: &'static str, values: (Value, Value), ms: (u64, u64)) -> Told {
    Told {
        process,
        f,
        input: values.0,
        output: values.1,
        outcome: Outcome::Ok,
        from_us: ms.0 * MS,
        to_us: Some(ms.1 * MS),
        node: "n2",
        revision: None,
    }
}

fn array(items: &[Value]) -> Value {
    Value::Array(items.into())
}

fn judged(history: &History, checker: &dyn Checker, workload: &str) -> Results {
    let judgement = checker.check(history, &Limits::default());
    results(history, judgement, workload)
}

fn results(history: &History, judgement: Judgement, workload: &str) -> Results {
    let mut about: Circumstances = circumstances(&[]);
    about.tested.workload = workload.to_owned();
    about.clients_began_us = Some(BEGAN_US);
    let coverage = coverage(history, &about.scheduled);
    let judged = [Judged { judgement, ms: 12 }, Judged { judgement: coverage, ms: 0 }];
    Results::judge(history, &judged, about)
}

/// Write skew, found by the real checker for transactions.
pub fn cycle() -> (Results, History) {
    let append = |key: &str, n| array(&[string("append"), string(key), Value::Int(n)]);
    let read = |key: &str, seen: &[i64]| {
        let seen: Vec<Value> = seen.iter().copied().map(Value::Int).collect();
        array(&[string("r"), string(key), array(&seen)])
    };
    let asked = |key: &str| array(&[string("r"), string(key), Value::Null]);
    let txn = |process, input: &[Value], output: &[Value], ms| {
        told(process, "txn", (array(input), array(output)), ms)
    };
    let first = [append("x", 1), append("y", 1)];
    let mut all = vec![
        txn(0, &first, &first, (8_100, 8_104)),
        txn(1, &[asked("x"), append("y", 2)], &[read("x", &[1]), append("y", 2)], (8_200, 8_209)),
        txn(2, &[asked("y"), append("x", 2)], &[read("y", &[1]), append("x", 2)], (8_203, 8_211)),
        txn(
            3,
            &[asked("x"), asked("y")],
            &[read("x", &[1, 2]), read("y", &[1, 2])],
            (8_300, 8_304),
        ),
    ];
    all.iter_mut().for_each(|told| told.node = "n4");
    let mut history = history(all, faults());
    history.operations.iter_mut().for_each(|operation| operation.key = None);
    let results = judged(&history, &isolation::ListAppend::default(), "list-append");
    (results, history)
}

/// A watch that misses an event, as a checker of watches tells of it.
pub fn watch_anomaly() -> (Results, History) {
    let mut all = noise(300);
    let put = |process, n, ms: (u64, u64)| told(process, "put", (Value::Int(n), Value::Int(n)), ms);
    let event =
        |n, revision| object(&[("value", Value::Int(n)), ("revision", Value::Int(revision))]);
    all.push(put(1, 5, (8_400, 8_403)));
    all.push(put(2, 6, (8_410, 8_414)));
    all.push(put(1, 7, (8_420, 8_424)));
    let seen = array(&[event(5, 901), event(7, 903)]);
    all.push(told(9, "watch", (Value::Int(901), seen), (8_390, 8_600)));
    let history = history(all, faults());
    let of = |f: &str, n: i64| {
        let found = history.operations.iter().position(|o| &*o.f == f && o.input == Value::Int(n));
        found.expect("it was told") as u32
    };
    let mut operations = vec![of("put", 5), of("put", 6), of("put", 7), of("watch", 901)];
    operations.sort_unstable();
    let broken = history.operations[of("watch", 901) as usize].complete;
    let counterexample = Counterexample {
        key: Some(string("k7")),
        operations,
        story: vec![
            "The watch of process 9 began at revision 901 and was told of revisions 901 and 903."
                .into(),
            "Process 2 wrote 6 at revision 902, between them, and the watch was never told.".into(),
        ],
        broken_at_event: broken,
        anomalies: vec!["watch-gap".into()],
    };
    let judgement = Judgement {
        checker: "watch".into(),
        verdict: Verdict::Invalid(counterexample),
        algorithm: "replay".into(),
        reason: "The watch of process 9 missed revision 902".into(),
        operations: history.operations.len() as u64,
        cost: Default::default(),
    };
    let results = results(&history, judgement, "watch");
    (results, history)
}

/// Members that do not hold the same when all is over.
pub fn differing() -> (Results, History) {
    let history = history(noise(300), faults());
    let judgement = Judgement {
        checker: "members".into(),
        verdict: Verdict::Invalid(Counterexample {
            story: vec!["At revision 912 the members n1, n2 and n3 do not hold the same.".into()],
            ..Default::default()
        }),
        algorithm: "hash".into(),
        reason: "n3 differs from the others on 2 keys at revision 912".into(),
        operations: history.operations.len() as u64,
        cost: Default::default(),
    };
    let mut results = results(&history, judgement, "register");
    let difference = |key: &str, held: &[(&str, &str)]| Difference {
        key: key.into(),
        members: held.iter().map(|(m, v)| (m.to_string(), v.to_string())).collect(),
    };
    let found = results.checkers.iter_mut().find_map(|c| c.counterexample.as_mut());
    found.expect("it is invalid").differences = vec![
        difference("k7", &[("n1", "428"), ("n2", "428"), ("n3", "411")]),
        difference("k9", &[("n1", "12"), ("n2", "12")]),
    ];
    (results, history)
}

/// When the made-up runs' clients began: 2026-02-03T04:05:08Z.
pub const BEGAN_US: u64 = 1_770_091_508_000_000;

/// What the nodes wrote; two leaders for a while, as a partition makes them.
pub fn logs() -> Vec<NodeLog> {
    let log = |node: &str, text: &str| NodeLog { node: node.into(), text: text.into() };
    vec![
        log("n1", "2026-02-03T04:05:07.100Z started\n"),
        log(
            "n2",
            "2026-02-03T04:05:07.200Z became leader at term 2\n\
             2026-02-03T04:05:16.300Z cannot send to n4: Connection timed out\n\
             2026-02-03T04:05:20.600Z became follower at term 3\n",
        ),
        log(
            "n4",
            "2026-02-03T04:05:17.200Z became candidate at term 3\n\
             2026-02-03T04:05:17.300Z became leader at term 3\n",
        ),
    ]
}

/// The notes of faults that measured clocks and packets.
pub fn measured() -> Vec<Event> {
    let reading =
        object(&[("wall_ahead_us", Value::Int(-9_814_000)), ("times_set", Value::Int(1))]);
    let clocks = object(&[("clocks", object(&[("n2", reading)]))]);
    let packets = object(&[("delayed", Value::Int(1_005)), ("dropped", Value::Int(17))]);
    let mut notes =
        super::fault(7, "clock-jump", "clocks of n2 leap", "n2", (3_000, 5_000), clocks).to_vec();
    notes.extend(super::fault(8, "delay", "packets of n3 are late", "n3", (6_000, 9_000), packets));
    notes
}

/// A stale read that the real checker finds.
pub fn found_stale_read(count: u64) -> (Results, History) {
    let mut all = noise(count);
    all.extend(super::stale_read());
    let history = history(all, faults());
    // The noise is no history of a register; on the other key there is nothing to judge.
    let seven = string("k7");
    let kept: Vec<u32> = (0..)
        .zip(&history.operations)
        .filter(|(_, o)| o.key.as_ref() == Some(&seven))
        .map(|(at, _)| at)
        .collect();
    let part = History::from_events(history.events_of(&kept)).expect("a part of a history is one");
    let checker =
        ordeal_checker::linear::Linearizable::new(ordeal_checker::models::Register::default());
    let mut judgement = checker.check(&part, &Limits::default());
    if let Verdict::Invalid(found) = &mut judgement.verdict {
        for position in &mut found.operations {
            *position = kept[*position as usize];
        }
        let last = found.operations.iter().map(|&at| &history.operations[at as usize]);
        let ok = last.filter(|o| o.outcome == Outcome::Ok);
        found.broken_at_event = ok.filter_map(|o| o.complete).max();
    }
    judgement.operations = history.operations.len() as u64;
    let results = results(&history, judgement, "register");
    (results, history)
}

/// What a simulation saw around the stale read: a message that arrives, one that never does, a
/// node that follows, and a sync.
pub fn spacetime() -> Spacetime {
    let ms = |ms: i64| ms * 1_000_000;
    let sent = |from: usize, to: usize, at: i64, arrives: Option<i64>| Sent {
        from,
        to,
        at_ns: ms(at),
        arrives_ns: arrives.map(ms),
        what: "MsgAppend, term 2".to_owned(),
    };
    let moment =
        |node: usize, at: i64, what: &str| Moment { node, at_ns: ms(at), what: what.to_owned() };
    Spacetime {
        nodes: ["n1", "n2", "n3"].map(str::to_owned).to_vec(),
        messages: vec![sent(0, 1, 9_410, Some(9_412)), sent(1, 2, 9_420, None)],
        moments: vec![moment(0, 9_411, "fsync"), moment(2, 9_425, "knows no leader at term 2")],
        left_out: 0,
    }
}
