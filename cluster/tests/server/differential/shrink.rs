//! The smallest sequence that still gets different answers.

use super::ask::Ask;
use super::pair::{Difference, Pair, Setup};

/// Leaves out ever smaller runs of requests for as long as the answers still differ. Each try is on
/// fresh stores.
pub async fn shrink(setup: &Setup, asks: Vec<Ask>, first: Difference) -> (Vec<Ask>, Difference) {
    let mut kept = asks;
    kept.truncate(first.nth + 1);
    let mut difference = first;
    let mut run = (kept.len() / 2).max(1);
    loop {
        let before = kept.len();
        let mut from = 0;
        while from + run <= kept.len() && run < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(from..from + run);
            match Pair::start(setup).await.play(&fewer).await {
                Err(found) => {
                    fewer.truncate(found.nth + 1);
                    kept = fewer;
                    difference = found;
                }
                Ok(()) => from += run,
            }
        }
        match run {
            // Without one, another may go that could not go before.
            1 if kept.len() == before => break,
            _ => run = (run / 2).max(1),
        }
    }
    (kept, difference)
}
