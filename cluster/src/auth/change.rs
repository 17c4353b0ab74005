//! The changes of users, roles and permissions.

use super::{AuthStore, ROOT, has_no_password, has_role, ranges};
use crate::error::ApiError;
use crate::proto::authpb::{Permission, Role, User};
use crate::proto::etcdserverpb::{
    AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest, AuthUserAddRequest,
    AuthUserChangePasswordRequest, AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest,
};
use crate::proto::ordealpb::Login;
use crate::proto::ordealpb::auth_change::Change;

impl AuthStore {
    /// Makes a change. Whether the caller may is asked before, of [`AuthStore::permit`].
    ///
    /// # Errors
    /// The client's to see; then nothing has changed.
    pub fn apply(&mut self, change: &Change) -> Result<(), ApiError> {
        match change {
            Change::Enable(_) => self.enable(),
            Change::Disable(_) => {
                self.disable();
                Ok(())
            }
            Change::Login(login) => self.login(login),
            Change::UserAdd(request) => self.user_add(request),
            Change::UserDelete(request) => self.user_delete(&request.name),
            Change::UserChangePassword(request) => self.user_change_password(request),
            Change::UserGrantRole(request) => self.user_grant_role(request),
            Change::UserRevokeRole(request) => self.user_revoke_role(request),
            Change::RoleAdd(request) => self.role_add(&request.name),
            Change::RoleDelete(request) => self.role_delete(&request.role),
            Change::RoleGrantPermission(request) => self.role_grant_permission(request),
            Change::RoleRevokePermission(request) => self.role_revoke_permission(request),
        }
    }

    fn enable(&mut self) -> Result<(), ApiError> {
        if self.enabled {
            return Ok(());
        }
        let root = self.users.get(ROOT).ok_or(ApiError::RootUserNotExist)?;
        if !has_role(root, ROOT) {
            return Err(ApiError::RootRoleNotExist);
        }
        self.enabled = true;
        Ok(())
    }

    fn disable(&mut self) {
        if self.enabled {
            self.enabled = false;
            self.changed();
        }
    }

    /// The password was right when it was checked; whether the user is still there is for here.
    fn login(&self, login: &Login) -> Result<(), ApiError> {
        if !self.enabled {
            return Err(ApiError::AuthNotEnabled);
        }
        match self.users.get(&login.name) {
            Some(user) if !has_no_password(user) => Ok(()),
            _ => Err(ApiError::AuthFailed),
        }
    }

    fn user_add(&mut self, request: &AuthUserAddRequest) -> Result<(), ApiError> {
        if request.name.is_empty() {
            return Err(ApiError::UserEmpty);
        }
        if self.users.contains_key(&request.name) {
            return Err(ApiError::UserAlreadyExists);
        }
        let options = request.options.unwrap_or_default();
        let hash = if options.no_password { "" } else { &request.hashed_password };
        let user = User {
            name: request.name.clone().into(),
            password: hash.to_owned().into(),
            roles: Vec::new(),
            options: Some(options),
        };
        self.users.insert(request.name.clone(), user);
        self.changed();
        Ok(())
    }

    fn user_delete(&mut self, name: &str) -> Result<(), ApiError> {
        self.guard_root(name)?;
        if !self.users.contains_key(name) {
            return Err(ApiError::UserNotFound);
        }
        self.users.remove(name);
        self.changed();
        Ok(())
    }

    fn user_change_password(
        &mut self,
        request: &AuthUserChangePasswordRequest,
    ) -> Result<(), ApiError> {
        let hash = request.hashed_password.clone();
        self.change_user(&request.name, |user| {
            user.password = if has_no_password(user) { "".into() } else { hash.into() };
            Ok(true)
        })
    }

    fn user_grant_role(&mut self, request: &AuthUserGrantRoleRequest) -> Result<(), ApiError> {
        // The role root need not exist to be granted.
        let known = request.role == ROOT || self.roles.contains_key(&request.role);
        self.change_user(&request.user, |user| {
            if !known {
                return Err(ApiError::RoleNotFound);
            }
            match user.roles.binary_search(&request.role) {
                Ok(_) => Ok(false),
                Err(place) => {
                    user.roles.insert(place, request.role.clone());
                    Ok(true)
                }
            }
        })
    }

