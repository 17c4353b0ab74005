//! One seed, one named stream for each subsystem: a draw added in one does not shift another.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The stream of random numbers that belongs to `name` under `seed`.
///
/// The name picks one of ChaCha's 2^64 streams (by FNV-1a), the seed is its key.
pub fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    rng.set_stream(hash);
    rng
}

#[cfg(test)]
mod tests {
    use super::stream;
    use rand_chacha::rand_core::RngCore;

    #[test]
    fn a_stream_is_fixed_by_seed_and_name() {
        assert_eq!(stream(1, "nemesis").next_u64(), stream(1, "nemesis").next_u64());
        assert_ne!(stream(1, "nemesis").next_u64(), stream(1, "workload").next_u64());
        assert_ne!(stream(1, "nemesis").next_u64(), stream(2, "nemesis").next_u64());
    }
}
