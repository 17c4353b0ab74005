//! Made-up runs: a stale read under a partition, with as much work around it as is wanted.

pub mod kinds;

use ordeal_checker::{Cost, Counterexample, Judgement, Verdict, Witness};
use ordeal_history::{Event, EventType, History, Operation, Outcome, Process, Value};
use ordeal_reports::{
    CampaignSummary, CampaignTest, Circumstances, Judged, Results, RunSummary, Standing, Tested,
    coverage,
};
use std::collections::BTreeMap;
use std::sync::Arc;

const MS: u64 = 1_000_000;

/// An operation of the story, in a form that a person can write down.
pub struct Told {
    /// The process.
    pub process: i64,
    /// The kind of operation.
    pub f: &'static str,
    /// What it was asked with.
    pub input: Value,
    /// What it answered.
    pub output: Value,
    /// How it ended.
    pub outcome: Outcome,
    /// When, in microseconds since the start.
    pub from_us: u64,
    /// When it ended; `None` for never.
    pub to_us: Option<u64>,
    /// The node that was asked.
    pub node: &'static str,
    /// The revision of the answer.
    pub revision: Option<i64>,
}

/// A string value.
pub fn string(text: &str) -> Value {
    Value::String(text.into())
}

/// An object value.
pub fn object(members: &[(&str, Value)]) -> Value {
    let members: BTreeMap<Arc<str>, Value> =
        members.iter().map(|(name, v)| (Arc::from(*name), v.clone())).collect();
    Value::Object(Arc::new(members))
}

/// A note of the nemesis.
pub fn note(at_ms: u64, kind: &str, members: &[(&str, Value)]) -> Event {
    Event {
        index: 0,
        time: at_ms * MS,
        process: Process::Nemesis,
        kind: EventType::Info,
        f: kind.to_owned(),
        key: None,
        value: object(members),
        actual: None,
        revision: None,
        version: None,
        node: None,
        error: None,
    }
}

/// The two notes of a fault that landed.
pub fn fault(
    id: i64,
    kind: &str,
    what: &str,
    node: &str,
    at: (u64, u64),
    seen: Value,
) -> [Event; 2] {
    let id = Value::Int(id);
    let start = [
        ("id", id.clone()),
        ("phase", string("start")),
        ("what", string(what)),
        ("nodes", Value::Array([string(node)].into())),
    ];
    let end = [("id", id), ("phase", string("end")), ("landed", Value::Bool(true)), ("seen", seen)];
    [note(at.0, kind, &start), note(at.1, kind, &end)]
}

/// A history of these operations and notes, with its events numbered by time.
pub fn history(told: Vec<Told>, notes: Vec<Event>) -> History {
    let mut edges: Vec<(u64, u8, usize)> = Vec::new();
    for (at, one) in told.iter().enumerate() {
        edges.push((one.from_us * 1_000, 1, at));
        edges.extend(one.to_us.map(|end| (end * 1_000, 0, at)));
    }
    edges.extend(notes.iter().enumerate().map(|(at, note)| (note.time, 2, at)));
    edges.sort_unstable();
    let (mut invoke, mut complete) = (vec![0; told.len()], vec![None; told.len()]);
    let mut history = History { events: edges.len() as u64, ..Default::default() };
    for (index, (_, what, at)) in edges.iter().enumerate() {
        match what {
            0 => complete[*at] = Some(index as u64),
            1 => invoke[*at] = index as u64,
            _ => history.notes.push(Event { index: index as u64, ..notes[*at].clone() }),
        }
    }
    for (at, one) in told.into_iter().enumerate() {
        history.operations.push(Operation {
            process: one.process,
            f: one.f.into(),
            key: Some(string(if one.revision == Some(0) { "k1" } else { "k7" })),
            input: one.input,
            output: one.output,
            actual: None,
            outcome: one.outcome,
            invoke: invoke[at],
            complete: complete[at],
            invoke_time: one.from_us * 1_000,
            complete_time: one.to_us.map(|us| us * 1_000),
            revision: one.revision.filter(|&r| r > 0),
            version: None,
            node: Some(one.node.into()),
            error: (one.outcome == Outcome::Info).then(|| "timed out after 2 s".into()),
        });
    }
    history.operations.sort_by_key(|o| o.invoke);
    history
}

