//! Between the workloads' plain types and the messages of the embedded cluster.

use ordeal_cluster::proto::authpb::Permission;
use ordeal_cluster::proto::etcdserverpb as pb;
use ordeal_cluster::proto::mvccpb;
use ordeal_cluster::proto::ordealpb::auth_change::Change;
use ordeal_workloads::{
    AuthChange, Change as KeyChange, Compare, CompareOp, CompareTarget, Delete, Grant, KeyValue,
    Order, Put, Range, Request, Rights, Said, SortBy, StoreError, Told, Txn, WatchRequest,
};

/// What is said of a request that is not simulated.
pub fn absent(request: &Request) -> StoreError {
    StoreError::DidNotHappen(format!("not simulated yet: {request:?}"))
}

/// A read.
pub fn range(range: Range) -> pb::RangeRequest {
    use pb::range_request::{SortOrder, SortTarget};
    let order = match range.order {
        Order::None => SortOrder::None,
        Order::Ascend => SortOrder::Ascend,
        Order::Descend => SortOrder::Descend,
    };
    let target = match range.sort_by {
        SortBy::Key => SortTarget::Key,
        SortBy::Version => SortTarget::Version,
        SortBy::Create => SortTarget::Create,
        SortBy::Mod => SortTarget::Mod,
        SortBy::Value => SortTarget::Value,
    };
    pb::RangeRequest {
        key: range.key.into(),
        range_end: range.range_end.into(),
        revision: range.revision,
        limit: range.limit,
        sort_order: order.into(),
        sort_target: target.into(),
        serializable: range.serializable,
        keys_only: range.keys_only,
        count_only: range.count_only,
        min_mod_revision: range.modified.0,
        max_mod_revision: range.modified.1,
        min_create_revision: range.created.0,
        max_create_revision: range.created.1,
    }
}

/// A write.
pub fn put(put: Put) -> pb::PutRequest {
    pb::PutRequest {
        key: put.key.into(),
        value: put.value.into(),
        lease: put.lease,
        prev_kv: put.prev_kv,
        ignore_value: put.ignore_value,
        ignore_lease: put.ignore_lease,
    }
}

/// A deletion.
pub fn delete(delete: Delete) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest {
        key: delete.key.into(),
        range_end: delete.range_end.into(),
        prev_kv: delete.prev_kv,
    }
}

/// A transaction.
///
/// # Errors
/// When it holds what no transaction can.
pub fn txn(txn: Txn) -> Result<pb::TxnRequest, StoreError> {
    let branch = |requests: Vec<Request>| -> Result<Vec<pb::RequestOp>, StoreError> {
        requests.into_iter().map(operation).collect()
    };
    Ok(pb::TxnRequest {
        compare: txn.compares.into_iter().map(compare).collect(),
        success: branch(txn.then)?,
        failure: branch(txn.otherwise)?,
    })
}

fn operation(request: Request) -> Result<pb::RequestOp, StoreError> {
    use pb::request_op::Request as Op;
    let op = match request {
        Request::Range(asked) => Op::RequestRange(range(asked)),
        Request::Put(asked) => Op::RequestPut(put(asked)),
        Request::Delete(asked) => Op::RequestDeleteRange(delete(asked)),
        Request::Txn(asked) => Op::RequestTxn(Box::new(txn(asked)?)),
        other => return Err(absent(&other)),
    };
    Ok(pb::RequestOp { request: Some(op) })
}

fn compare(compare: Compare) -> pb::Compare {
    use pb::compare::{CompareResult, CompareTarget as Target, TargetUnion};
    let result = match compare.op {
        CompareOp::Equal => CompareResult::Equal,
        CompareOp::NotEqual => CompareResult::NotEqual,
        CompareOp::Greater => CompareResult::Greater,
        CompareOp::Less => CompareResult::Less,
    };
    let (target, with) = match compare.target {
        CompareTarget::Value(value) => (Target::Value, TargetUnion::Value(value.into())),
        CompareTarget::Version(version) => (Target::Version, TargetUnion::Version(version)),
        CompareTarget::CreateRevision(r) => (Target::Create, TargetUnion::CreateRevision(r)),
        CompareTarget::ModRevision(r) => (Target::Mod, TargetUnion::ModRevision(r)),
        CompareTarget::Lease(lease) => (Target::Lease, TargetUnion::Lease(lease)),
    };
    pb::Compare {
        key: compare.key.into(),
        range_end: compare.range_end.into(),
        result: result.into(),
        target: target.into(),
        target_union: Some(with),
    }
}

/// What was read.
pub fn ranged(got: pb::RangeResponse) -> Said {
    let kvs = got.kvs.into_iter().map(key_value).collect();
    Said::Range { kvs, count: got.count, more: got.more }
}

