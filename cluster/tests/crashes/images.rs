//! What a disk may hold after the power went behind some operation.
//!
//! The fault model, apart from that of the disk in memory:
//!
//! - synced bytes survive; of the bytes appended since, any prefix, in which any sectors may read
//!   as zeros, because a file's length may reach the disk before its data;
//! - names made, changed and removed since their directory was synced survive up to any one of
//!   them, in their order, as on a filesystem with a journal;
//! - what was removed, and whose removal is lost, is there as it was.

use std::collections::{BTreeMap, BTreeSet};

use ordeal_cluster::disk::{Disk, MemDisk};

use crate::hand::disk::Line;

const SECTOR: usize = 512;
/// The bytes before a record's payload.
const RECORD_HEADER: usize = 21;
const MAGIC: [u8; 4] = *b"LAWO";

#[derive(Clone, Default)]
struct File {
    bytes: Vec<u8>,
    synced: usize,
}

#[derive(Clone)]
enum NameChange {
    Is(String, usize),
    IsNot(String),
}

/// A disk with what is durable on it and what is not.
#[derive(Clone, Default)]
pub struct Unsettled {
    files: BTreeMap<usize, File>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<NameChange>,
    /// The file that was appended to last, if that was the last operation.
    appended: Option<usize>,
}

impl Unsettled {
    /// Does what the line says. Gives whether it is one of the disk's operations.
    pub fn take(&mut self, line: &Line) -> bool {
        if matches!(line, Line::Wrote(_) | Line::Promised) {
            return false;
        }
        self.appended = None;
        match line {
            Line::Create { path, inode } => {
                self.files.insert(*inode, File::default());
                self.rename(NameChange::Is(path.clone(), *inode));
            }
            Line::Append { inode, bytes } => {
                self.file(*inode).bytes.extend_from_slice(bytes);
                self.appended = Some(*inode);
            }
            Line::Sync { inode } => {
                let file = self.file(*inode);
                file.synced = file.bytes.len();
            }
            Line::Rename { from, to } => {
                let inode = self.names[from];
                self.rename(NameChange::Is(to.clone(), inode));
                self.rename(NameChange::IsNot(from.clone()));
            }
            Line::Remove { path } => self.rename(NameChange::IsNot(path.clone())),
            Line::Truncate { path, len } => {
                let inode = self.names[path];
                let file = self.file(inode);
                file.bytes.truncate(*len as usize);
                file.synced = file.bytes.len();
            }
            Line::SyncDir { dir } => {
                let (here, elsewhere): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.pending_names).into_iter().partition(|change| {
                        let (NameChange::Is(path, _) | NameChange::IsNot(path)) = change;
                        path.rsplit_once('/').is_some_and(|(parent, _)| parent == dir)
                    });
                self.pending_names = elsewhere;
                here.iter().for_each(|change| change.apply(&mut self.durable_names));
            }
            Line::Wrote(_) | Line::Promised => {}
        }
        true
    }

    /// Every image that is worth a look, each with a word on what it kept.
    pub fn images(&self) -> Vec<(String, MemDisk)> {
        let mut images = Vec::new();
        let mut seen = BTreeSet::new();
        let mut give = |what: String, names: usize, cut: &Cut<'_>| {
            let files = self.settled(names, cut);
            if seen.insert(files.clone()) {
                images.push((what, image(&files)));
            }
        };
        for names in 0..=self.pending_names.len() {
            give(format!("{names} names, all bytes"), names, &Cut::Nothing);
            give(format!("{names} names, no bytes"), names, &Cut::Everything);
        }
        let Some(inode) = self.appended else { return images };
        let File { bytes, synced } = &self.files[&inode];
        let all = self.pending_names.len();
        for kept in boundaries(bytes, *synced) {
            give(format!("{kept} bytes"), all, &Cut::Kept { inode, kept, zeroed: &[] });
        }
        let kept = bytes.len();
        let sectors: Vec<usize> = (synced / SECTOR..kept.div_ceil(SECTOR)).collect();
        for lost in &sectors {
            let cut = Cut::Kept { inode, kept, zeroed: &[*lost] };
            give(format!("all but sector {lost}"), all, &cut);
            let others: Vec<usize> = sectors.iter().copied().filter(|s| s != lost).collect();
            let cut = Cut::Kept { inode, kept, zeroed: &others };
            give(format!("only sector {lost}"), all, &cut);
        }
        images
    }

    /// The disk as the same process' successor finds it when only the process was killed: all is
    /// there, and what was not durable still is not.
    pub fn unharmed(&self) -> MemDisk {
        let disk = MemDisk::new();
        let put = |names: &BTreeMap<String, usize>, synced: bool| {
            for (path, inode) in names {
                let file = &self.files[inode];
                let len = if synced { file.synced } else { file.bytes.len() };
                let from = disk.read(path).map_or(0, |bytes| bytes.len());
                let mut open = disk.open_append(path).expect("memory");
                open.append(&file.bytes[from.min(len)..len]).expect("memory");
                if synced {
                    open.sync().expect("memory");
                }
            }
        };
        let (names, durable) = (&self.names, &self.durable_names);
        let stay = durable.iter().filter(|(path, inode)| names.get(*path) == Some(*inode));
        put(&stay.map(|(path, inode)| (path.clone(), *inode)).collect(), true);
        for dir in ["member/wal", "member/snap"] {
            disk.sync_dir(dir).expect("memory");
        }
        put(names, false);
        disk
    }

    fn file(&mut self, inode: usize) -> &mut File {
        self.files.get_mut(&inode).expect("it was created")
    }

    fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn settled(&self, names: usize, cut: &Cut<'_>) -> BTreeMap<String, Vec<u8>> {
        let mut survivors = self.durable_names.clone();
        self.pending_names[..names].iter().for_each(|change| change.apply(&mut survivors));
        survivors.iter().map(|(p, inode)| (p.clone(), cut.of(*inode, &self.files[inode]))).collect()
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Is(path, inode) => names.insert(path.clone(), *inode),
            NameChange::IsNot(path) => names.remove(path),
        };
    }
}

