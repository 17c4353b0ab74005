//! The other checkers against naive oracles, each the definition word for word, on random small
//! histories.

mod counts;
mod lease;
mod lists;
mod locks;
mod random;
mod rollout;
mod sets;
mod watch;
