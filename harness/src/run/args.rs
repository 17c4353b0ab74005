//! The command line of `ordeal run`, and what of it can be done today.

use super::target::{self, TargetError};
use crate::duration;
use crate::nearest::instead;
use crate::plan::{Db, Mistake, Plan, PlanError, PlanOptions};
use crate::status;
use clap::{Args, ValueEnum};
use ordeal_nemesis::Kind;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

/// The options of `ordeal run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Where the cluster runs
    #[arg(long, value_enum, default_value = "sandbox")]
    pub env: Env,
    /// What is put on trial: `embedded`, or the path of an etcd-compatible server binary
    #[arg(long, value_name = "embedded|PATH", default_value = "embedded")]
    pub db: String,
    /// How many members the cluster has
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub nodes: usize,
    /// What the clients do; `ordeal list workloads` tells of each
    #[arg(long, value_name = "NAME", default_value = "register")]
    pub workload: String,
    /// What goes wrong: names separated by commas (`ordeal list faults` tells of each), or `none`,
    /// or `all`: whatever a cluster must survive
    #[arg(long, value_name = "LIST", default_value = "kill,pause,partition")]
    pub nemesis: String,
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
    /// How long a client waits for an answer
    #[arg(long, value_name = "DUR", default_value = "1s", value_parser = duration::parse)]
    pub op_timeout: Duration,
    /// What every draw comes from [default: a new one]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Clients with users, roles and passwords
    #[arg(long)]
    pub auth: bool,
    /// Clients and members with certificates
    #[arg(long)]
    pub tls: bool,
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
        "env", "db", "nodes", "workload", "nemesis", "time_limit", "concurrency", "rate", "keys",
        "op_timeout", "seed", "auth", "tls", "bugs", "read",
    ])]
    pub plan: Option<PathBuf>,
    /// End the run at the first violation, and judge what was recorded until then
    #[arg(long)]
    pub fail_fast: bool,
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
            ArgsError::Senseless(_) | ArgsError::Plan(_) => status::USAGE,
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
            if let Db::Etcd { path, .. } = &plan.db {
                target::look(&path.display().to_string())?;
            }
            return Ok(plan);
        }
        self.refuse_what_is_not_there()?;
        let options = PlanOptions {
            seed: self.seed.unwrap_or_else(new_seed),
            db: target::look(&self.db)?,
            nodes: self.nodes,
            bugs: self.bugs.clone(),
            workload: self.workload.clone(),
            keys: self.keys,
            serializable: self.read == Read::Serializable,
            concurrency: self.concurrency,
            rate_per_s: self.rate,
            time_limit_ms: millis(self.time_limit),
            op_timeout_ms: millis(self.op_timeout),
            nemesis: kinds(&self.nemesis)?,
        };
        Plan::derive(&options).map_err(|mistake| ArgsError::Senseless(as_option(&mistake)))
    }

    fn refuse_what_is_not_there(&self) -> Result<(), ArgsError> {
        let refusal = match self.env {
            Env::Docker => {
                "--env docker: containers are yet to come; `--env sandbox` needs no daemon"
            }
            Env::Ssh => "--env ssh: remote hosts are yet to come; `--env sandbox` runs on this one",
            Env::Sandbox if self.tls => {
                "--tls: encrypted connections are yet to come; leave it out, and they are plain"
            }
            Env::Sandbox if self.auth => {
                "--auth: users and roles are yet to come; without it clients need no password"
            }
            Env::Sandbox => return Ok(()),
        };
        Err(ArgsError::Unavailable(refusal.to_owned()))
    }
}

/// The kinds of fault that `--nemesis` names.
fn kinds(list: &str) -> Result<Vec<Kind>, ArgsError> {
    match list {
        "none" => return Ok(Vec::new()),
        "all" => return Ok(Kind::survivable()),
        _ => {}
    }
    let known: Vec<&str> =
        Kind::ALL.iter().map(|kind| kind.name()).chain(["none", "all"]).collect();
    list.split(',')
        .map(|name| {
            let name = name.trim();
            Kind::named(name).ok_or_else(|| {
                let instead = instead(name, &known);
                ArgsError::Senseless(format!("--nemesis: there is no fault `{name}`{instead}"))
            })
        })
        .collect()
}

/// A mistake in a plan, told by the option that it came from.
fn as_option(mistake: &Mistake) -> String {
    let options = [
        ("nodes", "--nodes"),
        ("bugs", "--bug"),
        ("workload.name", "--workload"),
        ("workload.options.keys", "--keys"),
        ("concurrency", "--concurrency"),
        ("rate_per_s", "--rate"),
        ("time_limit_ms", "--time-limit (in milliseconds)"),
        ("op_timeout_ms", "--op-timeout (in milliseconds)"),
        ("nemesis", "--nemesis"),
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
        assert_eq!(plan.nemesis, [Kind::Kill, Kind::Pause, Kind::Partition]);
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
        assert_eq!(plan.nemesis, [Kind::Kill, Kind::Partition]);
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
        let rows: [(&[&str], u8, &str); 12] = [
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
            (&["--env=docker"], 69, "--env docker: "),
            (&["--tls"], 69, "--tls: "),
            (&["--auth"], 69, "--auth: "),
        ];
        for (args, status, expected) in rows {
            let said = plan(args).map_err(|error| (error.exit_status(), error.to_string()));
            let Err((found, message)) = said else { panic!("{args:?} made a plan") };
            assert_eq!(found, status, "{args:?}: {message}");
            assert!(message.contains(expected), "{args:?}: {message}");
        }
    }
}
