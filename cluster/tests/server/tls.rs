//! TLS for clients and between members, with an authority made for the test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Certificate, Client, ConnectOptions, Error, Identity, Permission, TlsOptions, UserAddOptions,
};
use ordeal_cluster::server::{AuthConfig, Config, TlsFiles, start};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::cluster::{Cluster, eventually};
use crate::runtime;

/// An authority, and the files of what it has signed.
pub struct Authority {
    certificate: rcgen::Certificate,
    key: KeyPair,
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("a file");
        Self { certificate, key, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Signs a certificate for a name, and gives its file and that of its key.
    pub fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let addresses = vec!["127.0.0.1".into(), "localhost".into()];
        let mut params = CertificateParams::new(addresses).expect("good names");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.certificate, &self.key).expect("signed");
        let files = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        std::fs::write(&files.0, certificate.pem()).expect("a file");
        std::fs::write(&files.1, key.serialize_pem()).expect("a file");
        files
    }

    pub fn files(&self, name: &str, client_cert_auth: bool) -> TlsFiles {
        let (cert, key) = self.sign(name);
        let trusted_ca = client_cert_auth.then(|| self.ca());
        TlsFiles {
            cert: Some(cert),
            key: Some(key),
            trusted_ca,
            client_cert_auth,
            ..TlsFiles::default()
        }
    }

    /// What is answered to a GET over HTTP/1.1, as Prometheus asks.
    async fn get(&self, url: &str, path: &str, name: Option<&str>) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).expect("a certificate")).expect("good");
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = match name.map(|name| self.sign(name)) {
            None => config.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = vec![CertificateDer::from_pem_file(cert).expect("a certificate")];
                let key = PrivateKeyDer::from_pem_file(key).expect("a key");
                config.with_client_auth_cert(chain, key).expect("they fit")
            }
        };
        let address = url.trim_start_matches("https://");
        let stream = TcpStream::connect(address).await?;
        let host = ServerName::try_from("127.0.0.1").expect("an address");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(host, stream).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Writes a list in which one certificate stands.
    fn revoke(&self, certificate: &Path) {
        let pem = std::fs::read(certificate).expect("it was written");
        let der = CertificateDer::from_pem_slice(&pem).expect("a certificate");
        // The serial number is the first number behind the version.
        let at =
            der.windows(5).position(|bytes| bytes == [0xa0, 3, 2, 1, 2]).expect("version 3") + 5;
        assert_eq!(der[at], 2, "a number");
        let serial = &der[at + 2..at + 2 + usize::from(der[at + 1])];
        let when = rcgen::date_time_ymd(2024, 1, 1);
        let list = rcgen::CertificateRevocationListParams {
            this_update: when,
            next_update: rcgen::date_time_ymd(2999, 1, 1),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: vec![rcgen::RevokedCertParams {
                serial_number: serial.to_vec().into(),
                revocation_time: when,
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let signed = list.signed_by(&self.certificate, &self.key).expect("a list");
        std::fs::write(self.path("crl.pem"), signed.pem().expect("text")).expect("a file");
    }

    /// A client with a certificate that was signed before.
    async fn client_with(&self, url: &str, name: &str) -> Result<Client, Error> {
        let ca = std::fs::read(self.ca()).expect("it was written");
        let files = ["pem", "key"].map(|kind| self.path(&format!("{name}.{kind}")));
        let [cert, key] = files.map(|file| std::fs::read(file).expect("written"));
        let tls = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
        let tls = tls.identity(Identity::from_pem(cert, key));
        let options = ConnectOptions::new().with_tls(tls).with_timeout(Duration::from_secs(20));
        Client::connect([url], Some(options)).await
    }

    async fn client(&self, url: &str, name: Option<&str>) -> Result<Client, Error> {
        let ca = std::fs::read(self.ca()).expect("it was written");
        let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
        if let Some(name) = name {
            let (cert, key) = self.sign(name);
            let [cert, key] = [cert, key].map(|file| std::fs::read(file).expect("written"));
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        let options = ConnectOptions::new().with_tls(tls).with_timeout(Duration::from_secs(20));
        Client::connect([url], Some(options)).await
    }
}

fn secure(urls: &mut [String]) {
    for url in urls {
        *url = url.replace("http://", "https://");
    }
}

pub fn secure_clients(config: &mut Config, files: TlsFiles) {
    secure(&mut config.listen_client_urls);
    secure(&mut config.advertise_client_urls);
    config.client_tls = files;
}

fn secure_members(config: &mut Config, files: TlsFiles) {
    secure(&mut config.listen_peer_urls);
    config.initial_cluster = config.initial_cluster.replace("http://", "https://");
    config.peer_tls = files;
}

#[test]
fn clients_and_members_speak_tls_and_who_does_not_is_refused() {
    let authority = Authority::new();
    let cluster = Cluster::start_with(3, |config| {
        secure_clients(config, authority.files("server", false));
        secure_members(config, authority.files("member", true));
    });
    runtime().block_on(async {
        let mut first = authority.client(cluster.url(0), None).await.expect("a client");
        first.put("k", "v", None).await.expect("a majority is reached");
        for member in 0..3 {
            let mut client = authority.client(cluster.url(member), None).await.expect("a client");
            let got = client.get("k", None).await.expect("a get");
            assert_eq!(got.kvs()[0].value(), b"v", "member {member}");
        }
        let mut stranger = Authority::new().client(cluster.url(0), None).await.expect("lazy");
        stranger.get("k", None).await.expect_err("another authority is not believed");
        let plain = cluster.url(0).replace("https://", "http://");
        let mut plain = Client::connect([plain], None).await.expect("lazy");
        plain.get("k", None).await.expect_err("nothing is said in the clear");
    });
}

#[test]
fn a_member_of_another_authority_is_not_let_in() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let cluster = Cluster::start_with(3, |config| {
        let authority = if config.name == "n2" { &theirs } else { &ours };
        secure_members(config, authority.files("member", true));
    });
    runtime().block_on(async {
        cluster.leader_among(&[0, 1]).await;
        let mut client = cluster.client(0).await;
        client.put("k", "v", None).await.expect("two are a majority");
        let mut outside = cluster.client(2).await;
        let status = outside.status().await.expect("it answers of itself");
        assert_eq!(status.leader(), 0, "nobody talks to it");
    });
}

#[test]
fn the_common_name_of_a_certificate_is_the_user() {
    let authority = Authority::new();
    let cluster = Cluster::start_with(1, |config| {
        secure_clients(config, authority.files("server", true));
        config.auth = AuthConfig { bcrypt_cost: 4, ..AuthConfig::default() };
    });
    runtime().block_on(async {
        let mut root = authority.client(cluster.url(0), Some("root")).await.expect("root");
        eventually("there is a leader", async || root.put("z", "1", None).await.is_ok()).await;
        root.role_add("r").await.expect("a role");
        root.role_grant_permission("r", Permission::read("a")).await.expect("a permission");
        for (user, role) in [("root", "root"), ("alice", "r")] {
            let no_password = UserAddOptions::new().with_no_pwd();
            root.user_add(user, "", Some(no_password)).await.expect("a user");
            root.user_grant_role(user, role).await.expect("a role's grant");
        }
        root.auth_enable().await.expect("root is there");
        root.put("z", "2", None).await.expect("root may");
        let mut alice = authority.client(cluster.url(0), Some("alice")).await.expect("alice");
        alice.get("a", None).await.expect("alice may");
        let denied = alice.put("a", "1", None).await.expect_err("alice may not").to_string();
        assert!(denied.contains("permission denied"), "{denied}");
        let mut nobody = authority.client(cluster.url(0), None).await.expect("lazy");
        nobody.get("a", None).await.expect_err("a certificate is asked for");
    });
}

#[test]
fn health_and_metrics_are_told_over_tls_to_who_has_a_certificate() {
    let authority = Authority::new();
    let cluster = Cluster::start_with(1, |config| {
        secure_clients(config, authority.files("server", true));
    });
    runtime().block_on(async {
        let url = cluster.url(0);
        let ask = async |path: &str| {
            let answer = authority.get(url, path, Some("prometheus")).await;
            answer.unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        eventually("there is a leader", async || {
            ask("/health").await.ends_with(r#"{"health":"true","reason":""}"#)
        })
        .await;
        assert!(ask("/metrics").await.contains("\netcd_server_has_leader 1\n"));
        assert!(ask("/version").await.starts_with("HTTP/1.1 200 OK"));
        for path in ["/health", "/metrics", "/version"] {
            authority.get(url, path, None).await.expect_err("a certificate is asked for");
        }
    });
}

#[test]
fn wrong_files_are_told_by_flag_and_path() {
    let authority = Authority::new();
    let (cert, key) = authority.sign("server");
    let (_, other) = authority.sign("other");
    let missing = authority.path("missing");
    let files = |cert: Option<&Path>, key: Option<&Path>, ca: Option<&Path>, asks: bool| TlsFiles {
        cert: cert.map(Path::to_owned),
        key: key.map(Path::to_owned),
        trusted_ca: ca.map(Path::to_owned),
        client_cert_auth: asks,
        ..TlsFiles::default()
    };
    for (nth, (files, words)) in [
        (files(None, None, None, false), "needs --cert-file and --key-file"),
        (files(Some(&cert), None, None, false), "--cert-file is given without --key-file"),
        (files(Some(&cert), Some(&key), None, true), "needs --trusted-ca-file"),
        (files(Some(&missing), Some(&key), None, false), "missing: "),
        (files(Some(&key), Some(&key), None, false), "holds no certificate"),
        (files(Some(&cert), Some(&cert), None, false), "it holds no private key"),
        (files(Some(&cert), Some(&other), None, false), "it does not fit the certificate"),
        (files(Some(&cert), Some(&key), Some(&key), false), "--trusted-ca-file"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = authority.path(&format!("data-{nth}"));
        let mut config = crate::cluster::lone_config(&folder);
        secure_clients(&mut config, files);
        let error = start(config).expect_err(words).to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn a_node_that_is_to_makes_its_own_certificates_for_clients_and_members() {
    let own = || TlsFiles { auto_years: Some(1), ..TlsFiles::default() };
    let cluster = Cluster::start_with(3, |config| {
        secure_clients(config, own());
        secure_members(config, own());
    });
    runtime().block_on(async {
        for member in 0..3 {
            let made = cluster.data_dir(member).join("fixtures/client/cert.pem");
            let made = std::fs::read(made).expect("it is kept there");
            let tls = TlsOptions::new().ca_certificate(Certificate::from_pem(made));
            let options = ConnectOptions::new().with_tls(tls).with_timeout(Duration::from_secs(20));
            let client = Client::connect([cluster.url(member)], Some(options)).await;
            let mut client = client.expect("a client that believes what was made");
            client.put("k", member.to_string(), None).await.expect("a put");
        }
    });
}

#[test]
fn a_certificate_that_was_revoked_is_refused_and_another_is_not() {
    let authority = Authority::new();
    let (revoked, _) = authority.sign("mallory");
    authority.revoke(&revoked);
    let cluster = Cluster::start_with(1, |config| {
        let crl = Some(authority.path("crl.pem"));
        secure_clients(config, TlsFiles { crl, ..authority.files("server", true) });
    });
    runtime().block_on(async {
        let mut alice = authority.client(cluster.url(0), Some("alice")).await.expect("lazy");
        alice.put("k", "v", None).await.expect("she may");
        let mut mallory = authority.client_with(cluster.url(0), "mallory").await.expect("lazy");
        mallory.get("k", None).await.expect_err("the certificate was revoked");
    });
}
