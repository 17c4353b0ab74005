//! The anomalies, and which consistency models forbid them.
//!
//! Sources: Adya, "Weak Consistency" (1999), for G0 to G2; Cerone and Gotsman, "Analysing Snapshot
//! Isolation" (PODC 2016), for what tells parallel snapshot isolation, snapshot isolation and
//! serializability apart (how many anti-dependencies a cycle must have, and whether two stand next
//! to each other); Kingsbury and Alvaro, "Elle" (VLDB 2020), for the names.

use std::fmt;

/// Which order, beyond that of the data, an anomaly's cycle needs, or a model respects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// None: the data alone.
    Data,
    /// The order of each process' own transactions.
    Process,
    /// Real time: one transaction completed before the other was invoked.
    Realtime,
}

/// A kind of anomaly, without regard to [`Order`]. The most severe stand first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A read returned a value that nobody ever wrote.
    GarbageRead,
    /// A read returned one element twice.
    DuplicateElements,
    /// A cycle of writes alone.
    G0,
    /// Two committed reads of a key cannot come from one order of its versions.
    IncompatibleOrder,
    /// A committed version was built upon an aborted one.
    DirtyUpdate,
    /// Aborted read: a committed transaction saw an aborted one's write.
    G1a,
    /// Intermediate read: a transaction saw a state from the middle of another.
    G1b,
    /// A transaction saw its own write before it made it.
    FutureRead,
    /// Circular information flow: a cycle of writes and reads-from.
    G1c,
    /// A transaction's reads contradict its own earlier reads and writes.
    Internal,
    /// Two transactions read one version and both overwrote it.
    LostUpdate,
    /// A cycle with exactly one anti-dependency (read skew).
    GSingle,
    /// A cycle of two or more anti-dependencies, no two of them adjacent (long fork).
    GNonadjacent,
    /// A cycle with adjacent anti-dependencies (write skew).
    G2Item,
    /// Every serial order was tried, and none holds; no single cycle shows it.
    CycleExists,
}

/// An anomaly by its name in Elle's words: `G-single-realtime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Anomaly {
    /// What stands before any suffix.
    pub kind: Kind,
    /// The suffix.
    pub order: Order,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == Kind::CycleExists {
            // Elle names these after the model that they break.
            return out.write_str(match self.order {
                Order::Data => "PL-3-cycle-exists",
                Order::Process => "strong-session-serializable-cycle-exists",
                Order::Realtime => "PL-SS-cycle-exists",
            });
        }
        out.write_str(self.kind.name())?;
        match self.order {
            Order::Data => Ok(()),
            Order::Process => out.write_str("-process"),
            Order::Realtime => out.write_str("-realtime"),
        }
    }
}

impl Kind {
    /// The name, without a suffix.
    pub fn name(self) -> &'static str {
        match self {
            Kind::GarbageRead => "garbage-read",
            Kind::DuplicateElements => "duplicate-elements",
            Kind::G0 => "G0",
            Kind::IncompatibleOrder => "incompatible-order",
            Kind::DirtyUpdate => "dirty-update",
            Kind::G1a => "G1a",
            Kind::G1b => "G1b",
            Kind::FutureRead => "future-read",
            Kind::G1c => "G1c",
            Kind::Internal => "internal",
            Kind::LostUpdate => "lost-update",
            Kind::GSingle => "G-single",
            Kind::GNonadjacent => "G-nonadjacent",
            Kind::G2Item => "G2-item",
            Kind::CycleExists => "cycle-exists",
        }
    }

    /// The weakest isolation that forbids it.
    fn forbidden_from(self) -> Isolation {
        match self {
            Kind::GarbageRead | Kind::DuplicateElements | Kind::G0 => Isolation::ReadUncommitted,
            Kind::IncompatibleOrder
            | Kind::DirtyUpdate
            | Kind::G1a
            | Kind::G1b
            | Kind::FutureRead
            | Kind::G1c => Isolation::ReadCommitted,
            Kind::Internal => Isolation::ReadAtomic,
            Kind::LostUpdate | Kind::GSingle => Isolation::ParallelSnapshot,
            Kind::GNonadjacent => Isolation::Snapshot,
            Kind::G2Item | Kind::CycleExists => Isolation::Serializable,
        }
    }
}

/// What a model says of the data alone; each forbids what those before it forbid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    ReadAtomic,
    ParallelSnapshot,
    Snapshot,
    Serializable,
}

/// A consistency model for transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    /// No cycles of writes.
    ReadUncommitted,
    /// And each process' order among them.
    StrongSessionReadUncommitted,
    /// And real time among them.
    StrongReadUncommitted,
    /// No aborted, intermediate or circular reads.
    ReadCommitted,
    /// And each process' order among them.
    StrongSessionReadCommitted,
    /// And real time among them.
    StrongReadCommitted,
    /// All or none of a transaction is seen.
    ReadAtomic,
    /// Snapshots, whose order processes need not agree upon.
    ParallelSnapshotIsolation,
    /// Snapshots in one order; write skew is allowed.
    SnapshotIsolation,
    /// And each process' order among them.
    StrongSessionSnapshotIsolation,
    /// And real time among them.
    StrongSnapshotIsolation,
    /// As if one after the other.
    Serializable,
    /// And in each process' order.
    StrongSessionSerializable,
    /// And in the order of real time.
    #[default]
    StrictSerializable,
}

impl Model {
    /// All models, the weakest first.
    pub const ALL: [Model; 14] = [
        Model::ReadUncommitted,
        Model::StrongSessionReadUncommitted,
        Model::StrongReadUncommitted,
        Model::ReadCommitted,
        Model::StrongSessionReadCommitted,
        Model::StrongReadCommitted,
        Model::ReadAtomic,
        Model::ParallelSnapshotIsolation,
        Model::SnapshotIsolation,
        Model::StrongSessionSnapshotIsolation,
        Model::StrongSnapshotIsolation,
        Model::Serializable,
        Model::StrongSessionSerializable,
        Model::StrictSerializable,
    ];

