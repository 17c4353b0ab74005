//! What one user may read and write: the permissions of all the user's roles, merged.

use bytes::Bytes;

use crate::proto::authpb::permission::Type;
use crate::proto::authpb::{Permission, Role};

/// Keys from the first up to, and not including, the second; without an end, all from there on.
type Span = (Bytes, Option<Bytes>);

/// The intervals that a user may read, and those that the user may write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    read: Spans,
    write: Spans,
}

/// What somebody wants to do with keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Access {
    Read,
    Write,
}

impl Ranges {
    /// Merges what the roles permit.
    pub fn merged<'a>(roles: impl Iterator<Item = &'a Role>) -> Self {
        let mut ranges = Self::default();
        for permission in roles.flat_map(|role| &role.key_permission) {
            let span = span(&permission.key, &permission.range_end);
            let kind = Type::try_from(permission.perm_type);
            if matches!(kind, Ok(Type::Read | Type::Readwrite)) {
                ranges.read.0.push(span.clone());
            }
            if matches!(kind, Ok(Type::Write | Type::Readwrite)) {
                ranges.write.0.push(span);
            }
        }
        ranges.read.merge();
        ranges.write.merge();
        ranges
    }

    /// Whether every key that `key` and `range_end` name in a request may be accessed so.
    pub fn permit(&self, access: Access, key: &Bytes, range_end: &Bytes) -> bool {
        let spans = match access {
            Access::Read => &self.read,
            Access::Write => &self.write,
        };
        spans.contain(&span(key, range_end))
    }
}

/// Whether a permission's interval can hold a key at all.
pub(super) fn is_valid(permission: &Permission) -> bool {
    let (start, end) = span(&permission.key, &permission.range_end);
    !start.is_empty() && end.is_none_or(|end| start < end)
}

/// The one key ends where the next possible key begins: at the key with a zero byte behind it.
fn span(key: &Bytes, range_end: &Bytes) -> Span {
    let end = match &range_end[..] {
        [] => Some([&key[..], &[0]].concat().into()),
        [0] => None,
        _ => Some(range_end.clone()),
    };
    (key.clone(), end)
}

/// Disjoint intervals in order, no two of which touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Spans(Vec<Span>);

impl Spans {
    fn merge(&mut self) {
        self.0.sort();
        let mut merged: Vec<Span> = Vec::new();
        for (start, end) in self.0.drain(..) {
            match merged.last_mut() {
                Some((_, last)) if last.as_ref().is_none_or(|last| *last >= start) => {
                    if ends_before(last.as_ref(), end.as_ref()) {
                        *last = end;
                    }
                }
                _ => merged.push((start, end)),
            }
        }
        self.0 = merged;
    }

    fn contain(&self, (start, end): &Span) -> bool {
        let after = self.0.partition_point(|(from, _)| from <= start);
        let Some((_, to)) = after.checked_sub(1).and_then(|nth| self.0.get(nth)) else {
            return false;
        };
        to.as_ref().is_none_or(|to| start < to) && !ends_before(to.as_ref(), end.as_ref())
    }
}

/// Whether the end `a` comes before the end `b`, where none comes last.
fn ends_before(a: Option<&Bytes>, b: Option<&Bytes>) -> bool {
    match (a, b) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(a), Some(b)) => a < b,
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Ranges, is_valid};
    use crate::proto::authpb::permission::Type;
    use crate::proto::authpb::{Permission, Role};

    fn permission(kind: Type, key: &'static str, range_end: &'static str) -> Permission {
        Permission { perm_type: kind.into(), key: key.into(), range_end: range_end.into() }
    }

    #[test]
    fn permissions_of_all_roles_count_together_and_by_kind() {
        use Access::{Read, Write};
        let roles = [
            vec![permission(Type::Read, "a", ""), permission(Type::Readwrite, "b", "d")],
            vec![permission(Type::Read, "d", "f"), permission(Type::Write, "f", "g")],
            vec![permission(Type::Write, "x", "\0"), permission(Type::Read, "c", "cc")],
        ];
        let roles = roles.map(|key_permission| Role { name: "r".into(), key_permission });
        let ranges = Ranges::merged(roles.iter());
        for (access, key, range_end, permitted) in [
            (Read, "a", "", true),
            (Read, "a", "a\0", true),
            (Read, "a\0", "", false),
            (Read, "a", "b", false),
            (Read, "b", "", true),
            (Read, "b", "f", true),
            (Read, "b", "g", false),
            (Read, "cc", "e", true),
            (Read, "d", "\0", false),
            (Read, "\0", "\0", false),
            (Write, "a", "", false),
            (Write, "b", "d", true),
            (Write, "b", "e", false),
            (Write, "f", "", true),
            (Write, "g", "", false),
            (Write, "x", "\0", true),
            (Write, "y", "zz", true),
            (Write, "w", "\0", false),
            (Read, "x", "", false),
        ] {
            let found = ranges.permit(access, &key.into(), &range_end.into());
            assert_eq!(found, permitted, "{access:?} {key:?} {range_end:?}");
        }
    }

    #[test]
    fn everything_is_everything() {
        let role =
            Role { name: "r".into(), key_permission: vec![permission(Type::Read, "\0", "\0")] };
        let ranges = Ranges::merged([&role].into_iter());
        for (key, range_end) in [("\0", "\0"), ("a", ""), ("a", "b"), ("zzz", "\0")] {
            assert!(ranges.permit(Access::Read, &key.into(), &range_end.into()), "{key:?}");
        }
    }

    #[test]
    fn a_permission_on_no_key_is_not_valid() {
        for (key, range_end, valid) in [
            ("a", "", true),
            ("a", "b", true),
            ("b", "\0", true),
            ("\0", "\0", true),
            ("", "", false),
            ("", "a", false),
            ("b", "a", false),
            ("b", "b", false),
        ] {
            assert_eq!(
                is_valid(&permission(Type::Read, key, range_end)),
                valid,
                "{key} {range_end}"
            );
        }
    }
}
