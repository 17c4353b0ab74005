//! Whether the environment can do what a plan asks for.

use crate::plan::{Environment, Plan};
use ordeal_nemesis::{Capability, Kind};

/// What restoring a snapshot asks for, where the members' folders are on this machine.
const RESTORERS: &str = "it takes etcdutl or etcdctl beside --db or on the PATH";

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
    let restores = missing.iter().all(|kind| kind.needs() == Capability::Restore);
    let (place, why) = match &plan.environment {
        Environment::Sandbox if restores => ("the sandbox", RESTORERS),
        Environment::Sandbox => ("the sandbox", "`ordeal doctor` tells why"),
        Environment::Docker if restores => ("--env docker", RESTORERS),
        Environment::Docker => ("--env docker", "docs/environments.md tells what it can"),
        Environment::Ssh(_) => ("--env ssh", "docs/environments.md tells what its hosts must have"),
        Environment::Simulation => ("a simulation", "docs/simulation.md tells what it can"),
    };
    let (missing, there) = (list(&missing), list(&there));
    Some(format!(
        "the plan asks for {missing}, which {place} cannot do here; {why}, and --nemesis {there} \
         leaves it out"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanOptions;
    use ordeal_nemesis::Asked;

    #[test]
    fn what_is_missing_is_refused_by_name() {
        let kinds = [Kind::Kill, Kind::ClockJump, Kind::ClockDrift];
        let nemesis = kinds.map(Asked::from).to_vec();
        let plan = Plan::derive(&PlanOptions { nemesis, ..PlanOptions::default() });
        let plan = plan.expect("a plan");
        assert_eq!(lacking(&plan, &[Capability::Kill, Capability::Clock]), None);
        let message = lacking(&plan, &[Capability::Kill, Capability::Link]).expect("a refusal");
        assert!(message.contains("asks for clock-jump,clock-drift, which"), "{message}");
        assert!(message.contains("--nemesis kill leaves"), "{message}");
        let restore = vec![Kind::Restore.into(), Kind::Kill.into()];
        let plan_of_restore =
            Plan::derive(&PlanOptions { nemesis: restore, ..PlanOptions::default() });
        let message = lacking(&plan_of_restore.expect("a plan"), &[Capability::Kill]);
        let message = message.expect("a refusal");
        assert!(
            message.contains("the sandbox cannot do here; it takes etcdutl or etcdctl"),
            "{message}"
        );
        assert!(message.contains("--nemesis kill leaves it"), "{message}");
        let message = lacking(&plan, &[]).expect("a refusal");
        assert!(message.contains("--nemesis none leaves"), "{message}");
    }
}
