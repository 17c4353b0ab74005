//! Reads the source tree, and holds it to the rules that a compiler does not know.

use std::path::{Path, PathBuf};

/// What may not stand in a source file, and what to do in its place.
const BANNED: [(&str, &str); 5] = [
    (concat!("todo", "!("), "finish it"),
    (concat!("unimplemented", "!("), "finish it"),
    (concat!("#[", "ignore"), "mend the test, or take it out and say why"),
    (concat!("allow(", "dead_code"), "take out what nobody calls"),
    (concat!("thread", "_rng("), "draw from a named stream of the plan's seed"),
];

/// A file longer than this has more than one subject.
const LINES_MAX: usize = 500;
const COLUMNS_MAX: usize = 100;

#[test]
fn sources_keep_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's root");
    let mut files = Vec::new();
    for room in
        ["history", "checker", "nemesis", "cluster", "workloads", "reports", "harness", "fuzz"]
    {
        rust_files(&root.join(room), &mut files);
    }
    assert!(files.len() > 20, "only {} source files found under {}", files.len(), root.display());
    let complaints: Vec<String> = files.iter().flat_map(|file| complaints(file)).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn complaints(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("a source file is UTF-8");
    let name = file.display();
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        found.push(format!("{name}: {lines} lines, more than {LINES_MAX}: split it by subject"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        if line.chars().count() > COLUMNS_MAX {
            found.push(format!("{name}:{number}: more than {COLUMNS_MAX} columns"));
        }
        for (banned, instead) in BANNED {
            if line.contains(banned) {
                found.push(format!("{name}:{number}: `{banned}`: {instead}"));
            }
        }
    }
    found
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("a room of the workspace");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("a folder entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}
