//! All workloads, by name.

use crate::{Register, Workload};

/// A workload, as a person is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// What it would notice.
    pub checks: &'static str,
    /// The names of the faults that bring that out.
    pub faults: &'static [&'static str],
}

/// Something that is done with a workload whose type is known only by its name.
pub trait Visitor {
    /// What comes of it.
    type Output;
    /// Does it.
    fn visit<W: Workload>(self) -> Self::Output;
}

/// All workloads.
pub fn all() -> Vec<Described> {
    vec![Described {
        name: Register::NAME,
        summary: Register::SUMMARY,
        checks: "linearizability: stale reads, lost writes, values that nobody wrote",
        faults: &["partition", "pause", "kill"],
    }]
}

/// Lets `visitor` visit the workload of this name; `None` when there is none.
pub fn visit<V: Visitor>(name: &str, visitor: V) -> Option<V::Output> {
    match name {
        Register::NAME => Some(visitor.visit::<Register>()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Name;
    impl Visitor for Name {
        type Output = &'static str;
        fn visit<W: Workload>(self) -> &'static str {
            W::NAME
        }
    }

    #[test]
    fn every_workload_that_is_listed_can_be_visited_by_its_name() {
        for described in all() {
            assert_eq!(visit(described.name, Name), Some(described.name));
        }
        assert_eq!(visit("no such workload", Name), None);
    }
}
