//! The near-linear algorithm for a register whose written values are all different.
//!
//! After Gibbons and Korach (*Testing shared memories*, SIAM J. Comput. 26(4), 1997), with cas.
//! All that concerns a value is one segment: its write, then its reads. A cas from v to w ends
//! v's segment and begins w's, so segments chain into **blocks**, and inside a block the order of
//! the groups (write, reads, cas, reads, …) is fixed. With f(A) the first end in block A and s(A)
//! the last start, A must come before B when f(A) < s(B). An order of the blocks exists unless
//! for some pair each must come before the other. The initial value's block starts and ends
//! before everything.
//!
//! An indeterminate write or cas whose value nobody saw is left out; one whose value was seen
//! happened, and has no end of its own.
//!
//! A failed cas that only says "it was not v" fits no block. It is placed into the order of the
//! blocks where that can be done, and refuted at once where it lies inside v's segment; where
//! neither is so, the answer is [`Decision::Undecided`], and the general search must decide.

mod build;
mod not_equal;
mod order;

use super::object::Entry;
use crate::models::RegisterOp;

/// What the algorithm says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A linearization, as indexes into the entries.
    Valid(Vec<u32>),
    /// Two or more operations that no order can hold.
    Invalid(Conflict),
    /// Not all values are different, or a failed cas could not be placed.
    Undecided,
}

/// Why no order can hold. Numbers are indexes into the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It saw a value that nobody had written.
    NeverWritten(u32),
    /// A failed cas that saw the very value that it expected.
    SawExpected(u32),
    /// Two cas took the same value away.
    TwoCas(u32, u32),
    /// These cas made each other's values, in a circle.
    Circle(Vec<u32>),
    /// The first must come before the second, which ended before it began.
    Backwards(u32, u32),
    /// One value was there before another, and after it.
    Interleaved(Pair),
    /// It saw a value that another write had replaced: the reader, the write of its value that
    /// ended last (`None` is the initial value), and a write that began after that one had ended
    /// and ended before the reader began.
    Overwritten {
        /// Who saw it.
        reader: u32,
        /// Its last write.
        write: Option<u32>,
        /// The write that replaced it.
        by: u32,
    },
    /// A cas that failed while the value that it expected was there: the cas, an operation that
    /// shows the value before it, and one that shows it after (if any other value was ever made).
    NotEqual(u32, Option<u32>, Option<u32>),
}

/// Two blocks, each of which must come before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The operation of the older block that ended first; `None` is the initial value.
    pub old_first: Option<u32>,
    /// The operation of the older block that began last.
    pub old_last: u32,
    /// The operation of the newer block that ended first.
    pub new_first: u32,
    /// The operation of the newer block that began last.
    pub new_last: u32,
}

impl Conflict {
    /// The operations that it names.
    pub fn operations(&self) -> Vec<u32> {
        match self {
            Conflict::NeverWritten(index) | Conflict::SawExpected(index) => vec![*index],
            Conflict::TwoCas(first, second) | Conflict::Backwards(first, second) => {
                vec![*first, *second]
            }
            Conflict::Circle(members) => members.clone(),
            Conflict::Interleaved(pair) => pair
                .old_first
                .into_iter()
                .chain([pair.old_last, pair.new_first, pair.new_last])
                .collect(),
            Conflict::Overwritten { reader, write, by } => {
                write.iter().copied().chain([*by, *reader]).collect()
            }
            Conflict::NotEqual(cas, before, after) => {
                before.iter().copied().chain([*cas]).chain(*after).collect()
            }
        }
    }
}

/// Decides in O(n log n) whether the register's operations are linearizable.
pub fn decide(entries: &[Entry<&RegisterOp>]) -> Decision {
    let blocks = match build::build(entries) {
        Ok(Some(blocks)) => blocks,
        Ok(None) => return Decision::Undecided,
        Err(conflict) => return Decision::Invalid(conflict),
    };
    match order::order(entries, &blocks) {
        Err(conflict) => Decision::Invalid(conflict),
        Ok(order) if blocks.not_equal.is_empty() => Decision::Valid(order),
        Ok(order) => not_equal::place(entries, &blocks, order),
    }
}
