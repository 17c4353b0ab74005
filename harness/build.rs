//! Finds the commit that is built: in a clone from git, in an archive that git made from the file
//! `COMMIT`, into which git writes it. Where neither tells, the version says so.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Digits of a commit that are shown.
const DIGITS: usize = 12;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    println!("cargo:rerun-if-changed=build.rs");
    // What is not there counts as changed each time, and is not named.
    if root.join("COMMIT").exists() {
        println!("cargo:rerun-if-changed=../COMMIT");
    }
    let is_debug = std::env::var("PROFILE").is_ok_and(|profile| profile == "debug");
    let commit = archived(root).or_else(|| {
        let commit = cloned(root)?;
        watch(root, is_debug);
        // A test build is not made anew with each commit: that would cost more than it tells.
        Some(if is_debug { format!("{commit} or later, debug build") } else { commit })
    });
    let commit = commit.unwrap_or_else(|| "commit unknown: built outside git".to_owned());
    println!("cargo:rustc-env=ORDEAL_COMMIT={commit}");
}

/// The commit that git wrote down when it made an archive.
fn archived(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join("COMMIT")).ok()?;
    hash(&text)
}

/// The commit of the clone that this is; a clone further up that merely holds it does not count.
fn cloned(root: &Path) -> Option<String> {
    let top = PathBuf::from(git(root, &["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    hash(&git(root, &["rev-parse", "HEAD"])?)
}

/// Has this run again when another commit is checked out, and with `is_debug` only when another
/// branch is.
fn watch(root: &Path, is_debug: bool) {
    let paths: &[&str] = if is_debug { &["HEAD"] } else { &["HEAD", "logs/HEAD"] };
    for path in paths {
        let found = git(root, &["rev-parse", "--git-path", path]).map(|path| root.join(path));
        if let Some(path) = found.filter(|path| path.exists()) {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

/// The first digits of a commit, if it is one.
fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    let is_hash = text.len() >= 40 && text.chars().all(|digit| digit.is_ascii_hexdigit());
    is_hash.then(|| text[..DIGITS].to_owned())
}
