//! Which faults hold which clocks off.
//!
//! Leaps add up, and so do drifts. When the last fault on a node's wall clock is over it is true
//! again, as if it had been set by NTP. Its monotonic clock keeps pace from then on, but goes on
//! from where it is: going back would be a fault of its own.

use super::state::Active;
use crate::clock::{ClockChange, ClockReading, ClockSkew, Offset, RATE_PPM_MAX, RATE_PPM_MIN};
use crate::fault::{ClockEffect, Effect};
use crate::{Machinery, NodeId};
use std::collections::BTreeMap;

/// How a fault's clocks were read.
#[derive(Default)]
pub(super) struct ClocksSeen {
    pub(super) nodes: BTreeMap<NodeId, ClockSeen>,
}

/// How one node read its clocks.
#[derive(Default)]
pub(super) struct ClockSeen {
    /// The reading that was furthest off.
    pub(super) furthest: ClockReading,
    /// How often they were set.
    pub(super) times_set: u64,
}

impl ClocksSeen {
    /// Whether a process read a clock that was off.
    pub(super) fn landed(&self) -> bool {
        self.nodes.values().any(|seen| seen.furthest != ClockReading::default())
    }

    fn add(&mut self, node: &NodeId, reading: Option<ClockReading>) {
        let Some(reading) = reading else {
            return;
        };
        let off = |reading: ClockReading| {
            let (wall, monotonic) = (reading.wall.ahead_ns, reading.monotonic.ahead_ns);
            wall.saturating_abs().saturating_add(monotonic.saturating_abs())
        };
        let seen = self.nodes.entry(node.clone()).or_default();
        if off(reading) >= off(seen.furthest) {
            seen.furthest = reading;
        }
    }
}

/// A fault's hold on one node's clocks.
struct Hold {
    effect: ClockEffect,
    /// Whether its leap is in force: a strobe's is half of the time.
    leapt: bool,
}

/// Who holds what.
#[derive(Default)]
pub(super) struct Clocks(BTreeMap<NodeId, BTreeMap<u32, Hold>>);

impl Clocks {
    pub(super) async fn begin<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        active: &mut Active,
    ) {
        let Some(effect) = active.fault.clock_effect() else {
            return;
        };
        for node in active.nodes.clone() {
            let holds = self.0.entry(node.clone()).or_default();
            holds.insert(id, Hold { effect, leapt: true });
            let skew = skew(holds, effect, 1);
            if set(machinery, &node, skew, active).await {
                active.struck.push(node);
            } else if let Some(holds) = self.0.get_mut(&node) {
                holds.remove(&id);
            }
        }
    }

    /// Leaps back, or again.
    pub(super) async fn toggle<M: Machinery>(
        &mut self,
        machinery: &M,
        id: u32,
        active: &mut Active,
    ) {
        for node in active.struck.clone() {
            let Some(holds) = self.0.get_mut(&node) else { continue };
            let Some(hold) = holds.get_mut(&id) else { continue };
            hold.leapt = !hold.leapt;
            let (effect, leaps) = (hold.effect, if hold.leapt { 1 } else { -1 });
            let skew = skew(holds, effect, leaps);
            if !set(machinery, &node, skew, active).await
                && let Some(hold) = self.0.get_mut(&node).and_then(|holds| holds.get_mut(&id))
            {
                hold.leapt = !hold.leapt;
            }
        }
    }

    pub(super) async fn end<M: Machinery>(&mut self, machinery: &M, id: u32, active: &mut Active) {
        for node in active.struck.clone() {
            match machinery.read_clock(&node).await {
                Ok(reading) => active.clocks.add(&node, reading),
                Err(error) => active.errors.push(error.to_string()),
            }
            let Some(holds) = self.0.get_mut(&node) else { continue };
            let Some(Hold { effect, leapt }) = holds.remove(&id) else { continue };
            let mut skew = skew(holds, effect, if leapt { -1 } else { 0 });
            if let Some(wall) = &mut skew.wall
                && holds.values().all(|hold| hold.effect.wall.is_none())
            {
                wall.offset = Offset::To(0);
            }
            if let Some(monotonic) = &mut skew.monotonic
                && effect.toggle_every.is_none()
            {
                monotonic.offset = Offset::Keep;
            }
            if let Err(error) = machinery.set_clock(&node, skew).await {
                active.errors.push(error.to_string());
            }
        }
    }
}

/// The change when `effect` leaps so many times and the drifts are those of `holds`. It is of the
/// clocks that `effect` is about.
fn skew(holds: &BTreeMap<u32, Hold>, effect: ClockEffect, leaps: i64) -> ClockSkew {
    let change = |which: fn(ClockEffect) -> Effect| {
        let rates = holds.values().map(|hold| which(hold.effect).rate_ppm);
        let rate_ppm: i64 = rates.fold(0, i64::saturating_add);
        let one = which(effect);
        (!one.is_none()).then(|| ClockChange {
            offset: Offset::By(one.leap_ns.saturating_mul(leaps)),
            rate_ppm: rate_ppm.clamp(RATE_PPM_MIN, RATE_PPM_MAX),
        })
    };
    ClockSkew { wall: change(|e| e.wall), monotonic: change(|e| e.monotonic) }
}

/// Sets a node's clocks, and keeps what it read then. Whether they were set.
async fn set<M: Machinery>(
    machinery: &M,
    node: &NodeId,
    skew: ClockSkew,
    active: &mut Active,
) -> bool {
    match machinery.set_clock(node, skew).await {
        Ok(reading) => {
            active.clocks.add(node, reading);
            if let Some(seen) = active.clocks.nodes.get_mut(node) {
                seen.times_set += 1;
            }
            true
        }
        Err(error) => {
            active.errors.push(error.to_string());
            false
        }
    }
}
