//! `--auto-compaction-mode` and `--auto-compaction-retention`: a node that leads compacts the
//! history by itself, to a time or to a number of revisions.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::driver::Handle;
use super::say::say;
use crate::core::{Credentials, Request, Response};
use crate::proto::etcdserverpb::CompactionRequest;

/// How much of the history is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AutoCompaction {
    /// All.
    #[default]
    Off,
    /// What is younger than that; the older goes as often, but at least once an hour.
    Periodic(Duration),
    /// So many revisions, looked at every five minutes.
    Revision(i64),
}

/// How often it is looked at where revisions are kept by their number.
const REVISION_INTERVAL: Duration = Duration::from_secs(5 * 60);

const HOUR: Duration = Duration::from_secs(60 * 60);

/// As often is looked at the newest revision between two compactions.
const LOOKS: usize = 10;

/// The least that is looked at between, whatever the retention.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Compacts for as long as the runtime lives.
pub(super) async fn run(mode: AutoCompaction, handle: Handle) {
    let Some(mut plan) = Plan::new(mode) else { return };
    let mut looks = interval(plan.interval);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let (leads, revision) = match handle.ask_as(Request::Vitals, Credentials::None).await {
            Ok(Response::Vitals(vitals)) => (vitals.is_leader, vitals.revision),
            _ => continue,
        };
        let Some(revision) = plan.look(revision).filter(|_| leads) else { continue };
        let request = Request::CompactUnasked(CompactionRequest { revision, physical: false });
        if handle.ask_as(request, Credentials::None).await.is_ok() {
            say(format_args!("compacts the history to revision {revision}"));
            plan.compacted = revision;
        }
    }
}

/// What was seen of revisions, and what follows.
struct Plan {
    interval: Duration,
    /// Revisions to keep; none where time counts.
    keeps: Option<i64>,
    /// The newest revisions at the last looks, as many as lie within the time.
    seen: VecDeque<i64>,
    looks: usize,
    looked: usize,
    compacted: i64,
}

impl Plan {
    fn new(mode: AutoCompaction) -> Option<Plan> {
        let (interval, keeps, looks) = match mode {
            AutoCompaction::Off => return None,
            AutoCompaction::Revision(keeps) => (REVISION_INTERVAL, Some(keeps), 0),
            AutoCompaction::Periodic(time) => {
                let interval = (time.min(HOUR) / LOOKS as u32).max(INTERVAL_MIN);
                let looks = time.as_nanos().div_ceil(interval.as_nanos());
                (interval, None, usize::try_from(looks).unwrap_or(usize::MAX))
            }
        };
        Some(Plan { interval, keeps, seen: VecDeque::new(), looks, looked: 0, compacted: 0 })
    }

    /// Takes note of the newest revision; gives the one to compact to, if it is time.
    fn look(&mut self, revision: i64) -> Option<i64> {
        let target = match self.keeps {
            Some(keeps) => revision - keeps,
            None => {
                self.seen.push_back(revision);
                let due = self.looked.is_multiple_of(LOOKS);
                self.looked += 1;
                if self.seen.len() <= self.looks {
                    return None;
                }
                self.seen.pop_front().filter(|_| due)?
            }
        };
        (target > 0 && target != self.compacted).then_some(target)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AutoCompaction, Plan};

    #[test]
    fn with_a_number_so_many_revisions_are_kept() {
        let mut plan = Plan::new(AutoCompaction::Revision(10)).expect("a plan");
        assert_eq!(plan.look(10), None);
        assert_eq!(plan.look(15), Some(5));
        plan.compacted = 5;
        assert_eq!(plan.look(15), None, "it is done already");
    }

    #[test]
    fn with_a_time_what_is_older_goes() {
        let mode = AutoCompaction::Periodic(Duration::from_secs(100));
        let mut plan = Plan::new(mode).expect("a plan");
        assert_eq!(plan.interval, Duration::from_secs(10));
        for look in 1..=10 {
            assert_eq!(plan.look(look), None);
        }
        assert_eq!(plan.look(11), Some(1));
        assert!((12..=20).all(|look| plan.look(look).is_none()));
        assert_eq!(plan.look(21), Some(11));
        let day = AutoCompaction::Periodic(Duration::from_secs(24 * 3_600));
        let plan = Plan::new(day).expect("a plan");
        assert_eq!((plan.interval.as_secs(), plan.looks), (360, 240));
        assert!(Plan::new(AutoCompaction::Off).is_none());
    }
}
