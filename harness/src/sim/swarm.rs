//! What each seed of a simulation draws: the size of the cluster, its timeouts, its network and
//! disks, how many clients work how fast, and which faults there are at all.
//!
//! Swarm testing (Groce et al., ISSTA 2012): a run in which some kinds of trouble are absent goes
//! deeper into the others than one in which everything happens at once.

use super::settings::Simulated;
use crate::plan::{Environment, Mistake, Plan, PlanOptions};
use crate::seed;
use ordeal_nemesis::{Asked, Capability, Kind, Schedule, Target, Trigger};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

/// How much faster than in a run faults may follow each other.
const TEMPOS: [u64; 8] = [1, 1, 2, 4, 8, 8, 16, 32];
/// How many schedules overlap.
const LAYERS: [usize; 5] = [1, 1, 1, 2, 3];
/// The least lengths of values: those above a disk's sector can be torn in a power loss.
const VALUE_BYTES: [u32; 5] = [0, 0, 0, 600, 5_000];

/// What the command line fixes; what it leaves open is drawn.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// As for a run, with what is drawn left at whatever it is.
    pub options: PlanOptions,
    /// The number of nodes, where it is fixed.
    pub nodes: Option<usize>,
    /// All the kinds asked for, in every run.
    pub every_kind: bool,
    /// The keys and the clients' patience are as the options say, in every run.
    pub fixed_mix: bool,
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
            for asked in &mut options.nemesis {
                aim(asked, &mut rng);
                weigh(asked, &mut rng);
            }
        }
        options.nemesis.retain(|asked| nodes >= asked.kind.nodes_min());
        options.environment = Environment::Simulation;
        options.snapshot_count = Some(pick(&[20, 100, 500, 5_000], &mut rng));
        if options.value_bytes == 0 {
            options.value_bytes = pick(&VALUE_BYTES, &mut rng);
        }
        self.mix(&mut options, &mut rng);
        let (tempo, layers) = (pick(&TEMPOS, &mut rng), pick(&LAYERS, &mut rng));
        let mut plan = Plan::derive(&options)?;
        plan.schedule = schedule(&options, tempo, layers)?;
        plan.tuning.heartbeat_ms = pick(&[20, 50, 50, 100], &mut rng);
        plan.tuning.election_ms = plan.tuning.heartbeat_ms * pick(&[5, 10, 10, 20], &mut rng);
        plan.simulated = Some(simulated(&mut rng));
        plan.validate()?;
        Ok(plan)
    }
}

