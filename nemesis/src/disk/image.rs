//! The disk's state, without the kernel: files and names, live and durable.

use super::CHUNK_BYTES;
use super::content::Content;
use super::file::{File, Moment};
use super::tree::{Change, Ino, Kind, Node, Place, ROOT, Replace, Rights, Tree};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

/// No file grows past this, so that no arithmetic on offsets can overflow: 16 TiB.
const FILE_BYTES_MAX: u64 = 1 << 44;

/// What belongs to a number and is no matter of names.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) file: File,
    /// How many times the kernel has been told of it, and not yet forgotten it.
    lookups: u64,
    /// Descriptors and mappings.
    opens: u64,
    pub(super) accessed: SystemTime,
    pub(super) modified: SystemTime,
    pub(super) changed: SystemTime,
}

impl Inode {
    /// The same, after every process that held it is gone.
    pub(super) fn unreferenced(self) -> Inode {
        Inode { lookups: 0, opens: 0, ..self }
    }
}

/// Everything that `stat` tells.
#[derive(Clone, Debug)]
pub(super) struct Attributes {
    pub(super) ino: Ino,
    pub(super) kind: Kind,
    pub(super) rights: Rights,
    pub(super) links: u32,
    pub(super) size: u64,
    pub(super) chunks: u64,
    pub(super) accessed: SystemTime,
    pub(super) modified: SystemTime,
    pub(super) changed: SystemTime,
}

/// What a `setattr` sets; times are not part of the crash model.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NewAttributes {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) accessed: Option<SystemTime>,
    pub(super) modified: Option<SystemTime>,
}

#[derive(Debug)]
pub(super) struct Image {
    pub(super) live: Tree,
    pub(super) durable: Tree,
    /// Changes of the live tree that the durable one has not seen, oldest first.
    pub(super) journal: Vec<(Moment, Change)>,
    pub(super) inodes: BTreeMap<Ino, Inode>,
    pub(super) clock: Moment,
    pub(super) next: Ino,
    pub(super) used_chunks: u64,
    /// Old copies of files, by path.
    pub(super) remembered: BTreeMap<String, Content>,
    capacity_bytes: u64,
    now: fn() -> SystemTime,
}

impl Image {
    pub(super) fn new(rights: Rights, capacity_bytes: u64, now: fn() -> SystemTime) -> Image {
        let tree = Tree::new(rights);
        let mut image = Image {
            live: tree.clone(),
            durable: tree,
            journal: Vec::new(),
            inodes: BTreeMap::new(),
            clock: 0,
            next: ROOT + 1,
            used_chunks: 0,
            remembered: BTreeMap::new(),
            capacity_bytes,
            now,
        };
        image.inodes.insert(ROOT, image.blank());
        image
    }

    pub(super) fn blank(&self) -> Inode {
        let now = (self.now)();
        let file = File::default();
        Inode { file, lookups: 0, opens: 0, accessed: now, modified: now, changed: now }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_chunks * CHUNK_BYTES as u64
    }

