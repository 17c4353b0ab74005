//! Range: one key, an interval, or a count, at any revision that is kept.

use super::Mvcc;
use crate::error::ApiError;
use crate::proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::proto::etcdserverpb::{RangeRequest, RangeResponse};
use crate::proto::mvccpb::KeyValue;

impl Mvcc {
    /// Answers a range as of `now`, the newest revision that the reader may see. The response's
    /// header is left to the caller. Linear in the keys of the interval, as etcd counts them all.
    ///
    /// # Errors
    /// [`ApiError::Compacted`] or [`ApiError::FutureRevision`] outside what is kept.
    pub fn range(&self, request: &RangeRequest, now: i64) -> Result<RangeResponse, ApiError> {
        let revision = self.readable(request.revision, now)?;
        let live = self.live(&request.key, &request.range_end, revision);
        let mut response = RangeResponse::default();
        if request.count_only {
            response.count = live.count() as i64;
            return Ok(response);
        }
        let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
        // An order or a filter needs all keys before the limit can cut; without, one key more
        // than the limit tells whether there is more. A target of sorting without an order sorts
        // only those: so does etcd.
        let fetched = match limit {
            Some(limit) if !is_sorted_or_filtered(request) => limit.saturating_add(1),
            _ => usize::MAX,
        };
        let mut count = 0;
        let mut kvs = Vec::new();
        for (key, version) in live {
            if count < fetched {
                kvs.push(version.to_kv(key));
            }
            count += 1;
        }
        filter(request, &mut kvs);
        sort(request, &mut kvs);
        if let Some(limit) = limit
            && kvs.len() > limit
        {
            kvs.truncate(limit);
            response.more = true;
        }
        if request.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value.clear());
        }
        response.count = count as i64;
        response.kvs = kvs;
        Ok(response)
    }

    /// The revision at which a request that names `asked` reads; 0 and below mean the newest.
    pub(super) fn readable(&self, asked: i64, now: i64) -> Result<i64, ApiError> {
        match asked {
            ..=0 => Ok(now),
            asked if asked > now => Err(ApiError::FutureRevision),
            asked if asked < self.compacted => Err(ApiError::Compacted),
            asked => Ok(asked),
        }
    }

    /// Whether a transaction may read at a revision. Unlike a read by itself it may not ask for one
    /// below zero, as in etcd.
    pub(super) fn kept(&self, asked: i64) -> Result<(), ApiError> {
        match asked {
            0 => Ok(()),
            asked if asked > self.revision => Err(ApiError::FutureRevision),
            asked if asked < self.compacted => Err(ApiError::Compacted),
            _ => Ok(()),
        }
    }
}

fn is_sorted_or_filtered(request: &RangeRequest) -> bool {
    request.sort_order() != SortOrder::None
        || request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0
}

fn filter(request: &RangeRequest, kvs: &mut Vec<KeyValue>) {
    let within = |revision: i64, min: i64, max: i64| {
        (min == 0 || revision >= min) && (max == 0 || revision <= max)
    };
    kvs.retain(|kv| {
        within(kv.mod_revision, request.min_mod_revision, request.max_mod_revision)
            && within(kv.create_revision, request.min_create_revision, request.max_create_revision)
    });
}

fn sort(request: &RangeRequest, kvs: &mut [KeyValue]) {
    let target = request.sort_target();
    let order = match request.sort_order() {
        SortOrder::None if target != SortTarget::Key => SortOrder::Ascend,
        order => order,
    };
    if order == SortOrder::None {
        return;
    }
    kvs.sort_by(|a, b| {
        let rising = match target {
            SortTarget::Key => a.key.cmp(&b.key),
            SortTarget::Version => a.version.cmp(&b.version),
            SortTarget::Create => a.create_revision.cmp(&b.create_revision),
            SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
            SortTarget::Value => a.value.cmp(&b.value),
        };
        if order == SortOrder::Descend { rising.reverse() } else { rising }
    });
}
