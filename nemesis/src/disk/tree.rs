//! Names: folders and what they hold, and the changes to them as data.
//!
//! A disk keeps two trees, the live one and the durable one. A change is tried on the live one;
//! when it went through it stands in the journal, and is applied to the durable one once the
//! journal is committed.

use nix::errno::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// The number of a file or folder. Numbers are not used twice, so that whatever the kernel still
/// holds of a disk before its power loss finds nothing behind it.
pub(super) type Ino = u64;

/// The folder at the top.
pub(super) const ROOT: Ino = 1;

/// What stands behind a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder(BTreeMap<OsString, Ino>),
    Symlink(OsString),
    /// A pipe or a socket: its type bits (`S_IFMT`), and the device number for the kernel.
    Special {
        format: u32,
        device: u32,
    },
}

/// Owner and permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) rights: Rights,
    /// Names that lead here; a folder's `.` and its subfolders' `..` are not counted.
    pub(super) names: u32,
    /// Where it stands, or last stood; of several names the last that was given.
    pub(super) home: (Ino, OsString),
}

/// A name in a folder.
pub(super) type Place = (Ino, OsString);

/// A change to the tree.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Create { at: Place, ino: Ino, kind: Kind, rights: Rights },
    Link { at: Place, ino: Ino },
    Remove { at: Place },
    Rename { from: Place, to: Place, replace: Replace },
    SetRights { ino: Ino, rights: Rights },
}

/// What a rename does where the new name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replace {
    Yes,
    No,
    Exchange,
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<Ino, Node>,
}

impl Tree {
    /// A root, and nothing in it.
    pub(super) fn new(rights: Rights) -> Tree {
        let kind = Kind::Folder(BTreeMap::new());
        let root = Node { kind, rights, names: 1, home: (ROOT, OsString::new()) };
        Tree { nodes: BTreeMap::from([(ROOT, root)]) }
    }

    pub(super) fn node(&self, ino: Ino) -> Result<&Node, Errno> {
        self.nodes.get(&ino).ok_or(Errno::ESTALE)
    }

