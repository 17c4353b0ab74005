//! Configurations, and what makes one of two superfluous.

use super::path::START;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

/// Classes whose members can be counted one by one.
pub(super) const LANES: usize = 32;
/// What a lane can count to.
pub(super) const LANE_MAX: u8 = 127;
const TOP_BITS: u64 = 0x8080_8080_8080_8080;

/// How many members of each counted class a path has used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub(super) struct Lanes([u64; LANES / 8]);

impl Lanes {
    pub(super) fn get(self, lane: u8) -> u8 {
        (self.0[lane as usize / 8] >> (lane % 8 * 8)) as u8
    }

    pub(super) fn add(&mut self, lane: u8) {
        self.0[lane as usize / 8] += 1 << (lane % 8 * 8);
    }

    /// Whether no lane is above its fellow: all eight of a word are compared at once, as the top
    /// bit of each stays set where nothing had to be borrowed.
    pub(super) fn is_at_most(self, other: Lanes) -> bool {
        self.0.iter().zip(other.0).all(|(&a, b)| ((b | TOP_BITS) - a) & TOP_BITS == TOP_BITS)
    }
}

/// What one way of placing operations has come to. Bits are open operations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    /// Not placed yet and to be placed before they end; a write that could as well have stood
    /// just before another is owed no more, but may still be placed.
    pub(super) owed: u128,
    /// Writes and cas that were placed where their value was there for a while.
    pub(super) used: u128,
    pub(super) lanes: Lanes,
    pub(super) state: u32,
    /// Indeterminate operations placed, each with its price if they have prices.
    pub(super) uses: u64,
    /// The last step that led here, in the path.
    pub(super) step: u32,
    /// Nobody has seen the state yet, so that overwriting it now would have been for nothing.
    pub(super) fresh: bool,
}

type Key = (u128, u128, u32, Lanes, bool);

impl Config {
    /// Nothing is owed, nothing used, and this is the value.
    pub(super) fn of(state: u32) -> Config {
        let lanes = Lanes::default();
        Config { owed: 0, used: 0, lanes, state, uses: 0, step: START, fresh: false }
    }

    fn key(&self, is_exact: bool) -> Key {
        let lanes = if is_exact { self.lanes } else { Lanes::default() };
        (self.owed, self.used, self.state, lanes, self.fresh)
    }
}

/// Configurations without repetition, of equal ones that which used the least.
#[derive(Default)]
pub(super) struct Front {
    pub(super) configs: Vec<Config>,
    places: FxHashMap<Key, u32>,
    /// Whether those that used different ones are different.
    is_exact: bool,
}

impl Front {
    /// Adds it, unless there is one that is no worse; whether it was new or better.
    pub(super) fn add(&mut self, config: Config) -> bool {
        match self.places.entry(config.key(self.is_exact)) {
            Entry::Vacant(vacant) => {
                vacant.insert(self.configs.len() as u32);
                self.configs.push(config);
                true
            }
            Entry::Occupied(occupied) => {
                let known = &mut self.configs[*occupied.get() as usize];
                let better = config.uses < known.uses;
                if better {
                    *known = config;
                }
                better
            }
        }
    }

    pub(super) fn clear(&mut self, is_exact: bool) {
        self.is_exact = is_exact;
        self.configs.clear();
        self.places.clear();
    }

    pub(super) fn bytes(&self) -> usize {
        self.configs.capacity() * size_of::<Config>()
            + self.places.capacity() * (size_of::<(Key, u32)>() + 1)
    }
}

/// What may be had at any time for nothing, because nobody counts it.
#[derive(Default)]
pub(super) struct Free {
    /// Values that an uncounted indeterminate write can make.
    pub(super) values: Vec<bool>,
    /// Open operations that such values satisfy: owing them is no loss.
    pub(super) owed: u128,
    /// Open operations that do nothing which such a value could not do: having used them is none.
    pub(super) used: u128,
    /// Whether what was used has prices: then it is no better to have paid more.
    pub(super) is_priced: bool,
}

impl Free {
    fn has(&self, state: u32) -> bool {
        self.values.get(state as usize).is_some_and(|&free| free)
    }

    /// Whether whatever `b` can come to, `a` can too.
    pub(super) fn dominates(&self, a: &Config, b: &Config) -> bool {
        // Where the state of `b` is for nothing, `a` can go elsewhere first, and then there.
        let owed = if self.has(b.state) {
            a.owed & !self.owed
        } else if a.state == b.state {
            a.owed
        } else {
            return false;
        };
        owed & !b.owed == 0
            && a.used & !self.used & !b.used == 0
            && a.lanes.is_at_most(b.lanes)
            && (!self.is_priced || a.uses <= b.uses)
    }
}

/// How many of the least a configuration is compared with: keeping one that is dominated costs
/// time and no truth.
const RIVALS_MAX: usize = 512;

/// Drops configurations that others dominate.
pub(super) fn prune(configs: &mut Vec<Config>, free: &Free) {
    let is_mixed = free.values.contains(&true);
    configs.sort_unstable_by_key(|config| {
        let bits =
            (config.owed & !free.owed).count_ones() + (config.used & !free.used).count_ones();
        (if is_mixed { 0 } else { config.state }, bits, config.uses)
    });
    let mut group = 0;
    keep(configs, |kept, config| {
        if !is_mixed && kept.last().is_some_and(|last| last.state != config.state) {
            group = kept.len();
        }
        let rivals = &kept[group..kept.len().min(group + RIVALS_MAX)];
        !rivals.iter().any(|rival| free.dominates(rival, config))
    });
}

/// Keeps the `width` configurations that used the least, and of those with the same state only
/// such as no other is better than in every way but by what exactly it used.
pub(super) fn narrow(configs: &mut Vec<Config>, width: usize) {
    configs.sort_unstable_by_key(|config| {
        (config.uses, config.owed.count_ones() + config.used.count_ones(), config.state)
    });
    keep(configs, |kept, config| {
        kept.len() < width
            && !kept.iter().any(|rival| {
                rival.state == config.state
                    && rival.owed & !config.owed == 0
                    && rival.used & !config.used == 0
            })
    });
}

/// Keeps what `is_kept`, which sees those that were kept before.
fn keep(configs: &mut Vec<Config>, mut is_kept: impl FnMut(&[Config], &Config) -> bool) {
    let mut kept = 0;
    for at in 0..configs.len() {
        let config = configs[at];
        if is_kept(&configs[..kept], &config) {
            configs[kept] = config;
            kept += 1;
        }
    }
    configs.truncate(kept);
}
