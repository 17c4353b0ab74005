//! `results.json`: what it counts, what decides, and what it looks like.

use crate::made_up::{fault, faults, history, invalid, noise, note, object, stale_read, string};
use ordeal_checker::{Cost, Counterexample, Judgement, Verdict, Witness};
use ordeal_history::{History, Value};
use ordeal_reports::{
    Circumstances, FaultCounts, Judged, Results, Ruling, bands, count_faults, coverage,
};
use serde_json::Value as Json;
use std::collections::BTreeMap;

fn judged(verdict: Verdict) -> Judged {
    let judgement = Judgement {
        checker: "some".into(),
        verdict,
        algorithm: String::new(),
        reason: String::new(),
        operations: 0,
        cost: Cost::default(),
    };
    Judged { judgement, ms: 0 }
}

#[test]
fn invalid_outweighs_unknown_and_unknown_outweighs_valid() {
    let valid = || judged(Verdict::Valid(Witness::default()));
    let unknown = || judged(Verdict::Unknown("out of time".into()));
    let invalid = || judged(Verdict::Invalid(Counterexample::default()));
    for (all, verdict) in [
        (vec![], Ruling::Unknown),
        (vec![valid(), valid()], Ruling::Valid),
        (vec![valid(), unknown(), valid()], Ruling::Unknown),
        (vec![unknown(), invalid(), valid()], Ruling::Invalid),
    ] {
        let results = Results::judge(&History::default(), &all, Circumstances::default());
        assert_eq!(results.verdict, verdict, "{all:?}");
    }
    let results = Results::judge(&History::default(), &[unknown()], Circumstances::default());
    assert_eq!(results.checkers[0].reason, "out of time");
}

#[test]
fn faults_are_counted_from_the_notes_and_bands_made_of_them() {
    let id = |n| ("id", Value::Int(n));
    let phase = |p| ("phase", string(p));
    let mut notes = fault(0, "kill", "kill n3", "n3", (100, 200), object(&[])).to_vec();
    notes.push(note(300, "pause", &[id(1), phase("start"), ("what", string("pause n1"))]));
    notes.push(note(400, "pause", &[id(1), phase("end"), ("landed", Value::Bool(false))]));
    notes.push(note(500, "partition", &[id(2), phase("failed"), ("error", string("no"))]));
    notes.push(note(600, "kill", &[id(3), phase("start")]));
    notes.push(note(900, "leader", &[("node", string("n2"))]));
    let history = history(Vec::new(), notes);
    let scheduled = BTreeMap::from([("kill".to_owned(), 3), ("partition".to_owned(), 1)]);
    let counts =
        |scheduled, started, landed, failed| FaultCounts { scheduled, started, landed, failed };
    let expected = [
        ("kill".to_owned(), counts(3, 2, 1, 0)),
        ("partition".to_owned(), counts(1, 0, 0, 1)),
        ("pause".to_owned(), counts(0, 1, 0, 0)),
    ];
    assert_eq!(count_faults(&history, &scheduled), BTreeMap::from(expected));
    let bands = bands(&history);
    let spans: Vec<_> = bands
        .iter()
        .map(|b| (b.id, b.start_ns / 1_000_000, b.end_ns / 1_000_000, b.ended, b.landed))
        .collect();
    let expected =
        [(0, 100, 200, true, true), (1, 300, 400, true, false), (3, 600, 900, false, false)];
    assert_eq!(spans, expected);
}

#[test]
fn a_test_in_which_nothing_happened_does_not_pass() {
    let planned = BTreeMap::from([("kill".to_owned(), 2)]);
    let mut only_failures = noise(10);
    only_failures.retain(|told| told.f == "read");
    for told in &mut only_failures {
        told.outcome = ordeal_history::Outcome::Fail;
    }
    for (history, planned, reason) in [
        (History::default(), BTreeMap::new(), "No operation was made"),
        (history(noise(40), vec![]), planned.clone(), "None of the 2 faults of the plan landed."),
        (history(only_failures, faults()), planned.clone(), "No read ever succeeded"),
    ] {
        let Verdict::Unknown(said) = coverage(&history, &planned).verdict else {
            panic!("it passed: {reason}")
        };
        assert!(said.starts_with(reason), "{said}");
    }
    let passes = coverage(&history(noise(400), faults()), &planned).verdict;
    assert_eq!(passes, Verdict::Valid(Witness::default()));
}

