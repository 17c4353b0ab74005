//! Locks: the key that is oldest under the lock's name holds it.

use super::{Behind, Failure, Session, prefix_of};
use crate::bugs::{Bug, Bugs};
use crate::proto::etcdserverpb::RangeRequest;
use crate::proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};

/// Waits for a lock.
///
/// # Errors
/// It was not had; the place in line is given up then.
pub async fn lock<B: Behind>(
    behind: &B,
    bugs: Bugs,
    request: LockRequest,
) -> Result<LockResponse, Failure> {
    let session = Session { behind };
    let prefix = prefix_of(&request.name);
    let place = session.stand(&prefix, request.lease, Default::default()).await?;
    let mut header = place.header;
    let guard = session.guard(&place);
    session.wait_for_older(&prefix, place.revision).await?;
    if !bugs.has(Bug::LockWithoutKey) {
        let own = RangeRequest { key: place.key.clone(), ..Default::default() };
        let response = session.range(own).await?;
        if response.kvs.is_empty() {
            // The lease ended while it waited, and with it the right to the lock.
            return Err(Failure::Said("mutex: session is expired".to_owned()));
        }
        header = response.header.unwrap_or(header);
    }
    // BUG lock-without-key: else nobody looks whether the key is still there.
    guard.keep();
    Ok(LockResponse { header: Some(header), key: place.key })
}

/// Lets go of a lock.
///
/// # Errors
/// The node's.
pub async fn unlock<B: Behind>(
    behind: &B,
    request: UnlockRequest,
) -> Result<UnlockResponse, Failure> {
    let response = Session { behind }.delete(request.key).await?;
    Ok(UnlockResponse { header: response.header })
}
