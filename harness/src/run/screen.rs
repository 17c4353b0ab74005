//! What a person sees while a run runs: a bar on a terminal, plain lines elsewhere.

use super::progress::{Progress, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ordeal_nemesis::Time;
use std::io::IsTerminal;
use std::time::Duration;

/// How often the bar is drawn.
const BAR_REST: Duration = Duration::from_millis(150);
/// How often there is a line.
const LINE_REST: Duration = Duration::from_secs(5);

/// Shows the progress of a run of `limit` until it is dropped. Never returns.
pub async fn show<T: Time>(progress: &Progress, time: &T, limit: Duration) {
    if std::io::stderr().is_terminal() {
        bar(progress, time, limit).await;
    } else {
        lines(progress, time, limit).await;
    }
}

/// Takes the bar away, however the run ends.
struct Shown(ProgressBar);

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

async fn bar<T: Time>(progress: &Progress, time: &T, limit: Duration) {
    let length = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{prefix:>11} [{bar:16}] {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    let shown = Shown(bar);
    loop {
        let worked = worked(progress, time);
        shown.0.set_position(u64::try_from(worked.min(limit).as_millis()).unwrap_or(u64::MAX));
        shown.0.set_prefix(stage(progress, worked, limit));
        shown.0.set_message(counts(progress));
        time.sleep(BAR_REST).await;
    }
}

async fn lines<T: Time>(progress: &Progress, time: &T, limit: Duration) {
    loop {
        time.sleep(LINE_REST).await;
        let worked = worked(progress, time);
        tell!("{}: {}", stage(progress, worked, limit), counts(progress));
    }
}

/// How long the clients have worked.
fn worked<T: Time>(progress: &Progress, time: &T) -> Duration {
    progress.began.get().map_or(Duration::ZERO, |began| time.now().saturating_sub(began))
}

fn stage(progress: &Progress, worked: Duration, limit: Duration) -> String {
    match progress.stage.get() {
        Stage::Starting => "starting".to_owned(),
        Stage::Working => format!("{} s left", limit.saturating_sub(worked).as_secs()),
        Stage::Recovering => "recovering".to_owned(),
        Stage::FinalReads => "final reads".to_owned(),
        Stage::Ending => "stopping".to_owned(),
    }
}

fn counts(progress: &Progress) -> String {
    let (ok, fail, info) = (progress.ok.get(), progress.fail.get(), progress.info.get());
    let faults = progress.faults_now();
    let faults = if faults.is_empty() { "no fault now" } else { &faults };
    let violation = match progress.violation_ns.get() {
        Some(ns) => format!(" · a violation after {:.1} s", ns as f64 / 1e9),
        None => String::new(),
    };
    format!("{ok} ok, {fail} fail, {info} info · {faults}{violation}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_sees_counts_the_fault_of_the_moment_and_the_time_left() {
        let progress = Progress::default();
        progress.stage.set(Stage::Working);
        progress.ok.set(12);
        progress.info.set(3);
        assert_eq!(counts(&progress), "12 ok, 0 fail, 3 info · no fault now");
        progress.faults.borrow_mut().insert(1, "isolate n2 (the leader)".to_owned());
        assert_eq!(counts(&progress), "12 ok, 0 fail, 3 info · isolate n2 (the leader)");
        progress.violation_ns.set(Some(4_230_000_000));
        let seen = "12 ok, 0 fail, 3 info · isolate n2 (the leader) · a violation after 4.2 s";
        assert_eq!(counts(&progress), seen);
        let limit = Duration::from_secs(20);
        assert_eq!(stage(&progress, Duration::from_secs(5), limit), "15 s left");
    }
}
