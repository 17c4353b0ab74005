//! One file: what was written, what of it is on stable storage, and which sectors lie between.

use super::content::{Content, place};
use super::{CHUNK_BYTES, SECTOR_BYTES};
use std::collections::BTreeMap;

const SECTORS: usize = CHUNK_BYTES / SECTOR_BYTES;
const SECTOR: u64 = SECTOR_BYTES as u64;

/// The place of a change in the order of all changes to a disk; from 1.
pub(super) type Moment = u64;

/// A file's two contents.
///
/// Invariant: applying every pending change to `durable` gives `live`.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    live: Content,
    durable: Content,
    pending: Pending,
}

#[derive(Clone, Debug, Default)]
struct Pending {
    /// By chunk, when each of its sectors was last written; 0 where it is as on stable storage.
    sectors: BTreeMap<u64, [Moment; SECTORS]>,
    /// The smallest size that the file was cut to, and when it was last cut.
    shrunk: Option<(u64, Moment)>,
    /// When the size last changed.
    resized: Option<Moment>,
}

/// What became of the pending changes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) bytes_kept: u64,
    pub(super) bytes_lost: u64,
    pub(super) sectors_lost: u64,
}

impl File {
    pub(super) fn live(&self) -> &Content {
        &self.live
    }

    pub(super) fn durable(&self) -> &Content {
        &self.durable
    }

    /// Writes, and takes one moment a sector from `clock`.
    pub(super) fn write(&mut self, offset: u64, data: &[u8], clock: &mut Moment) {
        if data.is_empty() {
            return;
        }
        let before = self.live.size();
        self.live.write(offset, data);
        self.touch(offset, offset + data.len() as u64, clock);
        if self.live.size() != before {
            self.pending.resized = Some(*clock);
        }
    }

    pub(super) fn set_size(&mut self, size: u64, clock: &mut Moment) {
        let before = self.live.size();
        if size == before {
            return;
        }
        *clock += 1;
        self.live.set_size(size);
        self.pending.resized = Some(*clock);
        if size < before {
            let smallest = self.pending.shrunk.map_or(size, |(least, _)| least.min(size));
            self.pending.shrunk = Some((smallest, *clock));
            self.forget_sectors_from(size.div_ceil(SECTOR));
        }
    }

    /// Takes up space, and grows the file to the end of it unless `keep_size`.
    pub(super) fn reserve(&mut self, offset: u64, len: u64, keep_size: bool, clock: &mut Moment) {
        self.live.reserve(offset, len);
        if !keep_size && offset + len > self.live.size() {
            self.set_size(offset + len, clock);
        }
    }

    pub(super) fn punch(&mut self, offset: u64, len: u64, clock: &mut Moment) {
        let end = offset.saturating_add(len).min(self.live.size());
        if offset < end {
            self.live.punch(offset, len);
            self.touch(offset, end, clock);
        }
    }

    /// Everything pending is on stable storage now; how many bytes that were.
    pub(super) fn flush(&mut self) -> u64 {
        let pending = std::mem::take(&mut self.pending);
        if let Some((size, _)) = pending.shrunk {
            self.durable.set_size(size.min(self.durable.size()));
        }
        let mut sectors = 0;
        for (chunk, moments) in &pending.sectors {
            self.durable.share(*chunk, &self.live);
            sectors += moments.iter().filter(|&&moment| moment > 0).count() as u64;
        }
        if pending.resized.is_some() {
            self.durable.set_size(self.live.size());
        }
        sectors * SECTOR
    }

    /// The moments of all pending changes, in no particular order.
    pub(super) fn moments(&self) -> impl Iterator<Item = Moment> {
        let sectors = self.pending.sectors.values().flatten().copied().filter(|&moment| moment > 0);
        let shrunk = self.pending.shrunk.map(|(_, moment)| moment);
        sectors.chain(shrunk).chain(self.pending.resized)
    }

