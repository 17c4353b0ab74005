//! TLS: for clients and for the other members, each with a certificate, a key and an authority.
//!
//! The flags and what they mean are etcd's: with `--trusted-ca-file` whoever connects must show a
//! certificate that the authority has signed. Files are read once, when the node starts. The
//! common name of a client's certificate is the user, where no token is given.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName,
};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::say::say;
use super::self_signed;
use super::stream::Stream;
use super::tls_policy::TlsPolicy;

/// How long a handshake may take: whoever says nothing must not be waited for.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections whose handshake is done and that nobody has taken yet.
const ACCEPTED_MAX: usize = 64;

/// The files of one side; the fields are etcd's flags, those for members with `peer-` before them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// `--cert-file`.
    pub cert: Option<PathBuf>,
    /// `--key-file`.
    pub key: Option<PathBuf>,
    /// `--trusted-ca-file`.
    pub trusted_ca: Option<PathBuf>,
    /// `--client-cert-auth`.
    pub client_cert_auth: bool,
    /// `--client-crl-file`, `--peer-crl-file`: certificates that are believed no more.
    pub crl: Option<PathBuf>,
    /// `--auto-tls`: without a certificate of its own the node makes one, for so many years.
    pub auto_years: Option<u32>,
    /// `--tls-min-version` and its like, the same for both sides.
    pub policy: TlsPolicy,
}

/// What is wrong with the flags of TLS or with their files.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TlsError {
    /// A URL says https, and there is nothing to prove who this is.
    #[error("{flag}: {url} needs --{prefix}cert-file and --{prefix}key-file")]
    NoCertificate {
        /// The flag with the URL.
        flag: &'static str,
        /// The URL.
        url: String,
        /// `peer-` for the members' side.
        prefix: &'static str,
    },
    /// A certificate without a key, or a key without a certificate.
    #[error("--{prefix}{given} is given without --{prefix}{missing}: neither is of use alone")]
    Half {
        /// `peer-` for the members' side.
        prefix: &'static str,
        /// The flag that is there.
        given: &'static str,
        /// The flag that is not.
        missing: &'static str,
    },
    /// Certificates are asked for, and no authority is named that would have signed them.
    #[error("--{prefix}client-cert-auth needs --{prefix}trusted-ca-file, to know whom to believe")]
    NoAuthority {
        /// `peer-` for the members' side.
        prefix: &'static str,
    },
    /// A version that does not exist, or none between the least and the greatest.
    #[error("--tls-min-version, --tls-max-version: {0}")]
    Version(String),
    /// Cipher suites that do not exist here.
    #[error("--cipher-suites: {0}")]
    Suites(String),
    /// No certificate can be made.
    #[error("--{prefix}auto-tls: {what}")]
    Auto {
        /// `peer-` for the members' side.
        prefix: &'static str,
        /// What is in the way.
        what: String,
    },
    /// A file that cannot be read, or holds something else.
    #[error("--{prefix}{flag} {path}: {what}")]
    File {
        /// `peer-` for the members' side.
        prefix: &'static str,
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// One side's means, ready for use.
#[derive(Clone)]
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl TlsFiles {
    /// Reads the files; without any there is no TLS.
    ///
    /// # Errors
    /// As [`TlsError`] says.
    pub(super) fn load(&self, prefix: &'static str) -> Result<Option<Tls>, TlsError> {
        let half = |given, missing| TlsError::Half { prefix, given, missing };
        let (cert, key) = match (&self.cert, &self.key) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(half("cert-file", "key-file")),
            (None, Some(_)) => return Err(half("key-file", "cert-file")),
            (Some(cert), Some(key)) => (cert, key),
        };
        if self.client_cert_auth && self.trusted_ca.is_none() {
            return Err(TlsError::NoAuthority { prefix });
        }
        let error = |flag, path: &Path, what: String| TlsError::File {
            prefix,
            flag,
            path: path.to_owned(),
            what,
        };
        let provider = self.policy.provider()?;
        let versions = self.policy.versions()?;
        let unfit = |what: tokio_rustls::rustls::Error| TlsError::Version(what.to_string());
        let revoked = match &self.crl {
            None => Vec::new(),
            Some(path) => revoked(path).map_err(|what| error("crl-file", path, what))?,
        };
        let chain = certificates(cert).map_err(|what| error("cert-file", cert, what))?;
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|e| error("key-file", key, format!("it holds no private key: {e}")))?;
        let mut roots = RootCertStore::empty();
        if let Some(ca) = &self.trusted_ca {
            for root in certificates(ca).map_err(|what| error("trusted-ca-file", ca, what))? {
                roots.add(root).map_err(|e| error("trusted-ca-file", ca, e.to_string()))?;
            }
        }
        let roots = Arc::new(roots);
        let server = ServerConfig::builder_with_provider(provider.clone());
        let server = server.with_protocol_versions(&versions).map_err(unfit)?;
        let server = match &self.trusted_ca {
            None => server.with_no_client_auth(),
            Some(ca) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
                let verifier =
                    verifier.with_crls(revoked).allow_unknown_revocation_status().build();
                let verifier = verifier.map_err(|e| error("trusted-ca-file", ca, e.to_string()))?;
                server.with_client_cert_verifier(verifier)
            }
        };
        let mut server = server
            .with_single_cert(chain.clone(), private.clone_key())
            .map_err(|e| error("key-file", key, format!("it does not fit the certificate: {e}")))?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = ClientConfig::builder_with_provider(provider.clone());
        let client = client.with_protocol_versions(&versions).map_err(unfit)?;
        let client = if self.auto_years.is_some() {
            // Members' own certificates say nothing of who they are, as with etcd's flag.
            let anyone = Arc::new(self_signed::Anyone(provider));
            client.dangerous().with_custom_certificate_verifier(anyone)
        } else {
            client.with_root_certificates(roots)
        };
        let client = client
            .with_client_auth_cert(chain, private)
            .map_err(|e| error("key-file", key, e.to_string()))?;
        Ok(Some(Tls { acceptor: Arc::new(server).into(), connector: Arc::new(client).into() }))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(certificates) if certificates.is_empty() => Err("it holds no certificate".into()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(error.to_string()),
    }
}

