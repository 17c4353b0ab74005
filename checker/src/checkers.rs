//! The checkers as data, for `ordeal list checkers` and for those that pick one by its name.

use crate::Checker;
use crate::isolation::{ListAppend, RwRegister};
use crate::others::{
    Bank, Counter, FencedMutex, LongFork, Set, SetFull, Stats, TotalQueue, UniqueIds,
};

/// Every checker, with its default options, in the order in which help lists them.
pub fn checkers() -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(ListAppend::default()),
        Box::new(RwRegister::default()),
        Box::new(Bank::default()),
        Box::new(LongFork),
        Box::new(Set),
        Box::new(SetFull::default()),
        Box::new(TotalQueue::default()),
        Box::new(UniqueIds),
        Box::new(Counter),
        Box::new(FencedMutex::default()),
        Box::new(Stats),
    ]
}

/// The checker of that name, with its default options.
pub fn checker(name: &str) -> Option<Box<dyn Checker>> {
    checkers().into_iter().find(|checker| checker.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_checker_has_a_name_of_its_own_and_a_summary() {
        let mut names: Vec<String> = checkers().iter().map(|c| c.name().to_owned()).collect();
        assert!(checkers().iter().all(|checker| !checker.summary().is_empty()));
        assert!(names.iter().all(|name| checker(name).is_some()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(checker("no such checker").is_none());
    }

    #[test]
    fn an_empty_history_is_valid_whatever_it_is_checked_for() {
        for checker in checkers() {
            let judgement = checker.check(&Default::default(), &Default::default());
            assert!(matches!(judgement.verdict, crate::Verdict::Valid(_)), "{judgement:?}");
        }
    }
}
