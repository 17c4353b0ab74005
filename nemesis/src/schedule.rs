//! Schedules: which faults strike when, drawn from a seed before the run.
//!
//! Trouble comes in episodes with quiet windows between them, in which the cluster may recover and
//! clients see that it did. An episode has one fault or a few of different kinds that overlap; the
//! same kind never overlaps itself. The kinds asked for are dealt like cards from a shuffled deck,
//! so that each of them has had its turn before one comes again, and in a short run several share
//! an episode rather than one of them being left out.
//!
//! Kinds that get in each other's way share an episode only where there are too few for all. An
//! outage is no part of an episode: it lasts over several, under whatever else goes wrong.
//!
//! The first fault of a kind that can be aimed at the leader is, so that even a short run has seen
//! its leader struck by each.
//!
//! Durations are drawn against the cluster's election timeout (half a second, as a rule): long
//! enough for the others to elect a leader and to write, short enough for several in twenty
//! seconds.

mod draw;

use crate::{Kind, NodeId, ScheduledFault};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The shortest that a fault lasts, when the run is long enough.
const FAULT_MS_MIN: u64 = 1_200;
/// The longest that a fault lasts.
const FAULT_MS_MAX: u64 = 3_200;
/// The shortest quiet window between episodes.
const QUIET_MS_MIN: u64 = 600;
/// The longest quiet window between episodes.
const QUIET_MS_MAX: u64 = 1_500;
/// The longest that an outage lasts.
const OUTAGE_MS_MAX: u64 = 20_000;
/// From one outage to the next there is this much at least.
const OUTAGES_APART_MS: u64 = 60_000;
/// Kinds that get in each other's way: who is killed cannot be killed, and on a link that is cut
/// nothing more can be seen to vanish.
const APART: [&[Kind]; 2] = [
    &[Kind::Kill, Kind::Restart, Kind::PowerLoss, Kind::Pause, Kind::Corrupt],
    &[Kind::Partition, Kind::Flap, Kind::Swizzle],
];
/// How often an episode has a second fault of another kind that its turn did not ask for.
const OVERLAP_PROBABILITY: f64 = 0.3;

/// The faults of a run, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule(pub Vec<ScheduledFault>);

/// The part of a run in which faults may be, in milliseconds.
#[derive(Clone, Copy)]
struct Window {
    start_ms: u64,
    end_ms: u64,
}

impl Schedule {
    /// Draws a schedule of the kinds asked for, on these nodes, for a workload of `time_limit_ms`.
    ///
    /// Every kind has at least one fault. The last fault ends some time before the limit (three
    /// seconds of a run of fifteen and more), so that the workload sees the cluster recover. Kinds
    /// that make no sense on so few nodes ([`Kind::nodes_min`]) are left out: whoever asks for them
    /// must be told so before.
    pub fn generate(
        kinds: &[Kind],
        nodes: &[NodeId],
        time_limit_ms: u64,
        rng: &mut ChaCha8Rng,
    ) -> Schedule {
        let mut kinds: Vec<Kind> =
            kinds.iter().copied().filter(|kind| nodes.len() >= kind.nodes_min()).collect();
        kinds.sort();
        kinds.dedup();
        let window = Window {
            start_ms: (time_limit_ms / 15).min(1_000),
            end_ms: time_limit_ms - (time_limit_ms / 5).min(3_000),
        };
        let mut faults = Vec::new();
        if !kinds.is_empty() && window.end_ms > window.start_ms {
            if kinds.contains(&Kind::Outage) {
                outages(&mut faults, window, nodes, rng);
                kinds.retain(|kind| *kind != Kind::Outage);
            }
            if !kinds.is_empty() {
                fill(&mut faults, window, &kinds, nodes, rng);
            }
        }
        faults.sort_by_key(|fault: &ScheduledFault| (fault.at_ms, fault.at_ms + fault.for_ms));
        for (id, fault) in (0_u32..).zip(&mut faults) {
            fault.id = id;
        }
        Schedule(faults)
    }

