//! Less time: an earlier end, an earlier beginning, and shorter pauses in which nothing happens.

use super::Search;
use crate::plan::Plan;

/// A pause below this is not worth a try.
const PAUSE_US: u64 = 20_000;

impl Search {
    /// Ends when the last operation and the last fault have ended, begins when the first begins,
    /// and then halves the pauses between them, for as long as the class stays.
    pub(super) fn times(&mut self) {
        let short = cut(self.plan.clone());
        if short.time_limit_ms < self.plan.time_limit_ms {
            self.take(short);
        }
        if self.plan.script.is_none() {
            self.halve_the_limit();
            return;
        }
        let mut place = 0;
        while let Some((at_us, pause_us)) = pause(&self.plan, place)
            && !self.is_over()
        {
            // All of it, or half of it.
            let parts = [pause_us, pause_us / 2];
            let taken = parts.into_iter().any(|part_us| {
                part_us >= PAUSE_US && self.take(earlier(self.plan.clone(), at_us, part_us))
            });
            if !taken {
                place += 1;
            }
        }
    }

    fn halve_the_limit(&mut self) {
        while self.plan.time_limit_ms > 1 {
            let plan = Plan { time_limit_ms: self.plan.time_limit_ms / 2, ..self.plan.clone() };
            if !self.take(plan) {
                return;
            }
        }
    }
}

/// When the last operation of its script begins and the last fault ends; `None` without a script.
pub(super) fn end_ms(plan: &Plan) -> Option<u64> {
    let script = plan.script.as_ref()?;
    let operations = script.iter().map(|scripted| scripted.at_us / 1_000 + 1);
    let faults = plan.schedule.0.iter().map(|fault| fault.at_ms + fault.for_ms);
    Some(operations.chain(faults).max().unwrap_or(0))
}

/// The plan without what comes after the last operation of its script.
pub(super) fn cut(mut plan: Plan) -> Plan {
    let last_us = plan.script.iter().flatten().map(|scripted| scripted.at_us).max();
    let Some(last_us) = last_us else { return plan };
    plan.schedule.0.retain(|fault| fault.at_ms * 1_000 <= last_us);
    let end_ms = end_ms(&plan).unwrap_or(0).max(1);
    plan.time_limit_ms = plan.time_limit_ms.min(end_ms + 1);
    plan
}

/// The pause of this number before something begins, counted from the first, in which nothing
/// begins and no fault ends: when it ends, and how long it lasts.
fn pause(plan: &Plan, place: usize) -> Option<(u64, u64)> {
    let operations = plan.script.iter().flatten().map(|scripted| scripted.at_us);
    let faults = plan.schedule.0.iter();
    let faults = faults.flat_map(|it| [it.at_ms * 1_000, (it.at_ms + it.for_ms) * 1_000]);
    let mut moments: Vec<u64> = operations.chain(faults).chain([0]).collect();
    moments.sort_unstable();
    moments.dedup();
    let pauses = moments.windows(2).map(|pair| (pair[1], pair[1] - pair[0]));
    pauses.filter(|(_, lasts_us)| *lasts_us >= PAUSE_US).nth(place)
}

/// What begins or ends at `at_us` or after it does so a whole number of milliseconds earlier.
fn earlier(mut plan: Plan, at_us: u64, by_us: u64) -> Plan {
    let by_ms = by_us / 1_000;
    for scripted in plan.script.iter_mut().flatten().filter(|it| it.at_us >= at_us) {
        scripted.at_us -= by_ms * 1_000;
    }
    for fault in &mut plan.schedule.0 {
        let end_ms = fault.at_ms + fault.for_ms;
        if fault.at_ms * 1_000 >= at_us {
            fault.at_ms -= by_ms;
        } else if end_ms * 1_000 >= at_us {
            fault.for_ms = fault.for_ms.saturating_sub(by_ms).max(1);
        }
    }
    plan.time_limit_ms = plan.time_limit_ms.saturating_sub(by_ms).max(1);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{PlanOptions, Scripted};
    use ordeal_history::Value;
    use ordeal_nemesis::{Fault, Nodes, ScheduledFault};

    fn plan(operations_ms: &[u64], faults_ms: &[(u64, u64)]) -> Plan {
        let calm = PlanOptions { nemesis: Vec::new(), ..PlanOptions::default() };
        let mut plan = Plan::derive(&calm).expect("a plan");
        let operation = |at_ms: &u64| Scripted {
            at_us: at_ms * 1_000,
            client: 0,
            f: "read".to_owned(),
            key: None,
            value: Value::Null,
        };
        plan.script = Some(operations_ms.iter().map(operation).collect());
        let fault = |(id, &(at_ms, for_ms)): (u32, &(u64, u64))| {
            let fault = Fault::Pause { nodes: Nodes::Leader };
            ScheduledFault { id, at_ms, for_ms, fault, when: None }
        };
        plan.schedule.0 = (0..).zip(faults_ms).map(fault).collect();
        plan
    }

    fn told(plan: &Plan) -> (Vec<u64>, Vec<(u64, u64)>) {
        let operations = plan.script.iter().flatten().map(|it| it.at_us / 1_000).collect();
        (operations, plan.schedule.0.iter().map(|it| (it.at_ms, it.for_ms)).collect())
    }

    #[test]
    fn what_comes_after_the_last_operation_goes() {
        let short = cut(plan(&[100, 900], &[(50, 100), (800, 300), (1_000, 10)]));
        assert_eq!(told(&short), (vec![100, 900], vec![(50, 100), (800, 300)]));
        assert_eq!((short.time_limit_ms, end_ms(&short)), (1_101, Some(1_100)));
        assert_eq!(short.validate(), Ok(()));
    }

    #[test]
    fn a_pause_goes_and_what_lasts_through_it_lasts_less() {
        let long = plan(&[500, 2_500], &[(400, 3_000)]);
        let pauses: Vec<_> = (0..).map_while(|place| pause(&long, place)).collect();
        let ms = |at: u64, lasts: u64| (at * 1_000, lasts * 1_000);
        assert_eq!(pauses, [ms(400, 400), ms(500, 100), ms(2_500, 2_000), ms(3_400, 900)]);
        let (at_us, lasts_us) = pauses[2];
        let short = earlier(long, at_us, lasts_us);
        assert_eq!(told(&short), (vec![500, 500], vec![(400, 1_000)]));
    }
}
