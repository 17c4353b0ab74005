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

use crate::{Asked, Kind, NodeId, ScheduledFault};
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
/// Kinds that get in each other's way: who is killed cannot be killed, a member is taken out only
/// where the others run, members change one at a time, and on a link that is cut
/// nothing more can be seen to vanish.
const APART: [&[Kind]; 2] = [
    &[
        Kind::Kill,
        Kind::Restart,
        Kind::PowerLoss,
        Kind::Pause,
        Kind::Corrupt,
        Kind::MemberAdd,
        Kind::MemberRemove,
        Kind::MemberReplace,
        Kind::Wipe,
        Kind::Learner,
        Kind::Restore,
        Kind::RollingRestart,
    ],
    &[Kind::Partition, Kind::Flap, Kind::Swizzle],
];
/// How often an episode has a second fault of another kind that its turn did not ask for.
const OVERLAP_PROBABILITY: f64 = 0.3;

/// The faults of a run, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule(pub Vec<ScheduledFault>);

/// What faults are drawn for.
#[derive(Clone, Copy, Debug)]
pub struct Cluster<'a> {
    /// The members.
    pub nodes: &'a [NodeId],
    /// Nodes that are none and may become some.
    pub spares: &'a [NodeId],
}

/// The part of a run in which faults may be, in milliseconds.
#[derive(Clone, Copy)]
struct Window {
    start_ms: u64,
    end_ms: u64,
}

impl Schedule {
    /// Draws a schedule of what is asked for, for a workload of `time_limit_ms`.
    ///
    /// All that is asked for comes once at least. The last fault ends some time before the limit
    /// (three seconds of a run of fifteen and more), so that the workload sees the cluster recover.
    /// Kinds that make no sense on so few nodes ([`Kind::nodes_min`]) are left out, and so are new
    /// members where there is no spare: whoever asks for them must be told so before.
    pub fn generate(
        asked: &[Asked],
        cluster: Cluster<'_>,
        time_limit_ms: u64,
        rng: &mut ChaCha8Rng,
    ) -> Schedule {
        let possible = |asked: &&Asked| {
            cluster.nodes.len() >= asked.kind.nodes_min()
                && (asked.kind != Kind::MemberAdd || !cluster.spares.is_empty())
        };
        let mut asked: Vec<Asked> = asked.iter().filter(possible).cloned().collect();
        asked.sort();
        asked.dedup();
        let window = Window {
            start_ms: (time_limit_ms / 15).min(1_000),
            end_ms: time_limit_ms - (time_limit_ms / 5).min(3_000),
        };
        let mut draws = Draws { faults: Vec::new(), cluster, rng };
        if !asked.is_empty() && window.end_ms > window.start_ms {
            let is = |kind| move |asked: &&Asked| asked.kind == kind;
            if let Some(outage) = asked.iter().find(is(Kind::Outage)) {
                draws.outages(window, outage);
            }
            if let Some(upgrade) = asked.iter().find(is(Kind::Upgrade)) {
                draws.upgrade(window, upgrade);
            }
            asked.retain(|asked| !matches!(asked.kind, Kind::Outage | Kind::Upgrade));
            if !asked.is_empty() {
                draws.fill(window, &asked);
            }
        }
        let mut faults = draws.faults;
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

/// What has been drawn, and what more is drawn from.
struct Draws<'a> {
    faults: Vec<ScheduledFault>,
    cluster: Cluster<'a>,
    rng: &'a mut ChaCha8Rng,
}

impl Draws<'_> {
    /// Places outages, one for each minute, each in the first half of its share of the window and a
    /// third of it long.
    fn outages(&mut self, window: Window, asked: &Asked) {
        let length_ms = window.end_ms - window.start_ms;
        let count = (length_ms / OUTAGES_APART_MS).max(1);
        let share_ms = length_ms / count;
        for number in 0..count {
            let within_ms = self.rng.random_range(0..=share_ms / 2);
            let at_ms = window.start_ms + number * share_ms + within_ms;
            self.place(asked, number == 0, at_ms, (share_ms / 3).clamp(1, OUTAGE_MS_MAX));
        }
    }

    /// Places the upgrade, in the second quarter: what both versions do is seen, and what they do
    /// together. It lasts as long as it takes.
    fn upgrade(&mut self, window: Window, asked: &Asked) {
        let length_ms = window.end_ms - window.start_ms;
        let at_ms = window.start_ms + length_ms / 4 + self.rng.random_range(0..=length_ms / 4);
        self.place(asked, true, at_ms, 1);
    }

