//! The command line of `ordeal run`, and what of it can be done today.

use super::target::{self, TargetError};
use crate::duration;
use crate::nearest::instead;
use crate::plan::{Db, Environment, Hosts, HostsError, Mistake, Plan, PlanError, PlanOptions};
use crate::status;
use clap::{Args, ValueEnum};
use ordeal_nemesis::{Asked, Kind};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

/// How many nodes a cluster has when nobody says.
const NODES: usize = 5;

/// The options of `ordeal run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Where the cluster runs
    #[arg(long, value_enum, default_value = "sandbox")]
    pub env: Env,
    /// The hosts of --env ssh: a file with `[USER@]HOST [ADDRESS]` on each line
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub hosts: Option<PathBuf>,
    /// The settings of `ssh` for --env ssh, in place of the user's own
    #[arg(long, value_name = "FILE", requires = "hosts")]
    pub ssh_config: Option<PathBuf>,
    /// What is put on trial: `embedded`, or the path of an etcd-compatible server binary
    #[arg(long, value_name = "embedded|PATH", default_value = "embedded")]
    pub db: String,
    /// How many members the cluster has [default: 5, or with --hosts as many as there are]
    #[arg(long, value_name = "N")]
    pub nodes: Option<usize>,
    /// What the clients do; `ordeal list workloads` tells of each
    #[arg(long, value_name = "NAME", default_value = "register")]
    pub workload: String,
    /// What goes wrong: names separated by commas (`ordeal list faults` tells of each), or `none`,
    /// or `all`: whatever a cluster must survive. A name may say more:
    /// NAME[=WEIGHT][@TARGET][:TRIGGER], with one, minority, majority, all, leader, followers or
    /// n1+n2 for a target, and election, snapshot, lock or key/PREFIX for what it waits for
    #[arg(long, value_name = "LIST", default_value = "kill,pause,partition")]
    pub nemesis: String,
    /// Switch some of the faults off and weigh the rest, by the seed
    #[arg(long)]
    pub swarm: bool,
    /// Restart the members one by one as this binary while the clients work
    #[arg(long, value_name = "PATH")]
    pub upgrade_to: Option<String>,
    /// How long the clients work, such as 20s or 1m30s
    #[arg(long, value_name = "DUR", default_value = "20s", value_parser = duration::parse)]
    pub time_limit: Duration,
    /// How many clients work at once [default: two for each node]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,
    /// Operations a second, all clients together
    #[arg(long, value_name = "OPS_PER_S", default_value_t = 500)]
    pub rate: u32,
    /// How many keys are in play at once
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub keys: u32,
    /// So few values are written, again and again [default: every value is a new one]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub values: u32,
    /// How much more often the first keys are chosen than the last; at 0 all alike
    #[arg(long, value_name = "0-8", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=8))]
    pub skew: u32,
    /// The least length of a value
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub value_bytes: u32,
    /// How long a client waits for an answer
    #[arg(long, value_name = "DUR", default_value = "1s", value_parser = duration::parse)]
    pub op_timeout: Duration,
    /// Each client turns to the next member after so long, such as 3s [default: it stays]
    #[arg(long, value_name = "DUR", value_parser = duration::parse)]
    pub move_every: Option<Duration>,
    /// What every draw comes from [default: a new one]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Clients with users, roles and passwords
    #[arg(long)]
    pub auth: bool,
    /// Clients and members with certificates
    #[arg(long)]
    pub tls: bool,
    /// Entries that a member applies between two snapshots [default: the server's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_count: Option<u64>,
    /// A flag that every member's server is given besides those that Ordeal sets, such as
    /// --db-arg=--experimental-compaction-batch-limit=1; may be given several times
    #[arg(long = "db-arg", value_name = "FLAG", allow_hyphen_values = true)]
    pub db_args: Vec<String>,
    /// A bug to switch on in the embedded cluster; may be given several times
    #[arg(long = "bug", value_name = "NAME")]
    pub bugs: Vec<String>,
    /// How the clients read; serializable reads may be stale by design
    #[arg(long, value_enum, default_value = "linearizable")]
    pub read: Read,
    /// The run's folder, new or empty [default: runs/NAME/TIME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run this plan, as an earlier run wrote it, in place of one from the other options
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "env", "hosts", "ssh_config", "db", "nodes", "workload", "nemesis", "swarm", "upgrade_to",
        "time_limit", "concurrency", "rate", "keys", "values", "skew", "value_bytes", "op_timeout",
        "move_every", "seed", "auth", "tls", "snapshot_count", "bugs", "db_args",
        "read",
    ])]
    pub plan: Option<PathBuf>,
    /// Write down what passes on these links, in the run's folder `pcap`, for tcpdump and
    /// Wireshark: such as n1-n2,n1-clients, or all
    #[arg(long, value_name = "LINKS")]
    pub pcap: Option<String>,
    /// End the run at the first violation, and judge what was recorded until then
    #[arg(long)]
    pub fail_fast: bool,
    /// Keep the history as history.jsonl.gz once it is judged; `ordeal check` reads it as well
    #[arg(long)]
    pub compress: bool,
    /// Print the result as one JSON object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// Where a cluster can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Env {
    /// Real processes in namespaces of their own
    Sandbox,
    /// Containers
    Docker,
    /// Hosts that are there already
    Ssh,
}

