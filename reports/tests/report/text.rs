//! The text that a person or a CI system reads, as snapshots.

use crate::made_up::{faults, history, invalid, noise, stale_read, unknown, valid};
use ordeal_history::History;
use ordeal_reports::{Results, counterexample, html, junit, markdown, terminal};

fn stale(around: u64) -> History {
    let mut told = noise(around);
    told.extend(stale_read());
    history(told, faults())
}

#[test]
fn a_stale_read_in_the_terminal() {
    let history = stale(400);
    insta::assert_snapshot!(terminal(&invalid(&history, &[]), &history, false));
}

#[test]
fn a_planted_bug_and_an_unknown_in_the_terminal() {
    let history = stale(400);
    insta::assert_snapshot!(terminal(&unknown(&history, &["local-read"]), &history, false));
}

#[test]
fn a_run_that_was_stopped_at_its_violation_says_so_and_when() {
    let history = stale(400);
    let results = invalid(&history, &[]);
    let sentence = "The run was stopped at the violation, after 4.21 s: --fail-fast was given.";
    let texts = |stopped_after_ms| {
        let results = Results { stopped_after_ms, ..results.clone() };
        [terminal(&results, &history, false), html(&results, &history, &[]), markdown(&results)]
    };
    assert!(texts(None).iter().all(|text| !text.contains("stopped at the violation")));
    assert!(texts(Some(4_210)).iter().all(|text| text.contains(sentence)));
}

#[test]
fn a_valid_run_in_the_terminal() {
    let history = history(noise(400), faults());
    insta::assert_snapshot!(terminal(&valid(&history), &history, false));
}

#[test]
fn colours_change_nothing_but_the_colours() {
    let history = stale(40);
    let results = invalid(&history, &["local-read"]);
    let coloured = terminal(&results, &history, true);
    let mut plain = String::new();
    for (i, part) in coloured.split('\u{1b}').enumerate() {
        plain.push_str(if i == 0 { part } else { part.split_once('m').map_or("", |(_, t)| t) });
    }
    assert!(coloured.contains("\u{1b}[1;31m"));
    assert_eq!(plain, terminal(&results, &history, false));
}

#[test]
fn a_counterexample_alone_is_what_the_whole_report_shows() {
    let history = stale(40);
    let results = invalid(&history, &[]);
    let found = results.checkers[0].counterexample.as_ref().expect("it is invalid");
    let alone = counterexample("linearizable-register", found, &history, false);
    assert!(alone.starts_with("Counterexample: k7\n"), "{alone}");
    assert!(terminal(&results, &history, false).contains(&alone));
}

#[test]
fn junit_of_a_stale_read() {
    let history = stale(400);
    insta::assert_snapshot!(junit(&invalid(&history, &["local-read"])));
}

#[test]
fn junit_of_an_unknown_is_an_error() {
    let history = stale(400);
    insta::assert_snapshot!(junit(&unknown(&history, &[])));
}

#[test]
fn markdown_of_a_stale_read() {
    let history = stale(400);
    insta::assert_snapshot!(markdown(&invalid(&history, &["local-read"])));
}
