//! What is put on trial: its binary, and how a member of it is started.
//!
//! The embedded node takes etcd's own flags, so there is one way for all.

use super::certificates::Certificates;
use super::operators::Reach;
use super::restore::{Restoration, Restorer};
use crate::plan::{Db, Plan, Tuning, needs_old_api};
use crate::sandbox::Launch;
use ordeal_nemesis::{Capability, NodeId};
use ordeal_workloads::etcd::TlsOptions;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Below the ephemeral range, so that no outgoing connection can have taken them.
pub(crate) const CLIENT_PORT: u16 = 2379;
pub(crate) const PEER_PORT: u16 = 2380;
/// How long a binary may take to say its version.
const VERSION_MAX: Duration = Duration::from_secs(10);

/// Why what `--db` names cannot be put on trial. One sentence with the way out.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {}: {why}; give the path of an etcd server binary, or `embedded`", path.display())]
pub struct TargetError {
    flag: &'static str,
    path: PathBuf,
    why: String,
}

impl TargetError {
    /// The same, told of another flag.
    pub fn of(self, flag: &'static str) -> TargetError {
        TargetError { flag, ..self }
    }
}

/// The database that `--db` names, looked at.
///
/// # Errors
///
/// [`TargetError`]. Takes ten seconds at most.
pub fn look(db: &str) -> Result<Db, TargetError> {
    if db == "embedded" {
        return Ok(Db::Embedded);
    }
    let path = Path::new(db);
    let absolute =
        std::fs::canonicalize(path).map_err(|error| refusal(path, cannot_be_found(&error)))?;
    let version = version(&absolute)?;
    Ok(Db::Etcd { path: absolute, version })
}

fn refusal(path: &Path, why: String) -> TargetError {
    TargetError { flag: "--db", path: path.to_owned(), why }
}

fn cannot_be_found(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    }
}

/// What the binary says of its version.
fn version(path: &Path) -> Result<String, TargetError> {
    let refuse = |why: String| refusal(path, why);
    let about = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
    if !about.is_file() {
        return Err(refuse("this is no file".to_owned()));
    }
    if about.permissions().mode() & 0o111 == 0 {
        return Err(refuse("this file is not executable".to_owned()));
    }
    let no_etcd = |why: &str| refusal(path, format!("this is no etcd: its `--version` {why}"));
    let mut child = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| refuse(format!("it cannot be executed ({error})")))?;
    let deadline = Instant::now() + VERSION_MAX;
    let ended = loop {
        match child.try_wait() {
            Ok(Some(_)) => break true,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            _ => break false,
        }
    };
    if !ended {
        // It may have ended just now.
        let _ = child.kill();
        let _ = child.wait();
        return Err(no_etcd("does not end in ten seconds"));
    }
    let mut said = String::new();
    if let Some(out) = child.stdout.take() {
        // What is no text is no version either.
        let _ = out.take(64 * 1024).read_to_string(&mut said);
    }
    said.lines()
        .find_map(|line| line.strip_prefix("etcd Version:"))
        .map(|version| version.trim().to_owned())
        .ok_or_else(|| no_etcd("names no etcd version"))
}

/// Members of one cluster: who they are, and how each is started.
pub struct Target {
    program: PathBuf,
    first_args: Vec<OsString>,
    /// What an upgraded member is started as.
    upgrade_to: Option<PathBuf>,
    /// What restores a snapshot for the program, if anything does.
    restorer: Option<Restorer>,
    members: Vec<NodeId>,
    /// The members of the second cluster.
    second: Vec<NodeId>,
    strict: bool,
    bugs: Vec<String>,
    more_args: Vec<String>,
    addresses: BTreeMap<NodeId, Ipv4Addr>,
    initial_cluster: String,
    second_cluster: String,
    tuning: Tuning,
    /// How long tokens of users live and how cheap passwords are, where there are users.
    auth: bool,
    /// Whether members are to serve etcd's v2 API besides.
    old_api: bool,
    certificates: Option<Certificates>,
    folder: PathBuf,
}

