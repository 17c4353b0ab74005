//! Who asks, and whether they may: credentials become a caller, and callers are checked.
//!
//! As in etcd, a change is checked when it is applied and a read when it is answered, against the
//! state of that moment; before that only the caller is found out.

use bytes::Bytes;

use super::node::Node;
use super::reads::Query;
use super::tokens;
use super::{Effect, Request, RequestId, Response};
use crate::auth::{Access, Caller};
use crate::bugs::Bug;
use crate::error::ApiError;
use crate::proto::authpb::Permission;
use crate::proto::etcdserverpb::ResponseHeader;
use crate::proto::ordealpb::Command;
use crate::proto::ordealpb::auth_change::Change;
use crate::proto::ordealpb::command::Op;

/// By what a client shows who it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// By nothing.
    #[default]
    None,
    /// A token that the members keep.
    SimpleToken(String),
    /// A token that was signed, with what it says.
    SignedToken(Caller),
    /// A token that is none.
    InvalidToken,
    /// A certificate for this user.
    Certificate(String),
}

/// What may be asked about users, roles and permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AuthQuery {
    Status,
    UserGet(String),
    UserList,
    RoleGet(String),
    RoleList,
    /// For the server alone, which compares it with a password: not a client's to see.
    PasswordHash(String),
}

/// The answer to a query, or to a change.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthResponse {
    /// Who answers.
    pub header: ResponseHeader,
    /// What.
    pub answer: AuthAnswer,
}

/// What there is to answer.
#[derive(Debug, Clone, PartialEq)]
pub enum AuthAnswer {
    /// The change is made; as of the auth revision after it.
    Changed {
        /// The auth revision.
        auth_revision: u64,
    },
    /// The user has logged in.
    LoggedIn {
        /// A simple token, if its random part was given.
        token: String,
        /// The auth revision then.
        auth_revision: u64,
    },
    /// Whether anything is checked.
    Status {
        /// Whether it is.
        enabled: bool,
        /// The auth revision.
        auth_revision: u64,
    },
    /// Of users or roles.
    Names(Vec<String>),
    /// What a role permits.
    Permissions(Vec<Permission>),
    /// What the hash of the right password is.
    PasswordHash {
        /// By bcrypt.
        hash: Vec<u8>,
        /// The auth revision then.
        auth_revision: u64,
    },
}

impl Node {
    /// Takes a request with credentials; one whose token is not known yet waits for it.
    pub(super) fn request_as(
        &mut self,
        id: RequestId,
        request: Request,
        credentials: Credentials,
        out: &mut Vec<Effect>,
    ) {
        if let Credentials::SimpleToken(token) = &credentials
            && self.state.auth.is_enabled()
            && let Some(index) = tokens::index(token)
            && index > self.raft.store().applied().index
        {
            let deadline_us = self.now_us + self.config.request_timeout_us;
            return self.tokens.wait(index, deadline_us, (id, request, credentials), out);
        }
        self.request(id, request, credentials, out);
    }

    /// Takes the requests whose tokens are known by now.
    pub(super) fn resume_requests(&mut self, out: &mut Vec<Effect>) {
        for (id, request, credentials) in self.tokens.resumed(self.raft.store().applied().index) {
            self.request(id, request, credentials, out);
        }
    }

    /// Finds out who asks.
    pub(super) fn caller(&mut self, credentials: &Credentials) -> Result<Caller, ApiError> {
        if !self.state.auth.is_enabled() {
            return Ok(Caller::default());
        }
        let revision = self.state.auth.revision();
        match credentials {
            Credentials::None => Ok(Caller::default()),
            Credentials::SimpleToken(token) => {
                let expires_us = self.now_us + self.config.token_ttl_us;
                let user = self.tokens.user(token, self.now_us, expires_us);
                let user = user.ok_or(ApiError::InvalidAuthToken)?;
                Ok(Caller { user, revision })
            }
            Credentials::SignedToken(caller) => Ok(caller.clone()),
            Credentials::InvalidToken => Err(ApiError::InvalidAuthToken),
            Credentials::Certificate(user) => Ok(Caller { user: user.clone(), revision }),
        }
    }

    /// Whether it is root who asks, or nobody is checked.
    pub(super) fn permit_root(&mut self, who: &Credentials) -> Result<(), ApiError> {
        let caller = self.caller(who)?;
        self.state.auth.permit_admin(&caller)
    }

    /// Finds out who gives a command. Whether they may is asked when it is applied.
    pub(super) fn caller_who_may_ask(
        &mut self,
        who: &Credentials,
        op: &Op,
    ) -> Result<Caller, ApiError> {
        let caller = self.caller(who)?;
        if self.config.bugs.has(Bug::AuthCheckNotGuarded) {
            // BUG auth-check-not-guarded: it is asked here instead, of a state that may be old.
            self.state.auth.permit(&caller, op, self.state.kv.leases())?;
        }
        Ok(caller)
    }

