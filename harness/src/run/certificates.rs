//! Certificates for one run: an authority that nobody else trusts, a server's certificate that all
//! members share, and a client's.

use ordeal_workloads::etcd::TlsOptions;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// The files that members are given, and what a client shows.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The members' certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// For clients.
    pub client: TlsOptions,
}

impl Certificates {
    /// New ones for members at these addresses, in `folder`, which is made.
    ///
    /// # Errors
    ///
    /// When they could not be made or written, in one sentence.
    pub fn make(folder: &Path, addresses: &[Ipv4Addr]) -> std::io::Result<Certificates> {
        let failed = |error: rcgen::Error| std::io::Error::other(format!("certificates: {error}"));
        std::fs::create_dir_all(folder)?;
        let authority_key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "ordeal's authority");
        let authority = params.self_signed(&authority_key).map_err(failed)?;
        let sign = |name: &str, addresses: Vec<String>| {
            let mut params = CertificateParams::new(addresses)?;
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority, &authority_key)?;
            Ok((certificate.pem(), key.serialize_pem()))
        };
        let mut names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        names.extend(["127.0.0.1".to_owned(), "localhost".to_owned()]);
        let (certificate, key) = sign("member", names).map_err(failed)?;
        let (client_certificate, client_key) = sign("client", Vec::new()).map_err(failed)?;
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).map(|()| path)
        };
        Ok(Certificates {
            authority: write("authority.pem", &authority.pem())?,
            certificate: write("member.pem", &certificate)?,
            key: write("member.key", &key)?,
            client: TlsOptions {
                authority: authority.pem(),
                certificate: client_certificate,
                key: client_key,
            },
        })
    }
}
