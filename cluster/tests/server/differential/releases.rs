//! What older releases of etcd do otherwise, so that they are not asked it.

use super::ask::{Ask, Chosen, What};
use super::etcd::Release;

/// The request, or one beside it that the release answers as 3.5.30 does.
pub fn fit(ask: &Ask, release: Release, head: i64, compacted: i64) -> Ask {
    let mut fit = ask.clone();
    if let What::Watch(_, create) = &mut fit.what
        && let What::Watch(_, resolved) = ask.resolved(head, &Chosen::new()).what
    {
        if release < (3, 5, 16) && resolved.start_revision == compacted {
            // etcd #18089: a watch from the compacted revision misses a deletion there.
            create.start_revision = compacted + 1;
        }
        if release < (3, 5, 24) && resolved.start_revision < 0 {
            // etcd #20693: it was not refused, and stopped others from being told.
            create.start_revision = 0;
        }
    }
    fit
}
