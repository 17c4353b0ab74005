//! The disk as a process on it sees it: mounted, through the kernel.
//!
//! Each test runs in user and mount namespaces of its own, so it needs no root and leaves nothing
//! behind. Without a FUSE device that can be opened the tests say so and pass, unless
//! `ORDEAL_REQUIRE_ETCD=1`.

mod effects;
mod etcd;
mod inside;
mod model;
mod power;
