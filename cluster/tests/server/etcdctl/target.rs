//! What `etcdctl` talks to: embedded nodes, or a real etcd of as many members.

use std::fs::File;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ordeal_cluster::server::Config;
use tempfile::TempDir;

use crate::cluster::{Cluster, free_ports};
use crate::differential::etcd::PATIENCE;
use crate::tls::{Authority, secure_clients};

/// A cluster of either kind.
pub enum Target {
    /// With the flags of one more member.
    Embedded(Cluster, Box<Config>),
    Etcd(Processes),
    /// Members that others have started, by their URLs, and one more that nobody has.
    Outside(Vec<(String, String)>),
}

impl Target {
    /// Embedded nodes; with an authority, clients must show a certificate of it.
    pub fn embedded(members: usize, authority: Option<&Authority>) -> Self {
        let cluster = Cluster::start_with(members, |config| {
            config.election_timeout = Duration::from_millis(election_ms(members));
            if let Some(authority) = authority {
                secure_clients(config, authority.files("server", true));
            }
        });
        let spare = Box::new(cluster.joining());
        Self::Embedded(cluster, spare)
    }

    /// Members of a real etcd, with the same flags.
    pub fn etcd(program: &str, members: usize, authority: Option<&Authority>) -> Self {
        Self::Etcd(Processes::start(program, members, authority))
    }

    /// The URLs for clients and for members, of the members and of one more that may join.
    pub fn urls(&self) -> Vec<(String, String)> {
        match self {
            Self::Embedded(cluster, spare) => {
                cluster.configs().chain([&**spare]).map(urls_of).collect()
            }
            Self::Etcd(processes) => processes.urls.clone(),
            Self::Outside(urls) => urls.clone(),
        }
    }

    /// Starts the member that has been added.
    pub fn join(&mut self) {
        match self {
            Self::Embedded(cluster, spare) => {
                cluster.join((**spare).clone());
            }
            Self::Etcd(processes) => {
                let nth = processes.children.len();
                let joined = processes.spawn(nth, true);
                processes.children.push(joined);
            }
            Self::Outside(_) => panic!("these are others' to start"),
        }
    }
}

/// Long where there are others to take over: the leader of a script is to stay the leader, on a
/// busy machine too.
fn election_ms(members: usize) -> u64 {
    if members > 1 { 3_000 } else { 500 }
}

/// Processes of etcd and their data. They die with this value.
pub struct Processes {
    program: String,
    urls: Vec<(String, String)>,
    /// The flags for TLS.
    tls: Vec<String>,
    children: Vec<Child>,
    data: TempDir,
}

impl Processes {
    fn start(program: &str, members: usize, authority: Option<&Authority>) -> Self {
        let ports = free_ports(2 * (members + 1));
        let scheme = if authority.is_some() { "https" } else { "http" };
        let url = |ports: &[u16]| {
            let [client, peer] = ports else { panic!("two ports a member") };
            (format!("{scheme}://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"))
        };
        let tls = authority.map_or_else(Vec::new, |authority| {
            let (cert, key) = authority.sign("server");
            let path = |path: &Path| path.to_str().expect("text").to_owned();
            let mut flags = vec!["--client-cert-auth".to_owned()];
            for (flag, file) in [
                ("--cert-file", path(&cert)),
                ("--key-file", path(&key)),
                ("--trusted-ca-file", path(&authority.ca())),
            ] {
                flags.extend([flag.to_owned(), file]);
            }
            flags
        });
        let mut processes = Self {
            program: program.to_owned(),
            urls: ports.chunks(2).map(url).collect(),
            tls,
            children: Vec::new(),
            data: TempDir::new().expect("a directory"),
        };
        processes.children = (0..members).map(|nth| processes.spawn(nth, false)).collect();
        for nth in 0..members {
            processes.wait_until_it_listens(nth);
        }
        processes
    }

    fn spawn(&self, nth: usize, joins: bool) -> Child {
        let (client, peer) = &self.urls[nth];
        let members = if joins { nth + 1 } else { self.urls.len() - 1 };
        let cluster = self.urls[..members].iter().enumerate();
        let cluster: Vec<String> = cluster.map(|(n, (_, peer))| format!("n{n}={peer}")).collect();
        let log = File::create(self.data.path().join(format!("log-{nth}"))).expect("a file");
        Command::new(&self.program)
            .args(["--name", &format!("n{nth}"), "--log-level", "error", "--data-dir"])
            .arg(self.data.path().join(format!("n{nth}")))
            .args(["--listen-client-urls", client, "--advertise-client-urls", client])
            .args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
            .args(["--initial-cluster", &cluster.join(",")])
            .args(["--initial-cluster-state", if joins { "existing" } else { "new" }])
            .args(["--heartbeat-interval", "50"])
            .args(["--election-timeout", &election_ms(self.urls.len() - 1).to_string()])
            .args(["--bcrypt-cost", "4"])
            .args(&self.tls)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it answered before")
    }

    fn wait_until_it_listens(&self, nth: usize) {
        let (url, _) = &self.urls[nth];
        let address = url.rsplit('/').next().expect("a URL");
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "{} does not listen", self.program);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Whatever comes of it, nobody is left to be told.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The member that a folder restored from a snapshot is of, as a process of a real etcd.
pub fn restored(program: &str, folder: &Path, urls: &(String, String)) -> Child {
    let (client, peer) = urls;
    Command::new(program)
        .args(["--name", "n0", "--data-dir"])
        .arg(folder)
        .args(["--listen-client-urls", client, "--advertise-client-urls", client])
        .args(["--listen-peer-urls", peer])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it answered before")
}

/// The URLs of an embedded node, by its flags.
fn urls_of(config: &Config) -> (String, String) {
    (config.listen_client_urls[0].clone(), config.listen_peer_urls[0].clone())
}
