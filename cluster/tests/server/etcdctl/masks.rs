//! What differs from run to run, made the same: addresses, ids, times and sizes.

/// Replaces every number that is directly followed by a unit of time, with the unit.
fn times(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let len = from.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(from.len());
        let (number, behind) = from.split_at(len);
        out += before;
        let inside = before.chars().last().is_some_and(char::is_alphanumeric);
        let unit = ["ms", "µs", "ns", "s"].iter().find(|unit| {
            let end = behind.strip_prefix(**unit);
            end.is_some_and(|end| !end.starts_with(char::is_alphanumeric))
        });
        match unit {
            Some(unit) if !inside => {
                out += "TIME";
                rest = &behind[unit.len()..];
            }
            _ => {
                out += number;
                rest = behind;
            }
        }
    }
    out + rest
}

/// Replaces words: names of members, whose number says nothing of who leads, and hexadecimal ones
/// of 15 or 16 digits that nobody has told before, those of sessions.
fn words(line: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in line.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        let hex = (15..=16).contains(&word.len()) && word.chars().all(|c| c.is_ascii_hexdigit());
        let name = ["n0", "n1", "n2"].contains(&word.as_str());
        out += if hex {
            "HEX"
        } else if name {
            "NAME"
        } else {
            &word
        };
        word.clear();
        if c != '\n' {
            out.push(c);
        }
    }
    out
}

/// The fields of JSON, of `-w fields` and of messages whose numbers are each store's own.
const OWN_NUMBERS: &[&str] = &[
    "raft_term",
    "raftTerm",
    "raftIndex",
    "raftAppliedIndex",
    "dbSize",
    "dbSizeInUse",
    "hash",
    "Hash",
    "Size",
    "totalSize",
    "ttl",
    "RaftTerm",
    "RaftIndex",
    "RaftAppliedIndex",
    "DBSize",
    "DBSizeInUse",
    "DBSizeInUsePercentage",
    "TTL",
    "ID",
];

fn numbers(line: &str, kept: &[&str]) -> String {
    let mut line = line.to_owned();
    for name in OWN_NUMBERS.iter().filter(|name| !kept.contains(name)) {
        for (before, behind) in [("\"", "\":"), ("\"", "\" : "), ("", ": ")] {
            let field = format!("{before}{name}{behind}");
            let mut begin = 0;
            while let Some(at) = line[begin..].find(&field) {
                begin += at + field.len();
                let digits = line[begin..].find(|c: char| !c.is_ascii_digit());
                let end = begin + digits.unwrap_or(line.len() - begin);
                line.replace_range(begin..end, "N");
            }
        }
    }
    line
}

/// Whose cells tell what a store is like, beside what is in it.
#[derive(Clone, Copy, PartialEq)]
enum Status {
    Endpoint,
    /// Begins with a hash.
    Snapshot,
}

/// A table without its widths, and without what is each store's own in the cells of a status.
fn cells(line: &str, of: Option<Status>) -> String {
    let is_rule = |c: char| "-+─┬┼┴┌┐├┤└┘".contains(c);
    let is_table = line.starts_with(['|', '│']);
    if line.len() > 3 && line.chars().all(is_rule) {
        return "----".into();
    }
    if !is_table && of.is_none() {
        return line.to_owned();
    }
    let hash = usize::from(is_table);
    let cells = line.split([',', '|', '│']).enumerate().map(|(nth, cell)| {
        let cell = cell.trim();
        let is_hash = of == Some(Status::Snapshot) && nth == hash && cell != "HASH";
        let digits = !cell.is_empty() && cell.chars().all(|c| c.is_ascii_digit());
        let is_size = [" kB", " MB", " B"].iter().any(|unit| cell.ends_with(unit));
        let is_own = is_hash || is_size || of == Some(Status::Endpoint) && digits;
        if of.is_some() && is_own { "N" } else { cell }
    });
    cells.collect::<Vec<_>>().join(if is_table { " | " } else { ", " }).trim().to_owned()
}

/// A list of members in no order, which `etcdctl` makes of a map, in order.
fn sorted_members(line: String) -> String {
    let list = line.strip_prefix("ETCD_INITIAL_CLUSTER=\"").and_then(|list| list.strip_suffix('"'));
    let Some(list) = list else { return line };
    let mut members: Vec<&str> = list.split(',').collect();
    members.sort_by_key(|member| member.split_once('=').map(|(_, url)| url));
    format!("ETCD_INITIAL_CLUSTER=\"{}\"", members.join(","))
}

/// Whether a line is of the log that `etcdctl` writes besides.
fn is_log(line: &str) -> bool {
    let is_year = line.len() > 4 && line.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    line.starts_with("{\"level\"") || is_year && line.contains(['\t', '|'])
}

/// What was shown, without what is a matter of chance, given names for what is known.
pub fn masked(command: &str, shown: &str, names: &[(String, String)]) -> String {
    let of = match command {
        command if command.contains("endpoint status") => Some(Status::Endpoint),
        command if command.contains("snapshot status") => Some(Status::Snapshot),
        _ => None,
    };
    let kept: &[&str] = match command {
        hash if hash.contains("hashkv") => &["hash", "Hash", "ID"],
        grant if grant.starts_with("lease grant") => &[],
        _ => &["ID"],
    };
    let mut out = String::new();
    for line in shown.lines().filter(|line| !is_log(line)) {
        let mut line = line.to_owned();
        for (known, name) in names {
            line = line.replace(known.as_str(), name);
        }
        let mut line = sorted_members(words(&numbers(&line, kept)));
        if command.starts_with("member") {
            // An id of fewer than sixteen digits has blanks before it.
            line = line.replace("  ", " ");
        }
        if !line.contains("TTL(") || line.contains("remaining(") {
            line = times(&line);
        }
        let line = cells(
            &line,
            of.filter(|_| !line.starts_with(['[', '{', '"']) && line.contains([',', '|', '│'])),
        );
        out += line.trim_end();
        out.push('\n');
    }
    out
}
