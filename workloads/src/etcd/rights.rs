//! Users, roles and rights, over the crate's client.

use super::error::classify;
use crate::store::{AuthChange, Grant, Rights, StoreError};
use etcd_client::{Client, Permission, RoleRevokePermissionOptions};

/// Makes one change.
pub(super) async fn change(client: &mut Client, change: AuthChange) -> Result<(), StoreError> {
    match change {
        AuthChange::Enable => client.auth_enable().await.map(drop),
        AuthChange::UserAdd(login) => {
            client.user_add(login.user, login.password, None).await.map(drop)
        }
        AuthChange::UserDelete(user) => client.user_delete(user).await.map(drop),
        AuthChange::ChangePassword(login) => {
            client.user_change_password(login.user, login.password).await.map(drop)
        }
        AuthChange::UserGrantRole { user, role } => {
            client.user_grant_role(user, role).await.map(drop)
        }
        AuthChange::UserRevokeRole { user, role } => {
            client.user_revoke_role(user, role).await.map(drop)
        }
        AuthChange::RoleAdd(role) => client.role_add(role).await.map(drop),
        AuthChange::RoleDelete(role) => client.role_delete(role).await.map(drop),
        AuthChange::RoleGrant { role, grant } => {
            client.role_grant_permission(role, permission(grant)).await.map(drop)
        }
        AuthChange::RoleRevoke { role, key, range_end } => {
            let options = (!range_end.is_empty())
                .then(|| RoleRevokePermissionOptions::new().with_range_end(range_end));
            client.role_revoke_permission(role, key, options).await.map(drop)
        }
    }
    .map_err(classify)
}

fn permission(grant: Grant) -> Permission {
    let permission = match grant.rights {
        Rights::Read => Permission::read(grant.key),
        Rights::Write => Permission::write(grant.key),
        Rights::ReadWrite => Permission::read_write(grant.key),
    };
    if grant.range_end.is_empty() { permission } else { permission.with_range_end(grant.range_end) }
}