/// The five operations of a stale read: n2 leads, is cut off, and still answers from its own state.
pub fn stale_read() -> Vec<Told> {
    let (ok, info) = (Outcome::Ok, Outcome::Info);
    let told = |process, f, input, output, outcome, at: (u64, Option<u64>), node, revision| Told {
        process,
        f,
        input,
        output,
        outcome,
        from_us: at.0,
        to_us: at.1,
        node,
        revision,
    };
    let (int, null) = (Value::Int, Value::Null);
    vec![
        told(3, "write", int(411), int(411), ok, (7_810_200, Some(7_813_050)), "n2", Some(871)),
        told(4, "write", int(415), null.clone(), info, (8_104_000, Some(10_104_000)), "n2", None),
        told(11, "write", int(428), int(428), ok, (9_420_310, Some(9_424_950)), "n4", Some(873)),
        told(7, "read", null.clone(), int(428), ok, (9_431_700, Some(9_433_020)), "n5", Some(873)),
        told(9, "read", null, int(411), ok, (9_436_100, Some(9_436_890)), "n2", Some(871)),
    ]
}

/// The faults of the run.
pub fn faults() -> Vec<Event> {
    let dropped = |n| object(&[("dropped", Value::Int(n))]);
    let names = |what, node| object(&[(what, Value::Array([string(node)].into()))]);
    let refused = [
        ("id", Value::Int(4)),
        ("phase", string("failed")),
        ("what", string("kill n3")),
        ("error", string("n3 had been killed already")),
    ];
    [
        fault(0, "kill", "kill n3", "n3", (2_000, 4_100), names("killed", "n3")),
        fault(1, "partition", "isolate n2 (the leader)", "n2", (8_000, 12_500), dropped(412)),
        fault(2, "pause", "pause n5", "n5", (9_000, 9_700), names("stopped", "n5")),
        fault(3, "kill", "kill n1", "n1", (14_500, 16_000), names("killed", "n1")),
    ]
    .into_iter()
    .flatten()
    .chain([note(15_000, "kill", &refused)])
    .collect()
}

/// `count` operations on another key, spread over 20 s, slow and failing where a fault lies.
pub fn noise(count: u64) -> Vec<Told> {
    let mut state = 7_u64;
    let mut draw = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut told = Vec::new();
    for i in 0..count {
        let from_us = i * 20_000_000 / count;
        let faulty = [(2_000, 2_900), (8_000, 9_300), (14_500, 15_300)];
        let faulty = faulty.iter().any(|&(a, b)| (a..b).contains(&(from_us / 1_000)));
        let die = draw() % 1_000;
        let mut took_us = 600 + (1 << (draw() % 11)) + draw() % 700;
        let mut outcome = Outcome::Ok;
        if faulty && die < 600 {
            outcome = if die < 200 { Outcome::Info } else { Outcome::Fail };
            took_us = if die < 200 { 2_000_000 } else { 300 + draw() % 900 };
        } else if die > 996 {
            took_us *= 1 + draw() % 60;
        }
        let value = Value::Int(1_000 + i as i64);
        let (f, input, output) = match draw() % 5 {
            0..=1 => ("read", Value::Null, value),
            2..=3 => ("write", value.clone(), value),
            _ => ("cas", Value::Array([Value::Int(i as i64), value.clone()].into()), value),
        };
        if f == "cas" && outcome == Outcome::Ok && die.is_multiple_of(3) {
            outcome = Outcome::Fail;
        }
        told.push(Told {
            process: 100 + (i % 20) as i64,
            f,
            input,
            output,
            outcome,
            from_us,
            to_us: (outcome != Outcome::Info || die % 10 != 0).then_some(from_us + took_us),
            node: ["n1", "n2", "n3", "n4", "n5"][(i % 5) as usize],
            revision: Some(0),
        });
    }
    told
}

