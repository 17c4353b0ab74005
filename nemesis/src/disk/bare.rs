//! The same disk without a kernel before it: called by path, at once, on the caller's own time.
//!
//! Rules, pending writes, power loss and corruption are those of the mounted disk, because the
//! image and the gate before it are the same. What a rule delays is not waited for here: the caller
//! asks by how much ([`BareDisk::delay`]) and lets that time pass before it makes the call.

use super::corrupt::{Corruption, Damage};
use super::crash::{Loss, Survivors};
use super::image::{Image, NewAttributes};
use super::rules::{Access, Files, Rule, RuleId};
use super::state::State;
use super::tree::{Ino, Kind, Place, ROOT, Replace, Rights};
use super::{Counters, DiskError};
use nix::errno::Errno;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::time::{Duration, SystemTime};

/// Whoever owns the files; nobody looks.
const RIGHTS: Rights = Rights { mode: 0o700, uid: 0, gid: 0 };

/// A file that is open on a [`BareDisk`]. After a power loss it leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BareFile(Ino);

/// A disk in memory that keeps what was written and what was fsynced apart, and can be broken.
pub struct BareDisk {
    state: State,
}

impl BareDisk {
    /// An empty disk that holds so many bytes.
    pub fn new(capacity_bytes: u64) -> BareDisk {
        let image = Image::new(RIGHTS, capacity_bytes, || SystemTime::UNIX_EPOCH);
        BareDisk { state: State::new(image) }
    }

    /// Makes a folder and those above it.
    pub fn create_folders(&mut self, path: &str) -> io::Result<()> {
        let mut at = ROOT;
        for name in parts(path) {
            at = match self.state.image.lookup(at, name) {
                Ok(ino) => ino,
                Err(_) => {
                    let kind = Kind::Folder(BTreeMap::new());
                    self.state.image.create((at, name.to_owned()), kind, RIGHTS)?
                }
            };
        }
        Ok(())
    }

    /// The names of the files in a folder, in their order.
    pub fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let folder = self.find(folder)?;
        let image = &self.state.image;
        let files = image.live.entries(folder)?.iter();
        let files = files.filter(|(_, ino)| !image.live.is_folder(**ino));
        Ok(files.map(|(name, _)| name.to_string_lossy().into_owned()).collect())
    }

    /// Everything in a file.
    pub fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        let ino = self.find(path)?;
        let (outcome, _) = self.state.judge(Some(Access::Read), ino);
        let size = self.state.image.attributes(ino)?.size;
        let size = usize::try_from(size).map_err(|_| Errno::EFBIG)?;
        Ok(outcome.then(|| self.state.image.read(ino, 0, size))?)
    }

    /// Opens a file, and makes it if it is not there.
    pub fn open(&mut self, path: &str) -> io::Result<BareFile> {
        let at = self.place(path)?;
        let ino = match self.state.image.lookup(at.0, &at.1) {
            Ok(ino) => ino,
            Err(_) => self.state.image.create(at, Kind::File, RIGHTS)?,
        };
        Ok(BareFile(ino))
    }

    /// Writes at the end of a file.
    pub fn append(&mut self, file: BareFile, bytes: &[u8]) -> io::Result<()> {
        let (outcome, _) = self.state.judge(Some(Access::Write), file.0);
        let end = self.state.image.attributes(file.0)?.size;
        Ok(outcome.then(|| self.state.write(file.0, end, bytes))?)
    }

    /// fsync of a file: its bytes, and with them every change of names.
    pub fn sync(&mut self, file: BareFile) -> io::Result<()> {
        let (outcome, _) = self.state.judge(Some(Access::Fsync), file.0);
        Ok(self.state.fsync(file.0, outcome)?)
    }

    /// fsync of a folder.
    pub fn sync_folder(&mut self, path: &str) -> io::Result<()> {
        let ino = self.find(path)?;
        self.sync(BareFile(ino))
    }

    /// Cuts a file to `len` bytes; durable after an fsync of it.
    pub fn truncate(&mut self, path: &str, len: u64) -> io::Result<BareFile> {
        let ino = self.find(path)?;
        let (outcome, _) = self.state.judge(Some(Access::Write), ino);
        let new = NewAttributes { size: Some(len), ..NewAttributes::default() };
        outcome.then(|| self.state.image.set_attributes(ino, new))?;
        Ok(BareFile(ino))
    }

    /// Renames a file over whatever bears the new name.
    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        Ok(self.state.image.rename(from, to, Replace::Yes)?)
    }

    /// Removes a file.
    pub fn remove(&mut self, path: &str) -> io::Result<()> {
        let at = self.place(path)?;
        Ok(self.state.image.remove(at, false)?)
    }

    /// By how much the rules delay such a request for this file; counts as no hit of them.
    pub fn delay(&self, access: Access, path: &str) -> Duration {
        self.state.delay(access, path)
    }

    /// Cuts the power and gives it back: to what is durable and what `survivors` adds to it, drawn
    /// from `seed`. Whoever had files open is gone.
    pub fn lose_power(&mut self, survivors: Survivors, seed: u64) -> Loss {
        self.state.image.lose_power(survivors, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    /// Lets a rule stand.
    pub fn inject(&mut self, rule: Rule) -> RuleId {
        self.state.inject(rule)
    }

    /// Takes a rule away, and returns how many requests it hit.
    pub fn lift(&mut self, rule: RuleId) -> u64 {
        self.state.lift(rule)
    }

    /// Keeps the durable bytes of these files as they are now; returns how many files those are.
    pub fn remember(&mut self, files: &Files) -> usize {
        self.state.image.remember(files)
    }

    /// Damages one of these files, drawn from `seed`: in place, durably.
    ///
    /// # Errors
    /// If none of them would change.
    pub fn corrupt(
        &mut self,
        corruption: Corruption,
        files: &Files,
        seed: u64,
    ) -> Result<Damage, DiskError> {
        self.state.image.corrupt(corruption, files, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.state.counters
    }

    fn find(&self, path: &str) -> Result<Ino, Errno> {
        parts(path).try_fold(ROOT, |at, name| self.state.image.lookup(at, name))
    }

    fn place(&self, path: &str) -> Result<Place, Errno> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.find(folder)?, OsString::from(name)))
    }
}

