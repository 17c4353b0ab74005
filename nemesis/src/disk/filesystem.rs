//! The kernel's requests, translated. No decision is taken here: the gate is in `state`, the
//! effects in `image`.
//!
//! Nothing is cached by the kernel but bytes, and those are dropped when a file is opened: names
//! and attributes have a lifetime of zero, so that a power loss or a corruption is seen at once.

use super::CHUNK_BYTES;
use super::image::NewAttributes;
use super::requests::{answer, place, rights, time, to_fuse};
use super::rules::Access;
use super::state::{Outcome, Power, Shared, State, Wait};
use super::tree::{Ino, Kind, Place, Replace, Rights};
use fuser::{
    FileHandle, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::SFlag;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const LIFETIME: Duration = Duration::ZERO;

pub(super) struct Fuse {
    pub(super) shared: Arc<Shared>,
}

impl Fuse {
    /// Lets a request through the gate: `job` runs now, or later from another thread.
    fn admit(
        &self,
        access: Option<Access>,
        ino: Ino,
        job: impl FnOnce(&mut State, Outcome) + Send + 'static,
    ) {
        let mut state = self.shared.lock();
        let admission = state.admit(access, ino);
        if admission.wait == Wait::No {
            job(&mut state, admission.outcome);
        } else {
            state.park(admission, Box::new(job));
            self.shared.bell.notify_all();
        }
    }

    /// Something that changes nothing and is never held up; it only needs power.
    fn look<T>(&self, work: impl FnOnce(&mut State) -> Result<T, Errno>) -> Result<T, Errno> {
        let mut state = self.shared.lock();
        if state.power == Power::Off { Err(Errno::EIO) } else { work(&mut state) }
    }

    /// Makes a node, and answers with it.
    fn create_node(&self, at: Place, kind: Kind, rights: Rights, reply: ReplyEntry) {
        self.admit(None, at.0, move |state, outcome| {
            match outcome.then(|| state.create(at, kind, rights)) {
                Ok(attributes) => reply.entry(&LIFETIME, &attributes, Generation(0)),
                Err(errno) => reply.error(to_fuse(errno)),
            }
        });
    }
}

impl Filesystem for Fuse {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.look(|state| {
            let ino = state.image.lookup(parent.0, name)?;
            state.introduce(ino)
        });
        match found {
            Ok(attributes) => reply.entry(&LIFETIME, &attributes, Generation(0)),
            Err(errno) => reply.error(to_fuse(errno)),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        self.shared.lock().image.forget(ino.0, lookups);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.look(|state| state.attr(ino.0)) {
            Ok(attributes) => reply.attr(&LIFETIME, &attributes),
            Err(errno) => reply.error(to_fuse(errno)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let (accessed, modified) = (accessed.map(time), modified.map(time));
        let new = NewAttributes { mode, uid, gid, size, accessed, modified };
        self.admit(size.map(|_| Access::Write), ino.0, move |state, outcome| {
            let set = outcome.then(|| state.image.set_attributes(ino.0, new));
            match set.and_then(|()| state.attr(ino.0)) {
                Ok(attributes) => reply.attr(&LIFETIME, &attributes),
                Err(errno) => reply.error(to_fuse(errno)),
            }
        });
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let target = self.look(|state| match &state.image.live.node(ino.0)?.kind {
            Kind::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        });
        match target {
            Ok(target) => reply.data(target.as_encoded_bytes()),
            Err(errno) => reply.error(to_fuse(errno)),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let format = mode & SFlag::S_IFMT.bits();
        let kind = match SFlag::from_bits_truncate(format) {
            SFlag::S_IFREG => Kind::File,
            _ => Kind::Special { format, device },
        };
        self.create_node(place(parent, name), kind, rights(request, mode), reply);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let kind = Kind::Folder(Default::default());
        self.create_node(place(parent, name), kind, rights(request, mode), reply);
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let kind = Kind::Symlink(target.as_os_str().to_owned());
        self.create_node(place(parent, name), kind, rights(request, 0o777), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let at = place(parent, name);
        self.admit(None, parent.0, move |state, outcome| {
            answer(reply, outcome.then(|| state.image.remove(at, false)));
        });
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let at = place(parent, name);
        self.admit(None, parent.0, move |state, outcome| {
            answer(reply, outcome.then(|| state.image.remove(at, true)));
        });
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let how = match flags {
            flags if flags.is_empty() => Replace::Yes,
            RenameFlags::RENAME_NOREPLACE => Replace::No,
            RenameFlags::RENAME_EXCHANGE => Replace::Exchange,
            _ => return reply.error(fuser::Errno::EINVAL),
        };
        let (from, to) = (place(parent, name), place(new_parent, new_name));
        self.admit(None, parent.0, move |state, outcome| {
            answer(reply, outcome.then(|| state.image.rename(from, to, how)));
        });
    }

    fn link(
        &self,
        _: &Request,
        ino: INodeNo,
        new_parent: INodeNo,
        new_name: &OsStr,
        reply: ReplyEntry,
    ) {
        let at = place(new_parent, new_name);
        self.admit(None, new_parent.0, move |state, outcome| {
            let linked = outcome.then(|| state.image.link(ino.0, at));
            match linked.and_then(|()| state.introduce(ino.0)) {
                Ok(attributes) => reply.entry(&LIFETIME, &attributes, Generation(0)),
                Err(errno) => reply.error(to_fuse(errno)),
            }
        });
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let (at, rights) = (place(parent, name), rights(request, mode));
        self.admit(None, parent.0, move |state, outcome| {
            let created = outcome.then(|| {
                let attributes = state.create(at, Kind::File, rights)?;
                state.image.open(attributes.ino.0)?;
                Ok(attributes)
            });
            let (handle, flags) = (FileHandle(0), FopenFlags::empty());
            match created {
                Ok(attributes) => {
                    reply.created(&LIFETIME, &attributes, Generation(0), handle, flags);
                }
                Err(errno) => reply.error(to_fuse(errno)),
            }
        });
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.look(|state| state.image.open(ino.0)) {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(errno) => reply.error(to_fuse(errno)),
        }
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.shared.lock().image.close(ino.0);
        self.shared.bell.notify_all();
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.admit(Some(Access::Read), ino.0, move |state, outcome| {
            match outcome.then(|| state.image.read(ino.0, offset, size as usize)) {
                Ok(bytes) => {
                    state.counters.reads += 1;
                    reply.data(&bytes);
                }
                Err(errno) => reply.error(to_fuse(errno)),
            }
        });
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.shared.lock();
        let mut admission = state.admit(Some(Access::Write), ino.0);
        let synchronous = flags.0 & OFlag::O_DSYNC.bits() != 0;
        if synchronous {
            admission = admission.and(state.admit(Some(Access::Fsync), ino.0));
        }
        let len = data.len() as u32;
        let finish = move |state: &mut State, outcome: Outcome, data: &[u8]| {
            let written = outcome.then(|| state.write(ino.0, offset, data));
            match written.and_then(|()| match synchronous {
                true => state.fsync(ino.0, outcome),
                false => Ok(()),
            }) {
                Ok(()) => reply.written(len),
                Err(errno) => reply.error(to_fuse(errno)),
            }
        };
        // The kernel's buffer is used again for the next request: only what waits is copied.
        if admission.wait == Wait::No {
            finish(&mut state, admission.outcome, data);
        } else {
            let data = data.to_vec();
            let job = move |state: &mut State, outcome| finish(state, outcome, &data);
            state.park(admission, Box::new(job));
            self.shared.bell.notify_all();
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.admit(Some(Access::Write), ino.0, move |state, outcome| {
            answer(reply, outcome.then(|| state.reserve(ino.0, offset, length, mode)));
        });
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.admit(Some(Access::Fsync), ino.0, move |state, outcome| {
            answer(reply, state.fsync(ino.0, outcome));
        });
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.admit(Some(Access::Fsync), ino.0, move |state, outcome| {
            answer(reply, state.fsync(ino.0, outcome));
        });
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let opened = self.look(|state| {
            let listing = state.list(ino.0)?;
            let handle = state.listing_next;
            state.listing_next += 1;
            state.listings.insert(handle, listing);
            Ok(handle)
        });
        match opened {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(errno) => reply.error(to_fuse(errno)),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let listed = self.look(|state| {
            if offset == 0 {
                // A rewound folder is read anew.
                let listing = state.list(ino.0)?;
                state.listings.insert(handle.0, listing);
            }
            let listing = state.listings.get(&handle.0).ok_or(Errno::EBADF)?;
            for (next, (ino, kind, name)) in (1..).zip(listing).skip(offset as usize) {
                if reply.add(INodeNo(*ino), next, *kind, name) {
                    break;
                }
            }
            Ok(())
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(to_fuse(errno)),
        }
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.shared.lock().listings.remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let state = self.shared.lock();
        let unit = CHUNK_BYTES as u64;
        let most = state.image.capacity_bytes().min(state.bytes_max(ino.0));
        let free = most.saturating_sub(state.image.used_bytes()) / unit;
        let files = state.image.inodes.len() as u64;
        let total = state.image.capacity_bytes() / unit;
        let unlimited = u64::from(u32::MAX);
        reply.statfs(
            total,
            free,
            free,
            files + unlimited,
            unlimited,
            unit as u32,
            255,
            unit as u32,
        );
    }
}