/// What is lost of the bytes that were not synced.
enum Cut<'a> {
    Nothing,
    Everything,
    /// Of this file, what is behind `kept` and in these sectors; of the others nothing.
    Kept {
        inode: usize,
        kept: usize,
        zeroed: &'a [usize],
    },
}

impl Cut<'_> {
    fn of(&self, inode: usize, file: &File) -> Vec<u8> {
        match self {
            Cut::Everything => file.bytes[..file.synced].to_vec(),
            Cut::Kept { inode: cut, kept, zeroed } if *cut == inode => {
                let mut bytes = file.bytes[..*kept].to_vec();
                for sector in *zeroed {
                    let from = (sector * SECTOR).max(file.synced).min(*kept);
                    bytes[from..((sector + 1) * SECTOR).min(*kept)].fill(0);
                }
                bytes
            }
            _ => file.bytes.clone(),
        }
    }
}

/// Lengths that a file may be cut to: around each record's start and payload, around each sector's
/// start, and one byte either way.
fn boundaries(bytes: &[u8], synced: usize) -> BTreeSet<usize> {
    let mut near: Vec<usize> = (synced..bytes.len()).filter(|at| at % SECTOR == 0).collect();
    for at in synced..bytes.len() {
        if bytes[at..].starts_with(&MAGIC) {
            near.extend([at, at + RECORD_HEADER]);
        }
    }
    near.push(bytes.len());
    let around = near.into_iter().flat_map(|at| [at.saturating_sub(1), at, at + 1]);
    around.filter(|at| (synced..=bytes.len()).contains(at)).collect()
}

fn image(files: &BTreeMap<String, Vec<u8>>) -> MemDisk {
    let disk = MemDisk::new();
    for (path, bytes) in files {
        let mut file = disk.open_append(path).expect("memory");
        file.append(bytes).expect("memory");
        file.sync().expect("memory");
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        disk.sync_dir(dir).expect("memory");
    }
    disk
}