    fn user_revoke_role(&mut self, request: &AuthUserRevokeRoleRequest) -> Result<(), ApiError> {
        if request.role == ROOT {
            self.guard_root(&request.name)?;
        }
        self.change_user(&request.name, |user| {
            let place = user.roles.binary_search(&request.role);
            user.roles.remove(place.map_err(|_| ApiError::RoleNotGranted)?);
            Ok(true)
        })
    }

    fn role_add(&mut self, name: &str) -> Result<(), ApiError> {
        if name.is_empty() {
            return Err(ApiError::RoleEmpty);
        }
        if self.roles.contains_key(name) {
            return Err(ApiError::RoleAlreadyExists);
        }
        let role = Role { name: name.to_owned().into(), key_permission: Vec::new() };
        self.roles.insert(name.to_owned(), role);
        self.changed();
        Ok(())
    }

    fn role_delete(&mut self, name: &str) -> Result<(), ApiError> {
        self.guard_root(name)?;
        if !self.roles.contains_key(name) {
            return Err(ApiError::RoleNotFound);
        }
        self.roles.remove(name);
        for user in self.users.values_mut() {
            user.roles.retain(|role| role != name);
        }
        self.changed();
        Ok(())
    }

    fn role_grant_permission(
        &mut self,
        request: &AuthRoleGrantPermissionRequest,
    ) -> Result<(), ApiError> {
        let given = request.perm.as_ref().ok_or(ApiError::PermissionNotGiven)?;
        if !ranges::is_valid(given) {
            return Err(ApiError::InvalidAuthManagement);
        }
        self.change_role(&request.name, |permissions| {
            // As etcd does, which looks at the first permission of the key alone: of two
            // intervals from one key on, the second is granted once more and not changed.
            let place = permissions.partition_point(|known| known.key < given.key);
            match permissions.get_mut(place) {
                Some(known) if same_keys(known, given) => known.perm_type = given.perm_type,
                _ => {
                    permissions.push(given.clone());
                    permissions.sort_by(|a, b| a.key.cmp(&b.key));
                }
            }
            Ok(())
        })
    }

    fn role_revoke_permission(
        &mut self,
        request: &AuthRoleRevokePermissionRequest,
    ) -> Result<(), ApiError> {
        let AuthRoleRevokePermissionRequest { role, key, range_end } = request;
        let gone = Permission { perm_type: 0, key: key.clone(), range_end: range_end.clone() };
        self.change_role(role, |permissions| {
            let before = permissions.len();
            permissions.retain(|known| !same_keys(known, &gone));
            let found = permissions.len() < before;
            if found { Ok(()) } else { Err(ApiError::PermissionNotGranted) }
        })
    }

    /// Changes a user; nothing has changed if `change` says so, or fails.
    fn change_user(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut User) -> Result<bool, ApiError>,
    ) -> Result<(), ApiError> {
        let mut user = self.users.get(name).ok_or(ApiError::UserNotFound)?.clone();
        if change(&mut user)? {
            self.users.insert(name.to_owned(), user);
            self.changed();
        }
        Ok(())
    }

    fn change_role(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Vec<Permission>) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let mut role = self.roles.get(name).ok_or(ApiError::RoleNotFound)?.clone();
        change(&mut role.key_permission)?;
        self.roles.insert(name.to_owned(), role);
        self.changed();
        Ok(())
    }

    /// While checks are made, somebody must be able to end them.
    fn guard_root(&self, name: &str) -> Result<(), ApiError> {
        if self.enabled && name == ROOT { Err(ApiError::InvalidAuthManagement) } else { Ok(()) }
    }
}

fn same_keys(a: &Permission, b: &Permission) -> bool {
    a.key == b.key && a.range_end == b.range_end
}
