//! Draws sequences of requests, each from its number alone.

mod auth;
mod kv;
mod leases;
mod watches;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use auth::PASSWORDS;

use super::ask::Ask;

/// The longest sequence.
const REQUESTS_MAX: usize = 60;

/// What a sequence is mostly about. The requests of KV are in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Kv,
    Leases,
    Watches,
    Mixed,
    /// On behalf of users who may not do everything, and about them.
    Auth,
}

impl Kind {
    /// The kind of the sequence of that number.
    pub fn of(seed: u64) -> Kind {
        match seed % 10 {
            0..2 => Kind::Kv,
            2 => Kind::Leases,
            3 => Kind::Watches,
            4 => Kind::Mixed,
            _ => Kind::Auth,
        }
    }

    /// Percent of the requests that are about leases, and about watches.
    fn shares(self) -> (u32, u32) {
        match self {
            Kind::Kv => (0, 0),
            Kind::Leases => (45, 0),
            Kind::Watches => (0, 25),
            Kind::Mixed => (20, 15),
            Kind::Auth => (15, 10),
        }
    }
}

/// The sequence of that number.
pub fn sequence(seed: u64) -> Vec<Ask> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let kind = Kind::of(seed);
    let length = rng.random_range(1..=REQUESTS_MAX);
    let mut granted = 0;
    let mut asks: Vec<Ask> = (0..length).map(|_| ask(kind, &mut rng, &mut granted)).collect();
    if kind == Kind::Auth && rng.random_ratio(9, 10) {
        asks.splice(0..0, auth::prologue(&mut rng));
    }
    if rng.random_ratio(1, 25) {
        asks.insert(rng.random_range(0..=asks.len()), Ask::Restart);
    }
    asks
}

fn ask(kind: Kind, rng: &mut ChaCha8Rng, granted: &mut i64) -> Ask {
    if kind == Kind::Auth {
        let mut asked = match rng.random_ratio(2, 5) {
            true => auth::ask(rng),
            false => of_data(kind, rng, granted),
        };
        auth::turn_round(&mut asked);
        return Ask::As(auth::who(rng), Box::new(asked));
    }
    of_data(kind, rng, granted)
}

fn of_data(kind: Kind, rng: &mut ChaCha8Rng, granted: &mut i64) -> Ask {
    let (lease, watch) = kind.shares();
    match rng.random_range(0..100) {
        drawn if drawn < lease => leases::ask(rng, granted),
        drawn if drawn < lease + watch => watches::ask(rng),
        _ => kv::ask(rng),
    }
}
