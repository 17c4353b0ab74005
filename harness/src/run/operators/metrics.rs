//! The little of a member's metrics that the nemesis looks at.

use ordeal_workloads::etcd::{EtcdOptions, TlsOptions};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

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
    let host = endpoint.split_once("://").map_or(endpoint, |(_, host)| host);
    let stream = match &options.sockets {
        Some(sockets) => sockets.connect(host).await?,
        None => TcpStream::connect(host).await?,
    };
    let Some(tls) = &options.tls else { return page(stream, host).await };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    page(connector(tls)?.connect(name, stream).await?, host).await
}

/// Shows the client's certificate, and trusts no other authority than the run's.
fn connector(tls: &TlsOptions) -> io::Result<TlsConnector> {
    let mut trusted = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(tls.authority.as_bytes()) {
        trusted.add(authority.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let own = CertificateDer::pem_slice_iter(tls.certificate.as_bytes());
    let own = own.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes()).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(trusted)
        .with_client_auth_cert(own, key);
    Ok(TlsConnector::from(Arc::new(config.map_err(io::Error::other)?)))
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
