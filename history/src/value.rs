//! JSON values, compared as JSON compares them: numbers exactly, at any size; `1` and `"1"` differ.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A JSON value in a canonical form, so that `==` and `Hash` are JSON's own equality.
///
/// Cheap to clone: everything that is not a small integer is shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Value {
    /// `null`: nothing.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits.
    Int(i64),
    /// Any other number, as canonical decimal text (`1.50`, `15e-1` and `1.5` are one number).
    Number(Arc<str>),
    /// A string.
    String(Arc<str>),
    /// An array.
    Array(Arc<[Value]>),
    /// An object; the order of its members does not matter.
    Object(Arc<BTreeMap<Arc<str>, Value>>),
}
