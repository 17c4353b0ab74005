//! Transactions over registers, in the words of the tools that record them.

use crate::text::history;
use ordeal_checker::linear::Linearizable;
use ordeal_checker::models::MultiRegister;
use ordeal_checker::{Checker, Limits, Verdict};

fn verdict(read: &str, write: &str, seen: u32) -> Verdict {
    let lines = format!(
        "1 invoke txn [[\"{write}\",\"x\",1],[\"{write}\",\"y\",1]]
         1 ok
         2 invoke txn [[\"{read}\",\"x\",null],[\"{read}\",\"y\",null]]
         2 ok [[\"{read}\",\"x\",1],[\"{read}\",\"y\",{seen}]]"
    );
    Linearizable::new(MultiRegister).check(&history(&lines), &Limits::default()).verdict
}

#[test]
fn steps_are_told_in_the_words_of_jepsen_and_of_knossos() {
    for (read, write) in [("r", "w"), ("read", "write")] {
        assert!(matches!(verdict(read, write, 1), Verdict::Valid(_)), "{read}");
        assert!(matches!(verdict(read, write, 2), Verdict::Invalid(_)), "{read}");
    }
}
