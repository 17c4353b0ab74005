//! From a history and the course of its run to results.

mod ends;
mod logs;

use super::course::Course;
use crate::plan::{Db, Plan};
use ordeal_checker::{Checker, Cost, Judgement, Limits, Verdict, Witness};
use ordeal_history::History;
use ordeal_nemesis::{Capability, NodeId};
use ordeal_reports::{Circumstances, Difference, Judged, Results, Tested, coverage};
use ordeal_workloads::{Options, Visitor, Workload, visit};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a checker of a run may take.
const CHECK_MAX: Duration = Duration::from_secs(120);

/// What a checker of a run may take before it must say that it does not know.
pub fn limits() -> Limits {
    Limits { time: Some(CHECK_MAX), ..Limits::default() }
}

/// What is told of a run beside its history and course.
pub struct About {
    /// When it began, as text.
    pub started_at: String,
    /// When its clients began, in microseconds since 1970; `None` when they never did.
    pub clients_began_us: Option<u64>,
    /// The command line that does it again.
    pub command: String,
    /// What the server itself says of its version.
    pub db_version: Option<String>,
    /// What each node wrote to its log.
    pub logs: BTreeMap<NodeId, String>,
    /// What a checker may take before it must say that it does not know.
    pub limits: Limits,
}

/// The verdict on a run, and the judgements that it is made of.
pub struct Judgements {
    /// For files and reports.
    pub results: Results,
    /// Positions of the counterexample's operations, when there is one.
    pub counterexample: Option<Vec<u32>>,
}

struct Checkers<'a>(&'a Options);

impl Visitor for Checkers<'_> {
    type Output = Vec<Box<dyn Checker>>;
    fn visit<W: Workload>(self) -> Self::Output {
        W::checkers(self.0)
    }
}

/// The checkers of the plan's workload.
pub fn checkers(plan: &Plan) -> Vec<Box<dyn Checker>> {
    visit(&plan.workload.name, Checkers(&plan.workload.options)).unwrap_or_default()
}

/// Asks every checker, and adds the judgements of those who saw `more` than the history. Blocks for
/// as long as they take.
pub fn judge(
    plan: &Plan,
    history: &History,
    course: &Course,
    about: About,
    more: Vec<Judgement>,
) -> Judgements {
    let mut judged: Vec<Judged> = Vec::new();
    for checker in checkers(plan) {
        let began = Instant::now();
        let judgement = checker.check(history, &about.limits);
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        judged.push(Judged { judgement, ms });
    }
    judged.extend(contradiction(history, course, &judged));
    judged.extend(more.into_iter().map(|judgement| Judged { judgement, ms: 0 }));
    let scheduled = plan.scheduled();
    // A workload without operations is one: then the lines below are all there is to judge.
    if !(history.operations.is_empty() && checkers(plan).is_empty()) {
        judged.push(Judged { judgement: coverage(history, &scheduled), ms: 0 });
    }
    let failed = failed_by_their_disks(plan);
    let mut lines = vec![nodes(plan, history, course)];
    lines.extend(ends::equality(course, &failed));
    lines.push(ends::revisions(history, plan.workload.options.serializable, course));
    let faults = plan.schedule.0.iter().map(|scheduled| &scheduled.fault);
    lines.push(logs::judge(&about.logs, &failed, faults));
    judged.extend(lines.into_iter().map(|judgement| Judged { judgement, ms: 0 }));
    let counterexample = judged.iter().find_map(|one| match &one.judgement.verdict {
        Verdict::Invalid(found) if !found.operations.is_empty() => Some(found.operations.clone()),
        _ => None,
    });
    let circumstances = Circumstances {
        seed: plan.seed,
        bug: plan.bugs.clone(),
        scheduled,
        tested: tested(plan, about.db_version),
        started_at: about.started_at,
        clients_began_us: about.clients_began_us,
        duration_ms: u64::try_from(course.worked.as_millis()).unwrap_or(u64::MAX),
        command: about.command,
        interrupted: course.interrupted,
        stopped_after_ms: stopped_after_ms(course),
    };
    let mut results = Results::judge(history, &judged, circumstances);
    tell_differences(&mut results, &ends::differences(course, &failed));
    Judgements { results, counterexample }
}

/// Puts what members do not hold alike to the lines that say that they differ.
fn tell_differences(results: &mut Results, differences: &BTreeMap<&str, Vec<Difference>>) {
    for checker in &mut results.checkers {
        let told = differences.get(checker.name.as_str());
        if let (Some(found), Some(told)) = (&mut checker.counterexample, told) {
            found.differences.clone_from(told);
            if checker.name == "members-equal" && told.is_empty() {
                found.story.push(
                    "The keys that they hold now are the same: it is their past that differs."
                        .to_owned(),
                );
            }
        }
    }
}

/// When a violation ended the run, if one did.
fn stopped_after_ms(course: &Course) -> Option<u64> {
    let violation = course.violation.as_ref().filter(|_| course.stopped);
    violation.map(|violation| violation.time_ns / 1_000_000)
}