/// What the cluster's ids are made of, besides its members' addresses.
const TOKEN: &str = "ordeal";
/// The same of the second cluster.
const SECOND_TOKEN: &str = "ordeal-second";
/// Seconds that a token lives after its last use: short, so that some end while a run lasts.
const TOKEN_TTL_S: u32 = 5;
/// The least work that hashing a password may take: clients log in after each error.
const BCRYPT_COST: u32 = 4;

impl Target {
    /// The plan's cluster, with its nodes at these addresses, and each node's log and data in
    /// `folder/NODE/`.
    ///
    /// # Errors
    ///
    /// When Ordeal's own binary cannot be found, for the embedded cluster, and when there can be no
    /// certificates.
    pub fn new(
        plan: &Plan,
        addresses: BTreeMap<NodeId, Ipv4Addr>,
        folder: &Path,
    ) -> std::io::Result<Target> {
        let (program, first_args) = match &plan.db {
            Db::Embedded => (std::env::current_exe()?, vec![OsString::from("node")]),
            Db::Etcd { path, .. } => (path.clone(), Vec::new()),
        };
        let upgrade_to = match &plan.upgrade_to {
            Some(Db::Etcd { path, .. }) => Some(path.clone()),
            _ => None,
        };
        let kinds = plan.schedule.kinds();
        let named = |nodes: &[NodeId]| {
            let at = |node: &NodeId| {
                let address = addresses.get(node)?;
                Some(format!("{node}={}://{address}:{PEER_PORT}", scheme(plan.tls)))
            };
            nodes.iter().filter_map(at).collect::<Vec<_>>().join(",")
        };
        let (initial_cluster, second_cluster) = (named(&plan.nodes), named(&plan.second));
        let certificates = if plan.tls {
            let at: Vec<Ipv4Addr> = addresses.values().copied().collect();
            Some(Certificates::make(&Target::certificates(folder), &at)?)
        } else {
            None
        };
        Ok(Target {
            program,
            first_args,
            upgrade_to,
            restorer: Restorer::of(&plan.db),
            members: plan.nodes.clone(),
            second: plan.second.clone(),
            strict: kinds.iter().all(|kind| kind.needs() != Capability::Members),
            bugs: plan.bugs.clone(),
            more_args: plan.db_args.clone(),
            addresses,
            initial_cluster,
            second_cluster,
            tuning: plan.tuning,
            auth: plan.auth,
            old_api: needs_old_api(&plan.workload.name),
            certificates,
            folder: folder.to_owned(),
        })
    }

    /// Where members' certificates are, for nodes in this folder.
    pub(crate) fn certificates(folder: &Path) -> PathBuf {
        folder.join("tls")
    }

    /// The members at first.
    pub fn members(&self) -> &[NodeId] {
        &self.members
    }

    /// The members of the second cluster, where there is one.
    pub fn second(&self) -> &[NodeId] {
        &self.second
    }

    /// Where each node is reached, members and others, the second cluster's left out.
    pub fn reach(&self) -> BTreeMap<NodeId, Reach> {
        let reach =
            |node: &NodeId| Reach { endpoint: self.endpoint(node), peer_url: self.peer_url(node) };
        let own = self.addresses.keys().filter(|node| !self.second.contains(node));
        own.map(|node| (node.clone(), reach(node))).collect()
    }

    /// Whether there is a binary to upgrade to.
    pub fn can_upgrade(&self) -> bool {
        self.upgrade_to.is_some()
    }

    /// Whether there is something to restore snapshots with.
    pub fn can_restore(&self) -> bool {
        self.restorer.is_some()
    }

    /// What must be done so that the member goes on from this snapshot; `None` when nothing is
    /// there to do it.
    pub(super) fn restoration(&self, node: &NodeId, snapshot: &Path) -> Option<Restoration> {
        Some(Restoration {
            restorer: self.restorer.clone()?,
            snapshot: snapshot.to_owned(),
            name: node.0.clone(),
            peer_url: self.peer_url(node),
            cluster: self.initial_cluster.clone(),
            token: TOKEN.to_owned(),
            data: self.data(node),
            scratch: self.folder(node).join("restoring"),
        })
    }