fn revoked(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let found = CertificateRevocationListDer::pem_file_iter(path);
    let lists = found.and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match lists {
        Ok(lists) if lists.is_empty() => Err("it holds no list of revoked certificates".into()),
        Ok(lists) => Ok(lists),
        Err(error) => Err(error.to_string()),
    }
}

impl Tls {
    /// Greets a connection as the side that was called.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<Stream> {
        match timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream)).await {
            Ok(accepted) => Ok(Stream::Tls(Box::new(accepted?.into()))),
            Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }

    /// Greets a connection to `host:port` as the side that calls.
    pub async fn connect(&self, address: &str, stream: TcpStream) -> std::io::Result<Stream> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
        let stream = self.connector.connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }

    /// The connections that come to a listener and have shown who they are. Handshakes go side by
    /// side: one that takes its time holds up nobody.
    pub fn incoming(&self, listener: TcpListener) -> mpsc::Receiver<std::io::Result<Stream>> {
        let (accepted, incoming) = mpsc::channel(ACCEPTED_MAX);
        tokio::spawn(self.clone().accept_all(listener, accepted));
        incoming
    }

    async fn accept_all(
        self,
        listener: TcpListener,
        accepted: mpsc::Sender<std::io::Result<Stream>>,
    ) {
        while !accepted.is_closed() {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: let some be given back.
                    say(format_args!("cannot accept a client: {error}"));
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (tls, accepted) = (self.clone(), accepted.clone());
            tokio::spawn(async move {
                // Without it an answer may wait 40 ms for the client's acknowledgement.
                let prepared = stream.set_nodelay(true);
                match tls.accept(stream).await {
                    Ok(stream) if prepared.is_ok() => {
                        // The server is gone if nobody takes it.
                        let _ = accepted.send(Ok(stream)).await;
                    }
                    Ok(_) => {}
                    Err(error) => say(format_args!("a client's TLS handshake fails: {error}")),
                }
            });
        }
    }
}