    /// The kinds in it, each once, in order.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.0.iter().map(|fault| fault.fault.kind()).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

/// Places outages, one for each minute, each in the first half of its share of the window and a
/// third of it long.
fn outages(
    faults: &mut Vec<ScheduledFault>,
    window: Window,
    nodes: &[NodeId],
    rng: &mut ChaCha8Rng,
) {
    let length_ms = window.end_ms - window.start_ms;
    let count = (length_ms / OUTAGES_APART_MS).max(1);
    let share_ms = length_ms / count;
    for number in 0..count {
        let at_ms = window.start_ms + number * share_ms + rng.random_range(0..=share_ms / 2);
        let for_ms = (share_ms / 3).clamp(1, OUTAGE_MS_MAX);
        let fault = draw::fault(Kind::Outage, nodes, number == 0, rng);
        faults.push(ScheduledFault { id: 0, at_ms, for_ms, fault });
    }
}

/// Whether this kind gets in nobody's way there.
fn fits(kind: Kind, hand: &[Kind]) -> bool {
    let clash =
        |apart: &&[Kind]| apart.contains(&kind) && hand.iter().any(|other| apart.contains(other));
    !APART.iter().any(clash)
}

/// All kinds once, in random order, so that the ones that should be apart are in different hands.
fn shuffled_deck(kinds: &[Kind], hand: usize, rng: &mut ChaCha8Rng) -> Vec<Kind> {
    let mut left = kinds.to_vec();
    left.shuffle(rng);
    let mut deck = Vec::new();
    while !left.is_empty() {
        let mut now: Vec<Kind> = Vec::new();
        while now.len() < hand && !left.is_empty() {
            let fits = |kind: &Kind| fits(*kind, &now);
            // What should be apart goes first: later there may be too few hands left for it.
            let hard = |kind: &Kind| APART.iter().any(|apart| apart.contains(kind));
            let at = left.iter().position(|kind| hard(kind) && fits(kind));
            let at = at.or_else(|| left.iter().position(fits)).unwrap_or(0);
            now.push(left.remove(at));
        }
        deck.extend(now);
    }
    // It is dealt from the end.
    deck.reverse();
    deck
}

/// Fills the window with episodes.
fn fill(
    faults: &mut Vec<ScheduledFault>,
    window: Window,
    kinds: &[Kind],
    nodes: &[NodeId],
    rng: &mut ChaCha8Rng,
) {
    let length_ms = window.end_ms - window.start_ms;
    let episode_ms = (FAULT_MS_MIN + FAULT_MS_MAX + QUIET_MS_MIN + QUIET_MS_MAX) / 2;
    let episodes = (length_ms / episode_ms).max(1);
    let together = kinds.len().div_ceil(usize::try_from(episodes).unwrap_or(usize::MAX));
    // Each episode has its share of the window, so that the last one cannot be crowded out.
    let share_ms = length_ms / episodes;
    let mut deck: Vec<Kind> = Vec::new();
    for episode in 0..episodes {
        let mut hand: Vec<Kind> = Vec::new();
        for _ in 0..together {
            if deck.is_empty() {
                deck = shuffled_deck(kinds, together, rng);
            }
            hand.extend(deck.pop());
        }
        if rng.random_bool(OVERLAP_PROBABILITY) {
            let more = kinds[rng.random_range(0..kinds.len())];
            hand.extend(fits(more, &hand).then_some(more));
        }
        hand.sort();
        hand.dedup();
        let start_ms = window.start_ms + episode * share_ms;
        deal(faults, Window { start_ms, end_ms: start_ms + share_ms }, &hand, nodes, rng);
    }
}

/// Places one episode's faults: a main one that takes most of the share, and others within it.
fn deal(
    faults: &mut Vec<ScheduledFault>,
    share: Window,
    hand: &[Kind],
    nodes: &[NodeId],
    rng: &mut ChaCha8Rng,
) {
    let share_ms = share.end_ms - share.start_ms;
    let quiet_ms = rng.random_range(QUIET_MS_MIN..=QUIET_MS_MAX).min(share_ms / 3);
    let longest_ms = (share_ms - quiet_ms).clamp(1, FAULT_MS_MAX);
    let shortest_ms = FAULT_MS_MIN.min(longest_ms.div_ceil(2));
    for kind in hand {
        let for_ms = rng.random_range(shortest_ms..=longest_ms);
        let slack_ms = (share_ms - quiet_ms).saturating_sub(for_ms);
        let at_ms = share.start_ms + quiet_ms + rng.random_range(0..=slack_ms);
        let first = !faults.iter().any(|fault: &ScheduledFault| fault.fault.kind() == *kind);
        let fault = draw::fault(*kind, nodes, first, rng);
        faults.push(ScheduledFault { id: 0, at_ms, for_ms, fault });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cut, Fault, Nodes, With};
    use rand_chacha::rand_core::SeedableRng;

    fn nodes(count: usize) -> Vec<NodeId> {
        (1..=count).map(NodeId::numbered).collect()
    }

    fn schedule(kinds: &[Kind], count: usize, time_limit_ms: u64, seed: u64) -> Schedule {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Schedule::generate(kinds, &nodes(count), time_limit_ms, &mut rng)
    }

    #[test]
    fn every_kind_asked_for_strikes_and_all_is_over_before_the_end() {
        let rows = [
            (20_000, 5, Kind::ALL.to_vec()),
            (5_000, 5, Kind::ALL.to_vec()),
            (1_000, 3, Kind::ALL.to_vec()),
            (30_000, 3, vec![Kind::Partition]),
            (60_000, 7, vec![Kind::Kill, Kind::Pause]),
        ];
        for (time_limit_ms, count, kinds) in rows {
            for seed in 0..300 {
                let schedule = schedule(&kinds, count, time_limit_ms, seed);
                assert_eq!(schedule.kinds(), kinds, "seed {seed}, {time_limit_ms} ms");
                let end_ms = schedule.0.iter().map(|f| f.at_ms + f.for_ms).max().unwrap_or(0);
                assert!(end_ms < time_limit_ms, "seed {seed}: {end_ms} of {time_limit_ms} ms");
            }
        }
    }

    #[test]
    fn the_same_kind_never_overlaps_itself() {
        for seed in 0..300 {
            let schedule = schedule(&Kind::ALL, 5, 60_000, seed);
            for kind in Kind::ALL {
                let mine: Vec<&ScheduledFault> =
                    schedule.0.iter().filter(|fault| fault.fault.kind() == kind).collect();
                for pair in mine.windows(2) {
                    assert!(pair[0].at_ms + pair[0].for_ms <= pair[1].at_ms, "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn faults_of_a_run_of_twenty_seconds_outlast_an_election() {
        for seed in 0..300 {
            for fault in schedule(&Kind::ALL, 5, 20_000, seed).0 {
                if fault.fault.kind() == Kind::Outage {
                    assert!(fault.for_ms > FAULT_MS_MAX, "{fault:?}");
                    continue;
                }
                assert!((FAULT_MS_MIN..=FAULT_MS_MAX).contains(&fault.for_ms), "{fault:?}");
            }
        }
    }

    #[test]
    fn the_first_fault_of_each_kind_that_must_be_survived_strikes_the_leader() {
        for seed in 0..100 {
            let schedule = schedule(&Kind::survivable(), 5, 20_000, seed);
            // A swizzle has an order of its own.
            for kind in Kind::survivable().into_iter().filter(|kind| *kind != Kind::Swizzle) {
                let first = schedule.0.iter().find(|fault| fault.fault.kind() == kind);
                assert!(first.is_some_and(|f| f.fault.wants_leader()), "seed {seed}: {first:?}");
            }
        }
    }

    #[test]
    fn a_seed_names_one_schedule() {
        let (one, two) = (schedule(&Kind::ALL, 5, 20_000, 7), schedule(&Kind::ALL, 5, 20_000, 7));
        assert_eq!(one, two);
        assert_ne!(one, schedule(&Kind::ALL, 5, 20_000, 8));
    }

    #[test]
    fn kinds_that_need_more_nodes_are_left_out_and_none_gives_none() {
        let alone: Vec<Kind> = Kind::ALL.into_iter().filter(|k| k.nodes_min() == 1).collect();
        assert!(!alone.contains(&Kind::Partition));
        assert_eq!(schedule(&Kind::ALL, 1, 20_000, 1).kinds(), alone);
        assert_eq!(schedule(&[], 5, 20_000, 1), Schedule::default());
        assert_eq!(schedule(&Kind::ALL, 5, 0, 1), Schedule::default());
    }

    /// Some of what must be drawn in the long run; every kind is, besides.
    const EVERYTHING: [&str; 25] = [
        "kill the leader",
        "kill followers",
        "kill these",
        "pause the leader",
        "pause these",
        "partition isolate the leader",
        "partition isolate these",
        "partition halves",
        "partition third",
        "partition ring",
        "partition bridge",
        "partition one-way the leader",
        "partition one-way these",
        "flap ring",
        "clock-jump back",
        "clock-jump ahead",
        "clock-drift back",
        "clock-drift ahead",
        "client-partition Both",
        "client-partition Out",
        "client-partition In",
        "loss peers Both",
        "loss peers Out",
        "loss clients In",
        "delay clients Both",
    ];

    fn aim(nodes: &Nodes) -> &'static str {
        match nodes {
            Nodes::Leader => "the leader",
            Nodes::Followers(_) => "followers",
            Nodes::These(_) => "these",
        }
    }

    fn topology(cut: &Cut) -> String {
        match cut {
            Cut::Isolate(nodes) => format!("isolate {}", aim(nodes)),
            Cut::Groups(groups) if groups[0].len() == 1 => "third".to_owned(),
            Cut::Groups(_) => "halves".to_owned(),
            Cut::MajoritiesRing(_) => "ring".to_owned(),
            Cut::Bridge { .. } => "bridge".to_owned(),
            Cut::OneWay(nodes) => format!("one-way {}", aim(nodes)),
        }
    }

    /// A fault by its kind, and by its target or topology.
    fn named(fault: &Fault) -> String {
        let more = match fault {
            Fault::Kill { nodes } | Fault::Pause { nodes } => aim(nodes).to_owned(),
            Fault::Partition { cut } | Fault::Flap { cut, .. } => topology(cut),
            Fault::ClockJump { wall_ms: ahead, .. } | Fault::ClockDrift { wall_ppm: ahead, .. } => {
                if *ahead < 0 { "back" } else { "ahead" }.to_owned()
            }
            Fault::ClientPartition { way, .. } => format!("{way:?}"),
            Fault::Delay { links, .. } | Fault::Loss { links, .. } => {
                let with = if links.with == With::Clients { "clients" } else { "peers" };
                format!("{with} {:?}", links.way)
            }
            _ => String::new(),
        };
        format!("{} {more}", fault.kind())
    }

    #[test]
    fn kinds_that_get_in_each_others_way_are_apart_in_a_run_of_a_minute() {
        for seed in 0..100 {
            let faults = schedule(&Kind::survivable(), 5, 60_000, seed).0;
            let firsts: Vec<&ScheduledFault> = Kind::survivable()
                .iter()
                .filter_map(|kind| faults.iter().find(|fault| fault.fault.kind() == *kind))
                .collect();
            for (one, two) in firsts.iter().flat_map(|one| firsts.iter().map(move |two| (one, two)))
            {
                let (first, second) = (one.fault.kind(), two.fault.kind());
                let apart =
                    APART.iter().any(|apart| apart.contains(&first) && apart.contains(&second));
                let overlap =
                    one.at_ms < two.at_ms + two.for_ms && two.at_ms < one.at_ms + one.for_ms;
                assert!(first == second || !apart || !overlap, "seed {seed}: {one:?} {two:?}");
            }
        }
    }

    #[test]
    fn every_topology_and_every_target_is_drawn_in_the_long_run() {
        let mut seen = std::collections::BTreeSet::new();
        let mut minority = 0;
        let mut faults = 0;
        for seed in 0..200 {
            for fault in schedule(&Kind::ALL, 5, 60_000, seed).0 {
                faults += 1;
                minority += u32::from(fault.fault.strikes(None).len() <= 2);
                seen.insert(named(&fault.fault));
                assert_eq!(fault.fault.mistake(), None, "{:?}", fault.fault);
            }
        }
        let missing: Vec<&str> =
            EVERYTHING.into_iter().filter(|name| !seen.contains(*name)).collect();
        assert_eq!(missing, [] as [&str; 0], "{seen:?}");
        assert!(minority * 10 > faults * 7, "{minority} of {faults} strike a minority");
    }

    #[test]
    fn a_schedule_survives_json() -> Result<(), serde_json::Error> {
        let schedule = schedule(&Kind::ALL, 5, 60_000, 3);
        let text = serde_json::to_string(&schedule)?;
        assert_eq!(serde_json::from_str::<Schedule>(&text)?, schedule);
        Ok(())
    }
}
