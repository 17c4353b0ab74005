//! What the pair itself asks as root: where users are checked nobody else may clean up.

use std::time::Instant;

use ordeal_cluster::proto::etcdserverpb::*;

use super::answer::Answer;
use super::ask::Ask;
use super::auth::{AuthAsk, Who};
use super::generate::PASSWORDS;
use super::pair::{Difference, Pair, Place};
use super::store::Store;

/// The request on behalf of the keeper, who is root where anybody is checked.
pub fn as_keeper(ask: Ask) -> Ask {
    Ask::As(Who::Keeper, Box::new(ask))
}

impl Pair {
    /// Logs the keeper in, if users are checked and root has a password that is known.
    pub(super) async fn log_in_as_root(&mut self, place: Place) -> Result<(), Difference> {
        if !self.with_users {
            return Ok(());
        }
        for password in PASSWORDS {
            let root = AuthenticateRequest { name: "root".into(), password: (*password).into() };
            if let Answer::Auth(..) = self.both(place, &Ask::Login(Who::Keeper, root)).await? {
                break;
            }
        }
        Ok(())
    }

    /// Asks both on behalf of root.
    pub(super) async fn as_root(&mut self, place: Place, ask: Ask) -> Result<Answer, Difference> {
        self.log_in_as_root(place).await?;
        self.both(place, &as_keeper(ask)).await
    }

    /// Users and roles must be the same, with what the ones have and the others permit.
    pub(super) async fn hold_users_together(&mut self, place: Place) -> Result<(), Difference> {
        if !self.with_users {
            return Ok(());
        }
        let (users, roles) = names(&self.etcd).await;
        let users = users.into_iter().map(|name| AuthAsk::UserGet(AuthUserGetRequest { name }));
        let roles = roles.into_iter().map(|role| AuthAsk::RoleGet(AuthRoleGetRequest { role }));
        let lists = [
            AuthAsk::AuthStatus(AuthStatusRequest {}),
            AuthAsk::UserList(AuthUserListRequest {}),
            AuthAsk::RoleList(AuthRoleListRequest {}),
        ];
        for ask in lists.into_iter().chain(users).chain(roles) {
            if let Some(ask) = self.fit(&Ask::Auth(ask)) {
                self.both(place, &as_keeper(ask)).await?;
            }
        }
        Ok(())
    }

    /// Ends the checks, and deletes every user and role. False if root cannot.
    pub(super) async fn wipe_users(&mut self) -> bool {
        if !self.with_users {
            return true;
        }
        let place = Place::after(&[], Instant::now());
        let disable = Ask::Auth(AuthAsk::AuthDisable(AuthDisableRequest {}));
        if !matches!(self.as_root(place, disable).await, Ok(Answer::Auth(..))) {
            return false;
        }
        let (users, roles) = names(&self.etcd).await;
        let users =
            users.into_iter().map(|name| AuthAsk::UserDelete(AuthUserDeleteRequest { name }));
        let roles =
            roles.into_iter().map(|role| AuthAsk::RoleDelete(AuthRoleDeleteRequest { role }));
        for ask in users.chain(roles) {
            let deleted = self.both(place, &Ask::Auth(ask)).await;
            if !matches!(deleted, Ok(Answer::Auth(..))) {
                return false;
            }
        }
        self.with_users = false;
        true
    }
}

/// The users and the roles that there are, as far as the keeper may see them.
async fn names(store: &Store) -> (Vec<String>, Vec<String>) {
    let users: Result<AuthUserListResponse, _> =
        store.call_as(&Who::Keeper, "Auth/UserList", AuthUserListRequest {}).await;
    let roles: Result<AuthRoleListResponse, _> =
        store.call_as(&Who::Keeper, "Auth/RoleList", AuthRoleListRequest {}).await;
    (users.unwrap_or_default().users, roles.unwrap_or_default().roles)
}
