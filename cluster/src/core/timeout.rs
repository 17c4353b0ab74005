//! Election timeouts from the seed.
//!
//! The raft crate draws them from the thread's generator, and draws anew whenever the role or term
//! changes. After each tick and step the node puts a timeout of its own in place, a hash of who it
//! is and where it stands, so nothing of the crate's draw is ever seen.

use raft::StateRole;

/// The ticks without a word from the leader after which this node stands for election: from
/// `election_ticks` up to, and not including, twice that.
pub(super) fn election_timeout(
    seed: u64,
    id: u64,
    term: u64,
    role: StateRole,
    election_ticks: usize,
) -> usize {
    let role = match role {
        StateRole::Follower => 0,
        StateRole::Candidate => 1,
        StateRole::Leader => 2,
        StateRole::PreCandidate => 3,
    };
    let hash = [id, term, role].into_iter().fold(mix(seed), |hash, part| mix(hash ^ part));
    election_ticks + (hash % election_ticks as u64) as usize
}

/// One step of splitmix64: every bit of the result depends on every bit of the input.
pub(crate) fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
