//! Accounts between which money is moved: no read sees some of it missing.

use super::objects::{Fault, Object, event, judge};
use crate::online::{Online, recheck};
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Value};

/// Judges `read` → `{account: balance}`: the sum never changes (snapshot isolation forbids it).
///
/// O(size of all reads).
#[derive(Clone, Copy, Debug, Default)]
pub struct Bank {
    /// What all accounts hold together; without it, what the first read saw.
    pub total: Option<i64>,
    /// Whether a balance may be below zero.
    pub negative_balances: bool,
}

impl Checker for Bank {
    fn name(&self) -> &str {
        "bank"
    }

    fn summary(&self) -> &str {
        "transfers between accounts never change the total that a read sees"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        judge(self.name(), history, "every read saw the same total", |object| self.object(object))
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

impl Bank {
    fn object(&self, object: &Object<'_>) -> Result<(), Fault> {
        let mut total = self.total.map(|total| (i128::from(total), None));
        for (at, read) in object.oks("read") {
            let Value::Object(accounts) = &read.output else {
                return Err(Fault::Unknown(format!(
                    "{} has {}, no accounts with balances",
                    event(read),
                    read.output
                )));
            };
            let mut sum = 0_i128;
            for (account, balance) in accounts.iter() {
                let Some(balance) = balance.as_i64() else {
                    let story = format!("The read of {} saw no balance of {account}.", event(read));
                    return Err(Fault::Wrong(vec![at], vec![story]));
                };
                if balance < 0 && !self.negative_balances {
                    let story =
                        format!("The read of {} saw {balance} in account {account}.", event(read));
                    return Err(Fault::Wrong(vec![at], vec![story]));
                }
                sum += i128::from(balance);
            }
            let (expected, first) = *total.get_or_insert((sum, Some(at)));
            if sum != expected {
                let story = format!(
                    "The read of {} saw {sum} in all accounts together, in place of {expected}.",
                    event(read)
                );
                return Err(Fault::Wrong(first.into_iter().chain([at]).collect(), vec![story]));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::check;
    use super::Bank;

    #[test]
    fn the_total_never_changes() {
        check(
            &Bank::default(),
            &[
                (&[], "valid"),
                (
                    &["0 read null -> {\"0\":10,\"1\":0}", "0 read null -> {\"0\":4,\"1\":6}"],
                    "valid",
                ),
                (
                    &["0 read null -> {\"0\":9}", "0 read null -> {\"0\":8}"],
                    "saw 8 in all accounts",
                ),
                (&["0 read null -> {\"0\":11,\"1\":-1}"], "saw -1 in account 1"),
                (&["0 read null -> {\"0\":10,\"1\":null}"], "no balance of 1"),
                (&["0 read null -> 3"], "unknown: event 0 has 3, no accounts"),
                (&["0 read {} -> info"], "valid"),
            ],
        );
        check(
            &Bank { total: Some(10), negative_balances: true },
            &[
                (&["0 read null -> {\"0\":11,\"1\":-1}"], "valid"),
                (&["0 read null -> {\"0\":9}"], "in place of 10"),
            ],
        );
    }
}
