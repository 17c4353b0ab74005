//! The little of a member's metrics that the nemesis looks at.

use ordeal_workloads::etcd::{EtcdOptions, host, stream};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// etcd's names for how many snapshots a member is sending, and has sent, to each of the others;
/// and for those that it could not send.
const SNAPSHOTS: [&str; 3] = [
    "etcd_network_snapshot_send_inflights_total",
    "etcd_network_snapshot_send_total_duration_seconds_count",
    "etcd_network_snapshot_send_failures",
];
/// The most that is read of a page.
const PAGE_BYTES_MAX: u64 = 4 << 20;

/// The page `/metrics` at this endpoint, headers and all. The caller bounds the waiting.
pub(super) async fn fetch(endpoint: &str, options: &EtcdOptions) -> io::Result<String> {
    page(stream(endpoint, options).await?, host(endpoint)).await
}

async fn page(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> io::Result<String> {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut page = Vec::new();
    stream.take(PAGE_BYTES_MAX).read_to_end(&mut page).await?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// How many snapshots the member has begun to send; `None` when its page does not say.
///
/// etcd has the metrics on its page from the first snapshot on: a page of etcd's metrics without
/// them says that there was none.
pub(super) fn snapshots_begun(page: &str) -> Option<u64> {
    let values = page.lines().filter(|line| SNAPSHOTS.iter().any(|name| line.starts_with(name)));
    let values = values.filter_map(|line| {
        let value: f64 = line.rsplit_once(' ')?.1.trim().parse().ok()?;
        Some(value.max(0.0) as u64)
    });
    let is_etcds = page.lines().any(|line| line.starts_with("etcd_server_has_leader"));
    is_etcds.then(|| values.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_those_to_all_others_under_way_or_over() {
        let page = "HTTP/1.1 200 OK\r\n\r\n\
            # HELP etcd_network_snapshot_send_inflights_total Total number.\n\
            etcd_network_snapshot_send_inflights_total{To=\"8e9e\"} 1\n\
            etcd_network_snapshot_send_total_duration_seconds_count{To=\"aaaa\"} 2\n\
            etcd_server_has_leader 1\n";
        assert_eq!(snapshots_begun(page), Some(3));
        assert_eq!(snapshots_begun("etcd_server_has_leader 1\n"), Some(0));
        assert_eq!(snapshots_begun("HTTP/1.1 404 Not Found\r\n\r\n"), None);
    }
}
