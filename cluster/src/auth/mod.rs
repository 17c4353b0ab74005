//! Users, roles and permissions: the part of the replicated state that says who may do what.
//!
//! A user has roles, a role has permissions on intervals of keys, and what a user's roles permit
//! counts together ([`Ranges`]). Every change takes the next *auth revision*; a request bears the
//! one as of which its user was found out, and is refused when applied if that is old, so that a
//! right taken away is gone for whatever is applied later. The user `root` with the role `root`
//! may do everything, and must exist before the checks are switched on.
//!
//! Names, rules and errors are those of etcd 3.5. Passwords come hashed: the log and the state
//! hold bcrypt's hash alone. Tokens are not here but in [`crate::core`], as each member has its
//! own: they expire by its clock.

mod permit;
mod ranges;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use permit::Caller;
pub use ranges::{Access, Ranges};

use crate::error::ApiError;
use crate::proto::authpb::permission::Type;
use crate::proto::authpb::{Permission, Role, User};
use crate::proto::etcdserverpb::{
    AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest, AuthUserAddRequest,
    AuthUserChangePasswordRequest, AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest,
};
use crate::proto::ordealpb::auth_change::Change;
use crate::proto::ordealpb::{AuthState, Login};

/// The user that may do everything once it has the role of the same name.
const ROOT: &str = "root";

/// Who may do what. A clone is cheap.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthStore {
    enabled: bool,
    revision: u64,
    users: Arc<BTreeMap<String, User>>,
    roles: Arc<BTreeMap<String, Role>>,
    /// By user, what follows from the two above.
    ranges: Arc<BTreeMap<String, Ranges>>,
}

impl Default for AuthStore {
    fn default() -> Self {
        Self {
            enabled: false,
            revision: 1,
            users: Arc::default(),
            roles: Arc::default(),
            ranges: Arc::default(),
        }
    }
}

impl AuthStore {
    /// Whether anything is checked.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Counts the changes, from 1 on.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The users, by name.
    pub fn users(&self) -> &BTreeMap<String, User> {
        &self.users
    }

    /// The roles, by name.
    pub fn roles(&self) -> &BTreeMap<String, Role> {
        &self.roles
    }

    /// The hash of a user's password.
    ///
    /// # Errors
    /// Nothing is checked at all, or the user cannot log in.
    pub fn password_hash(&self, name: &str) -> Result<&[u8], ApiError> {
        if !self.enabled {
            return Err(ApiError::AuthNotEnabled);
        }
        let user = self.users.get(name).ok_or(ApiError::AuthFailed)?;
        if has_no_password(user) {
            return Err(ApiError::PasswordOfNoPasswordUser);
        }
        Ok(&user.password)
    }

    /// The users whose tokens a change makes void, if it is made.
    pub fn logged_out_by(&self, change: &Change) -> Vec<String> {
        match change {
            Change::Disable(_) => self.users.keys().cloned().collect(),
            Change::UserDelete(request) => vec![request.name.clone()],
            Change::UserChangePassword(request) => vec![request.name.clone()],
            Change::RoleDelete(request) => {
                let had = self.users.iter().filter(|(_, user)| has_role(user, &request.role));
                had.map(|(name, _)| name.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What a role permits, as clients are told: of root's it is everything.
    ///
    /// # Errors
    /// [`ApiError::RoleNotFound`].
    pub fn permissions(&self, role: &str) -> Result<Vec<Permission>, ApiError> {
        let found = self.roles.get(role).ok_or(ApiError::RoleNotFound)?;
        if role == ROOT {
            let everything = Permission {
                perm_type: Type::Readwrite.into(),
                key: "".into(),
                range_end: "\0".into(),
            };
            return Ok(vec![everything]);
        }
        Ok(found.key_permission.clone())
    }

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
        Arc::make_mut(&mut self.users).insert(request.name.clone(), user);
        self.changed();
        Ok(())
    }

    fn user_delete(&mut self, name: &str) -> Result<(), ApiError> {
        self.guard_root(name)?;
        if !self.users.contains_key(name) {
            return Err(ApiError::UserNotFound);
        }
        Arc::make_mut(&mut self.users).remove(name);
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
        Arc::make_mut(&mut self.roles).insert(name.to_owned(), role);
        self.changed();
        Ok(())
    }

    fn role_delete(&mut self, name: &str) -> Result<(), ApiError> {
        self.guard_root(name)?;
        if !self.roles.contains_key(name) {
            return Err(ApiError::RoleNotFound);
        }
        Arc::make_mut(&mut self.roles).remove(name);
        for user in Arc::make_mut(&mut self.users).values_mut() {
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
            Arc::make_mut(&mut self.users).insert(name.to_owned(), user);
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
        Arc::make_mut(&mut self.roles).insert(name.to_owned(), role);
        self.changed();
        Ok(())
    }

    /// While checks are made, somebody must be able to end them.
    fn guard_root(&self, name: &str) -> Result<(), ApiError> {
        if self.enabled && name == ROOT { Err(ApiError::InvalidAuthManagement) } else { Ok(()) }
    }

    fn changed(&mut self) {
        self.revision += 1;
        self.merge();
    }

    fn merge(&mut self) {
        let ranges = self.users.iter().map(|(name, user)| {
            let roles = user.roles.iter().filter_map(|role| self.roles.get(role));
            (name.clone(), Ranges::merged(roles))
        });
        self.ranges = Arc::new(ranges.collect());
    }

    /// What goes into a snapshot.
    pub fn to_wire(&self) -> AuthState {
        AuthState {
            enabled: self.enabled,
            revision: self.revision,
            users: self.users.values().cloned().collect(),
            roles: self.roles.values().cloned().collect(),
        }
    }

    /// What came out of a snapshot; one that tells nothing of users is older than they are.
    ///
    /// # Errors
    /// A name that is no text.
    pub fn from_wire(state: Option<AuthState>) -> Result<Self, String> {
        let Some(state) = state else { return Ok(Self::default()) };
        let name = |bytes: &[u8]| {
            let name = std::str::from_utf8(bytes);
            name.map(str::to_owned).map_err(|_| "a user's or role's name is no text".to_owned())
        };
        let mut users = BTreeMap::new();
        for user in state.users {
            users.insert(name(&user.name)?, user);
        }
        let mut roles = BTreeMap::new();
        for role in state.roles {
            roles.insert(name(&role.name)?, role);
        }
        let (users, roles) = (Arc::new(users), Arc::new(roles));
        let AuthState { enabled, revision, .. } = state;
        let mut store = Self { enabled, revision, users, roles, ranges: Arc::default() };
        store.merge();
        Ok(store)
    }
}

fn has_no_password(user: &User) -> bool {
    user.options.is_some_and(|options| options.no_password)
}

fn has_role(user: &User, role: &str) -> bool {
    user.roles.iter().any(|own| own == role)
}

fn same_keys(a: &Permission, b: &Permission) -> bool {
    a.key == b.key && a.range_end == b.range_end
}
