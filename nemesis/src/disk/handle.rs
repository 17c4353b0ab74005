//! The harness' side of a disk.

use super::DiskError;
use super::corrupt::{Corruption, Damage};
use super::crash::{Loss, Survivors};
use super::filesystem::Fuse;
use super::image::Image;
use super::rules::{Files, Rule, RuleId};
use super::state::{Counters, Power, Shared, State};
use super::tree::{Ino, Kind, ROOT, Rights};
use fuser::{Session, SessionACL};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// The kernel tells of the last close of a file only after close(2) has returned.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How a disk is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskOptions {
    /// How much it holds, in bytes; it is memory of this process, taken up as it is written.
    pub capacity_bytes: u64,
    /// Owner and group of its root, as numbers inside the namespace that it is mounted in.
    pub owner: (u32, u32),
}

impl Default for DiskOptions {
    /// 4 GiB, of root.
    fn default() -> Self {
        DiskOptions { capacity_bytes: 4 << 30, owner: (0, 0) }
    }
}

/// A disk that is served, and the ways to break it. Every call may come from any thread.
///
/// When it is dropped its power is off for good: every request fails, and none is left waiting.
/// Its thread ends with the mount.
pub struct Disk {
    shared: Arc<Shared>,
    waiting: Option<JoinHandle<()>>,
    session: Option<JoinHandle<io::Result<()>>>,
}

impl Disk {
    /// Serves the disk that [`super::mount`] mounted, from threads of this process.
    pub fn serve(device: OwnedFd, options: DiskOptions) -> Result<Disk, DiskError> {
        let rights = Rights { mode: 0o700, uid: options.owner.0, gid: options.owner.1 };
        let image = Image::new(rights, options.capacity_bytes, SystemTime::now);
        let shared = Arc::new(Shared::new(State::new(image)));
        let filesystem = Fuse { shared: shared.clone() };
        let mut config = fuser::Config::default();
        config.acl = SessionACL::All;
        let session = Session::from_fd(filesystem, device, SessionACL::All, config)
            .and_then(Session::spawn)
            .map_err(DiskError::Serve)?;
        let mut disk = Disk { shared, waiting: None, session: Some(session.guard) };
        let shared = disk.shared.clone();
        let waiting = thread::Builder::new().name("disk-waiting".to_owned());
        let waiting = waiting.spawn(move || shared.serve_parked()).map_err(DiskError::Serve)?;
        disk.waiting = Some(waiting);
        Ok(disk)
    }

    /// From now on no write, no fsync and no change of names is answered. Reads are.
    pub fn freeze(&self) {
        let mut state = self.shared.lock();
        if state.power == Power::On {
            state.power = Power::Frozen;
        }
    }

    /// Undoes [`Disk::freeze`]: what has waited is done, in the order in which it came.
    pub fn thaw(&self) {
        let mut state = self.shared.lock();
        if state.power == Power::Frozen {
            state.power = Power::On;
            state.run_due(Instant::now());
        }
        self.shared.bell.notify_all();
    }

    /// Cuts the power: back to what is durable and what `survivors` adds to it, drawn from `seed`.
    /// Requests that wait fail with EIO, and so does each that comes before [`Disk::power_on`].
    pub fn cut_power(&self, survivors: Survivors, seed: u64) -> Loss {
        let mut state = self.shared.lock();
        state.power = Power::Off;
        let mut loss = state.image.lose_power(survivors, &mut ChaCha8Rng::seed_from_u64(seed));
        loss.requests_failed = state.fail_parked();
        loss
    }

    /// Gives the power back, when every process that used the disk before is gone.
    pub fn power_on(&self) {
        self.shared.lock().power = Power::On;
        self.shared.bell.notify_all();
    }

    /// How many requests wait now: for a thaw, or for a delay to pass.
    pub fn requests_waiting(&self) -> usize {
        self.shared.lock().parked()
    }

    /// Does now what waits for a delay to pass: a process that was killed meanwhile can end then.
    pub fn hurry(&self) {
        self.shared.lock().hurry();
    }

