//! A script that was found and shrunk in simulation, played where time is real.
//!
//! The same operations by the same clients at the same moments, under the same faults; but what
//! lies between two moments is up to real processes, so it is played again and again until the
//! violation shows. What is said of time is stretched so that the cluster's timeouts are such as a
//! real machine keeps; the links are as slow as the simulated ones were; and whoever led when the
//! clients began leads again.

use crate::plan::{Environment, Plan};
use crate::run::{self, How};
use crate::sim::{class_of, simulate};
use crate::status;
use ordeal_nemesis::{Fault, Links, Nodes, ScheduledFault, Way, With};
use ordeal_reports::{Results, Ruling};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

type Failure = (String, u8);

/// Election timeouts below this are more than a real machine with other work keeps, in
/// milliseconds.
const ELECTION_MS_MIN: u64 = 500;
/// Simulated links that are faster than this on the whole are as fast as real ones, in
/// microseconds.
const LATENCY_US_MIN: u64 = 2_000;

/// Plays the script of `plan` in the sandbox, `tries` times at most, and gives the exit status:
/// that of a violation when it showed.
///
/// # Errors
/// What of ours failed, and the exit status.
pub fn play(plan: &Plan, out: &Path, tries: u32) -> Result<u8, Failure> {
    let ours = |why: String| (why, status::SOFTWARE);
    let simulated = simulate(&Plan { environment: Environment::Simulation, ..plan.clone() });
    let simulated = simulated.map_err(ours)?;
    await_one_thread();
    let expected = class_of(&simulated);
    if expected.is_empty() {
        let message = "in simulation this plan gives no violation, so there is none to look for";
        return Err((message.to_owned(), status::USAGE));
    }
    let real = on_real_time(plan, simulated.led);
    let list = |class: &BTreeSet<String>| class.iter().cloned().collect::<Vec<_>>().join(", ");
    say!("In simulation: invalid by {}.", list(&expected));
    let mut worst = status::VALID;
    for number in 1..=tries {
        let folder = out.join(format!("try-{number}"));
        let how = How { out: Some(folder.clone()), quiet: true, ..How::default() };
        let ended = run::run_plan(&real, &how);
        if ![status::VALID, status::INVALID, status::UNKNOWN].contains(&ended) {
            return Ok(ended);
        }
        let found = class_in(&folder)?;
        let of = format!("Try {number} of {tries}");
        if found.is_disjoint(&expected) {
            match ended {
                status::VALID => say!("{of}: valid."),
                status::INVALID => say!("{of}: invalid by {}, another class.", list(&found)),
                _ => say!("{of}: unknown."),
            }
            if ended == status::INVALID || worst == status::VALID {
                worst = ended;
            }
            continue;
        }
        say!("{of}: the same class of violation, invalid by {}.", list(&found));
        say!("Report: {}", folder.join("report.html").display());
        return Ok(status::INVALID);
    }
    say!(
        "The violation did not show in {tries} tries. On real time its moments fall otherwise each \
         time; --tries plays it more often."
    );
    Ok(worst)
}