fn parts(path: &str) -> impl Iterator<Item = &OsStr> {
    path.split('/').filter(|part| !part.is_empty()).map(OsStr::new)
}

#[cfg(test)]
mod tests {
    use super::super::Effect;
    use super::*;

    fn disk() -> (BareDisk, BareFile) {
        let mut disk = BareDisk::new(1 << 20);
        disk.create_folders("a/wal").expect("there is room");
        let file = disk.open("a/wal/1.wal").expect("there is room");
        (disk, file)
    }

    #[test]
    fn what_was_synced_survives_and_what_was_not_is_lost() -> io::Result<()> {
        let (mut disk, file) = disk();
        disk.append(file, b"kept")?;
        disk.sync(file)?;
        disk.append(file, b"lost")?;
        let loss = disk.lose_power(Survivors::Nothing, 1);
        assert_eq!(disk.read("a/wal/1.wal")?, b"kept");
        assert!(loss.bytes_lost > 0);
        assert_eq!(disk.list("a/wal")?, ["1.wal"]);
        assert!(disk.append(file, b"x").is_err(), "who had it open is gone");
        Ok(())
    }

    #[test]
    fn rules_hold_as_on_a_mounted_disk() -> io::Result<()> {
        let (mut disk, file) = disk();
        let rule = |effect| Rule { files: Files::wal(), effect };
        let lie = disk.inject(rule(Effect::LieAboutFsync));
        disk.append(file, b"lost")?;
        disk.sync(file)?;
        assert_eq!(disk.lift(lie), 1);
        disk.lose_power(Survivors::Nothing, 1);
        assert!(disk.read("a/wal/1.wal").is_err(), "not even its name was durable");
        let slow = rule(Effect::Delay { access: Access::Fsync, delay_ms: 70 });
        let slow = disk.inject(slow);
        assert_eq!(disk.delay(Access::Fsync, "a/wal/1.wal"), Duration::from_millis(70));
        assert_eq!(disk.delay(Access::Fsync, "a/snap/1.snap"), Duration::ZERO);
        assert_eq!(disk.lift(slow), 0);
        disk.inject(rule(Effect::Fail(Access::Write)));
        disk.create_folders("a/wal")?;
        let file = disk.open("a/wal/2.wal")?;
        assert!(disk.append(file, b"x").is_err());
        Ok(())
    }
}
