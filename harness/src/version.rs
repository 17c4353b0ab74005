//! Which Ordeal this is.

/// The version, and the commit that it was built from (`build.rs` finds it).
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("ORDEAL_COMMIT"), ")");

#[cfg(test)]
mod tests {
    use super::VERSION;

    #[test]
    fn the_version_names_a_commit_or_says_why_it_cannot() {
        let commit = VERSION.split_once(" (").and_then(|(_, rest)| rest.strip_suffix(')'));
        let commit = commit.expect("a commit in brackets");
        let hash = commit.split(' ').next().unwrap_or_default();
        let is_hash = hash.len() == 12 && hash.chars().all(|digit| digit.is_ascii_hexdigit());
        assert!(is_hash || commit.starts_with("commit unknown"), "{VERSION}");
    }
}
