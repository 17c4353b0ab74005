//! etcd's v2 keys API: JSON over HTTP, one connection, one request at a time.
//!
//! Never sent twice, by this or by what is below it: a connection that breaks is an error, and the
//! next request gets a new one.

use super::EtcdOptions;
use super::stream::{Stream, host, stream};
use crate::store::{StoreError, V2, V2Condition, V2Said};
use futures::future::{Either, select};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::fmt::Display;
use std::pin::pin;
use tokio::time::timeout;

/// A connection to one member.
pub(super) struct OldConnection {
    sender: SendRequest<Full<Bytes>>,
    /// What carries it: it goes on only while somebody waits for an answer.
    carrier: Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>,
    host: String,
    /// Whether what carries it has ended: there is nothing more to ask then.
    over: bool,
}

/// An answer that tells of a key.
#[derive(Deserialize)]
struct Told {
    node: Node,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    #[serde(default)]
    value: String,
    modified_index: u64,
}

/// An answer that tells why there is nothing to tell.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    error_code: u32,
    message: String,
    #[serde(default)]
    cause: String,
}

impl OldConnection {
    /// Connects. Errors are definite: nothing was asked yet.
    pub(super) async fn open(
        endpoint: &str,
        options: &EtcdOptions,
    ) -> Result<OldConnection, StoreError> {
        let failed = |why: &dyn Display| {
            StoreError::DidNotHappen(format!("no connection to {endpoint}: {why}"))
        };
        let opening = async {
            let stream = stream(endpoint, options).await.map_err(|error| failed(&error))?;
            handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))
        };
        let opened = timeout(options.connect_timeout, opening).await;
        let (sender, carrier) = opened.unwrap_or_else(|late| Err(failed(&late)))?;
        Ok(OldConnection { sender, carrier, host: host(endpoint).to_owned(), over: false })
    }

    /// Whether another request needs another connection.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Sends a request, and waits for the answer.
    pub(super) async fn ask(&mut self, asked: &V2) -> Result<V2Said, StoreError> {
        let request = request(&self.host, asked)?;
        let broken = |error: hyper::Error| match error.is_canceled() {
            // The connection had ended before: it never left.
            true => StoreError::DidNotHappen(error.to_string()),
            false => StoreError::Indeterminate(error.to_string()),
        };
        let sender = &mut self.sender;
        let exchange = async move {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
        };
        let answered = match select(pin!(exchange), &mut self.carrier).await {
            Either::Left((answered, _)) => answered,
            // What came before its end is still to be had.
            Either::Right((_, exchange)) => {
                self.over = true;
                exchange.await
            }
        };
        let (status, body) = answered.map_err(broken)?;
        answer(status, &body)
    }
}

fn request(host: &str, asked: &V2) -> Result<Request<Full<Bytes>>, StoreError> {
    let (method, key, query, body) = match asked {
        V2::Get { key, quorum } => (Method::GET, key, format!("quorum={quorum}"), String::new()),
        V2::Set { key, value, condition } => {
            let condition = match condition {
                None => String::new(),
                Some(V2Condition::PrevValue(value)) => format!("prevValue={}", escaped(value, "")),
                Some(V2Condition::PrevIndex(index)) => format!("prevIndex={index}"),
                Some(V2Condition::PrevExist(there)) => format!("prevExist={there}"),
            };
            (Method::PUT, key, condition, format!("value={}", escaped(value, "")))
        }
    };
    Request::builder()
        .method(method)
        .uri(format!("/v2/keys/{}?{query}", escaped(key, "/")))
        .header("host", host)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(body))
        .map_err(|error| StoreError::DidNotHappen(error.to_string()))
}

/// As a part of a URL or of a form, but for the bytes in `kept`.
fn escaped(text: &str, kept: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain || kept.as_bytes().contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}

/// What a member answers. That nothing happened is only what etcd's own codes say (its
/// `error/error.go`); the code 300 and above, and whatever is no JSON of etcd's, may stand for a
/// proposal that is applied later.
fn answer(status: StatusCode, body: &[u8]) -> Result<V2Said, StoreError> {
    if status.is_success() {
        return match serde_json::from_slice::<Told>(body) {
            Ok(Told { node }) => {
                Ok(V2Said::Node { value: node.value, modified: node.modified_index })
            }
            Err(error) => Err(StoreError::Indeterminate(format!("no answer of v2: {error}"))),
        };
    }
    let text = || String::from_utf8_lossy(body).trim().to_owned();
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error_code: 100, .. }) => Ok(V2Said::Missing),
        Ok(Refusal { error_code: 101, cause, .. }) => Ok(V2Said::Differs { cause }),
        Ok(Refusal { error_code: 105, .. }) => Ok(V2Said::Exists),
        Ok(Refusal { error_code, message, cause }) => {
            let text = format!("{error_code}: {message} ({cause})");
            // 102 to 110: what the request asks of the key cannot be; 200 to 299: it makes no
            // sense; 400 and above: that of watches and of the cluster.
            let refused = matches!(error_code, 102..=110 | 200..=299);
            Err(if refused {
                StoreError::DidNotHappen(text)
            } else {
                StoreError::Indeterminate(text)
            })
        }
        // Go's own answer where nothing serves the path.
        Err(_) if status == StatusCode::NOT_FOUND => Err(StoreError::DidNotHappen(format!(
            "this member does not serve the v2 API ({})",
            text()
        ))),
        Err(_) => Err(StoreError::Indeterminate(format!("{status}: {}", text()))),
    }
}

#[cfg(test)]
mod tests;