    fn peer_url(&self, node: &NodeId) -> String {
        let address = self.addresses.get(node).copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
        format!("{}://{address}:{PEER_PORT}", scheme(self.certificates.is_some()))
    }

    /// The same members, whose programs lie elsewhere: Ordeal's own there, and where another does
    /// is what `place` says.
    pub(crate) fn relocated(mut self, own: &Path, place: impl Fn(&Path) -> PathBuf) -> Target {
        let embedded = !self.first_args.is_empty();
        self.program = if embedded { own.to_owned() } else { place(&self.program) };
        self.upgrade_to = self.upgrade_to.map(|program| place(&program));
        self
    }

    /// Where clients reach the node: `http://10.0.0.1:2379`.
    pub fn endpoint(&self, node: &NodeId) -> String {
        let address = self.addresses.get(node).copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
        format!("{}://{address}:{CLIENT_PORT}", scheme(self.certificates.is_some()))
    }

    /// What a client needs for an encrypted connection, where connections are.
    pub fn client_tls(&self) -> Option<TlsOptions> {
        self.certificates.as_ref().map(|certificates| certificates.client.clone())
    }

    /// The node's own folder.
    pub fn folder(&self, node: &NodeId) -> PathBuf {
        self.folder.join(&node.0)
    }

    /// The file that holds what the node says.
    pub fn log(&self, node: &NodeId) -> PathBuf {
        self.folder(node).join("log")
    }

    /// The folder of the node's data.
    pub fn data(&self, node: &NodeId) -> PathBuf {
        self.folder(node).join("data")
    }

    /// How the node is started. Its folder must be there. One that `joins` a running cluster is
    /// given the members of it; one that is `upgraded` is another binary.
    pub fn launch(&self, node: &NodeId, joins: Option<&str>, upgraded: bool) -> Launch {
        let client = self.endpoint(node);
        let peer = self.peer_url(node);
        let program = match &self.upgrade_to {
            Some(path) if upgraded => path,
            _ => &self.program,
        };
        let mut args = self.first_args.clone();
        let data = self.data(node);
        let mut flag = |name: &str, value: OsString| {
            args.push(format!("--{name}").into());
            args.push(value);
        };
        flag("name", node.0.clone().into());
        flag("data-dir", data.into_os_string());
        flag("listen-client-urls", client.clone().into());
        flag("advertise-client-urls", client.into());
        flag("listen-peer-urls", peer.clone().into());
        flag("initial-advertise-peer-urls", peer.into());
        let (cluster, token) = match self.second.contains(node) {
            true => (&self.second_cluster, SECOND_TOKEN),
            false => (&self.initial_cluster, TOKEN),
        };
        flag("initial-cluster", joins.unwrap_or(cluster).into());
        flag("initial-cluster-token", token.into());
        flag("initial-cluster-state", if joins.is_some() { "existing" } else { "new" }.into());
        flag("heartbeat-interval", self.tuning.heartbeat_ms.to_string().into());
        flag("election-timeout", self.tuning.election_ms.to_string().into());
        if let Some(count) = self.tuning.snapshot_count {
            flag("snapshot-count", count.to_string().into());
        }
        if self.auth {
            flag("auth-token-ttl", TOKEN_TTL_S.to_string().into());
            flag("bcrypt-cost", BCRYPT_COST.to_string().into());
        }
        for bug in &self.bugs {
            flag("bug", bug.clone().into());
        }
        if self.old_api {
            args.push("--enable-v2=true".into());
        }
        if !self.strict {
            // It refuses changes while a link was down within five seconds, which under other
            // faults is always; the nemesis itself sees to it that a majority is left.
            args.push("--strict-reconfig-check=false".into());
        }
        if let Some(files) = &self.certificates {
            for peer in ["", "peer-"] {
                let file = |name: &str, path: &Path| {
                    [format!("--{peer}{name}").into(), path.as_os_str().to_owned()]
                };
                args.extend(file("cert-file", &files.certificate));
                args.extend(file("key-file", &files.key));
                args.extend(file("trusted-ca-file", &files.authority));
                args.push(format!("--{peer}client-cert-auth").into());
            }
        }
        args.extend(self.more_args.iter().map(OsString::from));
        Launch {
            program: program.clone(),
            args,
            env: Vec::new(),
            cwd: self.folder(node),
            log: self.log(node),
        }
    }
}

fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanOptions;

    #[test]
    fn what_is_no_etcd_is_told_in_one_sentence_with_the_way_out() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("script");
        let rows = [
            ("/no/such/etcd", "there is no such file"),
            ("/", "this is no file"),
            ("/bin/true", "this is no etcd"),
            ("/etc/passwd", "not executable"),
            (script.to_str().unwrap_or_default(), "cannot be executed"),
        ];
        std::fs::write(&script, [0_u8; 16])?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
        for (db, expected) in rows {
            let said = look(db).map_or_else(|error| error.to_string(), |db| format!("{db:?}"));
            assert!(said.contains(expected) && said.contains("`embedded`"), "{db}: {said}");
        }
        Ok(())
    }

    #[test]
    fn a_binary_that_says_etcds_version_is_taken_by_it() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("etcd");
        std::fs::write(&script, "#!/bin/sh\necho etcd Version: 3.5.30\necho Git SHA: none\n")?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
        let db = look(script.to_str().unwrap_or_default()).map_err(std::io::Error::other)?;
        assert!(matches!(db, Db::Etcd { version, .. } if version == "3.5.30"));
        Ok(())
    }

    #[test]
    fn a_member_is_started_with_etcds_flags() -> std::io::Result<()> {
        let db_args = vec!["--enable-v2".to_owned()];
        let options = PlanOptions { nodes: 3, db_args, ..PlanOptions::default() };
        let plan = Plan::derive(&options);
        let plan = plan.map_err(std::io::Error::other)?;
        let addresses =
            plan.nodes.iter().cloned().zip((1..).map(|n| Ipv4Addr::new(10, 10, 0, n))).collect();
        let target = Target::new(&plan, addresses, Path::new("/runs/x/nodes"))?;
        let launch = target.launch(&NodeId::numbered(2), None, false);
        let args: Vec<&str> = launch.args.iter().filter_map(|arg| arg.to_str()).collect();
        let after = |flag| args.iter().position(|arg| *arg == flag).map(|at| args[at + 1]);
        assert_eq!(args[0], "node");
        assert_eq!(after("--name"), Some("n2"));
        assert_eq!(after("--data-dir"), Some("/runs/x/nodes/n2/data"));
        assert_eq!(after("--listen-client-urls"), Some("http://10.10.0.2:2379"));
        assert_eq!(
            after("--initial-cluster"),
            Some("n1=http://10.10.0.1:2380,n2=http://10.10.0.2:2380,n3=http://10.10.0.3:2380")
        );
        assert_eq!(after("--election-timeout"), Some("500"));
        assert_eq!(args.last(), Some(&"--enable-v2"));
        Ok(())
    }

    #[test]
    fn a_member_of_the_second_cluster_knows_none_of_the_first() -> std::io::Result<()> {
        let (workload, nemesis) = ("mirror".to_owned(), Vec::new());
        let options = PlanOptions { nodes: 3, workload, nemesis, ..PlanOptions::default() };
        let plan = Plan::derive(&options).map_err(std::io::Error::other)?;
        let everyone = plan.everyone().into_iter();
        let addresses = everyone.zip((1..).map(|n| Ipv4Addr::new(10, 10, 0, n))).collect();
        let target = Target::new(&plan, addresses, Path::new("/runs/x/nodes"))?;
        let of = |node: &NodeId, flag: &str| {
            let args = target.launch(node, None, false).args;
            let at = args.iter().position(|arg| arg == flag)?;
            args[at + 1].clone().into_string().ok()
        };
        let second = &plan.second[0];
        let cluster = of(second, "--initial-cluster");
        assert_eq!(cluster.as_deref(), Some("s1=http://10.10.0.4:2380"));
        let first = of(&plan.nodes[0], "--initial-cluster");
        assert!(first.is_some_and(|cluster| !cluster.contains("s1")));
        let token = "--initial-cluster-token";
        assert_ne!(of(second, token), of(&plan.nodes[0], token));
        assert!(!target.reach().contains_key(second));
        Ok(())
    }
}
