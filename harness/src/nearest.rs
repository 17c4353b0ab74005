//! The name that was probably meant.

/// Of `known`, the name nearest to `given`, when it is near enough to be a slip of the hand.
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, name) = known.iter().map(|name| (distance(given, name), *name)).min()?;
    (distance <= 1 + given.len() / 4).then_some(name)
}

/// A sentence's end that lists what there is: `; did you mean kill? There are: kill, pause`.
pub fn instead(given: &str, known: &[&str]) -> String {
    let list = known.join(", ");
    match nearest(given, known) {
        Some(name) => format!("; did you mean {name}? There are: {list}"),
        None => format!("; there are: {list}"),
    }
}

/// Levenshtein's distance, in characters. O(n · m).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_does_not() {
        let known = ["register", "set", "partition", "pause"];
        let rows = [
            ("registr", Some("register")),
            ("partitoin", Some("partition")),
            ("puase", Some("pause")),
            ("bank", None),
            ("", None),
        ];
        for (given, expected) in rows {
            assert_eq!(nearest(given, &known), expected, "{given}");
        }
        assert_eq!(instead("sett", &["set"]), "; did you mean set? There are: set");
    }
}
