//! Holds every algorithm against exhaustive search on many random small histories of each model.
//!
//!     cargo run --release -p ordeal-checker --example agree -- 100000 [KIND]

#[path = "../../tests/linear/common.rs"]
mod common;
#[path = "../../tests/isolation/oracle.rs"]
mod oracle;
#[path = "../../tests/linear/revision_trial.rs"]
mod revision_trial;
#[path = "../../tests/linear/store_trial.rs"]
mod store_trial;
#[path = "../../tests/support/events.rs"]
mod support;
#[path = "../../tests/linear/toy.rs"]
mod toy;
#[path = "../../tests/linear/trial.rs"]
mod trial;

fn main() -> Result<(), std::num::ParseIntError> {
    let count = std::env::args().nth(1).map_or(Ok(100_000), |count| count.parse())?;
    let kind = std::env::args().nth(2);
    let is_asked = |label: &str| kind.as_ref().is_none_or(|kind| kind == label);
    let isolation: [(&str, trial::Trial); 2] =
        [("list-append", oracle::list_append), ("rw-register", oracle::rw_register)];
    let trials = trial::TRIALS.into_iter().chain(isolation);
    for (label, trial) in trials.filter(|(label, _)| is_asked(label)) {
        let valid = trial::run(trial, count);
        println!("{label}: {count} histories, {valid} valid, no disagreement");
    }
    Ok(())
}