/// How clients read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Read {
    /// What is read was current at some moment during the read
    Linearizable,
    /// What the asked node has, perhaps stale
    Serializable,
}

/// Why a command line cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// It makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// The plan's file is at fault.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The hosts' file is at fault.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// It asks for what cannot be had.
    #[error("{0}")]
    Unavailable(String),
    /// The database cannot be put on trial.
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl ArgsError {
    /// The exit status that says so.
    pub fn exit_status(&self) -> u8 {
        match self {
            ArgsError::Senseless(_) | ArgsError::Plan(_) | ArgsError::Hosts(_) => status::USAGE,
            ArgsError::Unavailable(_) | ArgsError::Target(_) => status::UNAVAILABLE,
        }
    }
}

impl RunArgs {
    /// The plan that these options name, checked, with its database looked at.
    ///
    /// # Errors
    ///
    /// [`ArgsError`], one clear sentence.
    pub fn plan(&self) -> Result<Plan, ArgsError> {
        if let Some(path) = &self.plan {
            let plan = Plan::load(path)?;
            if plan.environment == Environment::Simulation {
                return Err(ArgsError::Senseless(format!(
                    "--plan {0}: this plan is for a simulation; `ordeal replay {0}` runs it again",
                    path.display()
                )));
            }
            for db in std::iter::once(&plan.db).chain(&plan.upgrade_to) {
                if let Db::Etcd { path, .. } = db {
                    target::look(&path.display().to_string())?;
                }
            }
            self.refuse_what_is_not_there(&plan.environment, plan.tls)?;
            return Ok(plan);
        }
        let environment = self.environment()?;
        self.refuse_what_is_not_there(&environment, self.tls)?;
        let options = PlanOptions {
            seed: self.seed.unwrap_or_else(new_seed),
            nodes: self.nodes.unwrap_or(match &environment {
                Environment::Ssh(hosts) => hosts.hosts.len(),
                _ => NODES,
            }),
            environment,
            db: target::look(&self.db)?,
            bugs: self.bugs.clone(),
            db_args: self.db_args.clone(),
            auth: self.auth,
            tls: self.tls,
            snapshot_count: self.snapshot_count,
            workload: self.workload.clone(),
            keys: self.keys,
            serializable: self.read == Read::Serializable,
            values: self.values,
            skew: self.skew,
            value_bytes: self.value_bytes,
            concurrency: self.concurrency,
            rate_per_s: self.rate,
            time_limit_ms: millis(self.time_limit),
            op_timeout_ms: millis(self.op_timeout),
            move_every_ms: self.move_every.map_or(0, |every| millis(every).max(1)),
            thinned: false,
            nemesis: asked(&self.nemesis)?,
            swarm: self.swarm,
            upgrade_to: self
                .upgrade_to
                .as_deref()
                .map(target::look)
                .transpose()
                .map_err(|it| it.of("--upgrade-to"))?,
        };
        Plan::derive(&options).map_err(|mistake| ArgsError::Senseless(as_option(&mistake)))
    }

