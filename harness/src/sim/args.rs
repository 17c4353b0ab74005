//! The command line of `ordeal sim`.

use super::machinery::OFFERED;
use super::swarm::Swarm;
use crate::duration;
use crate::plan::{Db, PlanOptions};
use crate::run::args::{ArgsError, Read, asked};
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// How many keys are in play, and how long a client waits, where one of the two is said alone.
const KEYS: u32 = 4;
const OP_TIMEOUT: Duration = Duration::from_secs(1);

/// The options of `ordeal sim`.
#[derive(Args, Clone, Debug)]
pub struct SimArgs {
    /// The seeds, each a simulation of its own: from the first up to, and without, the last
    #[arg(long, value_name = "A..B", default_value = "0..100", value_parser = seeds)]
    pub seeds: std::ops::Range<u64>,
    /// One seed alone
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub seed: Option<u64>,
    /// How many simulations run at once [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Stop at the first violation
    #[arg(long)]
    pub until_failure: bool,
    /// Run each seed twice, and compare what happened to the last byte
    #[arg(long)]
    pub check_determinism: bool,
    /// How many members the cluster has [default: 3, 5 or 7, drawn from the seed]
    #[arg(long, value_name = "N")]
    pub nodes: Option<usize>,
    /// What the clients do; `ordeal list workloads` tells of each
    #[arg(long, value_name = "NAME", default_value = "register")]
    pub workload: String,
    /// What goes wrong: names separated by commas, or `none`, or `all`; each seed draws some of
    /// them
    #[arg(long, value_name = "LIST", default_value = "all")]
    pub nemesis: String,
    /// Every run has all the faults that are named
    #[arg(long)]
    pub every_fault: bool,
    /// How long the clients work, in simulated time
    #[arg(long, value_name = "DUR", default_value = "30s", value_parser = duration::parse)]
    pub time_limit: Duration,
    /// How many clients work at once [default: one to three for each node, drawn from the seed]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,
    /// Operations a second, all clients together
    #[arg(long, value_name = "OPS_PER_S", default_value_t = 100)]
    pub rate: u32,
    /// How many keys are in play at once [default: this, the clients' patience, and which
    /// operations there are, are drawn from the seed]
    #[arg(long, value_name = "N")]
    pub keys: Option<u32>,
    /// How long a client waits for an answer [default: as --keys]
    #[arg(long, value_name = "DUR", value_parser = duration::parse)]
    pub op_timeout: Option<Duration>,
    /// A bug to switch on in the embedded cluster; may be given several times
    #[arg(long = "bug", value_name = "NAME")]
    pub bugs: Vec<String>,
    /// How the clients read; serializable reads may be stale by design
    #[arg(long, value_enum, default_value = "linearizable")]
    pub read: Read,
    /// The folder for what is found, new or empty [default: runs/sim/TIME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the summary as one JSON object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

impl SimArgs {
    /// The seeds that are to be run.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.seed.map_or_else(|| self.seeds.clone(), |seed| seed..seed.saturating_add(1))
    }

    /// What each of them is drawn from.
    ///
    /// # Errors
    /// One clear sentence.
    pub fn swarm(&self) -> Result<Swarm, ArgsError> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut nemesis = asked(&self.nemesis)?;
        if self.nemesis == "all" {
            nemesis.retain(|asked| OFFERED.contains(&asked.kind.needs()));
        }
        let options = PlanOptions {
            db: Db::Embedded,
            nodes: self.nodes.unwrap_or(5),
            bugs: self.bugs.clone(),
            workload: self.workload.clone(),
            keys: self.keys.unwrap_or(KEYS),
            serializable: self.read == Read::Serializable,
            concurrency: self.concurrency,
            rate_per_s: self.rate,
            time_limit_ms: millis(self.time_limit),
            op_timeout_ms: millis(self.op_timeout.unwrap_or(OP_TIMEOUT)),
            nemesis,
            ..PlanOptions::default()
        };
        let fixed_mix = self.keys.is_some() || self.op_timeout.is_some();
        Ok(Swarm { options, nodes: self.nodes, every_kind: self.every_fault, fixed_mix })
    }
}

pub(crate) fn seeds(text: &str) -> Result<std::ops::Range<u64>, String> {
    let wrong = || format!("expected two numbers such as 0..1000, found `{text}`");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
    let (from, to) = (number(from)?, number(to)?);
    if from >= to {
        return Err(format!(
            "`{text}` has no seed in it: the second number is the first one not run"
        ));
    }
    Ok(from..to)
}
