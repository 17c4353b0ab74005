//! Whether the environment can do what a plan asks for.

use crate::plan::Plan;
use ordeal_nemesis::{Capability, Kind};

/// What a plan asks for and the environment lacks, in a sentence; `None` when it lacks nothing.
pub fn lacking(plan: &Plan, offers: &[Capability]) -> Option<String> {
    let asked = plan.schedule.kinds();
    let (there, missing): (Vec<Kind>, Vec<Kind>) =
        asked.into_iter().partition(|kind| offers.contains(&kind.needs()));
    if missing.is_empty() {
        return None;
    }
    let list = |kinds: &[Kind]| match kinds {
        [] => "none".to_owned(),
        kinds => kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(","),
    };
    let (missing, there) = (list(&missing), list(&there));
    Some(format!(
        "the plan asks for {missing}, which the sandbox cannot do here; `ordeal doctor` tells why, \
         and --nemesis {there} leaves it out"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanOptions;

    #[test]
    fn what_is_missing_is_refused_by_name() {
        let nemesis = vec![Kind::Kill, Kind::ClockJump, Kind::ClockDrift];
        let plan = Plan::derive(&PlanOptions { nemesis, ..PlanOptions::default() });
        let plan = plan.expect("a plan");
        assert_eq!(lacking(&plan, &[Capability::Kill, Capability::Clock]), None);
        let message = lacking(&plan, &[Capability::Kill, Capability::Link]).expect("a refusal");
        assert!(message.contains("asks for clock-jump,clock-drift, which"), "{message}");
        assert!(message.contains("--nemesis kill leaves"), "{message}");
        let message = lacking(&plan, &[]).expect("a refusal");
        assert!(message.contains("--nemesis none leaves"), "{message}");
    }
}