    fn refuse_what_is_not_there(&self, place: &Environment, tls: bool) -> Result<(), ArgsError> {
        let on_hosts = matches!(place, Environment::Ssh(_));
        let refusal = if tls && on_hosts {
            "--tls: hosts are given no certificates; leave it out, and connections are plain"
        } else if self.pcap.is_some() && on_hosts {
            "--pcap: what passes on links of hosts is not written down; leave it out"
        } else {
            return Ok(());
        };
        Err(ArgsError::Unavailable(refusal.to_owned()))
    }

    fn environment(&self) -> Result<Environment, ArgsError> {
        match (self.env, &self.hosts) {
            (Env::Sandbox, None) => Ok(Environment::Sandbox),
            (Env::Docker, None) => Ok(Environment::Docker),
            (Env::Ssh, Some(path)) => {
                Ok(Environment::Ssh(Hosts::load(path, self.ssh_config.clone())?))
            }
            (Env::Ssh, None) => {
                Err(ArgsError::Senseless("--env ssh: name its hosts with --hosts FILE".to_owned()))
            }
            (_, Some(_)) => {
                let message = "--hosts: hosts are for --env ssh; add it, or leave them out";
                Err(ArgsError::Senseless(message.to_owned()))
            }
        }
    }
}

/// What `--nemesis` asks for.
pub fn asked(list: &str) -> Result<Vec<Asked>, ArgsError> {
    match list {
        "none" => return Ok(Vec::new()),
        "all" => return Ok(Kind::survivable().into_iter().map(Asked::from).collect()),
        _ => {}
    }
    let known: Vec<&str> =
        Kind::ALL.iter().map(|kind| kind.name()).chain(["none", "all"]).collect();
    list.split(',')
        .map(|one| {
            let one = one.trim();
            one.parse().map_err(|why: String| {
                let name = one.split(['=', '@', ':']).next().unwrap_or_default();
                let instead = match Kind::named(name) {
                    Some(_) => String::new(),
                    None => instead(name, &known),
                };
                ArgsError::Senseless(format!("--nemesis: {why}{instead}"))
            })
        })
        .collect()
}

