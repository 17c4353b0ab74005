//! The verifier of witnesses: it replays an order on one store, request by request, and shares no
//! code with the algorithm that found the order.

use crate::linear::{Entry, Model};
use crate::models::EtcdStore;
use crate::models::etcd_store::{Request, Store, StoreOp};
use std::sync::Arc;

type Op = <EtcdStore as Model>::Op;

/// Whether `order` (indexes into `entries`) explains every answer; the error says what is wrong.
/// O(n log n): as `linear::verify`, but without a copy of the store for each change.
pub(super) fn verify(entries: &[Entry<Op>], order: &[u32]) -> Result<(), String> {
    let mut times = vec![0_u8; entries.len()];
    order.iter().for_each(|&index| times[index as usize] += 1);
    for (entry, &times) in entries.iter().zip(&times) {
        if times > 1 || (times == 0 && entry.is_certain()) {
            return Err(format!("operation {} stands there {times} times", entry.position));
        }
    }
    let mut first_end_after = u64::MAX;
    for &index in order.iter().rev() {
        let entry = &entries[index as usize];
        if first_end_after < entry.call {
            let position = entry.position;
            return Err(format!("operation {position} stands before one that ended before it"));
        }
        first_end_after = first_end_after.min(entry.ret);
    }
    let mut store = Store::default();
    for &index in order {
        let entry = &entries[index as usize];
        replay(&mut store, &entry.op)
            .ok_or_else(|| format!("operation {} could not answer so there", entry.position))?;
    }
    super::later(store);
    Ok(())
}

fn replay(store: &mut Store, op: &Arc<StoreOp>) -> Option<()> {
    if op.is_serializable() {
        return op.was_seen(store, store.head).then_some(());
    }
    let changes = op.changes(store.now())?;
    store.commit(changes);
    if let (Request::Compact(revision), None | Some(Ok(_))) = (&op.request, &op.answer) {
        store.compacted = store.compacted.max(*revision);
    }
    Some(())
}
