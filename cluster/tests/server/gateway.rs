//! The API as JSON, held against a real etcd's gateway where there is one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::differential::etcd::{Etcd, PATIENCE, etcd, release};

/// Requests in order: paths, and what is posted.
/// `k` is `aw==`, `v` is `dg==`.
const REQUESTS: &[(&str, &str)] = &[
    ("/v3/kv/put", r#"{"key":"aw==","value":"dg=="}"#),
    ("/v3/kv/put", r#"{"key":"aw==","value":"dw==","prev_kv":true}"#),
    ("/v3/kv/range", r#"{"key":"aw=="}"#),
    ("/v3/kv/range", r#"{"key":"aw==","rangeEnd":"bA==","limit":1,"sort_order":"DESCEND"}"#),
    ("/v3/kv/range", r#"{"key":"aw==","count_only":true,"of no":{"meaning":[1]}}"#),
    ("/v3beta/kv/range", r#"{"key":"aw==","revision":"2"}"#),
    ("/v3/kv/range", r#"{"key":"aw==","revision":"99"}"#),
    ("/v3/kv/range", r#"{"key":"#),
    ("/v3/kv/range", r#"{"key":7}"#),
    ("/v3/kv/put", ""),
    ("/v3/kv/put", "{}"),
    (
        "/v3/kv/txn",
        r#"{"compare":[{"key":"aw==","target":"VERSION","version":"2"}],
            "success":[{"request_range":{"key":"aw=="}},{"requestPut":{"key":"bA=="}}]}"#,
    ),
    ("/v3/kv/deleterange", r#"{"key":"bA==","prev_kv":true}"#),
    ("/v3/kv/compaction", r#"{"revision":"3"}"#),
    ("/v3/kv/compaction", r#"{"revision":"3"}"#),
    ("/v3/lease/grant", r#"{"ID":"7","TTL":"600"}"#),
    ("/v3/lease/grant", r#"{"ID":"7","TTL":"600"}"#),
    ("/v3/kv/lease/leases", "{}"),
    ("/v3/lease/leases", "{}"),
    ("/v3/lease/keepalive", r#"{"ID":"7"}"#),
    ("/v3/lease/revoke", r#"{"ID":"7"}"#),
    ("/v3/kv/lease/revoke", r#"{"ID":"7"}"#),
    ("/v3/maintenance/alarm", r#"{"action":"GET"}"#),
    ("/v3/maintenance/defragment", "{}"),
    ("/v3/election/leader", r#"{"name":"ZQ=="}"#),
    ("/v3/auth/status", "{}"),
    ("/v3/auth/authenticate", r#"{"name":"root","password":"p"}"#),
    ("/v3/auth/user/add", r#"{"name":"root","password":"p"}"#),
    ("/v3/auth/user/add", r#"{"name":"root","password":"p"}"#),
    ("/v3/auth/role/add", r#"{"name":"r"}"#),
    (
        "/v3/auth/role/grant",
        r#"{"name":"r","perm":{"permType":"READWRITE","key":"aw==","range_end":"bA=="}}"#,
    ),
    ("/v3/auth/role/get", r#"{"role":"r"}"#),
    ("/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#),
    ("/v3/auth/user/list", "{}"),
    ("/v3/auth/enable", "{}"),
    ("/v3/kv/range", r#"{"key":"aw=="}"#),
    ("/v3/auth/authenticate", r#"{"name":"root","password":"no"}"#),
    ("/v3/maintenance/snapshot", "{}"),
    ("/v3/maintenance/snapshot", "nonsense"),
    ("/v3/lease/keepalive", r#"{"ID":"7"}"#),
    ("/v3/nothing", "{}"),
];

fn ask(url: &str, method: &str, path: &str, token: Option<&str>, body: &str) -> TcpStream {
    let address = url.strip_prefix("http://").expect("an http URL");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let length = body.len();
    let token = token.map_or(String::new(), |token| format!("Authorization: {token}\r\n"));
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{token}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("it is sent");
    stream
}

/// The status and the body, without the marks of its chunks.
fn answer(mut stream: TcpStream) -> (u16, Value) {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body: String = body.lines().filter(|line| line.starts_with('{')).collect();
    let body = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {text}"));
    (status.expect("a status"), body)
}

/// Without what two clusters may tell differently: who answers and when, and what a parser says.
fn compared((status, mut body): (u16, Value)) -> (u16, Value) {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for name in ["cluster_id", "member_id", "raft_term"] {
                    fields.remove(name);
                }
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut body);
    let of_store = body["message"].as_str().is_none_or(|words| words.contains("etcdserver"));
    if status == 400 && !of_store {
        body["message"] = json!("no such message");
    }
    (status, body)
}

#[test]
fn what_curl_posts_is_answered_as_a_real_etcd_answers() {
    let cluster = Cluster::start(1);
    // The gateway of releases before has other statuses, and says its words twice.
    let real = etcd().filter(|program| release(program) >= (3, 5, 0));
    let real = real.map(|program| Etcd::start(&program));
    for url in [cluster.url(0)].into_iter().chain(real.as_ref().map(|etcd| &*etcd.url)) {
        // Both listen before they have a leader.
        let (status, _) = answer(ask(url, "POST", "/v3/kv/range", None, r#"{"key":"aw=="}"#));
        assert_eq!(status, 200, "{url}");
    }
    for (path, body) in REQUESTS {
        let embedded = compared(answer(ask(cluster.url(0), "POST", path, None, body)));
        if let Some(real) = &real {
            let etcd = compared(answer(ask(&real.url, "POST", path, None, body)));
            assert_eq!(embedded, etcd, "{path} {body}");
        }
    }
    for (path, status, code, words) in [
        ("/v3/maintenance/snapshot", 500, 2, "auth: user name is empty"),
        ("/v3/lease/keepalive", 400, 3, "etcdserver: user name is empty"),
    ] {
        let error = json!({ "error": { "code": code, "message": words } });
        let answered = answer(ask(cluster.url(0), "POST", path, None, r#"{"ID":"7"}"#));
        assert_eq!(answered, (status, error), "the first answer of {path} is an error");
    }
    let (status, body) = answer(ask(cluster.url(0), "GET", "/v3/kv/range", None, ""));
    assert_eq!((status, body), (501, json!({ "code": 12, "message": "Method Not Allowed" })));
    let login = r#"{"name":"root","password":"p"}"#;
    let (_, body) = answer(ask(cluster.url(0), "POST", "/v3/auth/authenticate", None, login));
    let token = body["token"].as_str();
    let got = answer(ask(cluster.url(0), "POST", "/v3/kv/range", token, r#"{"key":"aw=="}"#));
    assert_eq!((got.0, &got.1["kvs"][0]["value"]), (200, &json!("dw==")));
}

#[test]
fn a_watch_is_a_line_for_each_response_as_it_comes() {
    let cluster = Cluster::start(1);
    let create = r#"{"create_request":{"key":"aw=="}}"#;
    let stream = ask(cluster.url(0), "POST", "/v3/watch", None, create);
    let mut lines = BufReader::new(stream).lines();
    let mut next = || -> Value {
        let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with('{')));
        let line = line.expect("a line").expect("text");
        serde_json::from_str(&line).expect("JSON")
    };
    assert_eq!(next()["result"]["created"], json!(true));
    let put = r#"{"key":"aw==","value":"dg=="}"#;
    let (status, _) = answer(ask(cluster.url(0), "POST", "/v3/kv/put", None, put));
    assert_eq!(status, 200);
    assert_eq!(
        next()["result"]["events"],
        json!([{ "kv": {
            "key": "aw==", "value": "dg==",
            "create_revision": "2", "mod_revision": "2", "version": "1",
        } }])
    );
}