    pub(super) fn entries(&self, folder: Ino) -> Result<&BTreeMap<OsString, Ino>, Errno> {
        match &self.node(folder)?.kind {
            Kind::Folder(entries) => Ok(entries),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn find(&self, folder: Ino, name: &OsStr) -> Result<Ino, Errno> {
        self.entries(folder)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    /// The path below the root, without a leading slash; empty for the root.
    pub(super) fn path(&self, ino: Ino) -> OsString {
        let mut parts: Vec<&OsStr> = Vec::new();
        let mut at = ino;
        while at != ROOT
            && let Some(node) = self.nodes.get(&at)
        {
            parts.push(&node.home.1);
            at = node.home.0;
        }
        parts.reverse();
        parts.join(OsStr::new("/"))
    }

    /// Makes one change, or none when it is an error.
    pub(super) fn apply(&mut self, change: &Change) -> Result<(), Errno> {
        match change {
            Change::Create { at, ino, kind, rights } => {
                self.free_name(at)?;
                let node = Node { kind: kind.clone(), rights: *rights, names: 0, home: at.clone() };
                self.nodes.insert(*ino, node);
                self.put(at, *ino)
            }
            Change::Link { at, ino } => {
                self.free_name(at)?;
                let node = self.node(*ino)?;
                if matches!(node.kind, Kind::Folder(_)) {
                    return Err(Errno::EPERM);
                }
                if node.names == 0 {
                    return Err(Errno::ENOENT);
                }
                self.put(at, *ino)
            }
            Change::Remove { at } => {
                let ino = self.find(at.0, &at.1)?;
                self.must_be_empty(ino)?;
                self.take(at)
            }
            Change::Rename { from, to, replace } => self.rename(from, to, *replace),
            Change::SetRights { ino, rights } => {
                self.nodes.get_mut(ino).ok_or(Errno::ESTALE)?.rights = *rights;
                Ok(())
            }
        }
    }

    fn rename(&mut self, from: &Place, to: &Place, replace: Replace) -> Result<(), Errno> {
        let moved = self.find(from.0, &from.1)?;
        let in_the_way = self.entries(to.0)?.get(&to.1).copied();
        self.not_into_itself(moved, to.0)?;
        match (replace, in_the_way) {
            (Replace::No, Some(_)) => return Err(Errno::EEXIST),
            (Replace::Exchange, None) => return Err(Errno::ENOENT),
            (_, Some(other)) if other == moved => return Ok(()),
            (Replace::Exchange, Some(other)) => {
                self.not_into_itself(other, from.0)?;
                self.take(from)?;
                self.take(to)?;
                self.put(from, other)?;
                return self.put(to, moved);
            }
            (Replace::Yes, Some(other)) => {
                match (self.is_folder(moved), self.is_folder(other)) {
                    (true, false) => return Err(Errno::ENOTDIR),
                    (false, true) => return Err(Errno::EISDIR),
                    _ => self.must_be_empty(other)?,
                }
                self.take(to)?;
            }
            (_, None) => {}
        }
        self.take(from)?;
        self.put(to, moved)
    }

    pub(super) fn is_folder(&self, ino: Ino) -> bool {
        self.nodes.get(&ino).is_some_and(|node| matches!(node.kind, Kind::Folder(_)))
    }

    fn free_name(&self, at: &Place) -> Result<(), Errno> {
        if self.node(at.0)?.names == 0 {
            return Err(Errno::ENOENT);
        }
        match self.entries(at.0)?.contains_key(&at.1) {
            true => Err(Errno::EEXIST),
            false => Ok(()),
        }
    }

    fn must_be_empty(&self, ino: Ino) -> Result<(), Errno> {
        match &self.node(ino)?.kind {
            Kind::Folder(entries) if !entries.is_empty() => Err(Errno::ENOTEMPTY),
            _ => Ok(()),
        }
    }

    fn not_into_itself(&self, moved: Ino, folder: Ino) -> Result<(), Errno> {
        let mut at = folder;
        while at != ROOT {
            if at == moved {
                return Err(Errno::EINVAL);
            }
            at = self.node(at)?.home.0;
        }
        Ok(())
    }

    fn put(&mut self, at: &Place, ino: Ino) -> Result<(), Errno> {
        let node = self.nodes.get_mut(&ino).ok_or(Errno::ESTALE)?;
        node.names += 1;
        node.home = at.clone();
        self.entries_mut(at.0)?.insert(at.1.clone(), ino);
        Ok(())
    }

    fn take(&mut self, at: &Place) -> Result<(), Errno> {
        let ino = self.entries_mut(at.0)?.remove(&at.1).ok_or(Errno::ENOENT)?;
        self.nodes.get_mut(&ino).ok_or(Errno::ESTALE)?.names -= 1;
        Ok(())
    }

    fn entries_mut(&mut self, folder: Ino) -> Result<&mut BTreeMap<OsString, Ino>, Errno> {
        match &mut self.nodes.get_mut(&folder).ok_or(Errno::ESTALE)?.kind {
            Kind::Folder(entries) => Ok(entries),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// Drops what no name leads to.
    pub(super) fn drop_nameless(&mut self) {
        self.nodes.retain(|_, node| node.names > 0);
    }

    /// The same tree with other numbers; `fresh` gives the new number of each but the root.
    pub(super) fn renumber(&mut self, mut fresh: impl FnMut(Ino) -> Ino) {
        let mut numbers = BTreeMap::from([(ROOT, ROOT)]);
        for &ino in self.nodes.keys().filter(|&&ino| ino != ROOT) {
            numbers.insert(ino, fresh(ino));
        }
        let of = |ino: Ino| numbers.get(&ino).copied().unwrap_or(ino);
        let nodes = std::mem::take(&mut self.nodes);
        for (ino, mut node) in nodes {
            node.home.0 = of(node.home.0);
            if let Kind::Folder(entries) = &mut node.kind {
                entries.values_mut().for_each(|entry| *entry = of(*entry));
            }
            self.nodes.insert(of(ino), node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Ino, Kind, ROOT, Replace, Rights, Tree};
    use nix::errno::Errno;
    use std::collections::BTreeMap;

    const RIGHTS: Rights = Rights { mode: 0o755, uid: 0, gid: 0 };

    fn tree() -> Tree {
        let mut tree = Tree::new(RIGHTS);
        let folder = || Kind::Folder(BTreeMap::new());
        for (dir, name, ino, kind) in
            [(ROOT, "a", 2, folder()), (2, "b", 3, folder()), (2, "f", 4, Kind::File)]
        {
            let change = Change::Create { at: (dir, name.into()), ino, kind, rights: RIGHTS };
            tree.apply(&change).expect("a fresh name");
        }
        tree
    }

    fn rename(from: (Ino, &str), to: (Ino, &str), replace: Replace) -> Change {
        Change::Rename { from: (from.0, from.1.into()), to: (to.0, to.1.into()), replace }
    }

    #[test]
    fn a_change_that_cannot_be_is_refused_by_its_error() {
        let remove = |dir: Ino, name: &str| Change::Remove { at: (dir, name.into()) };
        let rows = [
            (remove(ROOT, "a"), Errno::ENOTEMPTY),
            (remove(ROOT, "x"), Errno::ENOENT),
            (remove(4, "x"), Errno::ENOTDIR),
            (Change::Link { at: (ROOT, "l".into()), ino: 2 }, Errno::EPERM),
            (Change::Link { at: (2, "b".into()), ino: 4 }, Errno::EEXIST),
            (rename((ROOT, "a"), (3, "a"), Replace::Yes), Errno::EINVAL),
            (rename((2, "f"), (2, "b"), Replace::Yes), Errno::EISDIR),
            (rename((2, "b"), (2, "f"), Replace::Yes), Errno::ENOTDIR),
            (rename((2, "b"), (2, "f"), Replace::No), Errno::EEXIST),
            (rename((2, "b"), (2, "x"), Replace::Exchange), Errno::ENOENT),
        ];
        for (change, error) in rows {
            assert_eq!(tree().apply(&change), Err(error), "{change:?}");
        }
    }

    #[test]
    fn paths_follow_a_rename() {
        let mut tree = tree();
        tree.apply(&rename((2, "b"), (ROOT, "c"), Replace::Yes)).expect("moved");
        tree.apply(&rename((2, "f"), (3, "g"), Replace::Yes)).expect("moved");
        assert_eq!(tree.path(4), "c/g");
        tree.apply(&rename((ROOT, "a"), (3, "g"), Replace::Exchange)).expect("exchanged");
        assert_eq!((tree.path(4), tree.path(2)), ("a".into(), "c/g".into()));
    }

    #[test]
    fn renumbering_changes_no_name() {
        let mut tree = tree();
        tree.renumber(|ino| ino + 100);
        assert_eq!((tree.path(104), tree.path(103)), ("a/f".into(), "a/b".into()));
        assert_eq!(tree.find(ROOT, "a".as_ref()), Ok(102));
        assert_eq!(tree.node(4).map(|_| ()), Err(Errno::ESTALE));
    }
}
