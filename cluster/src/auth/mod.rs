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

mod change;
mod permit;
mod ranges;

use std::collections::BTreeMap;

pub use permit::Caller;
pub use ranges::{Access, Ranges};

use crate::error::ApiError;
use crate::proto::authpb::{Role, User};
use crate::proto::ordealpb::AuthState;
use crate::proto::ordealpb::auth_change::Change;

/// The user that may do everything once it has the role of the same name.
const ROOT: &str = "root";

/// Who may do what.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthStore {
    enabled: bool,
    revision: u64,
    users: BTreeMap<String, User>,
    roles: BTreeMap<String, Role>,
    /// By user, what follows from the two above.
    ranges: BTreeMap<String, Ranges>,
}

impl Default for AuthStore {
    fn default() -> Self {
        Self {
            enabled: false,
            revision: 1,
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
            ranges: BTreeMap::new(),
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
            _ => Vec::new(),
        }
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
        self.ranges = ranges.collect();
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
        let AuthState { enabled, revision, .. } = state;
        let mut store = Self { enabled, revision, users, roles, ranges: BTreeMap::new() };
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