    pub(super) fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes
    }

    pub(super) fn attributes(&self, ino: Ino) -> Result<Attributes, Errno> {
        let (node, inode) = (self.live.node(ino)?, self.inode(ino)?);
        let (size, chunks) = match &node.kind {
            Kind::File => (inode.file.live().size(), inode.file.live().chunks()),
            Kind::Symlink(target) => (target.len() as u64, 0),
            Kind::Folder(_) | Kind::Special { .. } => (0, 0),
        };
        let links = match &node.kind {
            Kind::Folder(entries) if node.names > 0 => {
                2 + entries.values().filter(|&&entry| self.live.is_folder(entry)).count() as u32
            }
            _ => node.names,
        };
        Ok(Attributes {
            ino,
            kind: match &node.kind {
                Kind::Folder(_) => Kind::Folder(BTreeMap::new()),
                other => other.clone(),
            },
            rights: node.rights,
            links,
            size,
            chunks,
            accessed: inode.accessed,
            modified: inode.modified,
            changed: inode.changed,
        })
    }

    /// The kernel holds one more reference to `ino`.
    pub(super) fn known(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.lookups += 1;
        }
    }

    pub(super) fn forget(&mut self, ino: Ino, lookups: u64) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.lookups = inode.lookups.saturating_sub(lookups);
            self.collect(ino);
        }
    }

    pub(super) fn open(&mut self, ino: Ino) -> Result<(), Errno> {
        self.inode_mut(ino)?.opens += 1;
        Ok(())
    }

    pub(super) fn close(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.opens = inode.opens.saturating_sub(1);
            self.collect(ino);
        }
    }

    pub(super) fn is_open(&self, ino: Ino) -> bool {
        self.inodes.get(&ino).is_some_and(|inode| inode.opens > 0)
    }

    /// Makes a file, folder, link or pipe, and returns its number.
    pub(super) fn create(&mut self, at: Place, kind: Kind, rights: Rights) -> Result<Ino, Errno> {
        let ino = self.next;
        self.inodes.insert(ino, self.blank());
        let folder = at.0;
        match self.change(Change::Create { at, ino, kind, rights }) {
            Ok(()) => {
                self.next += 1;
                self.stamp(folder);
                Ok(ino)
            }
            Err(error) => {
                self.inodes.remove(&ino);
                Err(error)
            }
        }
    }

    pub(super) fn link(&mut self, ino: Ino, at: Place) -> Result<(), Errno> {
        let folder = at.0;
        self.change(Change::Link { at, ino })?;
        self.stamp(folder);
        Ok(())
    }

    /// Takes a name away; `folder_wanted` tells `rmdir` from `unlink`.
    pub(super) fn remove(&mut self, at: Place, folder_wanted: bool) -> Result<(), Errno> {
        let ino = self.live.find(at.0, &at.1)?;
        match (self.live.is_folder(ino), folder_wanted) {
            (true, false) => return Err(Errno::EISDIR),
            (false, true) => return Err(Errno::ENOTDIR),
            _ => {}
        }
        let folder = at.0;
        self.change(Change::Remove { at })?;
        self.stamp(folder);
        self.collect(ino);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: Place, to: Place, how: Replace) -> Result<(), Errno> {
        let replaced = self.live.find(to.0, &to.1).ok();
        let folders = [from.0, to.0];
        self.change(Change::Rename { from, to, replace: how })?;
        folders.into_iter().for_each(|folder| self.stamp(folder));
        if let Some(ino) = replaced {
            self.collect(ino);
        }
        Ok(())
    }

    pub(super) fn set_attributes(&mut self, ino: Ino, new: NewAttributes) -> Result<(), Errno> {
        let mut rights = self.live.node(ino)?.rights;
        if let Some(size) = new.size {
            self.set_size(ino, size)?;
        }
        let before = rights;
        rights.mode = new.mode.map_or(rights.mode, |mode| (mode & 0o7777) as u16);
        rights.uid = new.uid.unwrap_or(rights.uid);
        rights.gid = new.gid.unwrap_or(rights.gid);
        if rights != before {
            self.change(Change::SetRights { ino, rights })?;
        }
        let now = (self.now)();
        let inode = self.inode_mut(ino)?;
        inode.accessed = new.accessed.unwrap_or(inode.accessed);
        inode.modified = new.modified.unwrap_or(inode.modified);
        inode.changed = now;
        Ok(())
    }

    pub(super) fn read(&self, ino: Ino, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
        Ok(self.inode(ino)?.file.live().read(offset, len))
    }

    /// Writes all of `data`, or nothing of it where there is no space (`ENOSPC`). `bytes_max` is
    /// how much the disk may hold now.
    pub(super) fn write(
        &mut self,
        ino: Ino,
        offset: u64,
        data: &[u8],
        bytes_max: u64,
    ) -> Result<(), Errno> {
        let len = data.len() as u64;
        self.room(ino, offset, len, bytes_max)?;
        self.on_file(ino, |file, clock| file.write(offset, data, clock))
    }

    /// As fallocate(2) without flags, or with `FALLOC_FL_KEEP_SIZE`.
    pub(super) fn reserve(
        &mut self,
        ino: Ino,
        offset: u64,
        len: u64,
        keep_size: bool,
        bytes_max: u64,
    ) -> Result<(), Errno> {
        self.room(ino, offset, len, bytes_max)?;
        self.on_file(ino, |file, clock| file.reserve(offset, len, keep_size, clock))
    }

    /// As fallocate(2) with `FALLOC_FL_PUNCH_HOLE`.
    pub(super) fn punch(&mut self, ino: Ino, offset: u64, len: u64) -> Result<(), Errno> {
        self.on_file(ino, |file, clock| file.punch(offset, len, clock))
    }

    fn set_size(&mut self, ino: Ino, size: u64) -> Result<(), Errno> {
        if size > FILE_BYTES_MAX {
            return Err(Errno::EFBIG);
        }
        self.on_file(ino, |file, clock| file.set_size(size, clock))
    }

    fn room(&mut self, ino: Ino, offset: u64, len: u64, bytes_max: u64) -> Result<(), Errno> {
        if offset.checked_add(len).is_none_or(|end| end > FILE_BYTES_MAX) {
            return Err(Errno::EFBIG);
        }
        let needed = self.inode(ino)?.file.live().missing(offset, len);
        let chunks_max = bytes_max.min(self.capacity_bytes) / CHUNK_BYTES as u64;
        if needed > 0 && self.used_chunks + needed > chunks_max {
            // What was removed gives its space back once the removal is on stable storage.
            self.commit();
            if self.used_chunks + needed > chunks_max {
                return Err(Errno::ENOSPC);
            }
        }
        Ok(())
    }

    fn on_file(
        &mut self,
        ino: Ino,
        work: impl FnOnce(&mut File, &mut Moment),
    ) -> Result<(), Errno> {
        let now = (self.now)();
        let inode = self.inodes.get_mut(&ino).ok_or(Errno::ESTALE)?;
        let before = inode.file.live().chunks();
        work(&mut inode.file, &mut self.clock);
        inode.modified = now;
        inode.changed = now;
        self.used_chunks = self.used_chunks - before + inode.file.live().chunks();
        Ok(())
    }

    /// fsync of a file: its bytes, and the whole journal. Returns the bytes that were pending.
    pub(super) fn flush(&mut self, ino: Ino) -> Result<u64, Errno> {
        let bytes = self.inode_mut(ino)?.file.flush();
        self.commit();
        Ok(bytes)
    }

    /// Brings the durable tree up to date; fsync of a folder does no more than this.
    pub(super) fn commit(&mut self) {
        if self.journal.is_empty() {
            return;
        }
        for (_, change) in std::mem::take(&mut self.journal) {
            let replayed = self.durable.apply(&change);
            debug_assert_eq!(replayed, Ok(()), "what the live tree took, the durable one takes");
        }
        self.durable.drop_nameless();
        let (live, durable) = (&self.live.nodes, &self.durable.nodes);
        let nameless = |ino: &&Ino| !live.contains_key(ino) && !durable.contains_key(ino);
        let gone: Vec<Ino> = self.inodes.keys().filter(nameless).copied().collect();
        gone.into_iter().for_each(|ino| self.collect(ino));
    }

    /// Puts other bytes in a file's place, live and durable.
    pub(super) fn replace(&mut self, ino: Ino, content: Content) -> Result<(), Errno> {
        self.on_file(ino, |file, _| file.replace(content))
    }

    fn change(&mut self, change: Change) -> Result<(), Errno> {
        self.live.apply(&change)?;
        self.clock += 1;
        self.journal.push((self.clock, change));
        Ok(())
    }

    fn stamp(&mut self, folder: Ino) {
        let now = (self.now)();
        if let Some(inode) = self.inodes.get_mut(&folder) {
            inode.modified = now;
            inode.changed = now;
        }
    }

    /// Drops what nothing leads to any more: no name, no reference of the kernel's. Its bytes
    /// stay while the durable tree still knows it.
    fn collect(&mut self, ino: Ino) {
        let named = self.live.nodes.get(&ino).is_some_and(|node: &Node| node.names > 0);
        let held = self.inodes.get(&ino).is_some_and(|i| i.lookups > 0 || i.opens > 0);
        if named || held {
            return;
        }
        self.live.nodes.remove(&ino);
        if !self.durable.nodes.contains_key(&ino)
            && let Some(inode) = self.inodes.remove(&ino)
        {
            self.used_chunks -= inode.file.live().chunks();
        }
    }

    fn inode(&self, ino: Ino) -> Result<&Inode, Errno> {
        self.inodes.get(&ino).ok_or(Errno::ESTALE)
    }

    fn inode_mut(&mut self, ino: Ino) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&ino).ok_or(Errno::ESTALE)
    }

    /// The files of the live tree with their paths, in the order of the paths.
    pub(super) fn files(&self) -> Vec<(OsString, Ino)> {
        let mut files: Vec<(OsString, Ino)> = self
            .live
            .nodes
            .iter()
            .filter(|(_, node)| node.kind == Kind::File && node.names > 0)
            .map(|(&ino, _)| (self.live.path(ino), ino))
            .collect();
        files.sort();
        files
    }

    pub(super) fn lookup(&self, folder: Ino, name: &OsStr) -> Result<Ino, Errno> {
        self.live.find(folder, name)
    }
}
