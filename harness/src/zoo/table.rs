//! What the zoo found, for a person.

use super::Zoo;
use super::hunt::Hunt;
use std::fmt::Write;

/// One hunt, in a line.
pub fn told(hunt: &Hunt) -> String {
    let Hunt { bug, workload, seeds, seconds, found, .. } = hunt;
    match found {
        Some(found) => format!(
            "{bug}: found after {seeds} seeds of {workload} in {seconds:.1} s, by {}",
            found.checkers.join(", ")
        ),
        None => format!("{bug}: NOT found in {seeds} seeds of {workload} in {seconds:.1} s"),
    }
}

/// The whole table, as Markdown.
pub fn table(zoo: &Zoo) -> String {
    let mut text = String::new();
    if !zoo.bugs.is_empty() {
        text.push_str(
            "| bug | workload | seeds | seconds | checkers | faults left | operations left |\n\
             |---|---|---|---|---|---|---|\n",
        );
    }
    for hunt in &zoo.bugs {
        let Hunt { bug, workload, seeds, seconds, found, .. } = hunt;
        let (checkers, faults, operations) = match found {
            Some(found) => (
                found.checkers.join(", "),
                left(found.faults),
                left(found.operations) + if found.minimal { "" } else { " (time was over)" },
            ),
            None => ("**not found**".to_owned(), String::new(), String::new()),
        };
        // Memory does not refuse a write.
        let _ = writeln!(
            text,
            "| `{bug}` | {workload} | {seeds} | {seconds:.1} | {checkers} | {faults} | \
             {operations} |"
        );
    }
    if let Some(control) = &zoo.control {
        let (seeds, seconds) = (control.seeds, control.seconds);
        let invalid = control.invalid.len();
        let _ = writeln!(
            text,
            "\nWithout bugs: {seeds} seeds in {seconds:.1} s, {invalid} invalid, {} unknown.",
            control.unknown
        );
        for (seed, workload, checkers) in &control.invalid {
            let _ = writeln!(text, "- seed {seed}, {workload}: {}", checkers.join(", "));
        }
    }
    text
}

fn left([before, after]: [usize; 2]) -> String {
    format!("{after} of {before}")
}

#[cfg(test)]
mod tests {
    use super::super::hunt::{Control, Found, Hunt};
    use super::*;

    #[test]
    fn what_was_found_and_what_was_not_stand_in_the_table() {
        let hunt = |bug, found| Hunt {
            bug,
            workload: "register",
            seeds: 7,
            unknown: 0,
            seconds: 1.25,
            found,
        };
        let found = Found {
            seed: 6,
            checkers: vec!["safety".to_owned()],
            faults: [9, 2],
            operations: [900, 4],
            minimal: true,
            folder: "there".into(),
        };
        let invalid = vec![(3, "lock", vec!["mutex".to_owned()])];
        let control = Some(Control { seeds: 8, unknown: 1, seconds: 2.0, invalid });
        let bugs = vec![hunt("local-read", Some(found)), hunt("watch-gap", None)];
        let zoo = Zoo { budget: 10, bugs, control, interrupted: false };
        let text = table(&zoo);
        let rows = [
            "| `local-read` | register | 7 | 1.2 | safety | 2 of 9 | 4 of 900 |",
            "| `watch-gap` | register | 7 | 1.2 | **not found** |  |  |",
            "Without bugs: 8 seeds in 2.0 s, 1 invalid, 1 unknown.",
            "- seed 3, lock: mutex",
        ];
        for row in rows {
            assert!(text.contains(row), "{row}\n{text}");
        }
        assert!(told(&zoo.bugs[1]).contains("NOT found in 7 seeds"));
    }
}
