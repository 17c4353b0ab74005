//! What the page of a million operations costs: its bytes, and the time to write it.
//!
//!     cargo bench -p ordeal-reports
//!
//! An argument is another number of operations. The targets are 15 MB and 5 s for a million; it
//! fails when they are missed, unless told another number.

#[path = "../examples/made_up/plain.rs"]
mod plain;

use std::time::Instant;

const MILLION: u64 = 1_000_000;

fn main() {
    let count = std::env::args().filter_map(|argument| argument.parse().ok()).next();
    let count = count.unwrap_or(MILLION);
    let history = plain::history(count);
    let mut best_s = f64::INFINITY;
    for part in ["first", "second", "third"] {
        let began = Instant::now();
        let page = ordeal_reports::html(&Default::default(), &history, &[]);
        let took_s = began.elapsed().as_secs_f64();
        println!(
            "{count} operations, {part} time: {:.1} MB in {took_s:.2} s",
            page.len() as f64 / 1e6
        );
        assert!(count != MILLION || page.len() <= 15_000_000, "more than 15 MB");
        best_s = best_s.min(took_s);
    }
    // The best of three: what else the machine does is not ours.
    assert!(count != MILLION || best_s <= 5.0, "more than 5 s");
}