/// What was written over.
pub fn was_put(put: pb::PutResponse) -> Said {
    Said::Put { prev: put.prev_kv.map(key_value) }
}

/// What was deleted.
pub fn deleted(gone: pb::DeleteRangeResponse) -> Said {
    let prev = gone.prev_kvs.into_iter().map(key_value).collect();
    Said::Delete { deleted: gone.deleted, prev }
}

/// How a transaction went.
pub fn txn_said(txn: pb::TxnResponse) -> Said {
    use pb::response_op::Response as Op;
    let results = txn.responses.into_iter().filter_map(|result| match result.response? {
        Op::ResponseRange(got) => Some(ranged(got)),
        Op::ResponsePut(put) => Some(was_put(put)),
        Op::ResponseDeleteRange(gone) => Some(deleted(gone)),
        Op::ResponseTxn(txn) => Some(txn_said(txn)),
    });
    Said::Txn { succeeded: txn.succeeded, results: results.collect() }
}

/// A key.
pub fn key_value(kv: mvccpb::KeyValue) -> KeyValue {
    KeyValue {
        key: kv.key.to_vec(),
        value: kv.value.to_vec(),
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        lease: kv.lease,
    }
}

/// What stands in the store for a password: a simulation has no secrets, and bcrypt would take
/// most of its time.
pub fn hashed(password: &str) -> String {
    format!("plain:{password}")
}

/// A change of users, roles and rights.
pub fn auth_change(change: AuthChange) -> Change {
    match change {
        AuthChange::Enable => Change::Enable(pb::AuthEnableRequest {}),
        AuthChange::UserAdd(login) => Change::UserAdd(pb::AuthUserAddRequest {
            hashed_password: hashed(&login.password),
            name: login.user,
            ..Default::default()
        }),
        AuthChange::UserDelete(name) => Change::UserDelete(pb::AuthUserDeleteRequest { name }),
        AuthChange::ChangePassword(login) => {
            Change::UserChangePassword(pb::AuthUserChangePasswordRequest {
                hashed_password: hashed(&login.password),
                name: login.user,
                ..Default::default()
            })
        }
        AuthChange::UserGrantRole { user, role } => {
            Change::UserGrantRole(pb::AuthUserGrantRoleRequest { user, role })
        }
        AuthChange::UserRevokeRole { user, role } => {
            Change::UserRevokeRole(pb::AuthUserRevokeRoleRequest { name: user, role })
        }
        AuthChange::RoleAdd(name) => Change::RoleAdd(pb::AuthRoleAddRequest { name }),
        AuthChange::RoleDelete(role) => Change::RoleDelete(pb::AuthRoleDeleteRequest { role }),
        AuthChange::RoleGrant { role, grant } => {
            let perm = Some(permission(grant));
            Change::RoleGrantPermission(pb::AuthRoleGrantPermissionRequest { name: role, perm })
        }
        AuthChange::RoleRevoke { role, key, range_end } => {
            let (key, range_end) = (key.into(), range_end.into());
            let revoke = pb::AuthRoleRevokePermissionRequest { role, key, range_end };
            Change::RoleRevokePermission(revoke)
        }
    }
}

fn permission(grant: Grant) -> Permission {
    use ordeal_cluster::proto::authpb::permission::Type;
    let rights = match grant.rights {
        Rights::Read => Type::Read,
        Rights::Write => Type::Write,
        Rights::ReadWrite => Type::Readwrite,
    };
    let (key, range_end) = (grant.key.into(), grant.range_end.into());
    Permission { perm_type: rights.into(), key, range_end }
}

/// A watch that is to begin.
pub fn watch(watch: WatchRequest) -> pb::WatchCreateRequest {
    use pb::watch_create_request::FilterType;
    let filters = [(watch.no_put, FilterType::Noput), (watch.no_delete, FilterType::Nodelete)];
    pb::WatchCreateRequest {
        key: watch.key.into(),
        range_end: watch.range_end.into(),
        start_revision: watch.start,
        progress_notify: watch.progress_notify,
        filters: filters.into_iter().filter(|(on, _)| *on).map(|(_, it)| it.into()).collect(),
        prev_kv: watch.prev_kv,
        fragment: watch.fragment,
        ..Default::default()
    }
}

/// A response to a watch.
pub fn told(response: pb::WatchResponse) -> Told {
    Told {
        changes: response.events.into_iter().filter_map(changed).collect(),
        fragment: response.fragment,
        canceled: response.canceled,
        compact_revision: response.compact_revision,
        reason: response.cancel_reason,
    }
}

/// One change; an event without its key is none.
fn changed(event: mvccpb::Event) -> Option<KeyChange> {
    let deleted = event.r#type() == mvccpb::event::EventType::Delete;
    let (kv, prev) = (event.kv.map(key_value)?, event.prev_kv.map(key_value));
    Some(KeyChange { deleted, kv, prev })
}
