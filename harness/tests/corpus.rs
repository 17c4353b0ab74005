//! The corpus: reproducers that were found and shrunk once, each with a paragraph of story. Each
//! must still give the violation that it was kept for, by the same checkers.

use ordeal::plan::Plan;
use ordeal::sim::{class_of, simulate};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let entries = std::fs::read_dir(&folder).expect("the corpus is a folder");
    let mut found: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

#[test]
fn every_reproducer_gives_the_violation_that_it_was_kept_for() {
    let found = corpus();
    assert!(!found.is_empty(), "the corpus is empty");
    for folder in found {
        let name = folder.display();
        let path = folder.join("reproducer.json");
        let text = std::fs::read_to_string(&path).expect("a reproducer");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let expected: BTreeSet<String> =
            serde_json::from_value(json["expected"]["checkers"].clone()).expect("checkers");
        assert!(!expected.is_empty(), "{name} expects nothing");
        let plan = Plan::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let outcome = simulate(&plan).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(class_of(&outcome), expected, "{name}");
        let story = std::fs::read_to_string(folder.join("story.md")).expect("a story");
        assert!(story.split_whitespace().count() >= 30, "{name}: its story is too short");
    }
}