/// What stands around the history.
pub fn circumstances(bug: &[&str]) -> Circumstances {
    let command = "ordeal run --seed 7261 --time-limit 20s --nemesis kill,pause,partition";
    let fact = |(a, b): &(&str, &str)| (a.to_string(), b.to_string());
    Circumstances {
        seed: 7261,
        bug: bug.iter().map(|b| b.to_string()).collect(),
        scheduled: BTreeMap::from([
            ("kill".into(), 3),
            ("pause".into(), 1),
            ("partition".into(), 1),
        ]),
        tested: Tested {
            ordeal: "0.1.0".into(),
            db: if bug.is_empty() { "/usr/bin/etcd".into() } else { "embedded".into() },
            db_version: Some(if bug.is_empty() { "3.4.23" } else { "0.1.0" }.into()),
            nodes: (1..=5).map(|n| format!("n{n}")).collect(),
            workload: "register".into(),
            nemesis: vec!["kill".into(), "pause".into(), "partition".into()],
            environment: "sandbox".into(),
            concurrency: 20,
            options: [("read", "serializable"), ("keys", "8")].iter().map(fact).collect(),
            host: [("kernel", "6.12.0"), ("cpus", "2"), ("memory", "16 GB")]
                .iter()
                .map(fact)
                .collect(),
        },
        started_at: "2026-02-03T04:05:06Z".into(),
        clients_began_us: None,
        duration_ms: 20_000,
        command: match bug {
            [] => format!("{command} --db /usr/bin/etcd --read serializable"),
            bugs => format!("{command} --bug {}", bugs.join(" --bug ")),
        },
        interrupted: false,
        stopped_after_ms: None,
    }
}

fn judgement(history: &History, verdict: Verdict, reason: &str) -> Judgement {
    Judgement {
        checker: "linearizable-register".into(),
        verdict,
        algorithm: "blocks".into(),
        reason: reason.into(),
        operations: history.operations.len() as u64,
        cost: Cost::default(),
    }
}

/// The results of a run whose stale read was found.
pub fn invalid(history: &History, bug: &[&str]) -> Results {
    let position = |value: i64, f: &str| {
        let found = history.operations.iter().position(|o| {
            &*o.f == f && (o.input == Value::Int(value) || o.output == Value::Int(value))
        });
        found.map(|at| at as u32)
    };
    let places = [
        position(411, "write"),
        position(428, "write"),
        position(428, "read"),
        position(411, "read"),
    ];
    let mut operations: Vec<u32> = places.into_iter().flatten().collect();
    operations.extend(position(415, "write"));
    operations.sort_unstable();
    let last = operations.last().and_then(|&at| history.operations.get(at as usize));
    let counterexample = Counterexample {
        key: Some(string("k7")),
        story: vec![
            "Process 11 wrote 428 and was told so before process 9 asked.".into(),
            "Process 7 had already read 428 when process 9 asked.".into(),
            "Yet process 9 read 411, the value before it: a stale read.".into(),
        ],
        broken_at_event: last.and_then(|o| o.complete),
        operations,
        anomalies: Vec::new(),
    };
    let reason = "Key k7: a read returned 411 after 428 had been written and read: a stale read.";
    let judgement = judgement(history, Verdict::Invalid(counterexample), reason);
    finish(history, judgement, circumstances(bug))
}

/// The results of a run in which nothing was wrong.
pub fn valid(history: &History) -> Results {
    let reason = "Every key has an order of its operations that explains every answer.";
    let judgement = judgement(history, Verdict::Valid(Witness::default()), reason);
    finish(history, judgement, circumstances(&[]))
}

/// The results of a run whose check did not end.
pub fn unknown(history: &History, bug: &[&str]) -> Results {
    let reason = "The search used its 4 GiB of memory on key k3 after 12,345,678 configurations; \
                  give it more with --memory, or use unique values.";
    let mut judgement = judgement(history, Verdict::Unknown(reason.into()), reason);
    judgement.algorithm = "search".into();
    judgement.cost.configurations = 12_345_678;
    let about = Circumstances { interrupted: true, ..circumstances(bug) };
    finish(history, judgement, about)
}

fn finish(history: &History, judgement: Judgement, about: Circumstances) -> Results {
    let coverage = coverage(history, &about.scheduled);
    let judged = [Judged { judgement, ms: 41 }, Judged { judgement: coverage, ms: 0 }];
    Results::judge(history, &judged, about)
}

