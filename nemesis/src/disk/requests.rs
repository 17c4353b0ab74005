//! What the requests do to the state, and how its parts are said in the kernel's words.

use super::image::Attributes;
use super::state::{Listing, Outcome, State};
use super::tree::{Ino, Kind, Place, Rights};
use super::{CHUNK_BYTES, SECTOR_BYTES};
use fuser::{FileAttr, FileType, INodeNo, ReplyEmpty, Request, TimeOrNow};
use nix::errno::Errno;
use nix::fcntl::FallocateFlags;
use nix::sys::stat::SFlag;
use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

pub(super) fn to_fuse(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno as i32)
}

pub(super) fn answer(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(to_fuse(errno)),
    }
}

pub(super) fn place(folder: INodeNo, name: &OsStr) -> Place {
    (folder.0, name.to_owned())
}

pub(super) fn rights(request: &Request, mode: u32) -> Rights {
    Rights { mode: (mode & 0o7777) as u16, uid: request.uid(), gid: request.gid() }
}

pub(super) fn time(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

pub(super) fn file_type(kind: &Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Folder(_) => FileType::Directory,
        Kind::Symlink(_) => FileType::Symlink,
        Kind::Special { format, .. } => match SFlag::from_bits_truncate(*format) {
            SFlag::S_IFSOCK => FileType::Socket,
            SFlag::S_IFCHR => FileType::CharDevice,
            SFlag::S_IFBLK => FileType::BlockDevice,
            _ => FileType::NamedPipe,
        },
    }
}

pub(super) fn attr(of: &Attributes) -> FileAttr {
    FileAttr {
        ino: INodeNo(of.ino),
        size: of.size,
        blocks: of.chunks * (CHUNK_BYTES / SECTOR_BYTES) as u64,
        atime: of.accessed,
        mtime: of.modified,
        ctime: of.changed,
        crtime: of.changed,
        kind: file_type(&of.kind),
        perm: of.rights.mode,
        nlink: of.links,
        uid: of.rights.uid,
        gid: of.rights.gid,
        rdev: if let Kind::Special { device, .. } = of.kind { device } else { 0 },
        blksize: CHUNK_BYTES as u32,
        flags: 0,
    }
}

impl State {
    pub(super) fn attr(&self, ino: Ino) -> Result<FileAttr, Errno> {
        self.image.attributes(ino).map(|attributes| attr(&attributes))
    }

    /// Attributes for an answer that gives the kernel a reference to `ino`.
    pub(super) fn introduce(&mut self, ino: Ino) -> Result<FileAttr, Errno> {
        let attributes = self.attr(ino)?;
        self.image.known(ino);
        Ok(attributes)
    }

    pub(super) fn create(
        &mut self,
        at: Place,
        kind: Kind,
        rights: Rights,
    ) -> Result<FileAttr, Errno> {
        let ino = self.image.create(at, kind, rights)?;
        self.introduce(ino)
    }

    pub(super) fn write(&mut self, ino: Ino, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let bytes_max = self.bytes_max(ino);
        let written = self.image.write(ino, offset, data, bytes_max);
        self.count_full(ino, written)?;
        self.counters.writes += 1;
        self.counters.bytes_written += data.len() as u64;
        Ok(())
    }

    pub(super) fn reserve(
        &mut self,
        ino: Ino,
        offset: u64,
        len: u64,
        mode: i32,
    ) -> Result<(), Errno> {
        let flags = FallocateFlags::from_bits_truncate(mode);
        let keep_size = flags.contains(FallocateFlags::FALLOC_FL_KEEP_SIZE);
        match flags.difference(FallocateFlags::FALLOC_FL_KEEP_SIZE) {
            rest if rest.is_empty() => {
                let bytes_max = self.bytes_max(ino);
                let reserved = self.image.reserve(ino, offset, len, keep_size, bytes_max);
                self.count_full(ino, reserved)
            }
            FallocateFlags::FALLOC_FL_PUNCH_HOLE if keep_size => self.image.punch(ino, offset, len),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    pub(super) fn count_full(&mut self, ino: Ino, result: Result<(), Errno>) -> Result<(), Errno> {
        if result == Err(Errno::ENOSPC) {
            self.was_full(ino);
        }
        result
    }

    pub(super) fn fsync(&mut self, ino: Ino, outcome: Outcome) -> Result<(), Errno> {
        match outcome {
            Outcome::Fail(errno) => return Err(errno),
            Outcome::Do => self.counters.bytes_flushed += self.image.flush(ino)?,
            Outcome::Lie => {}
        }
        self.counters.fsyncs += 1;
        Ok(())
    }

    pub(super) fn list(&self, folder: Ino) -> Result<Listing, Errno> {
        let entries = self.image.live.entries(folder)?;
        let parent = self.image.live.node(folder)?.home.0;
        let dots = [(folder, "."), (parent, "..")];
        let dots = dots.map(|(ino, name)| (ino, FileType::Directory, OsString::from(name)));
        let mut listing = dots.to_vec();
        for (name, &ino) in entries {
            listing.push((ino, file_type(&self.image.live.node(ino)?.kind), name.clone()));
        }
        Ok(listing)
    }
}