    /// Whether a caller may read this.
    pub(super) fn permit_query(&self, caller: &Caller, query: &Query) -> Result<(), ApiError> {
        let (auth, leases) = (&self.state.auth, self.state.kv.leases());
        match query {
            Query::Range(range) => {
                auth.permit_range(caller, Access::Read, &range.key, &range.range_end)
            }
            Query::Txn(txn) => auth.permit_read_txn(caller, txn, leases),
            Query::MemberList => auth.permit_user(caller),
            Query::Leases => auth.permit_leases(caller, leases),
            Query::MayWatch(watch) => {
                // The least key there is stands for none.
                let least = Bytes::from_static(&[0]);
                let key = if watch.key.is_empty() { &least } else { &watch.key };
                auth.permit_range(caller, Access::Read, key, &watch.range_end)
            }
            // Checked where the client asked.
            Query::Aside(..) => Ok(()),
            Query::Auth(AuthQuery::UserGet(name)) => auth.permit_user_get(caller, name),
            Query::Auth(AuthQuery::RoleGet(role)) => auth.permit_role_get(caller, role),
            Query::Auth(AuthQuery::PasswordHash(_)) => Ok(()),
            Query::Auth(_) => auth.permit_admin(caller),
        }
    }

    /// Whether the caller of a command may give it, now that it is applied. What a member tells
    /// the others of itself nobody asked for.
    pub(super) fn permit_command(&self, command: &Command, op: &Op) -> Result<(), ApiError> {
        // BUG auth-check-not-guarded: it was asked already, where the command came in.
        if command.sequence == 0 || self.config.bugs.has(Bug::AuthCheckNotGuarded) {
            return Ok(());
        }
        let caller = Caller { user: command.user.clone(), revision: command.auth_revision };
        self.state.auth.permit(&caller, op, self.state.kv.leases())
    }

    /// BUG auth-index-not-saved: what a restarted member's disk has of users and roles is further
    /// than the index that it has saved, so that what the log holds is done once more.
    pub(super) fn apply_auth_twice(&mut self, index: u64, op: &Op) {
        let bug = self.config.bugs.has(Bug::AuthIndexNotSaved);
        if bug && index <= self.replayed_until && matches!(op, Op::Auth(_)) {
            // The first time its result went to whoever had asked.
            let _ = self.state.apply(op, self.config.bugs, false);
        }
    }

    /// The users whose tokens a command makes void, if it succeeds.
    pub(super) fn tokens_voided_by(&self, op: &Op) -> Vec<String> {
        let Op::Auth(auth) = op else { return Vec::new() };
        auth.change.as_ref().map_or_else(Vec::new, |change| self.state.auth.logged_out_by(change))
    }

    /// Follows an applied change with the tokens, and gives what its client gets. A token of a
    /// `former` life of this member is gone with that, as it is in etcd.
    pub(super) fn auth_changed(
        &mut self,
        (index, former): (u64, bool),
        change: Option<&Change>,
        auth_revision: u64,
    ) -> Response {
        let answer = match change {
            Some(Change::Login(login)) if !former => {
                let prefix = Some(&login.token_prefix).filter(|prefix| !prefix.is_empty());
                let expires_us = self.now_us + self.config.token_ttl_us;
                let token = prefix.map_or_else(String::new, |prefix| {
                    self.tokens.assign(prefix, index, &login.name, expires_us)
                });
                AuthAnswer::LoggedIn { token, auth_revision }
            }
            _ => AuthAnswer::Changed { auth_revision },
        };
        let header = self.header(self.state.kv.revision());
        Response::Auth(AuthResponse { header, answer })
    }

    /// Answers a query from the state as it is.
    pub(super) fn answer_auth(&self, query: &AuthQuery) -> Result<Response, ApiError> {
        let auth = &self.state.auth;
        let auth_revision = auth.revision();
        let answer = match query {
            AuthQuery::Status => AuthAnswer::Status { enabled: auth.is_enabled(), auth_revision },
            AuthQuery::UserGet(name) => {
                let user = auth.users().get(name).ok_or(ApiError::UserNotFound)?;
                AuthAnswer::Names(user.roles.clone())
            }
            AuthQuery::UserList => AuthAnswer::Names(auth.users().keys().cloned().collect()),
            AuthQuery::RoleGet(role) => {
                let role = auth.roles().get(role).ok_or(ApiError::RoleNotFound)?;
                AuthAnswer::Permissions(role.key_permission.clone())
            }
            AuthQuery::RoleList => AuthAnswer::Names(auth.roles().keys().cloned().collect()),
            AuthQuery::PasswordHash(name) => {
                let hash = auth.password_hash(name)?.to_vec();
                AuthAnswer::PasswordHash { hash, auth_revision }
            }
        };
        let header = self.header(self.state.kv.revision());
        Ok(Response::Auth(AuthResponse { header, answer }))
    }
}