/// Puts `text` wherever a report shows what came from outside.
pub fn poison(results: &mut Results, history: &mut History, text: &str) {
    let value = Value::Array([string(text), Value::Int(1)].into());
    for operation in &mut history.operations {
        let text: Arc<str> = text.into();
        operation.key = Some(string(&text));
        operation.input = value.clone();
        operation.output = string(&text);
        operation.node = Some(text.clone());
        operation.error = Some(text.clone());
        if operation.process.rem_euclid(2) == 1 {
            operation.f = text;
        }
    }
    let text = || text.to_owned();
    results.operations.insert(text(), Default::default());
    results.faults.insert(text(), Default::default());
    results.bug = vec![text()];
    results.command = text();
    results.started_at = text();
    let tested = &mut results.tested;
    (tested.db, tested.db_version, tested.workload) = (text(), Some(text()), text());
    (tested.nodes, tested.nemesis) = (vec![text()], vec![text()]);
    (tested.environment, tested.ordeal) = (text(), text());
    tested.options.insert(text(), text());
    tested.host.insert(text(), text());
    for checker in &mut results.checkers {
        checker.name = text();
        checker.reason = text();
        checker.algorithm = text();
        if let Some(found) = &mut checker.counterexample {
            found.story = vec![text()];
            found.anomalies = vec![text()];
            found.key = text().into();
        }
    }
}

/// The results of a run whose counterexample could not be made small.
pub fn long(history: &History) -> Results {
    let mut results = invalid(history, &[]);
    let found = results.checkers.iter_mut().find_map(|c| c.counterexample.as_mut());
    let part = history.operations.iter().skip(600).take(70);
    let events = part.flat_map(|o| [Some(o.invoke), o.complete]).flatten();
    if let Some(found) = found {
        found.operations = 70;
        found.events = events.collect();
        found.broken_at_event = found.events.last().copied();
    }
    results
}

/// Twelve nights of three tests.
pub fn nights() -> Vec<RunSummary> {
    let history = history(noise(400).into_iter().chain(stale_read()).collect(), faults());
    let mut runs = Vec::new();
    for night in 0..12_u64 {
        for (t, test) in ["register", "register, serializable", "list-append"].iter().enumerate() {
            let mut results = match (t, night) {
                (1, 5..) => invalid(&history, &[]),
                (2, 3 | 8) => unknown(&history, &[]),
                _ => valid(&history),
            };
            results.started_at = format!("2026-02-{:02}T0{t}:05:06Z", night + 1);
            results.seed += night * 17 + t as u64;
            let report = format!("{t}/2026-02-{:02}/report.html", night + 1);
            runs.push(RunSummary::new(test, &report, &results));
        }
    }
    runs
}

/// Twelve nights of a campaign: a row that always passes, one that comes and goes, and one that is
/// broken from the seventh on.
pub fn campaigns() -> Vec<CampaignSummary> {
    let test = |row: &str, seeds: &str, standing, reason: &str| CampaignTest {
        row: row.to_owned(),
        sought: false,
        seeds: seeds.to_owned(),
        standing,
        reason: reason.to_owned(),
        ms: 12_000,
        command: format!("ordeal run --workload {row} --seed {seeds}"),
    };
    let night = |night: u64| {
        let flaky = if night % 3 == 1 { Standing::Unknown } else { Standing::Passed };
        let late = if night < 6 { Standing::Passed } else { Standing::Failed };
        CampaignSummary {
            name: "nightly".to_owned(),
            began_at: format!("2026-02-{:02}T01:17:00Z", night + 1),
            index: Some(format!("nightly/{night}/index.html")),
            tests: vec![
                test("simulated, register", "0..1000", Standing::Passed, ""),
                test("lease", "1", flaky, "The search used its memory."),
                test("append", "1", late, "T1 before T2 before T1"),
                test("append", "2", Standing::Passed, ""),
                test("append", "3", Standing::Skipped, "the campaign ended before its turn"),
            ],
        }
    };
    (0..12).map(night).collect()
}