/// A mistake in a plan, told by the option that it came from.
fn as_option(mistake: &Mistake) -> String {
    let options = [
        ("nodes", "--nodes"),
        ("environment.ssh.hosts", "--hosts"),
        ("bugs", "--bug"),
        ("db_args", "--db-arg"),
        ("workload.name", "--workload"),
        ("workload.options.keys", "--keys"),
        ("workload.options.skew", "--skew"),
        ("workload.options.value_bytes", "--value-bytes"),
        ("concurrency", "--concurrency"),
        ("rate_per_s", "--rate"),
        ("time_limit_ms", "--time-limit (in milliseconds)"),
        ("op_timeout_ms", "--op-timeout (in milliseconds)"),
        ("auth", "--auth"),
        ("nemesis", "--nemesis"),
        ("upgrade_to", "--upgrade-to"),
        ("tuning.snapshot_count", "--snapshot-count"),
    ];
    let field = mistake.field.split('[').next().unwrap_or_default();
    match options.iter().find(|(name, _)| *name == field) {
        Some((_, option)) => format!("{option}: {}", mistake.message),
        None => mistake.to_string(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A seed that no earlier run had, short enough to be typed.
fn new_seed() -> u64 {
    RandomState::new().build_hasher().finish() % 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        run: RunArgs,
    }

    fn plan(args: &[&str]) -> Result<Plan, ArgsError> {
        let cli = Cli::try_parse_from(std::iter::once(&"run").chain(args))
            .map_err(|error| ArgsError::Senseless(error.to_string()))?;
        cli.run.plan()
    }

    #[test]
    fn no_option_at_all_is_a_run_worth_seeing() -> Result<(), ArgsError> {
        let plan = plan(&[])?;
        assert_eq!((plan.nodes.len(), plan.concurrency, plan.rate_per_s), (5, 10, 500));
        assert_eq!((plan.db, plan.time_limit_ms), (Db::Embedded, 20_000));
        assert_eq!(plan.nemesis, [Kind::Kill, Kind::Pause, Kind::Partition].map(Asked::from));
        Ok(())
    }

    #[test]
    fn options_go_into_the_plan() -> Result<(), ArgsError> {
        let plan = plan(&[
            "--nodes=3",
            "--nemesis=partition, kill",
            "--time-limit=1m",
            "--concurrency=30",
            "--rate=2000",
            "--seed=4",
            "--read=serializable",
            "--keys=2",
        ])?;
        assert_eq!((plan.nodes.len(), plan.concurrency, plan.rate_per_s), (3, 30, 2_000));
        assert_eq!((plan.seed, plan.time_limit_ms), (4, 60_000));
        assert_eq!(plan.nemesis, [Kind::Kill, Kind::Partition].map(Asked::from));
        assert_eq!((plan.workload.options.keys, plan.workload.options.serializable), (2, true));
        Ok(())
    }

    #[test]
    fn whether_to_fail_fast_is_no_part_of_the_plan_and_goes_with_one() {
        let parse = |args: &[&str]| Cli::try_parse_from(std::iter::once(&"run").chain(args));
        let fast = parse(&["--plan=plan.json", "--fail-fast"]);
        assert!(fast.is_ok_and(|cli| cli.run.fail_fast));
        let plans = [&["--seed=4"][..], &["--seed=4", "--fail-fast"]].map(|args| plan(args).ok());
        assert!(plans[0].is_some() && plans[0] == plans[1]);
    }

    #[test]
    fn what_cannot_be_followed_is_one_sentence_and_the_right_status() {
        let rows: [(&[&str], u8, &str); 13] = [
            (
                &["--workload=registr"],
                64,
                "--workload: there is no workload `registr`; did you mean register?",
            ),
            (
                &["--nemesis=partion"],
                64,
                "--nemesis: there is no fault `partion`; did you mean partition?",
            ),
            (&["--nodes=0"], 64, "--nodes: 0 nodes; expected 1 to"),
            (&["--nodes=1"], 64, "--nemesis: partition needs 2 nodes, and there are 1"),
            (&["--rate=0"], 64, "--rate: 0 is out of range"),
            (&["--time-limit=0s"], 64, "--time-limit (in milliseconds): 0 is out of range"),
            (&["--bug=no-such"], 64, "--bug: there is no bug `no-such`"),
            (&["--plan=/no/such/plan.json"], 64, "cannot read the plan /no/such/plan.json"),
            (&["--db=/no/such/etcd"], 69, "--db /no/such/etcd: there is no such file"),
            (&["--snapshot-count=0"], 64, "--snapshot-count"),
            (&["--env=ssh"], 64, "--env ssh: name its hosts with --hosts FILE"),
            (&["--hosts=hosts"], 64, "--hosts: hosts are for --env ssh"),
            (&["--env=ssh", "--hosts=/no/such/hosts"], 64, "--hosts /no/such/hosts: No such file"),
        ];
        for (args, status, expected) in rows {
            let said = plan(args).map_err(|error| (error.exit_status(), error.to_string()));
            let Err((found, message)) = said else { panic!("{args:?} made a plan") };
            assert_eq!(found, status, "{args:?}: {message}");
            assert!(message.contains(expected), "{args:?}: {message}");
        }
    }
}
