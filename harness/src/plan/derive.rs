//! From a seed and the command line to a plan.

use super::{Db, Environment, Mistake, Plan, Tuning, VERSION, Work};
use crate::seed;
use ordeal_nemesis::{Kind, NodeId, Schedule};
use ordeal_workloads::Options;

/// What the command line decides. The rest is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// The seed of everything.
    pub seed: u64,
    /// What is put on trial.
    pub db: Db,
    /// How many nodes.
    pub nodes: usize,
    /// Bugs to switch on.
    pub bugs: Vec<String>,
    /// The workload's name.
    pub workload: String,
    /// How many keys are in play at once.
    pub keys: u32,
    /// Reads that may be stale.
    pub serializable: bool,
    /// How many clients; `None` is two for each node.
    pub concurrency: Option<u32>,
    /// Operations a second, all clients together.
    pub rate_per_s: u32,
    /// How long, in milliseconds.
    pub time_limit_ms: u64,
    /// How long a client waits for an answer, in milliseconds.
    pub op_timeout_ms: u64,
    /// The kinds of fault.
    pub nemesis: Vec<Kind>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions {
            seed: 0,
            db: Db::Embedded,
            nodes: 5,
            bugs: Vec::new(),
            workload: "register".to_owned(),
            keys: 8,
            serializable: false,
            concurrency: None,
            rate_per_s: 500,
            time_limit_ms: 20_000,
            op_timeout_ms: 1_000,
            nemesis: Kind::survivable(),
        }
    }
}

impl Plan {
    /// The plan that these options name; the same options always name the same one.
    ///
    /// # Errors
    ///
    /// A [`Mistake`] when they make no sense together.
    pub fn derive(options: &PlanOptions) -> Result<Plan, Mistake> {
        let nodes: Vec<NodeId> = (1..=options.nodes).map(NodeId::numbered).collect();
        let mut nemesis = options.nemesis.clone();
        nemesis.sort();
        nemesis.dedup();
        let mut rng = seed::stream(options.seed, "nemesis");
        let schedule = Schedule::generate(&nemesis, &nodes, options.time_limit_ms, &mut rng);
        let twice = 2 * u32::try_from(options.nodes).unwrap_or(u32::MAX / 2);
        let plan = Plan {
            version: VERSION,
            seed: options.seed,
            environment: Environment::Sandbox,
            db: options.db.clone(),
            nodes,
            bugs: options.bugs.clone(),
            workload: Work {
                name: options.workload.clone(),
                options: Options { keys: options.keys, serializable: options.serializable },
            },
            concurrency: options.concurrency.unwrap_or(twice),
            rate_per_s: options.rate_per_s,
            time_limit_ms: options.time_limit_ms,
            op_timeout_ms: options.op_timeout_ms,
            tuning: Tuning { heartbeat_ms: 50, election_ms: 500 },
            nemesis,
            schedule,
        };
        plan.validate()?;
        Ok(plan)
    }
}
