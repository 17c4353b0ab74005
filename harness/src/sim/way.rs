//! The way to one process of a simulated cluster, for somebody who asks.

use super::messages;
use super::watches::Stream;
use super::wire::End;
use super::world::World;
use ordeal_cluster::concurrency::{Behind, Failure, Watching};
use ordeal_cluster::core::{
    AuthAnswer, AuthQuery, AuthResponse, Credentials, Request, Response, WatchInput,
};
use ordeal_cluster::error::ApiError;
use ordeal_cluster::proto::etcdserverpb::watch_request::RequestUnion;
use ordeal_cluster::proto::etcdserverpb::{
    TxnRequest, WatchCreateRequest, WatchRequest, WatchResponse,
};
use ordeal_cluster::proto::ordealpb;
use ordeal_cluster::proto::ordealpb::auth_change::Change;
use ordeal_workloads::etcd::refuses;
use ordeal_workloads::{Login, StoreError};
use std::rc::Rc;

/// Who asks which process.
#[derive(Clone)]
pub struct Way {
    pub world: Rc<World>,
    pub end: End,
    pub process: u64,
    pub credentials: Credentials,
}

impl Way {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The node's, or the connection broke.
    pub async fn ask(&self, request: Request) -> Result<Response, StoreError> {
        self.world.ask_as(self.end, self.process, request, self.credentials.clone()).await
    }
}

/// What an error of the embedded cluster means, by its words, as those of any etcd.
pub fn meaning(words: String) -> StoreError {
    if refuses(&words) { StoreError::DidNotHappen(words) } else { StoreError::Indeterminate(words) }
}

impl World {
    /// Asks the process of this number on a node, and waits for the answer.
    ///
    /// # Errors
    /// The node's, or the connection broke.
    pub async fn ask_as(
        &self,
        end: End,
        process: u64,
        request: Request,
        credentials: Credentials,
    ) -> Result<Response, StoreError> {
        match self.ask(end, process, request, credentials).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(meaning(error.to_string())),
            Err(_) => Err(StoreError::Indeterminate("the connection broke".to_owned())),
        }
    }

    /// Compares a password, and gets a token for its user: what the real server's service Auth
    /// does. In place of bcrypt's hash stands the password, in [`messages::hashed`].
    ///
    /// # Errors
    /// The node's, or the password is wrong.
    pub async fn authenticate(
        &self,
        end: End,
        process: u64,
        login: &Login,
    ) -> Result<String, StoreError> {
        let other = || StoreError::Indeterminate("an answer to another request".to_owned());
        loop {
            let query = Request::Auth(AuthQuery::PasswordHash(login.user.clone()));
            let response = self.ask_as(end, process, query, Credentials::None).await?;
            let Response::Auth(AuthResponse {
                answer: AuthAnswer::PasswordHash { hash, auth_revision: checked },
                ..
            }) = response
            else {
                return Err(other());
            };
            if hash != messages::hashed(&login.password).as_bytes() {
                return Err(meaning(ApiError::AuthFailed.to_string()));
            }
            let (name, token_prefix) = (login.user.clone(), self.token_prefix());
            let change = Change::Login(ordealpb::Login { name, token_prefix });
            let response =
                self.ask_as(end, process, Request::AuthChange(change), Credentials::None).await?;
            let Response::Auth(AuthResponse {
                answer: AuthAnswer::LoggedIn { token, auth_revision },
                ..
            }) = response
            else {
                return Err(other());
            };
            // Between the check and the login the password may have been changed.
            if auth_revision == checked {
                return Ok(token);
            }
        }
    }
}

impl Behind for Way {
    type Watching = Stream;

    async fn ask(&self, request: Request) -> Result<Response, Failure> {
        Way::ask(self, request).await.map_err(|error| Failure::Said(error.to_string()))
    }

    async fn watch(&self, create: WatchCreateRequest) -> Result<Stream, Failure> {
        Behind::ask(self, Request::MayWatch(create.clone())).await?;
        let stream = Stream::open(self);
        let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        stream.tell(WatchInput::Request(request));
        Ok(stream)
    }

    fn withdraw(&self, txn: TxnRequest) {
        let credentials = self.credentials.clone();
        // If it fails the key goes when its lease ends.
        drop(self.world.ask(self.end, self.process, Request::Txn(txn), credentials));
    }
}

impl Watching for Stream {
    async fn next(&mut self) -> Result<WatchResponse, Failure> {
        let next = Stream::next(self).await;
        let response = next.map_err(|error| Failure::Said(error.to_string()))?;
        if response.canceled { Err(ApiError::Compacted.into()) } else { Ok(response) }
    }
}