    /// The power is gone: of the pending changes those reach stable storage that `keep` lets
    /// through, the others never happened. Takes time linear in the pending sectors.
    pub(super) fn lose(&mut self, mut keep: impl FnMut(Moment) -> bool) -> Settled {
        let pending = std::mem::take(&mut self.pending);
        let mut settled = Settled::default();
        if let Some((size, moment)) = pending.shrunk
            && keep(moment)
        {
            self.durable.set_size(size.min(self.durable.size()));
        }
        let mut end = self.durable.size();
        for (chunk, moments) in &pending.sectors {
            for (sector, &moment) in (chunk * SECTORS as u64..).zip(moments) {
                let start = sector * SECTOR;
                let bytes = self.live.size().saturating_sub(start).min(SECTOR);
                if moment == 0 || bytes == 0 {
                    continue;
                }
                if keep(moment) {
                    self.durable.copy_sector(sector, &self.live);
                    settled.bytes_kept += bytes;
                    end = end.max(start + bytes);
                } else {
                    settled.bytes_lost += bytes;
                    settled.sectors_lost += 1;
                }
            }
        }
        let size = match pending.resized {
            Some(moment) if keep(moment) => self.live.size(),
            _ => end,
        };
        self.durable.set_size(size);
        self.live = self.durable.clone();
        settled
    }

    /// Puts other bytes in the file's place, on stable storage too: what corruption does.
    pub(super) fn replace(&mut self, content: Content) {
        *self = File { live: content.clone(), durable: content, pending: Pending::default() };
    }

    fn touch(&mut self, from: u64, to: u64, clock: &mut Moment) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            *clock += 1;
            let (chunk, within) = place(sector);
            self.pending.sectors.entry(chunk).or_default()[within / SECTOR_BYTES] = *clock;
        }
    }

    fn forget_sectors_from(&mut self, sector: u64) {
        let (chunk, within) = place(sector);
        let mut gone = self.pending.sectors.split_off(&chunk);
        if within > 0
            && let Some(mut moments) = gone.remove(&chunk)
        {
            moments[within / SECTOR_BYTES..].fill(0);
            self.pending.sectors.insert(chunk, moments);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{File, Settled};

    #[test]
    fn what_was_flushed_stays_and_what_was_not_goes() {
        let (mut file, mut clock) = (File::default(), 0);
        file.write(0, &[1; 1000], &mut clock);
        assert_eq!(file.flush(), 1024);
        file.write(990, &[2; 600], &mut clock);
        let lost = file.lose(|_| false);
        assert_eq!(lost, Settled { bytes_kept: 0, bytes_lost: 512 * 2 + 54, sectors_lost: 3 });
        assert_eq!(file.live().read(0, 4096), [1; 1000]);
    }

    #[test]
    fn a_torn_write_keeps_whole_sectors_in_the_order_written() {
        let (mut file, mut clock) = (File::default(), 0);
        file.write(0, &[1; 2048], &mut clock);
        file.flush();
        let before = clock;
        file.write(0, &[2; 2048], &mut clock);
        file.lose(|moment| moment <= before + 2);
        assert_eq!(file.live().read(0, 4096), [[2; 1024], [1; 1024]].concat());
    }

    #[test]
    fn a_cut_that_was_not_flushed_is_undone() {
        let (mut file, mut clock) = (File::default(), 0);
        file.write(0, &[1; 5000], &mut clock);
        file.flush();
        file.set_size(10, &mut clock);
        file.set_size(3000, &mut clock);
        let mut crashed = file.clone();
        crashed.lose(|_| false);
        assert_eq!(crashed.live().read(0, 9000), [1; 5000]);
        file.flush();
        file.lose(|_| false);
        assert_eq!(file.live().read(0, 9000), [vec![1; 10], vec![0; 2990]].concat());
    }

    #[test]
    fn keeping_everything_is_a_flush() {
        let (mut file, mut clock) = (File::default(), 0);
        file.write(0, &[1; 5000], &mut clock);
        file.flush();
        file.set_size(4097, &mut clock);
        file.write(9000, &[3; 777], &mut clock);
        file.punch(100, 4000, &mut clock);
        file.reserve(0, 20_000, false, &mut clock);
        let live = file.live().read(0, 30_000);
        let mut flushed = file.clone();
        flushed.flush();
        file.lose(|_| true);
        assert_eq!(file.durable().read(0, 30_000), live);
        assert_eq!(flushed.durable().read(0, 30_000), live);
    }

    #[test]
    fn a_kept_sector_past_the_old_end_lets_the_file_grow_to_it() {
        let (mut file, mut clock) = (File::default(), 0);
        file.write(0, &[4; 1300], &mut clock);
        file.lose(|moment| moment == 2);
        assert_eq!(file.live().read(0, 2000), [[0; 512], [4; 512]].concat());
    }
}
