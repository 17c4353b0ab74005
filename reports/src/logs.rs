//! The nodes' own logs, laid beside the history.
//!
//! A log tells its own time, so two things are needed to find a line's place in the run: when the
//! clients began by the machine's clock ([`Results::clients_began_us`]), and how far a fault had
//! set that node's clock off. The first is recorded; the second is taken from what clock jumps
//! were seen to do. Lines whose time cannot be read take that of the line before them.
//!
//! [`Results::clients_began_us`]: crate::Results::clients_began_us

use crate::band::{Band, member};
use ordeal_history::Value;

/// A node's log, as it lies in the run's folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeLog {
    /// The node's name.
    pub node: String,
    /// What it wrote; what was no UTF-8 is replaced.
    pub text: String,
}

/// A line of a log, with its place in the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line<'a> {
    /// Whose line it is: a place in the list of logs.
    pub node: usize,
    /// Microseconds since the clients began; lines before that are negative.
    pub time_us: i64,
    /// The line, its time included.
    pub text: &'a str,
}

/// The lines of all `logs` that have a time, by time; a node's own lines stay in their order.
pub(crate) fn lines<'a>(logs: &'a [NodeLog], began_us: u64, bands: &[Band]) -> Vec<Line<'a>> {
    let began_us = i64::try_from(began_us).unwrap_or(i64::MAX);
    let mut all = Vec::new();
    for (node, log) in logs.iter().enumerate() {
        let jumps = jumps(&log.node, bands);
        let mut time_us = None;
        for text in log.text.lines().filter(|line| !line.trim().is_empty()) {
            if let Some(unix_us) = written_at(text) {
                time_us = Some(set_right(unix_us.saturating_sub(began_us), &jumps));
            }
            all.extend(time_us.map(|time_us| Line { node, time_us, text }));
        }
    }
    all.sort_by_key(|line| line.time_us);
    all
}

/// From when to when a node's wall clock was set off, and how far, in microseconds.
type Jump = (i64, i64, i64);

fn jumps(node: &str, bands: &[Band]) -> Vec<Jump> {
    let ahead_us = |band: &Band| {
        let reading = member(member(band.seen.as_ref()?, "clocks")?, node)?;
        match (member(reading, "wall_ahead_us")?, member(reading, "times_set")) {
            (Value::Int(us), Some(Value::Int(1))) => Some(*us),
            _ => None,
        }
    };
    let to_us = |ns: u64| i64::try_from(ns / 1_000).unwrap_or(i64::MAX);
    let jump = |band: &Band| Some((to_us(band.start_ns), to_us(band.end_ns), ahead_us(band)?));
    bands.iter().filter_map(jump).collect()
}

/// What a clock that had jumped calls `time_us`, by a clock that had not.
fn set_right(time_us: i64, jumps: &[Jump]) -> i64 {
    let within = |&&(from, to, ahead): &&Jump| {
        ahead != 0 && (from..=to).contains(&time_us.saturating_sub(ahead))
    };
    jumps.iter().find(within).map_or(time_us, |jump| time_us.saturating_sub(jump.2))
}

/// When a line was written, in microseconds since 1970, by what it says itself: an RFC 3339 time
/// in UTC at its beginning or in a member `ts`, or one of etcd 3.4's two: `2021-03-04 05:06:07.89`
/// and `raft2021/03/04 05:06:07`.
fn written_at(line: &str) -> Option<i64> {
    let at = match line.find("\"ts\":\"") {
        Some(at) if line.starts_with('{') => at + 6,
        _ => word_before(line),
    };
    time_at(line.get(at..)?.as_bytes()).map(|(unix_us, _)| unix_us)
}

/// Where what a line says begins, behind the time of its writing; 0 where it begins with none.
pub(crate) fn written_until(line: &str) -> usize {
    let at = word_before(line);
    let time = line.get(at..).and_then(|text| time_at(text.as_bytes()));
    time.map_or(0, |(_, length)| at + length)
}

/// The length of the word that stands before the time of a line without a space.
fn word_before(line: &str) -> usize {
    if line.starts_with("raft") { 4 } else { 0 }
}

/// The time that `text` begins with, in microseconds since 1970, and how long it is.
fn time_at(text: &[u8]) -> Option<(i64, usize)> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.iter().all(u8::is_ascii_digit).then_some(())?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let is = |at: usize, of: &[u8]| text.get(at).is_some_and(|byte| of.contains(byte));
    if !(is(4, b"-/") && is(7, b"-/") && is(10, b"T ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let days = days_since_1970(number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    let digits = match is(19, b".") {
        true => text[20..].iter().take_while(|byte| byte.is_ascii_digit()).count(),
        false => 0,
    };
    let fraction_us = match digits.min(6) {
        0 => 0,
        read => number(20, 20 + read)? * 10_i64.pow(6 - read as u32),
    };
    let fraction = if digits > 0 { digits + 1 } else { 0 };
    let length = 19 + fraction + usize::from(is(19 + fraction, b"Z"));
    Some(((days * 86_400 + seconds) * 1_000_000 + fraction_us, length))
}

/// Days from 1 January 1970 to a day of the Gregorian calendar. A year that begins in March has
/// its leap day last, and each era of 400 years has 146,097 days.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let march_year = year - i64::from(month <= 2);
    let march_month = (month + 9) % 12;
    let (era, year) = (march_year.div_euclid(400), march_year.rem_euclid(400));
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_each_kind_of_log_are_read() {
        for (line, unix_us) in [
            ("2026-11-21T16:37:36.249Z became leader at term 2", Some(1_795_279_056_249_000)),
            (
                r#"{"level":"info","ts":"2026-11-21T16:38:01.904648Z","msg":"x"}"#,
                Some(1_795_279_081_904_648),
            ),
            ("2026-11-21 16:37:36.249123 I | raft: x", Some(1_795_279_056_249_123)),
            ("raft2026/11/21 16:37:36 INFO: x", Some(1_795_279_056_000_000)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:01.5Z", Some(951_782_401_500_000)),
            ("goroutine 1 [running]:", None),
            ("2026-11-21T16:3é:36.249Z", None),
            ("", None),
        ] {
            assert_eq!(written_at(line), unix_us, "{line}");
        }
    }

    #[test]
    fn lines_are_merged_by_time_and_a_trace_stays_with_its_panic() {
        let log = |node: &str, text: &str| NodeLog { node: node.into(), text: text.into() };
        let logs = [
            log("n1", "1970-01-01T00:00:10Z a\n\n1970-01-01T00:00:12Z panic\n  at b.rs\n"),
            log("n2", "no time\n1970-01-01T00:00:11Z c\n"),
        ];
        let lines = lines(&logs, 11_000_000, &[]);
        let told: Vec<(usize, i64, &str)> = lines
            .iter()
            .map(|l| (l.node, l.time_us, l.text.trim_start_matches("1970-01-01T00:00:1")))
            .collect();
        assert_eq!(
            told,
            [
                (0, -1_000_000, "0Z a"),
                (1, 0, "1Z c"),
                (0, 1_000_000, "2Z panic"),
                (0, 1_000_000, "  at b.rs")
            ]
        );
    }

    #[test]
    fn a_clock_that_jumped_is_set_right() {
        let jumps = [(2_000_000, 5_000_000, 447_000_000)];
        assert_eq!(set_right(450_000_000, &jumps), 3_000_000);
        assert_eq!(set_right(1_000_000, &jumps), 1_000_000);
        assert_eq!(set_right(6_000_000, &jumps), 6_000_000);
    }
}
