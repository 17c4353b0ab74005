//! The same fault on a slower machine: all that it says of time, so many times as long.

use super::{Fault, ScheduledFault};

impl ScheduledFault {
    /// The same, `times` as late and as long.
    pub fn stretched(&self, times: u32) -> ScheduledFault {
        let long = u64::from(times);
        ScheduledFault {
            at_ms: self.at_ms.saturating_mul(long),
            for_ms: self.for_ms.saturating_mul(long),
            fault: self.fault.stretched(times),
            ..self.clone()
        }
    }
}

impl Fault {
    /// The same, with periods, delays and leaps `times` as long, and links as many times narrower.
    pub fn stretched(&self, times: u32) -> Fault {
        let (long, leap) = (u64::from(times), i64::from(times));
        let mut fault = self.clone();
        match &mut fault {
            Fault::Slow { period_ms, .. } | Fault::Flap { period_ms, .. } => {
                *period_ms = period_ms.saturating_mul(long);
            }
            Fault::Delay { delay_us, jitter_us, .. } => {
                *delay_us = delay_us.saturating_mul(times);
                *jitter_us = jitter_us.saturating_mul(times);
            }
            Fault::Reorder { delay_us, .. } => *delay_us = delay_us.saturating_mul(times),
            Fault::Rate { bytes_per_s, .. } => *bytes_per_s = (*bytes_per_s / long.max(1)).max(1),
            Fault::SlowClients { delay_us, jitter_us, bytes_per_s, .. } => {
                *delay_us = delay_us.saturating_mul(times);
                *jitter_us = jitter_us.saturating_mul(times);
                // 0 is no limit, and stays none.
                *bytes_per_s = bytes_per_s.div_ceil(long.max(1));
            }
            Fault::ClockJump { wall_ms, monotonic_ms, .. } => {
                *wall_ms = wall_ms.saturating_mul(leap);
                *monotonic_ms = monotonic_ms.saturating_mul(leap);
            }
            Fault::ClockStrobe { wall_ms, monotonic_ms, period_ms, .. } => {
                *wall_ms = wall_ms.saturating_mul(leap);
                *monotonic_ms = monotonic_ms.saturating_mul(leap);
                *period_ms = period_ms.saturating_mul(long);
            }
            Fault::FsyncDelay { delay_ms, .. } => *delay_ms = delay_ms.saturating_mul(long),
            // They say nothing of time, or what they say is a share of it.
            Fault::Kill { .. }
            | Fault::Pause { .. }
            | Fault::Restart { .. }
            | Fault::Outage { .. }
            | Fault::Partition { .. }
            | Fault::Swizzle { .. }
            | Fault::ClientPartition { .. }
            | Fault::Loss { .. }
            | Fault::Duplicate { .. }
            | Fault::PacketCorrupt { .. }
            | Fault::Reset { .. }
            | Fault::ClockDrift { .. }
            | Fault::PowerLoss { .. }
            | Fault::DiskFull { .. }
            | Fault::DiskError { .. }
            | Fault::LyingDisk { .. }
            | Fault::Corrupt { .. }
            | Fault::MemberAdd { .. }
            | Fault::MemberRemove { .. }
            | Fault::MemberReplace { .. }
            | Fault::Wipe { .. }
            | Fault::Learner { .. }
            | Fault::MoveLeader { .. }
            | Fault::Compact {}
            | Fault::Defrag { .. }
            | Fault::Snapshot { .. }
            | Fault::Alarm { .. }
            | Fault::Restore { .. }
            | Fault::RollingRestart { .. }
            | Fault::Upgrade { .. } => {}
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use crate::{Fault, Links, Nodes, ScheduledFault, Way, With};

    #[test]
    fn what_is_said_of_time_is_so_many_times_as_long_and_the_rest_stays() {
        let links = || Links { of: Nodes::Leader, with: With::Peers, way: Way::Both };
        let rows = [
            (
                Fault::ClockJump { nodes: Nodes::Leader, wall_ms: -700, monotonic_ms: 0 },
                Fault::ClockJump { nodes: Nodes::Leader, wall_ms: -2_100, monotonic_ms: 0 },
            ),
            (
                Fault::Delay { links: links(), delay_us: 5, jitter_us: 7 },
                Fault::Delay { links: links(), delay_us: 15, jitter_us: 21 },
            ),
            (
                Fault::Rate { links: links(), bytes_per_s: 900 },
                Fault::Rate { links: links(), bytes_per_s: 300 },
            ),
            (Fault::Pause { nodes: Nodes::Leader }, Fault::Pause { nodes: Nodes::Leader }),
        ];
        for (fault, expected) in rows {
            let drawn = ScheduledFault { id: 4, at_ms: 10, for_ms: 20, fault, when: None };
            let long = drawn.stretched(3);
            assert_eq!((long.id, long.at_ms, long.for_ms), (4, 30, 60));
            assert_eq!(long.fault, expected);
            assert_eq!(drawn.stretched(1), drawn);
        }
    }
}
