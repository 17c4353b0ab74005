//! Health, metrics and version, asked in HTTP/1.1 on the port that serves gRPC.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::cluster::{Cluster, eventually};
use crate::runtime;

/// The status line and the body of the answer to a GET.
fn get(url: &str, path: &str) -> (String, String) {
    let address = url.strip_prefix("http://").expect("an http URL");
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.lines().next().expect("a status line").to_owned(), body.to_owned())
}

#[test]
fn health_version_and_metrics_are_served_beside_grpc() {
    let mut cluster = Cluster::start(3);
    runtime().block_on(async {
        let mut client = cluster.client(0).await;
        client.put("k", "v", None).await.expect("a put");
        client.put("", "v", None).await.map(drop).expect_err("no key");
    });
    let (status, body) = get(cluster.url(0), "/health");
    assert_eq!((&*status, &*body), ("HTTP/1.1 200 OK", r#"{"health":"true","reason":""}"#));
    let (_, body) = get(cluster.url(1), "/version");
    assert_eq!(body, r#"{"etcdserver":"3.5.30","etcdcluster":"3.5.0"}"#);
    let (_, metrics) = get(cluster.url(0), "/metrics");
    for line in [
        "etcd_server_has_leader 1\n",
        "etcd_debugging_mvcc_keys_total 1\n",
        "etcd_debugging_mvcc_current_revision 2\n",
        "etcd_mvcc_put_total 1\n",
        "etcd_server_proposals_failed_total 0\n",
        "# TYPE etcd_disk_wal_fsync_duration_seconds histogram\n",
        "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Put\",\
         grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 1\n",
        "grpc_server_handled_total{grpc_code=\"InvalidArgument\",grpc_method=\"Put\",\
         grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"} 1\n",
        "process_open_fds ",
    ] {
        assert!(metrics.contains(line), "{line:?} is not in\n{metrics}");
    }
    cluster.stop(1);
    cluster.stop(2);
    runtime().block_on(eventually("a member without a majority is unwell", async || {
        let (status, body) = get(cluster.url(0), "/health");
        status == "HTTP/1.1 503 Service Unavailable" && body.contains("\"health\":\"false\"")
    }));
    let (status, _) = get(cluster.url(0), "/health?serializable=true");
    assert_eq!(status, "HTTP/1.1 200 OK");
}