/// What is to be said when the check that ran along saw a violation, and no checker says that
/// there is one: a fault of ours, which must not pass.
fn contradiction(history: &History, course: &Course, judged: &[Judged]) -> Option<Judged> {
    let violation = course.violation.as_ref()?;
    if judged.iter().any(|one| matches!(one.judgement.verdict, Verdict::Invalid(_))) {
        return None;
    }
    let reason = format!(
        "The check that ran along saw a violation at event {} ({}), and no checker finds one in \
         the whole history; please report it.",
        violation.event, violation.reason
    );
    let judgement = Judgement {
        checker: "online".to_owned(),
        verdict: Verdict::Unknown(reason.clone()),
        algorithm: "watch".to_owned(),
        reason,
        operations: history.operations.len() as u64,
        cost: Cost::default(),
    };
    Some(Judged { judgement, ms: 0 })
}

/// The line `nodes`: none died on its own, and all answer when all faults are over.
///
/// A node that died is no violation of what clients were promised, but neither may it pass: a
/// panic under faults that the cluster should bear is invalid, whatever the clients saw.
fn nodes(plan: &Plan, history: &History, course: &Course) -> Judgement {
    let failed = failed_by_their_disks(plan);
    let held_against = |node: &NodeId| !failed.contains(node);
    let sentences: Vec<String> = course
        .deaths
        .iter()
        .filter(|death| held_against(&death.node))
        .map(|death| {
            let last = death.last_words.lines().last().unwrap_or_default();
            format!("{} died on its own ({}); its last words: {last}", death.node, death.how)
        })
        .collect();
    let dead: BTreeSet<_> = course.deaths.iter().map(|death| &death.node).collect();
    let silent = course.silent.iter().filter(|node| held_against(node));
    let silent: Vec<String> = silent.map(ToString::to_string).collect();
    let (verdict, reason) = if !sentences.is_empty() {
        let found =
            ordeal_checker::Counterexample { story: sentences.clone(), ..Default::default() };
        (Verdict::Invalid(found), sentences.join(". "))
    } else if !silent.is_empty() {
        let list = silent.join(", ");
        let reason = format!("After the last fault {list} answered no linearizable read in 20 s.");
        (Verdict::Unknown(reason.clone()), reason)
    } else if !course.trouble.is_empty() {
        let reason = course.trouble.join("; ");
        (Verdict::Unknown(reason.clone()), reason)
    } else {
        let reason = if course.interrupted {
            "No node died on its own before the interrupt.".to_owned()
        } else if course.stopped {
            "No node died on its own before the violation.".to_owned()
        } else {
            "No node died on its own, and all answered after the last fault.".to_owned()
        };
        (Verdict::Valid(Witness::default()), reason + &excused(&dead, &course.silent, &failed))
    };
    Judgement {
        checker: "nodes".to_owned(),
        verdict,
        algorithm: "watch".to_owned(),
        reason,
        operations: history.operations.len() as u64,
        cost: Cost::default(),
    }
}

/// The nodes whose disks fail, lie or go bad by this plan: a store may stop for good at that, and
/// etcd does. One that is restored from a snapshot must run.
pub fn failed_by_their_disks(plan: &Plan) -> BTreeSet<NodeId> {
    let faults = plan.schedule.0.iter().map(|scheduled| &scheduled.fault);
    let beyond = faults
        .filter(|fault| fault.needs() == Capability::Disk && !fault.kind().must_be_survived());
    beyond.flat_map(|fault| fault.strikes(None)).collect()
}

/// What is said of nodes that died or stay silent and may.
fn excused(dead: &BTreeSet<&NodeId>, silent: &[NodeId], failed: &BTreeSet<NodeId>) -> String {
    let down: BTreeSet<&NodeId> = dead.iter().copied().chain(silent).collect();
    let down: Vec<&str> =
        down.into_iter().filter(|node| failed.contains(node)).map(|node| node.0.as_str()).collect();
    if down.is_empty() {
        return String::new();
    }
    format!(" Not counted: {}, failed by their disks as the plan has it.", down.join(", "))
}