#[test]
fn results_json_is_read_back_as_it_was_written() {
    let mut told = noise(40);
    told.extend(stale_read());
    let results = invalid(&history(told, faults()), &["local-read"]);
    let text = serde_json::to_string_pretty(&results).expect("it can be written");
    assert_eq!(serde_json::from_str::<Results>(&text).expect("it can be read"), results);
    insta::assert_snapshot!(text);
}

#[test]
fn the_contracts_own_fields_are_enough_to_be_read() {
    let text = r#"{"verdict":"unknown","checkers":[{"name":"a","verdict":"unknown","reason":"b"}],
        "seed":7,"bug":[],"operations":{"read":{"ok":1,"fail":0,"info":2}},
        "faults":{"kill":{"started":1,"landed":1}},"later":true}"#;
    let results: Results = serde_json::from_str(text).expect("it can be read");
    assert_eq!(results.outcomes().total(), 3);
    assert_eq!(results.fault_counts().landed, 1);
}

/// The names of all fields of `value`, but for the maps whose names are data.
fn fields(value: &serde_json::Value, names: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                names.push(name.clone());
                match name.as_str() {
                    "operations" | "faults" | "latency_us" => {
                        if let Some(one) = value.as_object().and_then(|o| o.values().next()) {
                            fields(one, names);
                        }
                    }
                    "options" | "host" => {}
                    _ => fields(value, names),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| fields(item, names)),
        _ => {}
    }
}

#[test]
fn every_field_stands_in_the_documentation() {
    let documentation = include_str!("../../../docs/results.md");
    let mut told = noise(40);
    told.extend(stale_read());
    let results = invalid(&history(told, faults()), &[]);
    let mut names = Vec::new();
    fields(&serde_json::to_value(&results).expect("it can be written"), &mut names);
    assert!(names.len() > 30);
    for name in names {
        assert!(documentation.contains(&format!("`{name}`")), "{name} is not documented");
    }
}

/// What in `value` the schema at `schema` does not name, by its path.
fn unnamed(root: &Json, schema: &Json, value: &Json, path: &str, into: &mut Vec<String>) {
    let named = schema["$ref"].as_str().and_then(|name| root.pointer(&name[1..]));
    let schema = named.unwrap_or(schema);
    match value {
        Json::Object(members) => {
            for required in schema["required"].as_array().into_iter().flatten() {
                let required = required.as_str().expect("a name");
                if !members.contains_key(required) {
                    into.push(format!("{path}/{required} is required"));
                }
            }
            for (name, value) in members {
                let of = schema["properties"].get(name).or(schema.get("additionalProperties"));
                match of {
                    Some(of) => unnamed(root, of, value, &format!("{path}/{name}"), into),
                    None => into.push(format!("{path}/{name}")),
                }
            }
        }
        Json::Array(items) => {
            for item in items {
                unnamed(root, &schema["items"], item, &format!("{path}/0"), into);
            }
        }
        plain => {
            let kinds = &schema["type"];
            let is = |kind: &str| {
                *kinds == kind || kinds.as_array().is_some_and(|k| k.contains(&kind.into()))
            };
            let fits = match plain {
                Json::String(text) => {
                    is("string")
                        || schema["enum"].as_array().is_some_and(|e| e.contains(&text[..].into()))
                }
                Json::Number(n) => (is("integer") && n.is_u64()) || schema["const"] == *plain,
                Json::Bool(_) => is("boolean"),
                _ => is("null"),
            };
            if !fits && *schema != Json::Bool(true) {
                into.push(format!("{path} is {plain}"));
            }
        }
    }
}

#[test]
fn the_documented_schema_names_every_field_that_is_written() {
    let schema = include_str!("../../../docs/results.schema.json");
    let schema: Json = serde_json::from_str(schema).expect("the schema is JSON");
    let history = history(noise(50).into_iter().chain(stale_read()).collect(), faults());
    let mut stale = invalid(&history, &["local-read"]);
    (stale.clients_began_us, stale.stopped_after_ms) = (Some(1), Some(2));
    for results in [stale, crate::made_up::kinds::differing().0, crate::made_up::kinds::cycle().0] {
        let written = serde_json::to_value(&results).expect("results are JSON");
        let mut missing = Vec::new();
        unnamed(&schema, &schema, &written, "", &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }
}
