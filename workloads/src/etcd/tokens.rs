//! Tokens that clients keep: whoever has logged in shows the token on later connections too.
//!
//! A client that logged in anew with each connection could ask nothing of a member that has lost
//! its leader, for logging in takes one; and its first request after a fault would wait for two
//! answers. A token is kept for as long as the member takes it, and forgotten when one says that
//! it does not know it.

use super::error::classify;
use crate::store::{Login, StoreError};
use etcd_client::{Channel, Client};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::codegen::{Service, StdError};
use tower::util::BoxCloneSyncService;

/// The header that etcd reads a token from.
const HEADER: &str = "token";

/// Tokens by the endpoint that gave them and the user who got them; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Arc<Mutex<Kept>>);

type Kept = BTreeMap<(String, Login), HeaderValue>;

impl Tokens {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token of whoever asks, from this member; the first time by its password.
    pub(super) async fn get(
        &self,
        endpoint: &str,
        login: &Login,
        channel: tonic::transport::Channel,
    ) -> Result<HeaderValue, StoreError> {
        let whose = (endpoint.to_owned(), login.clone());
        let known = self.kept().get(&whose).cloned();
        if let Some(token) = known {
            return Ok(token);
        }
        let mut nobody = Client::from_channel(Channel::Tonic(channel), None)
            .await
            .map_err(classify)?
            .auth_client();
        let answer = nobody.authenticate(login.user.clone(), login.password.clone()).await;
        let token = HeaderValue::from_str(answer.map_err(classify)?.token())
            .map_err(|_| StoreError::DidNotHappen("the token is no header".to_owned()))?;
        self.kept().insert(whose, token.clone());
        Ok(token)
    }

    /// Forgets a token that the member does not take.
    pub(super) fn forget(&self, endpoint: &str, login: &Login) {
        self.kept().remove(&(endpoint.to_owned(), login.clone()));
    }
}

/// A connection that shows `token` with each request.
pub(super) fn shown(channel: tonic::transport::Channel, token: HeaderValue) -> Channel {
    Channel::Custom(BoxCloneSyncService::new(Shown { channel, token }))
}

#[derive(Clone)]
struct Shown {
    channel: tonic::transport::Channel,
    token: HeaderValue,
}

impl Service<Request<Body>> for Shown {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, StdError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.channel.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.headers_mut().insert(HEADER, self.token.clone());
        let sent = self.channel.call(request);
        Box::pin(async move { sent.await.map_err(Into::into) })
    }
}
