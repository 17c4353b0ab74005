//! Writes a report of a made-up run to standard output.
//!
//!     cargo run -p ordeal-reports --example sample -- invalid > report.html
//!
//! The first argument is `invalid`, `bug`, `valid`, `unknown`, `long`, `hostile`, `stale` (found by
//! the real checker), `cycle`, `watch`, `differ`, `spacetime` or `index`; a second one is the count
//! of operations around the story, 4000 unless told; a third one `text`, `colour`, `junit` or
//! `markdown` instead of the page.

mod made_up;

use ordeal_history::History;
use ordeal_reports::Results;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_else(|| "invalid".to_owned());
    let count = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(4_000);
    if kind == "index" {
        let (runs, campaigns) = (made_up::nights(), made_up::campaigns());
        return print!(
            "{}",
            ordeal_reports::index(&runs, &campaigns, ordeal_reports::Serving::File)
        );
    }
    let format = arguments.next().unwrap_or_default();
    let (results, history) = match kind.as_str() {
        "stale" => made_up::kinds::found_stale_read(count),
        "cycle" => made_up::kinds::cycle(),
        "watch" => made_up::kinds::watch_anomaly(),
        "differ" => made_up::kinds::differing(),
        "spacetime" => {
            let (results, history) = around_a_stale_read("invalid", count);
            let story = made_up::kinds::spacetime();
            let page = ordeal_reports::html_with_spacetime(&results, &history, &[], Some(&story));
            return print!("{page}");
        }
        kind => around_a_stale_read(kind, count),
    };
    let logs = made_up::kinds::logs();
    let report = match format.as_str() {
        "text" => ordeal_reports::terminal(&results, &history, false),
        "colour" => ordeal_reports::terminal(&results, &history, true),
        "junit" => ordeal_reports::junit(&results),
        "markdown" => ordeal_reports::markdown(&results),
        _ => ordeal_reports::html(&results, &history, &logs),
    };
    print!("{report}");
}

/// A run of `count` operations beside the story of a stale read.
fn around_a_stale_read(kind: &str, count: u64) -> (Results, History) {
    let mut told = made_up::noise(count);
    if kind != "valid" {
        told.extend(made_up::stale_read());
    }
    let notes = made_up::faults().into_iter().chain(made_up::kinds::measured()).collect();
    let mut history = made_up::history(told, notes);
    let mut results = match kind {
        "valid" => made_up::valid(&history),
        "unknown" => made_up::unknown(&history, &["local-read"]),
        "long" => made_up::long(&history),
        "bug" => made_up::invalid(&history, &["local-read"]),
        _ => made_up::invalid(&history, &[]),
    };
    if kind == "hostile" {
        let text = "</style><script>alert(1)</script>\u{202e}".repeat(3_000);
        made_up::poison(&mut results, &mut history, &text);
    }
    (results, history)
}
