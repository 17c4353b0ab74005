//! What a search remembers stays within its limit, whatever its states take.

use ordeal_checker::linear::{Linearizable, Misfit, Model};
use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{History, Operation, Outcome, ReadOptions, Value, read_jsonl};

/// All that was ever added, each state as large as told.
struct Heap {
    state_bytes: usize,
}

impl Model for Heap {
    type State = Vec<i64>;
    type Op = Option<i64>;

    fn name(&self) -> &str {
        "heap"
    }
    fn summary(&self) -> &str {
        "numbers in the order in which they were added"
    }
    fn initial(&self) -> Vec<i64> {
        Vec::new()
    }
    fn compile(&self, operation: &Operation) -> Result<Option<Option<i64>>, Misfit> {
        match (operation.outcome, &operation.input) {
            (Outcome::Fail, _) => Ok(None),
            (_, Value::Int(added)) => Ok(Some(Some(*added))),
            _ => Ok(Some(None)),
        }
    }
    fn step(&self, state: &Vec<i64>, added: &Option<i64>) -> Option<Vec<i64>> {
        // Nothing may be asked for: so every order is tried.
        let added = (*added)?;
        Some(state.iter().copied().chain([added]).collect())
    }
    fn state_bytes(&self, _: &Vec<i64>) -> usize {
        self.state_bytes
    }
}

/// Six that add at once, and then one answer that no order explains.
fn history() -> History {
    let mut text = String::new();
    let mut index = 0;
    let mut event = |process: u32, kind: &str, f: &str, value: &str| {
        text.push_str(&format!(
            "{{\"index\":{index},\"time\":{index},\"process\":{process},\"type\":\"{kind}\",\
             \"f\":\"{f}\",\"value\":{value}}}\n"
        ));
        index += 1;
    };
    for kind in ["invoke", "ok"] {
        (0..6).for_each(|process| event(process, kind, "add", &process.to_string()));
    }
    event(8, "invoke", "look", "null");
    event(8, "ok", "look", "null");
    read_jsonl(text.as_bytes(), ReadOptions::default()).expect("a history")
}

#[test]
fn states_count_against_the_memory_of_a_search() {
    let limits = Limits { memory_bytes: 16 << 20, ..Limits::default() };
    let judged = |state_bytes| Linearizable::new(Heap { state_bytes }).check(&history(), &limits);
    let small = judged(8);
    assert!(matches!(small.verdict, Verdict::Invalid(_)), "{}", small.reason);
    let large = judged(1 << 20);
    assert!(matches!(&large.verdict, Verdict::Unknown(_)), "{}", large.reason);
    assert!(large.reason.contains("memory"), "{}", large.reason);
}
