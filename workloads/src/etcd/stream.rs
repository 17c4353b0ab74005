//! A plain stream to a member, for what is HTTP and no gRPC: encrypted where connections are.

use super::{EtcdOptions, TlsOptions};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Bytes to a member, and from it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// The host and port of an endpoint.
pub fn host(endpoint: &str) -> &str {
    endpoint.split_once("://").map_or(endpoint, |(_, host)| host)
}

/// A stream to this endpoint. The caller bounds the waiting.
///
/// # Errors
///
/// When nobody answers there, or shows no certificate of the run's authority.
pub async fn stream(endpoint: &str, options: &EtcdOptions) -> io::Result<Box<dyn Stream>> {
    let host = host(endpoint);
    let stream = match &options.sockets {
        Some(sockets) => sockets.connect(host).await?,
        None => TcpStream::connect(host).await?,
    };
    stream.set_nodelay(true)?;
    let Some(tls) = &options.tls else { return Ok(Box::new(stream)) };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    Ok(Box::new(connector(tls)?.connect(name, stream).await?))
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