    /// Lets a rule stand. Where several are about one request, delays do not add up, and a
    /// failure beats a lie.
    pub fn inject(&self, rule: Rule) -> RuleId {
        self.shared.lock().inject(rule)
    }

    /// How many requests a rule has hit so far; 0 for one that does not stand.
    pub fn hits(&self, rule: RuleId) -> u64 {
        self.shared.lock().hits(rule)
    }

    /// Takes a rule away, and returns how many requests it hit. What it delayed stays delayed.
    pub fn lift(&self, rule: RuleId) -> u64 {
        self.shared.lock().lift(rule)
    }

    /// Keeps the durable bytes of these files as they are now, for [`Corruption::OldCopy`];
    /// returns how many files those are.
    pub fn remember(&self, files: &Files) -> usize {
        self.shared.lock().image.remember(files)
    }

    /// Damages one of these files, drawn from `seed`: in place, durably. An error when one of
    /// them is open, or none would change. Files of a process that has just ended may still be
    /// on their way to be closed: that is waited for, for a second.
    pub fn corrupt(
        &self,
        corruption: Corruption,
        files: &Files,
        seed: u64,
    ) -> Result<Damage, DiskError> {
        let in_use = |state: &mut State| state.image.in_use(files).is_some();
        let state = self.shared.lock();
        let (mut state, _) = self
            .shared
            .bell
            .wait_timeout_while(state, CLOSE_TIMEOUT, in_use)
            .unwrap_or_else(PoisonError::into_inner);
        state.image.corrupt(corruption, files, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    /// What it has done since it was mounted.
    pub fn counters(&self) -> Counters {
        self.shared.lock().counters
    }

    /// The files with their sizes in bytes, in the order of their paths.
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = self.shared.lock();
        let size = |ino| state.image.attributes(ino).map_or(0, |attributes| attributes.size);
        let files = state.image.files().into_iter();
        files.map(|(path, ino)| (path.to_string_lossy().into_owned(), size(ino))).collect()
    }

    /// Writes the files out to `to`, a folder that is there: as a process would see them now.
    /// The disk waits meanwhile.
    pub fn export(&self, to: &Path) -> Result<(), DiskError> {
        let state = self.shared.lock();
        write_out(&state.image, ROOT, to)
            .map_err(|source| DiskError::Export { to: to.to_owned(), source })
    }

    /// Takes the disk away: every request fails from now on. Returns once the mount is gone, and
    /// with it the thread that served it: unmount it first, or end its namespace.
    pub fn close(mut self) -> Result<(), DiskError> {
        self.shut();
        match self.session.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => Err(DiskError::Serve(error)),
            Some(Err(_)) => Err(DiskError::Serve(io::Error::other("its thread panicked"))),
            Some(Ok(Ok(()))) | None => Ok(()),
        }
    }

    fn shut(&mut self) {
        let mut state = self.shared.lock();
        state.power = Power::Off;
        state.closing = true;
        state.fail_parked();
        drop(state);
        self.shared.bell.notify_all();
        if let Some(waiting) = self.waiting.take() {
            // It ends at once, and has nothing to say.
            let _ = waiting.join();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.shut();
    }
}

fn write_out(image: &Image, folder: Ino, to: &Path) -> io::Result<()> {
    let entries = image.live.entries(folder).map_err(io::Error::from)?;
    for (name, &ino) in entries {
        let path = to.join::<&OsStr>(name);
        match &image.live.node(ino).map_err(io::Error::from)?.kind {
            Kind::Folder(_) => {
                std::fs::create_dir_all(&path)?;
                write_out(image, ino, &path)?;
            }
            Kind::Symlink(target) => symlink(target, &path)?,
            Kind::Special { .. } => {}
            Kind::File => {
                let file = File::create(&path)?;
                if let Some(inode) = image.inodes.get(&ino) {
                    let content = inode.file.live();
                    file.set_len(content.size())?;
                    for (offset, bytes) in content.pieces() {
                        file.write_all_at(bytes, offset)?;
                    }
                }
            }
        }
    }
    Ok(())
}
