//! Which operations of a history stand in a trace, when it cannot hold all.
//!
//! First whatever a checker spoke of; then what is rare and tells most: what did not succeed, and
//! the slowest of each stretch of time; then of the rest every so-manieth. Nothing is drawn at
//! random.

use ordeal_history::{History, Outcome};

/// At most so many stretches of time have their slowest operations kept.
const STRETCHES_MAX: usize = 4_096;
/// So many of each.
const SLOWEST: usize = 16;

/// Positions, ascending: all where they are at most `most`, else so many of them.
pub(super) fn pick(history: &History, marked: &[(u32, bool)], most: usize) -> Vec<u32> {
    let total = history.operations.len();
    if total <= most {
        return (0..total as u32).collect();
    }
    let mut kept = vec![false; total];
    let mut room = most;
    let mut keep = |at: usize, room: &mut usize| {
        if !std::mem::replace(&mut kept[at], true) {
            *room = room.saturating_sub(1);
        }
    };
    for &(at, _) in marked {
        keep(at as usize, &mut room);
    }
    let count = (most / 4 / SLOWEST).clamp(1, STRETCHES_MAX);
    for part in stretches(total, count) {
        let mut slowest: Vec<(u64, usize)> = part.map(|at| (latency(history, at), at)).collect();
        slowest.sort_unstable_by(|a, b| b.cmp(a));
        slowest.into_iter().take(SLOWEST).for_each(|(_, at)| keep(at, &mut room));
    }
    let odd: Vec<usize> =
        (0..total).filter(|&at| history.operations[at].outcome != Outcome::Ok).collect();
    evenly(&odd, room / 2).for_each(|at| keep(at, &mut room));
    let rest: Vec<usize> = (0..total).collect();
    evenly(&rest, room).for_each(|at| keep(at, &mut room));
    (0..total as u32).filter(|&at| kept[at as usize]).collect()
}

fn latency(history: &History, at: usize) -> u64 {
    let operation = &history.operations[at];
    operation.complete_time.map_or(u64::MAX, |end| end.saturating_sub(operation.invoke_time))
}

fn stretches(total: usize, count: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let length = total.div_ceil(count);
    (0..total).step_by(length).map(move |start| start..(start + length).min(total))
}

/// At most `room` of `from`, at even distances.
fn evenly(from: &[usize], room: usize) -> impl Iterator<Item = usize> + '_ {
    let count = room.min(from.len());
    (0..count).map(move |i| from[(i as u128 * from.len() as u128 / count as u128) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordeal_history::{Operation, Value};

    fn operation(at: u64) -> Operation {
        let slow = at == 4_321;
        Operation {
            process: 0,
            f: "read".into(),
            key: None,
            input: Value::Null,
            output: Value::Null,
            actual: None,
            outcome: if at % 1_000 == 7 { Outcome::Info } else { Outcome::Ok },
            invoke: at * 2,
            complete: Some(at * 2 + 1),
            invoke_time: at * 1_000,
            complete_time: Some(at * 1_000 + if slow { 1_000_000 } else { 10 + at % 7 }),
            revision: None,
            version: None,
            node: None,
            error: None,
        }
    }

    #[test]
    fn what_a_checker_spoke_of_what_was_slow_and_what_did_not_succeed_is_kept() {
        let history = History {
            operations: (0..10_000).map(operation).collect(),
            notes: Vec::new(),
            events: 20_000,
        };
        let marked = [(1_111, false), (9_998, true)];
        let kept = pick(&history, &marked, 500);
        assert!(kept.len() <= 500 && kept.len() > 300, "{} kept", kept.len());
        assert!(kept.is_sorted());
        for must in [1_111, 9_998, 4_321, 7, 5_007, 9_007] {
            assert!(kept.binary_search(&must).is_ok(), "{must} is lost");
        }
        let gap = kept.windows(2).map(|two| two[1] - two[0]).max();
        assert!(gap < Some(100), "a gap of {gap:?}");
        assert_eq!(pick(&history, &marked, 10_000).len(), 10_000);
    }
}
