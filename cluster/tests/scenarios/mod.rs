//! Leases and watches of the core by hand, each with the bugs that break it.

mod leases;
mod retries;
mod watches;

use ordeal_cluster::core::{Request, RequestId, Response};
use ordeal_cluster::error::ApiError;
use ordeal_cluster::proto::etcdserverpb::PutRequest;

use crate::SECOND;
use crate::hand::World;

/// Asks, and waits for the answer.
fn asked(world: &mut World, id: u64, request: Request) -> Result<Response, ApiError> {
    let request = world.ask(id, request);
    answered(world, request)
}

fn answered(world: &mut World, request: RequestId) -> Result<Response, ApiError> {
    world.until("an answer", 10 * SECOND, |world| world.answers.contains_key(&request));
    world.answers[&request].clone()
}

fn put_with_lease(key: &str, lease: i64) -> Request {
    Request::Put(PutRequest { key: key.to_owned().into(), lease, ..PutRequest::default() })
}
