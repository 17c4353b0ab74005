//! The verifier of witnesses: trivially simple, and it shares no code with the algorithms.

use super::model::Model;
use super::object::Entry;

/// Whether `order` (indexes into `entries`) is a linearization: every certain operation once,
/// every indeterminate one at most once, none before one that had ended when it began, and every
/// answer right. The error says what is wrong. O(operations).
pub fn verify<M: Model>(model: &M, entries: &[Entry<M::Op>], order: &[u32]) -> Result<(), String> {
    let mut seen = vec![false; entries.len()];
    for &index in order {
        match seen.get_mut(index as usize) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(format!("operation {index} stands in the witness twice")),
            None => return Err(format!("there is no operation {index}")),
        }
    }
    if let Some(left_out) = (0..entries.len()).find(|&i| entries[i].is_certain() && !seen[i]) {
        return Err(format!("operation {left_out} is missing from the witness"));
    }
    let mut first_end_after = u64::MAX;
    for &index in order.iter().rev() {
        let entry = &entries[index as usize];
        if first_end_after < entry.call {
            return Err(format!("operation {index} stands before one that ended before it began"));
        }
        first_end_after = first_end_after.min(entry.ret);
    }
    let mut state = model.initial();
    for &index in order {
        state = match model.step(&state, &entries[index as usize].op) {
            Some(next) => next,
            None => return Err(format!("operation {index} could not answer so in its place")),
        };
    }
    Ok(())
}
