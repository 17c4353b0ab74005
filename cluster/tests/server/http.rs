//! Health, metrics and version, asked in HTTP/1.1 on the port that serves gRPC.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use etcd_client::GetOptions;
use ordeal_cluster::server::AutoCompaction;

use crate::cluster::{Cluster, eventually, free_ports};
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

#[test]
fn metrics_have_an_address_of_their_own_where_one_is_given() {
    let port = free_ports(1)[0];
    let metrics = format!("http://127.0.0.1:{port}");
    let _cluster = Cluster::start_with(1, |config| {
        config.serving.metrics_urls = vec![metrics.clone()];
    });
    let (status, body) = get(&metrics, "/metrics");
    assert!(status.ends_with("200 OK") && body.contains("etcd_server_has_leader"), "{status}");
    let (status, _) = get(&metrics, "/version");
    assert!(status.ends_with("404 Not Found"), "{status}");
}

#[test]
fn a_node_compacts_its_history_by_itself() {
    let cluster = Cluster::start_with(1, |config| {
        config.auto_compaction = AutoCompaction::Periodic(Duration::from_millis(50));
    });
    runtime().block_on(async {
        let mut client = cluster.client(0).await;
        for _ in 0..5 {
            client.put("k", "v", None).await.expect("a put");
        }
        eventually("what is older than the retention is gone", async || {
            let old = GetOptions::new().with_revision(3);
            let got = client.get("k", Some(old)).await;
            got.is_err_and(|error| error.to_string().contains("has been compacted"))
        })
        .await;
    });
}
