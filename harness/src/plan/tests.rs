use super::*;
use ordeal_nemesis::{Fault, NodeId, Nodes};

fn plan() -> Plan {
    Plan::derive(&PlanOptions { seed: 7, ..PlanOptions::default() })
        .expect("the defaults make sense")
}

/// What is said of the plan once `from` in its text has become `to`.
fn complaint(from: &str, to: &str) -> String {
    let text = plan().to_json();
    assert!(text.contains(from), "{from:?} does not stand in {text}");
    let broken = text.replacen(from, to, 1);
    match Plan::parse(&broken, Path::new("plan.json")) {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_plan_survives_its_file() {
    let plan = plan();
    let again = Plan::parse(&plan.to_json(), Path::new("plan.json")).map_err(|e| e.to_string());
    assert_eq!(again, Ok(plan));
}

#[test]
fn the_same_options_name_the_same_plan_and_another_seed_another_schedule() {
    assert_eq!(plan(), plan());
    let other = Plan::derive(&PlanOptions { seed: 8, ..PlanOptions::default() });
    assert!(other.is_ok_and(|other| other.schedule != plan().schedule));
}

#[test]
fn a_mistake_in_a_plan_is_told_with_its_place() {
    let rows = [
        (
            "\"seed\": 7",
            "\"sed\": 7",
            "plan.json: line 3, column 7: unknown field `sed`, expected one of",
        ),
        (
            "\"seed\": 7",
            "\"seed\": \"x\"",
            "plan.json: line 3, column 13: invalid type: string \"x\", expected u64",
        ),
        ("\"seed\": 7,", "\"seed\": 7", "plan.json: line 4, column 3: expected `,` or `}`"),
        (
            "\"version\": 1",
            "\"version\": 2",
            "plan.json: version: 2 is not a version that is known",
        ),
        ("\"n5\"", "\"n1\"", "plan.json: nodes[4]: n1 is named twice"),
        ("\"n5\"", "\"../n5\"", "plan.json: nodes[4]: `../n5` is no node's name"),
        (
            "\"register\"",
            "\"regster\"",
            "workload.name: there is no workload `regster`; did you mean register?",
        ),
        (
            "\"rate_per_s\": 500",
            "\"rate_per_s\": 0",
            "rate_per_s: 0 is out of range: expected 1 to",
        ),
        ("\"bugs\": []", "\"bugs\": [\"no-such\"]", "bugs[0]: there is no bug `no-such`"),
        (
            "\"bugs\": []",
            "\"bugs\": [], \"db_args\": [\"--name=n9\"]",
            "db_args[0]: `--name=n9`: this flag is set by Ordeal itself",
        ),
        (
            "\"bugs\": []",
            "\"bugs\": [], \"db_args\": [\"enable-v2\"]",
            "db_args[0]: `enable-v2`: expected a flag of the server",
        ),
        ("\"keys\": 8", "\"keys\": 8, \"kyes\": 9", "unknown field `kyes`"),
        ("\"election_ms\": 500", "\"election_ms\": 100", "tuning: election_ms must be at least"),
    ];
    for (from, to, expected) in rows {
        let said = complaint(from, to);
        assert!(said.contains(expected), "{to}: {said}");
    }
}

#[test]
fn a_schedule_that_names_a_stranger_or_the_future_is_refused() {
    let text = plan().to_json();
    let long = PlanOptions { time_limit_ms: 300_000, ..PlanOptions::default() };
    let mut wrong = Plan::derive(&long).expect("the defaults make sense");
    wrong.nodes.truncate(1);
    wrong.nemesis.clear();
    wrong.schedule.0[0].fault = Fault::Pause { nodes: Nodes::These(vec![NodeId::numbered(5)]) };
    let error = wrong.validate().expect_err("the schedule names other nodes");
    assert!(error.to_string().contains("the nodes are n1"), "{error}\n{text}");
    let mut late = plan();
    late.time_limit_ms = 1;
    let error = late.validate().expect_err("all faults come after the end");
    assert!(error.to_string().starts_with("schedule[0].at_ms: "), "{error}");
    let mut idle = plan();
    let nodes = Nodes::Leader;
    idle.schedule.0[0].fault = Fault::ClockJump { nodes, wall_ms: 0, monotonic_ms: 0 };
    let error = idle.validate().expect_err("no clock is changed");
    assert!(error.to_string().starts_with("schedule[0].fault: it changes neither"), "{error}");
}

#[test]
fn options_that_make_no_sense_together_are_refused() {
    let rows = [
        (PlanOptions { nodes: 0, ..PlanOptions::default() }, "nodes: 0 nodes; expected 1 to"),
        (PlanOptions { nodes: 1, ..PlanOptions::default() }, "partition needs 2 nodes"),
        (PlanOptions { time_limit_ms: 0, ..PlanOptions::default() }, "time_limit_ms: 0 is out"),
        (
            PlanOptions {
                db: Db::Etcd { path: "/bin/etcd".into(), version: "3.5.30".to_owned() },
                bugs: vec!["local-read".to_owned()],
                ..PlanOptions::default()
            },
            "bugs: bugs can be switched on in the embedded cluster alone",
        ),
    ];
    for (options, expected) in rows {
        let said =
            Plan::derive(&options).map_or_else(|mistake| mistake.to_string(), |_| String::new());
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn the_v2_api_is_asked_only_of_releases_that_have_it_and_without_users_and_restores() {
    let rows: [(&str, bool, &[Kind], Option<&str>); 7] = [
        ("3.3.25", false, &[Kind::Kill], None),
        ("3.5.30", false, &[], None),
        ("of my own", false, &[], None),
        (
            "3.6.0-rc.1",
            false,
            &[],
            Some("workload.name: `v2` asks by etcd's v2 API, which etcd 3.6.0"),
        ),
        ("4.0.0", false, &[], Some("workload.name")),
        ("3.4.23", true, &[], Some("auth: `v2` asks")),
        ("3.4.23", false, &[Kind::Restore], Some("nemesis: restore brings back")),
    ];
    for (version, auth, kinds, refusal) in rows {
        let plan = Plan::derive(&PlanOptions {
            db: Db::Etcd { path: "/bin/etcd".into(), version: version.to_owned() },
            workload: "v2".to_owned(),
            nemesis: kinds.iter().copied().map(Asked::from).collect(),
            auth,
            ..PlanOptions::default()
        });
        let told = plan.err().map(|mistake| mistake.to_string());
        let as_it_must = match (&told, refusal) {
            (None, None) => true,
            (Some(told), Some(refusal)) => told.starts_with(refusal),
            _ => false,
        };
        assert!(as_it_must, "{version}: {told:?}");
    }
}

#[test]
fn a_mirror_has_a_second_cluster_where_there_is_room_for_one() -> Result<(), Mistake> {
    let (workload, nemesis) = ("mirror".to_owned(), Vec::new());
    let mirror = PlanOptions { workload, nemesis, ..PlanOptions::default() };
    let plan = Plan::derive(&mirror)?;
    assert_eq!(plan.second, [NodeId("s1".to_owned())]);
    assert_eq!((plan.nodes.len(), plan.everyone().len()), (5, 6));
    assert!(self::plan().second.is_empty());
    let simulated = PlanOptions { environment: Environment::Simulation, ..mirror };
    assert!(Plan::derive(&simulated)?.second.is_empty());
    let misplaced = Plan { environment: Environment::Simulation, ..plan };
    assert!(misplaced.validate().is_err_and(|mistake| mistake.field == "second"));
    Ok(())
}

#[test]
fn the_second_cluster_is_struck_where_it_is_named() -> Result<(), Mistake> {
    let aimed = |name: &str| {
        let asked = name.parse().expect("a fault");
        let workload = "mirror".to_owned();
        Plan::derive(&PlanOptions { workload, nemesis: vec![asked], ..PlanOptions::default() })
    };
    let struck = aimed("kill@s1")?.schedule;
    assert!(!struck.0.is_empty());
    let second = Nodes::These(vec![NodeId("s1".to_owned())]);
    assert!(struck.0.iter().all(|it| it.fault == Fault::Kill { nodes: second.clone() }));
    let refused = aimed("member-remove@s1").expect_err("it is no member of the first");
    assert!(refused.message.contains("there is no node s1; the nodes are n1, n2"), "{refused}");
    for seed in 0..20 {
        let workload = "mirror".to_owned();
        let plan = Plan::derive(&PlanOptions { seed, workload, ..PlanOptions::default() })?;
        assert!(!format!("{:?}", plan.schedule).contains("s1"), "seed {seed}");
    }
    Ok(())
}
