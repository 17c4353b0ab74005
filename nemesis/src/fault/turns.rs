//! Faults that change while they last: when the next turn comes.

use super::Fault;
use std::time::Duration;

impl Fault {
    /// How long after its turn number `turn` the next one comes, when it lasts `for_ms` in all;
    /// `None` when no further one does. Turn 0 is its beginning.
    ///
    /// A strobe leaps to and fro, a slow process stops and runs, a flapping link is cut and heals;
    /// a swizzle cuts one node after the other, and then heals one after the other.
    pub(crate) fn next_turn(&self, turn: u64, for_ms: u64) -> Option<Duration> {
        match self {
            Fault::Slow { period_ms, running_percent, .. } => {
                let period = Duration::from_millis((*period_ms).max(2));
                let running = period * u32::from(*running_percent) / 100;
                Some(if turn.is_multiple_of(2) { period.saturating_sub(running) } else { running })
            }
            Fault::Flap { period_ms, .. } => Some(Duration::from_millis((*period_ms).max(2)) / 2),
            Fault::Swizzle { cut, .. } => {
                let turns = 2 * cut.len() as u64;
                (turn + 1 < turns).then(|| Duration::from_millis(for_ms) / turns.max(1) as u32)
            }
            _ => self.clock_effect()?.toggle_every,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Cut, Fault, NodeId, Nodes};

    #[test]
    fn turns_come_as_the_fault_asks() {
        let nodes = || Nodes::Leader;
        let two = || vec![NodeId::numbered(1), NodeId::numbered(2)];
        let rows = [
            (
                Fault::Slow { nodes: nodes(), period_ms: 10, running_percent: 10 },
                vec![Some(9), Some(1), Some(9), Some(1)],
            ),
            (
                Fault::Flap { cut: Cut::Isolate(nodes()), period_ms: 200 },
                vec![Some(100), Some(100)],
            ),
            (
                Fault::Swizzle { cut: two(), heal: two() },
                vec![Some(250), Some(250), Some(250), None],
            ),
            (
                Fault::ClockStrobe { nodes: nodes(), wall_ms: 9, monotonic_ms: 0, period_ms: 50 },
                vec![Some(25), Some(25)],
            ),
            (Fault::Kill { nodes: nodes() }, vec![None]),
        ];
        for (fault, expected) in rows {
            let turns = (0..).take(expected.len());
            let found: Vec<Option<u128>> =
                turns.map(|turn| Some(fault.next_turn(turn, 1000)?.as_millis())).collect();
            assert_eq!(found, expected, "{fault:?}");
        }
    }
}
