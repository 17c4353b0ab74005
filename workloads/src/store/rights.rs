//! Users, roles and rights.

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// What a right allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// To read.
    Read,
    /// To write.
    Write,
    /// Both.
    ReadWrite,
}

/// A right to keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it allows.
    pub rights: Rights,
    /// The first key.
    pub key: Vec<u8>,
    /// As in a range.
    pub range_end: Vec<u8>,
}

/// A change of users, roles and rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthChange {
    /// From now on every request needs a user.
    Enable,
    /// A new user.
    UserAdd(Login),
    /// A user is to be no more.
    UserDelete(String),
    /// A new password.
    ChangePassword(Login),
    /// A user gets a role.
    UserGrantRole {
        /// The user.
        user: String,
        /// The role.
        role: String,
    },
    /// A user loses a role.
    UserRevokeRole {
        /// The user.
        user: String,
        /// The role.
        role: String,
    },
    /// A new role.
    RoleAdd(String),
    /// A role is to be no more.
    RoleDelete(String),
    /// A role gets a right.
    RoleGrant {
        /// The role.
        role: String,
        /// The right.
        grant: Grant,
    },
    /// A role loses its right to exactly this range.
    RoleRevoke {
        /// The role.
        role: String,
        /// The first key.
        key: Vec<u8>,
        /// As in a range.
        range_end: Vec<u8>,
    },
}
