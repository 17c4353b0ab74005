//! Simple tokens: a random part, and the index of the log entry that gave the token to its user.
//!
//! Every member learns of a token when it applies that entry, and so a request that comes with one
//! waits until its index is applied. A token that is not used for a while is forgotten, on each
//! member by itself; so it is when the member restarts, as in etcd.

use std::collections::BTreeMap;

use super::{Credentials, Effect, Request, RequestId};
use crate::error::ApiError;

/// Requests that may wait for the index of their token.
const WAITING_MAX: usize = 4_096;

/// The tokens that this member knows.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    known: BTreeMap<String, Token>,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Token {
    user: String,
    expires_us: u64,
}

/// A request whose token may be known later.
#[derive(Debug)]
struct Waiting {
    index: u64,
    deadline_us: u64,
    id: RequestId,
    request: Request,
    credentials: Credentials,
}

impl Tokens {
    /// Gives a user the token of a prefix and an index.
    pub fn assign(&mut self, prefix: &str, index: u64, user: &str, expires_us: u64) -> String {
        let token = format!("{prefix}.{index}");
        self.known.insert(token.clone(), Token { user: user.to_owned(), expires_us });
        token
    }

    /// Whose token it is; it lives on until `expires_us` then.
    pub fn user(&mut self, token: &str, now_us: u64, expires_us: u64) -> Option<String> {
        let known = self.known.get_mut(token).filter(|known| known.expires_us > now_us)?;
        known.expires_us = expires_us;
        Some(known.user.clone())
    }

    /// Forgets the tokens of users.
    pub fn forget(&mut self, users: &[String]) {
        if !users.is_empty() {
            self.known.retain(|_, token| !users.contains(&token.user));
        }
    }

    /// Keeps a request until the index of its token is applied.
    pub fn wait(
        &mut self,
        index: u64,
        deadline_us: u64,
        (id, request, credentials): (RequestId, Request, Credentials),
        out: &mut Vec<Effect>,
    ) {
        if self.waiting.len() >= WAITING_MAX {
            return out.push(Effect::Respond(id, Err(ApiError::TooManyRequests)));
        }
        self.waiting.push(Waiting { index, deadline_us, id, request, credentials });
    }

    /// Takes the requests that waited for what is applied now.
    pub fn resumed(&mut self, applied: u64) -> Vec<(RequestId, Request, Credentials)> {
        if self.waiting.iter().all(|waiting| waiting.index > applied) {
            return Vec::new();
        }
        let (ready, waiting) =
            self.waiting.drain(..).partition(|waiting: &Waiting| waiting.index <= applied);
        self.waiting = waiting;
        let ready: Vec<Waiting> = ready;
        ready.into_iter().map(|ready| (ready.id, ready.request, ready.credentials)).collect()
    }

    /// Forgets the tokens, and answers the requests, whose time is up.
    pub fn expire(&mut self, now_us: u64, out: &mut Vec<Effect>) {
        self.known.retain(|_, token| token.expires_us > now_us);
        self.waiting.retain(|waiting| {
            if waiting.deadline_us <= now_us {
                out.push(Effect::Respond(waiting.id, Err(ApiError::InvalidAuthToken)));
            }
            waiting.deadline_us > now_us
        });
    }
}

/// The index in a token, if it is of the form that simple tokens have.
pub(super) fn index(token: &str) -> Option<u64> {
    let (_, index) = token.split_once('.')?;
    index.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Tokens, index};

    #[test]
    fn a_token_lives_as_long_as_it_is_used() {
        let mut tokens = Tokens::default();
        let token = tokens.assign("abc", 7, "alice", 100);
        assert_eq!(token, "abc.7");
        assert_eq!(tokens.user("abc.7", 99, 199), Some("alice".into()));
        assert_eq!(tokens.user("abc.7", 198, 298), Some("alice".into()));
        assert_eq!(tokens.user("abc.7", 298, 398), None);
        assert_eq!(tokens.user("abc.8", 0, 100), None);
    }

    #[test]
    fn a_user_who_is_logged_out_has_no_token_and_others_have() {
        let mut tokens = Tokens::default();
        let first = tokens.assign("a", 1, "alice", 100);
        let second = tokens.assign("b", 2, "alice", 100);
        let other = tokens.assign("c", 3, "bob", 100);
        tokens.forget(&["alice".into()]);
        assert_eq!(tokens.user(&first, 0, 100), None);
        assert_eq!(tokens.user(&second, 0, 100), None);
        assert_eq!(tokens.user(&other, 0, 100), Some("bob".into()));
    }

    #[test]
    fn only_a_random_part_and_an_index_make_a_token() {
        for (token, expected) in
            [("a.1", Some(1)), ("a", None), ("a.b", None), ("a.1.2", None), ("a.-1", None)]
        {
            assert_eq!(index(token), expected, "{token}");
        }
    }
}