    /// Fills the window with episodes.
    fn fill(&mut self, window: Window, asked: &[Asked]) {
        let length_ms = window.end_ms - window.start_ms;
        let episode_ms = (FAULT_MS_MIN + FAULT_MS_MAX + QUIET_MS_MIN + QUIET_MS_MAX) / 2;
        let episodes = (length_ms / episode_ms).max(1);
        let together = asked.len().div_ceil(usize::try_from(episodes).unwrap_or(usize::MAX));
        // Each episode has its share of the window, so that the last one cannot be crowded out.
        let share_ms = length_ms / episodes;
        // Each once at first, and then as often as it weighs.
        let mut deck: Vec<&Asked> = shuffled_deck(asked.iter().collect(), together, self.rng);
        let weighed = || asked.iter().flat_map(|one| (0..one.weight).map(move |_| one)).collect();
        for episode in 0..episodes {
            let mut hand: Vec<&Asked> = Vec::new();
            for _ in 0..together {
                if deck.is_empty() {
                    deck = shuffled_deck(weighed(), together, self.rng);
                }
                hand.extend(deck.pop());
            }
            if self.rng.random_bool(OVERLAP_PROBABILITY) {
                let more = &asked[self.rng.random_range(0..asked.len())];
                hand.extend(fits(more, &hand).then_some(more));
            }
            hand.sort();
            hand.dedup();
            let start_ms = window.start_ms + episode * share_ms;
            self.deal(Window { start_ms, end_ms: start_ms + share_ms }, &hand);
        }
    }

    /// Places one episode's faults: a main one that takes most of the share, and others within it.
    fn deal(&mut self, share: Window, hand: &[&Asked]) {
        let share_ms = share.end_ms - share.start_ms;
        let quiet_ms = self.rng.random_range(QUIET_MS_MIN..=QUIET_MS_MAX).min(share_ms / 3);
        let longest_ms = (share_ms - quiet_ms).clamp(1, FAULT_MS_MAX);
        let shortest_ms = FAULT_MS_MIN.min(longest_ms.div_ceil(2));
        for asked in hand {
            let for_ms = self.rng.random_range(shortest_ms..=longest_ms);
            let slack_ms = (share_ms - quiet_ms).saturating_sub(for_ms);
            let at_ms = share.start_ms + quiet_ms + self.rng.random_range(0..=slack_ms);
            let mine = |fault: &ScheduledFault| fault.fault.kind() == asked.kind;
            let first = !self.faults.iter().any(mine);
            self.place(asked, first, at_ms, for_ms);
        }
    }

    fn place(&mut self, asked: &Asked, first: bool, at_ms: u64, for_ms: u64) {
        let fault = draw::fault(asked, self.cluster, first, self.rng);
        self.faults.push(ScheduledFault { id: 0, at_ms, for_ms, fault, when: asked.when.clone() });
    }
}

/// Whether this one gets in nobody's way there.
fn fits(asked: &Asked, hand: &[&Asked]) -> bool {
    let clash = |apart: &&[Kind]| {
        apart.contains(&asked.kind) && hand.iter().any(|other| apart.contains(&other.kind))
    };
    !APART.iter().any(clash) && hand.iter().all(|other| other.kind != asked.kind)
}

/// All cards in random order, so that the ones that should be apart are in different hands.
fn shuffled_deck<'a>(
    mut left: Vec<&'a Asked>,
    hand: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<&'a Asked> {
    left.shuffle(rng);
    let mut deck = Vec::new();
    while !left.is_empty() {
        let mut now: Vec<&Asked> = Vec::new();
        while now.len() < hand && !left.is_empty() {
            let fits = |asked: &&Asked| fits(asked, &now);
            // What should be apart goes first: later there may be too few hands left for it.
            let hard = |asked: &&Asked| APART.iter().any(|apart| apart.contains(&asked.kind));
            let at = left.iter().position(|asked| hard(asked) && fits(asked));
            let at = at.or_else(|| left.iter().position(fits)).unwrap_or(0);
            now.push(left.remove(at));
        }
        deck.extend(now);
    }
    // It is dealt from the end.
    deck.reverse();
    deck
}

#[cfg(test)]
mod tests;
