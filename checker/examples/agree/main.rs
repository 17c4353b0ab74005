//! Holds every algorithm against exhaustive search on many random small histories of each model.
//!
//!     cargo run --release -p ordeal-checker --example agree -- 100000

#[path = "../../tests/linear/common.rs"]
mod common;
#[path = "../../tests/linear/trial.rs"]
mod trial;

fn main() -> Result<(), std::num::ParseIntError> {
    let count = std::env::args().nth(1).map_or(Ok(100_000), |count| count.parse())?;
    for (label, trial) in trial::TRIALS {
        let valid = trial::run(trial, count);
        println!("{label}: {count} histories, {valid} valid, no disagreement");
    }
    Ok(())
}