/// The checkers' threads are told to end, and take a moment; the sandbox is entered by one alone.
fn await_one_thread() {
    let threads = || std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    for _ in 0..500 {
        if threads() == 1 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Where the tries go when nobody says.
pub fn folder(out: Option<PathBuf>) -> PathBuf {
    let now = crate::calendar::Moment::now().for_folder();
    out.unwrap_or_else(|| Path::new("runs").join("replay").join(now))
}

/// The plan for real processes: slow enough for them, and with the links that it was found on.
fn on_real_time(plan: &Plan, led: Option<ordeal_nemesis::NodeId>) -> Plan {
    let mut real = Plan { environment: Environment::Sandbox, leader: led, ..plan.clone() };
    let times = ELECTION_MS_MIN.div_ceil(plan.tuning.election_ms).max(1);
    let times = u32::try_from(times).unwrap_or(1);
    let long = u64::from(times);
    real.tuning.heartbeat_ms *= long;
    real.tuning.election_ms *= long;
    real.op_timeout_ms *= long;
    real.time_limit_ms *= long;
    real.move_every_ms *= long;
    for scripted in real.script.iter_mut().flatten() {
        scripted.at_us *= long;
    }
    for fault in &mut real.schedule.0 {
        *fault = fault.stretched(times);
    }
    let simulated = real.simulated.take().unwrap_or_default();
    if simulated.latency_us + simulated.latency_spread_us >= LATENCY_US_MIN {
        let us = |us: u64| u32::try_from(us * long).unwrap_or(u32::MAX);
        let id = real.schedule.0.iter().map(|fault| fault.id + 1).max().unwrap_or(0);
        for (id, with) in (id..).zip([With::Peers, With::Clients]) {
            // Both ways would be every link between two nodes twice.
            let way = if with == With::Peers { Way::Out } else { Way::Both };
            let links = Links { of: Nodes::These(real.nodes.clone()), with, way };
            let delay_us = us(simulated.latency_us);
            let fault =
                Fault::Delay { links, delay_us, jitter_us: us(simulated.latency_spread_us) };
            let for_ms = real.time_limit_ms;
            real.schedule.0.push(ScheduledFault { id, at_ms: 0, for_ms, fault, when: None });
        }
        real.schedule.0.sort_by_key(|fault| (fault.at_ms, fault.id));
    }
    real
}

/// The checkers that say invalid of a run.
fn class_in(folder: &Path) -> Result<BTreeSet<String>, Failure> {
    let path = folder.join("results.json");
    let failed = |why: String| (format!("{}: {why}", path.display()), status::SOFTWARE);
    let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    let results: Results =
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    let invalid = results.checkers.into_iter().filter(|it| it.verdict == Ruling::Invalid);
    Ok(invalid.map(|checker| checker.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{PlanOptions, Scripted};
    use crate::sim::Simulated;
    use ordeal_history::Value;
    use ordeal_nemesis::NodeId;

    #[test]
    fn what_is_too_fast_for_a_real_machine_is_stretched_and_slow_links_stay_slow() {
        let calm = PlanOptions { nemesis: Vec::new(), nodes: 3, ..PlanOptions::default() };
        let mut plan = Plan::derive(&calm).expect("a plan");
        plan.environment = Environment::Simulation;
        (plan.tuning.heartbeat_ms, plan.tuning.election_ms) = (20, 200);
        (plan.time_limit_ms, plan.op_timeout_ms) = (700, 100);
        let fault = Fault::Pause { nodes: Nodes::Leader };
        plan.schedule.0 = vec![ScheduledFault { id: 3, at_ms: 100, for_ms: 50, fault, when: None }];
        let read = Scripted {
            at_us: 1_500,
            client: 0,
            f: "read".to_owned(),
            key: None,
            value: Value::Null,
        };
        plan.script = Some(vec![read]);
        plan.simulated =
            Some(Simulated { latency_us: 500, latency_spread_us: 5_000, ..Simulated::default() });
        let real = on_real_time(&plan, Some(NodeId::numbered(2)));
        assert_eq!(real.validate(), Ok(()));
        assert_eq!((real.tuning.heartbeat_ms, real.tuning.election_ms), (60, 600));
        assert_eq!((real.time_limit_ms, real.op_timeout_ms), (2_100, 300));
        assert_eq!(real.script.iter().flatten().map(|it| it.at_us).collect::<Vec<_>>(), [4_500]);
        assert_eq!((real.leader, real.simulated), (Some(NodeId::numbered(2)), None));
        let kinds: Vec<_> = real.schedule.0.iter().map(|it| (it.at_ms, it.for_ms)).collect();
        assert_eq!(kinds, [(0, 2_100), (0, 2_100), (300, 150)]);
        let slow = Fault::Delay {
            links: Links { of: Nodes::These(real.nodes.clone()), with: With::Peers, way: Way::Out },
            delay_us: 1_500,
            jitter_us: 15_000,
        };
        assert_eq!(real.schedule.0[0].fault, slow);
        // What is slow enough by itself is played as it stands.
        (plan.tuning.heartbeat_ms, plan.tuning.election_ms) = (100, 1_000);
        plan.simulated = None;
        let real = on_real_time(&plan, None);
        assert_eq!((real.schedule, real.tuning), (plan.schedule, plan.tuning));
    }
}
