//! What each seed of a simulation draws: the size of the cluster, its timeouts, its network and
//! disks, how many clients work how fast, and which faults there are at all.
//!
//! Swarm testing (Groce et al., ISSTA 2012): a run in which some kinds of trouble are absent goes
//! deeper into the others than one in which everything happens at once.

use super::settings::Simulated;
use crate::plan::{Environment, Mistake, Plan, PlanOptions};
use crate::seed;
use ordeal_nemesis::Asked;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

/// What the command line fixes; what it leaves open is drawn.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// As for a run, with what is drawn left at whatever it is.
    pub options: PlanOptions,
    /// The number of nodes, where it is fixed.
    pub nodes: Option<usize>,
    /// All the kinds asked for, in every run.
    pub every_kind: bool,
}

impl Swarm {
    /// The plan of one seed.
    ///
    /// # Errors
    /// When the options make no sense together.
    pub fn plan(&self, seed: u64) -> Result<Plan, Mistake> {
        let mut rng = seed::stream(seed, "sim/swarm");
        let nodes = self.nodes.unwrap_or_else(|| pick(&[3, 3, 5, 5, 5, 7], &mut rng));
        let mut options = PlanOptions { seed, nodes, ..self.options.clone() };
        if !self.every_kind {
            options.nemesis = some_of(&options.nemesis, &mut rng);
        }
        options.nemesis.retain(|asked| nodes >= asked.kind.nodes_min());
        options.environment = Environment::Simulation;
        options.snapshot_count = Some(pick(&[20, 100, 500, 5_000], &mut rng));
        let mut plan = Plan::derive(&options)?;
        plan.tuning.heartbeat_ms = pick(&[20, 50, 50, 100], &mut rng);
        plan.tuning.election_ms = plan.tuning.heartbeat_ms * pick(&[5, 10, 10, 20], &mut rng);
        plan.simulated = Some(simulated(&mut rng));
        plan.validate()?;
        Ok(plan)
    }
}

fn simulated(rng: &mut ChaCha8Rng) -> Simulated {
    Simulated {
        latency_us: pick(&[50, 100, 500, 5_000], rng),
        latency_spread_us: pick(&[100, 1_000, 5_000, 20_000], rng),
        fsync_us: pick(&[100, 500, 2_000], rng),
        fsync_spread_us: pick(&[500, 5_000, 30_000], rng),
        segment_bytes: pick(&[4 << 10, 64 << 10, 1 << 20], rng),
    }
}

/// A few of the kinds, none in one run of twenty, all of them in another.
fn some_of(kinds: &[Asked], rng: &mut ChaCha8Rng) -> Vec<Asked> {
    match rng.random_range(0..20) {
        0 => return Vec::new(),
        1 => return kinds.to_vec(),
        _ => {}
    }
    let mut shuffled = kinds.to_vec();
    shuffled.shuffle(rng);
    let count = rng.random_range(1..=kinds.len().clamp(1, 6));
    shuffled.truncate(count);
    shuffled
}

fn pick<T: Copy>(of: &[T], rng: &mut ChaCha8Rng) -> T {
    *of.choose(rng).expect("there is something to pick from")
}
