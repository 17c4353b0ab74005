//! What older releases of etcd do otherwise, so that they are not asked it.

use super::ask::{Ask, Chosen};
use super::auth::AuthAsk;
use super::etcd::Release;

/// The request, or one beside it that the release answers as 3.5.30 does, or nothing if there is
/// none.
pub fn fit(ask: &Ask, release: Release, head: i64, compacted: i64) -> Option<Ask> {
    if let Ask::As(who, ask) = ask {
        let fit = self::fit(ask, release, head, compacted)?;
        return Some(Ask::As(who.clone(), Box::new(fit)));
    }
    let mut fit = ask.clone();
    // There was no such request.
    if matches!(ask, Ask::Auth(AuthAsk::AuthStatus(_))) && release < (3, 5, 0) {
        return None;
    }
    // etcd #15220 and #20221: progress was told before what had happened until then, or to a watch
    // that was yet to start.
    if matches!(ask, Ask::Progress(_)) && release < (3, 5, 22) {
        return None;
    }
    if let Ask::Watch(_, create) = &mut fit
        && let Ask::Watch(_, resolved) = ask.resolved(head, &Chosen::new())
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
    Some(fit)
}
