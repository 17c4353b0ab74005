//! All workloads, by name.

use crate::{
    Append, Auth, Counters, Elections, Idle, Kubernetes, Kv, Leases, LockSet, LockSetFenced, Locks,
    Mirror, Mixed, OldApi, Register, Registry, Rollouts, Sets, Watches, Workload, Wr,
};

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
    /// Whether it needs users and roles.
    pub auth: bool,
    /// Whether it speaks etcd's v2 API.
    pub v2: bool,
    /// Whether it works on two clusters.
    pub two_clusters: bool,
}

/// Something that is done with a workload whose type is known only by its name.
pub trait Visitor {
    /// What comes of it.
    type Output;
    /// Does it.
    fn visit<W: Workload>(self) -> Self::Output;
}

/// The one list of all workloads: what is not here is not there.
macro_rules! workloads {
    ($($workload:ty),* $(,)?) => {
        /// All workloads.
        pub fn all() -> Vec<Described> {
            vec![$(Described {
                name: <$workload>::NAME,
                summary: <$workload>::SUMMARY,
                checks: <$workload>::CHECKS,
                faults: <$workload>::FAULTS,
                auth: <$workload>::AUTH,
                v2: <$workload>::V2,
                two_clusters: <$workload>::TWO_CLUSTERS,
            }),*]
        }

        /// Lets `visitor` visit the workload of this name; `None` when there is none.
        pub fn visit<V: Visitor>(name: &str, visitor: V) -> Option<V::Output> {
            match name {
                $(<$workload>::NAME => Some(visitor.visit::<$workload>()),)*
                _ => None,
            }
        }
    };
}

workloads![
    Register,
    Append,
    Wr,
    Sets,
    Counters,
    Kv,
    Mixed,
    Watches,
    Leases,
    Locks,
    LockSet,
    LockSetFenced,
    Elections,
    Auth,
    Kubernetes,
    Registry,
    Rollouts,
    Mirror,
    OldApi,
    Idle,
];

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
