//! The links between nodes: a userspace switch with a policy for each directed link.
//!
//! # Model
//!
//! Every node, and the harness' own clients, sit behind a layer 3 device whose other end is a
//! descriptor in our hands. What is read from one descriptor is an IPv4 packet; the link that it
//! takes is given by the descriptor that it came from and by its destination address. A link is
//! [cut](Switch::cut) or not, and it has a [`Shape`]: delay, loss, duplication, reordering,
//! corruption, resets, rate. The two are apart, so that a partition ends with the link as slow as
//! it was.
//!
//! Dropping is silent: the sender sees nothing but the absence of an answer. It happens after the
//! sender's kernel has handed the packet over, so that no `EPERM` and no "host unreachable" tells
//! of it, as they do with a packet filter in an output hook, or with ARP on a layer 2 device.
//!
//! Corruption flips a bit behind the IPv4 header. With no virtio header on the device the receiver
//! verifies the TCP checksum, so that a flipped bit costs the packet and never reaches the program.
//!
//! # What is not here
//!
//! No namespaces, no devices, no addresses to hand out: the switch takes descriptors, and its tests
//! give it socket pairs. No connection tracking: it looks beyond the IPv4 header only to answer a
//! TCP segment with a reset, for which the segment itself says enough.

mod capture;
mod counters;
mod engine;
mod lane;
mod packet;
mod shape;
mod switch;
#[cfg(test)]
mod tests;

pub use counters::{Counters, Shaped};
pub use shape::Shape;
pub use switch::{Port, Switch, SwitchError};