    /// The name, as the command line takes it.
    pub fn name(self) -> &'static str {
        match self {
            Model::ReadUncommitted => "read-uncommitted",
            Model::StrongSessionReadUncommitted => "strong-session-read-uncommitted",
            Model::StrongReadUncommitted => "strong-read-uncommitted",
            Model::ReadCommitted => "read-committed",
            Model::StrongSessionReadCommitted => "strong-session-read-committed",
            Model::StrongReadCommitted => "strong-read-committed",
            Model::ReadAtomic => "read-atomic",
            Model::ParallelSnapshotIsolation => "parallel-snapshot-isolation",
            Model::SnapshotIsolation => "snapshot-isolation",
            Model::StrongSessionSnapshotIsolation => "strong-session-snapshot-isolation",
            Model::StrongSnapshotIsolation => "strong-snapshot-isolation",
            Model::Serializable => "serializable",
            Model::StrongSessionSerializable => "strong-session-serializable",
            Model::StrictSerializable => "strict-serializable",
        }
    }

    /// The model of that name.
    pub fn named(name: &str) -> Option<Model> {
        Model::ALL.into_iter().find(|model| model.name() == name)
    }

    fn parts(self) -> (Isolation, Order) {
        use Isolation::*;
        match self {
            Model::ReadUncommitted => (ReadUncommitted, Order::Data),
            Model::StrongSessionReadUncommitted => (ReadUncommitted, Order::Process),
            Model::StrongReadUncommitted => (ReadUncommitted, Order::Realtime),
            Model::ReadCommitted => (ReadCommitted, Order::Data),
            Model::StrongSessionReadCommitted => (ReadCommitted, Order::Process),
            Model::StrongReadCommitted => (ReadCommitted, Order::Realtime),
            Model::ReadAtomic => (ReadAtomic, Order::Data),
            Model::ParallelSnapshotIsolation => (ParallelSnapshot, Order::Data),
            Model::SnapshotIsolation => (Snapshot, Order::Data),
            Model::StrongSessionSnapshotIsolation => (Snapshot, Order::Process),
            Model::StrongSnapshotIsolation => (Snapshot, Order::Realtime),
            Model::Serializable => (Serializable, Order::Data),
            Model::StrongSessionSerializable => (Serializable, Order::Process),
            Model::StrictSerializable => (Serializable, Order::Realtime),
        }
    }

    /// The order beyond the data's that it respects.
    pub(super) fn order(self) -> Order {
        self.parts().1
    }

    /// Whether it promises a serial order.
    pub(super) fn implies_serializable(self) -> bool {
        self.parts().0 == Isolation::Serializable
    }

    /// Whether `anomaly` cannot happen under this model.
    pub fn forbids(self, anomaly: Anomaly) -> bool {
        let (isolation, order) = self.parts();
        anomaly.kind.forbidden_from() <= isolation && anomaly.order <= order
    }

    fn implies(self, weaker: Model) -> bool {
        let (isolation, order) = self.parts();
        let (weaker_isolation, weaker_order) = weaker.parts();
        weaker_isolation <= isolation && weaker_order <= order
    }
}

/// The strongest models that `anomalies` leave standing: of all that forbid none of them, those
/// that no other one implies; the strongest isolation first. Empty when nothing holds.
pub fn strongest(anomalies: &[Anomaly]) -> Vec<Model> {
    let holds = |model: &Model| !anomalies.iter().any(|anomaly| model.forbids(*anomaly));
    let standing: Vec<Model> = Model::ALL.into_iter().filter(holds).collect();
    let implied =
        |model: Model| standing.iter().any(|&other| other != model && other.implies(model));
    standing.iter().rev().copied().filter(|&model| !implied(model)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row<'a> = (&'a [(Kind, Order)], &'a [Model]);

    #[test]
    fn the_strongest_models_that_hold_follow_from_the_anomalies() {
        let rows: &[Row<'_>] = &[
            (&[], &[Model::StrictSerializable]),
            (
                &[(Kind::GSingle, Order::Realtime)],
                &[Model::StrongSessionSerializable, Model::StrongReadCommitted],
            ),
            (&[(Kind::G2Item, Order::Data)], &[Model::StrongSnapshotIsolation]),
            (
                &[(Kind::GNonadjacent, Order::Data)],
                &[Model::ParallelSnapshotIsolation, Model::StrongReadCommitted],
            ),
            (
                &[(Kind::GSingle, Order::Data), (Kind::G2Item, Order::Data)],
                &[Model::ReadAtomic, Model::StrongReadCommitted],
            ),
            (&[(Kind::Internal, Order::Data)], &[Model::StrongReadCommitted]),
            (&[(Kind::G1a, Order::Data)], &[Model::StrongReadUncommitted]),
            (&[(Kind::G0, Order::Realtime)], &[Model::StrongSessionSerializable]),
            (&[(Kind::G0, Order::Data)], &[]),
        ];
        for (anomalies, expected) in rows {
            let anomalies: Vec<Anomaly> =
                anomalies.iter().map(|&(kind, order)| Anomaly { kind, order }).collect();
            assert_eq!(strongest(&anomalies), *expected, "{anomalies:?}");
        }
    }

    #[test]
    fn every_model_is_found_by_its_name() {
        for model in Model::ALL {
            assert_eq!(Model::named(model.name()), Some(model));
        }
        assert_eq!(Model::named("eventual"), None);
    }
}