fn tested(plan: &Plan, said: Option<String>) -> Tested {
    let read = if plan.workload.options.serializable { "serializable" } else { "linearizable" };
    let version = match &plan.db {
        Db::Embedded => said,
        Db::Etcd { version, .. } => Some(said.unwrap_or_else(|| version.clone())),
    };
    let options: BTreeMap<String, String> = [
        ("read", read.to_owned()),
        ("rate_per_s", plan.rate_per_s.to_string()),
        ("keys", plan.workload.options.keys.to_string()),
        ("values", plan.workload.options.values.to_string()),
        ("skew", plan.workload.options.skew.to_string()),
        ("value_bytes", plan.workload.options.value_bytes.to_string()),
        ("auth", plan.auth.to_string()),
        ("tls", plan.tls.to_string()),
        ("time_limit_ms", plan.time_limit_ms.to_string()),
        ("op_timeout_ms", plan.op_timeout_ms.to_string()),
        ("heartbeat_ms", plan.tuning.heartbeat_ms.to_string()),
        ("election_ms", plan.tuning.election_ms.to_string()),
        ("faults", plan.schedule.budget(&plan.nodes).told()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    Tested {
        ordeal: env!("CARGO_PKG_VERSION").to_owned(),
        db: plan.db.shown(),
        db_version: version,
        nodes: plan.nodes.iter().map(ToString::to_string).collect(),
        workload: plan.workload.name.clone(),
        nemesis: plan.nemesis.iter().map(ToString::to_string).collect(),
        environment: plan.environment.name().to_owned(),
        concurrency: u64::from(plan.concurrency),
        options,
        host: host(),
    }
}

/// Facts about the machine that bear on figures.
fn host() -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    if let Ok(name) = nix::sys::utsname::uname() {
        let release = name.release().to_string_lossy().into_owned();
        facts.insert("kernel".to_owned(), release);
    }
    if let Ok(cpus) = std::thread::available_parallelism() {
        facts.insert("cpus".to_owned(), cpus.to_string());
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanOptions;
    use crate::run::environment::Death;
    use ordeal_nemesis::Kind;

    fn calm() -> Plan {
        let calm = PlanOptions { nemesis: Vec::new(), ..PlanOptions::default() };
        Plan::derive(&calm).expect("a plan without faults")
    }

    #[test]
    fn a_death_is_invalid_silence_and_trouble_are_unknown_and_neither_is_valid() {
        let (node, how) = (NodeId::numbered(2), "SIGABRT".to_owned());
        let death = Death { node, how, last_words: "a\npanic: broken".to_owned() };
        let rows = [
            (Course::default(), "valid", "all answered after the last fault"),
            (Course { deaths: vec![death], ..Course::default() }, "invalid", "panic: broken"),
            (
                Course { silent: vec![NodeId::numbered(3)], ..Course::default() },
                "unknown",
                "After the last fault n3 answered no linearizable read",
            ),
            (
                Course { trouble: vec!["no disk".to_owned()], ..Course::default() },
                "unknown",
                "no disk",
            ),
            (Course { interrupted: true, ..Course::default() }, "valid", "before the interrupt"),
            (Course { stopped: true, ..Course::default() }, "valid", "before the violation"),
        ];
        let plan = calm();
        for (course, expected, reason) in rows {
            let judgement = nodes(&plan, &History::default(), &course);
            let verdict = match judgement.verdict {
                Verdict::Valid(_) => "valid",
                Verdict::Invalid(_) => "invalid",
                Verdict::Unknown(_) => "unknown",
            };
            assert_eq!(verdict, expected, "{course:?}");
            assert!(judgement.reason.contains(reason), "{}", judgement.reason);
        }
    }

    #[test]
    fn a_violation_that_only_the_check_along_the_way_saw_is_a_fault_of_ours_and_does_not_pass() {
        let violation = ordeal_checker::Violation {
            event: 7,
            time_ns: 1,
            key: None,
            events: vec![7],
            reason: "process 1 read 5".to_owned(),
        };
        let course = Course { violation: Some(violation), stopped: true, ..Course::default() };
        let judged = |verdict| {
            let mut judgement = nodes(&calm(), &History::default(), &Course::default());
            judgement.verdict = verdict;
            Judged { judgement, ms: 0 }
        };
        let history = History::default();
        let found = contradiction(&history, &course, &[judged(Verdict::Valid(Witness::default()))]);
        let found = found.expect("they contradict each other").judgement;
        assert!(matches!(found.verdict, Verdict::Unknown(_)));
        assert!(found.reason.contains("at event 7 (process 1 read 5)"), "{}", found.reason);
        let agreed = judged(Verdict::Invalid(ordeal_checker::Counterexample::default()));
        assert!(contradiction(&history, &course, &[agreed]).is_none());
        assert!(contradiction(&history, &Course::default(), &[]).is_none());
    }

    #[test]
    fn a_node_whose_disk_failed_by_plan_may_die_and_stay_silent() {
        let lying = PlanOptions { nemesis: vec![Kind::LyingDisk.into()], ..PlanOptions::default() };
        let plan = Plan::derive(&lying).expect("a plan of lying disks");
        let node = NodeId::numbered(2);
        let death = Death { node, how: "SIGABRT".to_owned(), last_words: String::new() };
        let silent = vec![NodeId::numbered(3)];
        let course = Course { deaths: vec![death], silent, ..Course::default() };
        let judgement = nodes(&plan, &History::default(), &course);
        assert!(matches!(judgement.verdict, Verdict::Valid(_)), "{}", judgement.reason);
        assert!(judgement.reason.contains("Not counted: n2, n3"), "{}", judgement.reason);
    }
}
