//! What a call meets first.
//!
//! Most calls by far are of KV. The way through the router (a copy of the route, its layers and
//! three boxes around the answer's body) would take a good part of the time that such a call takes,
//! so they go to the service at once; all others take that way.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::service::Routes;

use super::Api;
use crate::proto::etcdserverpb::kv_server::KvServer;
use crate::server::http::GrpcCounts;

/// The calls that are served at once.
const DIRECT: [&str; 4] = [
    "/etcdserverpb.KV/Range",
    "/etcdserverpb.KV/Put",
    "/etcdserverpb.KV/Txn",
    "/etcdserverpb.KV/DeleteRange",
];

/// What can serve a listener.
pub(in crate::server) trait Answers:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// All services of the client port.
#[derive(Clone)]
pub(super) struct Front {
    kv: KvServer<Api>,
    others: Routes,
    counts: Arc<GrpcCounts>,
}

impl Front {
    /// The routes have all services, that of KV among them; they count what they serve themselves.
    pub fn new(kv: KvServer<Api>, others: Routes, counts: Arc<GrpcCounts>) -> Self {
        Self { kv, others, counts }
    }
}

impl Service<Request<Body>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        ready!(Service::<Request<Body>>::poll_ready(&mut self.kv, context))?;
        Service::<Request<Body>>::poll_ready(&mut self.others, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let Some(path) = DIRECT.into_iter().find(|direct| *direct == path) else {
            return Box::pin(self.others.call(request));
        };
        let answer = self.kv.call(request);
        let counts = self.counts.clone();
        Box::pin(async move {
            let response = answer.await?;
            counts.add(path, &response);
            Ok(response)
        })
    }
}
