//! Certificates that a node makes for itself: `--auto-tls` and `--peer-auto-tls`.
//!
//! They keep what is said from being read on the way, and prove nothing of who says it. As in etcd
//! they lie in the data directory, under `fixtures`, and are made once.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{DigitallySignedStruct, Error, SignatureScheme};

use super::tls::{TlsError, TlsFiles};

impl TlsFiles {
    /// The files, with a certificate made for these URLs if there is to be one.
    ///
    /// # Errors
    /// It cannot be made or kept.
    pub(super) fn with_own(
        mut self,
        prefix: &'static str,
        data_dir: &Path,
        urls: &[String],
    ) -> Result<TlsFiles, TlsError> {
        if self.cert.is_some() || self.key.is_some() {
            self.auto_years = None;
        }
        let Some(years) = self.auto_years else { return Ok(self) };
        let side = if prefix.is_empty() { "client" } else { "peer" };
        let folder = data_dir.join("fixtures").join(side);
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        if !cert.is_file() || !key.is_file() {
            make(&cert, &key, years, urls).map_err(|what| TlsError::Auto { prefix, what })?;
        }
        (self.cert, self.key) = (Some(cert), Some(key));
        Ok(self)
    }
}

fn make(cert: &Path, key: &Path, years: u32, urls: &[String]) -> Result<(), String> {
    let hosts = urls.iter().filter_map(|url| {
        let authority = url.split_once("://")?.1.trim_end_matches('/');
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        Some(host.trim_matches(['[', ']']).to_owned())
    });
    let mut params =
        CertificateParams::new(hosts.collect::<Vec<_>>()).map_err(|error| error.to_string())?;
    params.distinguished_name.push(DnType::OrganizationName, "etcd");
    let now = std::time::SystemTime::now();
    let year = std::time::Duration::from_secs(365 * 24 * 60 * 60);
    let end = year.checked_mul(years).and_then(|length| now.checked_add(length));
    params.not_before = now.into();
    // What lies behind the last date there is lies there.
    params.not_after = end.map_or_else(|| date_time_ymd(9999, 12, 31), Into::into);
    let pair = KeyPair::generate().map_err(|error| error.to_string())?;
    let made = params.self_signed(&pair).map_err(|error| error.to_string())?;
    keep(cert, &made.pem()).and_then(|()| keep(key, &pair.serialize_pem()))
}

/// Nobody but the owner may read it.
fn keep(path: &Path, text: &str) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(wrong)?;
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(wrong)
}

/// Believes every certificate, if whoever shows it has its key.
#[derive(Debug)]
pub(super) struct Anyone(pub Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
