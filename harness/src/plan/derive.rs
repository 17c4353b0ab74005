//! From a seed and the command line to a plan.

use super::{Db, Environment, Mistake, Plan, Tuning, VERSION, Work};
use crate::seed;
use ordeal_nemesis::{Asked, Cluster, Kind, NodeId, Schedule};
use ordeal_workloads::Options;

/// What the command line decides. The rest is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// The seed of everything.
    pub seed: u64,
    /// Where.
    pub environment: Environment,
    /// What is put on trial.
    pub db: Db,
    /// How many nodes.
    pub nodes: usize,
    /// Bugs to switch on.
    pub bugs: Vec<String>,
    /// More flags for the server.
    pub db_args: Vec<String>,
    /// Users and rights; a workload that needs them has them in any case.
    pub auth: bool,
    /// Encrypted connections.
    pub tls: bool,
    /// Entries between two snapshots; `None` leaves it to the server.
    pub snapshot_count: Option<u64>,
    /// The workload's name.
    pub workload: String,
    /// How many keys are in play at once.
    pub keys: u32,
    /// Reads that may be stale.
    pub serializable: bool,
    /// How many values there are; 0: every one is new.
    pub values: u32,
    /// How much more often the first keys are chosen.
    pub skew: u32,
    /// The least length of a value.
    pub value_bytes: u32,
    /// How many clients; `None` is two for each node.
    pub concurrency: Option<u32>,
    /// Operations a second, all clients together.
    pub rate_per_s: u32,
    /// How long, in milliseconds.
    pub time_limit_ms: u64,
    /// How long a client waits for an answer, in milliseconds.
    pub op_timeout_ms: u64,
    /// Milliseconds after which each client turns to the next member; 0: it stays.
    pub move_every_ms: u64,
    /// Operations of some functions are left out, which ones the seed says.
    pub thinned: bool,
    /// What goes wrong.
    pub nemesis: Vec<Asked>,
    /// Whether some of it is switched off and the rest weighed, by the seed.
    pub swarm: bool,
    /// What members are upgraded to.
    pub upgrade_to: Option<Db>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions {
            seed: 0,
            environment: Environment::Sandbox,
            db: Db::Embedded,
            nodes: 5,
            bugs: Vec::new(),
            db_args: Vec::new(),
            auth: false,
            tls: false,
            workload: "register".to_owned(),
            keys: 8,
            serializable: false,
            values: 0,
            skew: 0,
            value_bytes: 0,
            concurrency: None,
            rate_per_s: 500,
            time_limit_ms: 20_000,
            op_timeout_ms: 1_000,
            move_every_ms: 0,
            thinned: false,
            nemesis: Kind::survivable().into_iter().map(Asked::from).collect(),
            swarm: false,
            upgrade_to: None,
            snapshot_count: None,
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
        let mut switched_off = Vec::new();
        if options.swarm {
            let mut rng = seed::stream(options.seed, "swarm");
            (nemesis, switched_off) = Asked::swarm(&nemesis, &mut rng);
        }
        if options.upgrade_to.is_some() && nemesis.iter().all(|it| it.kind != Kind::Upgrade) {
            nemesis.push(Asked::from(Kind::Upgrade));
        }
        let grows = nemesis.iter().any(|asked| asked.kind == Kind::MemberAdd);
        let spares: Vec<NodeId> =
            grows.then(|| NodeId::numbered(options.nodes + 1)).into_iter().collect();
        let second = second(options);
        let mut rng = seed::stream(options.seed, "nemesis");
        let cluster = Cluster { nodes: &nodes, spares: &spares };
        let schedule = Schedule::generate(&nemesis, cluster, options.time_limit_ms, &mut rng);
        let twice = 2 * u32::try_from(options.nodes).unwrap_or(u32::MAX / 2);
        let plan = Plan {
            version: VERSION,
            seed: options.seed,
            environment: options.environment.clone(),
            db: options.db.clone(),
            nodes,
            spares,
            second,
            upgrade_to: options.upgrade_to.clone(),
            bugs: options.bugs.clone(),
            db_args: options.db_args.clone(),
            auth: options.auth || needs_auth(&options.workload),
            tls: options.tls,
            workload: Work {
                name: options.workload.clone(),
                thinned: options.thinned,
                options: Options {
                    keys: options.keys,
                    serializable: options.serializable,
                    values: options.values,
                    skew: options.skew,
                    value_bytes: options.value_bytes,
                },
            },
            concurrency: options.concurrency.unwrap_or(twice),
            rate_per_s: options.rate_per_s,
            time_limit_ms: options.time_limit_ms,
            op_timeout_ms: options.op_timeout_ms,
            move_every_ms: options.move_every_ms,
            tuning: Tuning {
                heartbeat_ms: 50,
                election_ms: 500,
                snapshot_count: options.snapshot_count,
            },
            leader: None,
            nemesis,
            switched_off,
            schedule,
            script: None,
            simulated: None,
        };
        plan.validate()?;
        Ok(plan)
    }
}

/// The second cluster, one node, where the workload works on two and there is room for it. Hosts
/// are as many as they are, and a simulation is of one cluster: there both are one.
fn second(options: &PlanOptions) -> Vec<NodeId> {
    let has_room = matches!(options.environment, Environment::Sandbox | Environment::Docker);
    let all = ordeal_workloads::all();
    let wanted = all.iter().any(|it| it.name == options.workload && it.two_clusters);
    (has_room && wanted).then(|| NodeId("s1".to_owned())).into_iter().collect()
}

/// Whether the workload of this name is one about users and rights.
fn needs_auth(name: &str) -> bool {
    ordeal_workloads::all().iter().any(|workload| workload.name == name && workload.auth)
}