impl Swarm {
    /// What the clients are like: how many, how patient, on how many keys, whether they stay with a
    /// node, and whether some operations are seldom or never done.
    fn mix(&self, options: &mut PlanOptions, rng: &mut ChaCha8Rng) {
        let clients_a_node = pick(&[1, 2, 2, 3], rng);
        let (keys, skew) = (pick(&[1, 2, 4, 4, 8], rng), pick(&[0, 0, 1, 2], rng));
        let timeout_ms = pick(&[250, 1_000, 1_000, 3_000], rng);
        let move_every_ms = pick(&[0, 0, 0, 700, 3_000], rng);
        let nodes = u32::try_from(options.nodes).unwrap_or(u32::MAX / 8);
        let thinned = rng.random_bool(0.3);
        options.concurrency = options.concurrency.or(Some(clients_a_node * nodes));
        if !self.fixed_mix {
            (options.keys, options.skew) = (keys, skew);
            (options.op_timeout_ms, options.move_every_ms) = (timeout_ms, move_every_ms);
            options.thinned = thinned;
        }
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

/// The faults, `tempo` times as fast as in a run, of which the cluster would need so much longer:
/// a fault that lasts about as long as an election meets the next one half done. With two layers
/// the kinds are dealt into two schedules, which overlap as they like.
fn schedule(options: &PlanOptions, tempo: u64, layers: usize) -> Result<Schedule, Mistake> {
    let mut faults = Vec::new();
    for layer in 0..layers {
        let dealt = options.nemesis.iter().skip(layer).step_by(layers).cloned();
        let time_limit_ms = options.time_limit_ms.saturating_mul(tempo);
        let layer = PlanOptions { nemesis: dealt.collect(), time_limit_ms, ..options.clone() };
        faults.extend(Plan::derive(&layer)?.schedule.0);
    }
    for fault in &mut faults {
        fault.at_ms /= tempo;
        fault.for_ms = (fault.for_ms / tempo).max(1);
    }
    faults.sort_by_key(|fault| (fault.at_ms, fault.for_ms));
    for (id, fault) in (0_u32..).zip(&mut faults) {
        fault.id = id;
    }
    Ok(Schedule(faults))
}

/// Whom a kind strikes in this run: mostly whomever each fault draws; in some runs the leader each
/// time, a majority, or all at once, which is how what was not durable is lost for good.
fn aim(asked: &mut Asked, rng: &mut ChaCha8Rng) {
    let draw = rng.random_range(0..10);
    let can = matches!(
        asked.kind,
        Kind::Kill | Kind::Restart | Kind::PowerLoss | Kind::Pause | Kind::FsyncDelay | Kind::Slow
    );
    if can && asked.target.is_none() {
        asked.target = match draw {
            0 | 1 => Some(Target::Leader),
            2 => Some(Target::Majority),
            3 | 4 => Some(Target::All),
            _ => None,
        };
    }
}

/// How often a kind comes, compared with others, and in some runs what it waits for: a state in
/// which half of something is done.
fn weigh(asked: &mut Asked, rng: &mut ChaCha8Rng) {
    let (weight, draw) = (pick(&[1, 1, 2, 6], rng), rng.random_range(0..20));
    if asked.weight == 1 {
        asked.weight = weight;
    }
    if asked.when.is_none() {
        asked.when = match draw {
            0 | 1 => Some(Trigger::Election),
            2 => Some(Trigger::Snapshot),
            _ => None,
        };
    }
}

/// A few of the kinds, none in one run of twenty, all of them in another. In half of the runs they
/// come from two families, most of whose kinds there are then: what changes the members, say, with
/// what breaks the network.
fn some_of(kinds: &[Asked], rng: &mut ChaCha8Rng) -> Vec<Asked> {
    match rng.random_range(0..20) {
        0 => return Vec::new(),
        1 => return kinds.to_vec(),
        2..=9 => {}
        _ => return of_two_families(kinds, rng),
    }
    let mut shuffled = kinds.to_vec();
    shuffled.shuffle(rng);
    let count = rng.random_range(1..=kinds.len().clamp(1, 6));
    shuffled.truncate(count);
    shuffled
}

/// Most kinds of two families, and one of each at least.
fn of_two_families(kinds: &[Asked], rng: &mut ChaCha8Rng) -> Vec<Asked> {
    let mut families: Vec<Family> = kinds.iter().map(|asked| Family::of(asked.kind)).collect();
    families.sort_unstable();
    families.dedup();
    families.shuffle(rng);
    let mut chosen = Vec::new();
    for family in families.into_iter().take(2) {
        let mut own: Vec<&Asked> =
            kinds.iter().filter(|asked| Family::of(asked.kind) == family).collect();
        own.shuffle(rng);
        let count = rng.random_range(1..=own.len());
        chosen.extend(own.into_iter().take(count).cloned());
    }
    chosen.sort();
    chosen
}

/// Kinds that strike at the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Processes,
    Network,
    Clocks,
    Disks,
    Members,
    Operators,
}

impl Family {
    fn of(kind: Kind) -> Family {
        match kind.needs() {
            Capability::Link | Capability::ClientLink | Capability::Shape => Family::Network,
            Capability::Clock => Family::Clocks,
            Capability::Disk => Family::Disks,
            Capability::Members => Family::Members,
            Capability::Maintenance => Family::Operators,
            _ => Family::Processes,
        }
    }
}

fn pick<T: Copy>(of: &[T], rng: &mut ChaCha8Rng) -> T {
    *of.choose(rng).expect("there is something to pick from")
}
