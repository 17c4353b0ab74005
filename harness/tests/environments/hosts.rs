//! Hosts that ssh reaches: three nodes of the sandbox, each with an sshd of its own, that let in
//! whoever has a key which was made for this.

use crate::docker::{told, until};
use crate::faults;
use crate::plans::{self, n3};
use crate::seen::Seen;
use crate::{ORDEAL, runner};
use nix::mount::{MsFlags, mount};
use ordeal::sandbox::{Launch, Sandbox, SandboxSpec};
use ordeal_nemesis::NodeId;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};

const SSHD: &str = "/usr/sbin/sshd";
const PORT: u16 = 2222;
/// Whether there can be no such hosts here, which is said.
fn skipped() -> bool {
    let reason = if !Path::new(SSHD).is_file() {
        format!("there is no {SSHD} (openssh-server)")
    } else if !nix::unistd::geteuid().is_root() {
        "only root can let others in".to_owned()
    } else {
        return false;
    };
    assert!(!runner::required(), "{reason}, and ORDEAL_REQUIRE_ETCD=1");
    println!("skipped: {reason}");
    true
}

/// A folder that is not in /tmp: the hosts have one of their own there.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// Makes three hosts, and plays a scene with them.
fn scene(name: &str, folder: &Path) -> Output {
    let own = std::env::current_exe().expect("this program");
    let mut command = Command::new(own);
    command.args(["__hosts", name]).arg(folder).stdin(Stdio::null());
    command.output().expect("this program starts")
}

/// The plan's environment: the three hosts, as the scene makes them.
fn environment(folder: &Path) -> Value {
    let host =
        |n: u8| json!({"destination": format!("host{n}"), "address": format!("10.10.0.{n}")});
    json!({"ssh": {"hosts": [host(1), host(2), host(3)], "config": folder.join("ssh_config")}})
}

/// Plays these faults on the hosts.
fn play(faults: &[Value]) -> (tempfile::TempDir, Seen) {
    for pace in plans::PACES {
        let folder = folder();
        let (plan, environment) = (folder.path().join("plan.json"), environment(folder.path()));
        plans::write(&plan, &environment, &json!("embedded"), faults, pace);
        let output = scene("run", folder.path());
        for node in ["n1", "n2", "n3"] {
            let log = folder.path().join("out/nodes").join(node).join("log");
            assert!(log.is_file(), "the log of {node} was not brought: {}", told(&output));
        }
        let seen = Seen::of(&folder.path().join("out"));
        if !seen.is_starved() {
            assert_eq!(output.status.code(), Some(0), "{}", told(&output));
            return (folder, seen);
        }
    }
    panic!("the machine has too much to do for this test");
}

pub fn processes_and_clocks() {
    if !skipped() {
        faults::processes_and_clocks(play);
    }
}

pub fn operators() {
    if !skipped() {
        faults::operators(play);
    }
}

pub fn links() {
    if skipped() {
        return;
    }
    let (_folder, seen) = play(&[
        json!({"kind": "partition", "cut": {"isolate": n3()}}),
        json!({"kind": "client-partition", "nodes": n3(), "way": "out"}),
        json!({"kind": "flap", "cut": {"isolate": n3()}, "period_ms": 300}),
        json!({"kind": "swizzle", "cut": ["n3"], "heal": ["n3"]}),
    ]);
    seen.before();
    for kind in ["partition", "client-partition"] {
        seen.nothing_passed(kind);
    }
    for kind in ["partition", "client-partition", "flap", "swizzle"] {
        assert!(seen.told(kind, "dropped") > 0, "{kind}");
    }
}

pub fn disks() {
    if skipped() {
        return;
    }
    let (_folder, seen) = play(&[
        json!({"kind": "fsync-delay", "nodes": n3(), "files": "any", "delay_ms": 300}),
        json!({"kind": "disk-full", "nodes": n3(), "bytes_free": 0}),
        json!({"kind": "disk-error", "nodes": n3(), "files": "any", "access": "fsync"}),
        json!({"kind": "power-loss", "nodes": n3(), "survivors": "nothing", "seed": 7}),
    ]);
    seen.before();
    for kind in ["fsync-delay", "disk-full", "disk-error"] {
        let hits = seen.during(kind).told["disks"]["n3"]["requests_hit"].as_i64();
        assert!(hits > Some(0), "{kind}: {hits:?} requests were hit");
    }
    seen.nothing_passed("power-loss");
}

pub fn nothing_is_left_after_sigkill() {
    if skipped() {
        return;
    }
    let folder = folder();
    let environment = environment(folder.path());
    let fault = json!({"kind": "pause", "nodes": n3()});
    // Long, and with disks, so that there is much to be left.
    let faults: Vec<Value> = (0..10).map(|_| fault.clone()).collect();
    plans::write(&folder.path().join("plan.json"), &environment, &json!("embedded"), &faults, 1);
    let output = scene("sigkill", folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

pub fn what_is_refused() {
    if skipped() {
        return;
    }
    let output = scene("refused", folder().path());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

/// Enters the sandbox, makes the hosts, and plays the scene of this name there.
pub fn enter(scene: &str, folder: &Path) -> ExitCode {
    let play = || {
        let hosts = Hosts::start(folder);
        match scene {
            "run" => hosts.run(),
            "sigkill" => hosts.kill(),
            "refused" => hosts.refuse(),
            other => panic!("there is no scene {other}"),
        }
        hosts.expect_nothing();
        0
    };
    match ordeal::sandbox::enter(play) {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("{error}");
            69.into()
        }
    }
}

struct Hosts {
    folder: PathBuf,
    _sandbox: Sandbox,
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file is written");
    // ssh minds who else may read a key.
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("a file of ours");
}

fn new_key(path: &Path) -> String {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path);
    assert!(command.status().expect("ssh-keygen runs").success());
    std::fs::read_to_string(path.with_extension("pub")).expect("a key")
}

fn empty(place: &str) {
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("a tmpfs");
}

fn bind(what: &Path, place: &Path) {
    std::fs::create_dir(place).expect("a folder");
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(what), place, None::<&str>, flags, None::<&str>).expect("a bind mount");
}

/// Empties a place, but leaves there what holds this folder, if it lies in it: whoever builds the
/// project there has the program there too.
fn empty_but_for(place: &str, folder: &Path) {
    let (place_was, kept) = (Path::new("/run/was"), folder.strip_prefix(place).ok());
    let kept = kept.and_then(|rest| rest.components().next());
    bind(Path::new(place), place_was);
    empty(place);
    if let Some(kept) = kept {
        bind(&place_was.join(kept), &Path::new(place).join(kept));
    }
}

impl Hosts {
    fn start(folder: &Path) -> Hosts {
        // These mounts end with the sandbox.
        empty("/run");
        std::fs::create_dir("/run/sshd").expect("a folder");
        empty_but_for("/tmp", folder);
        let of_hosts = new_key(&folder.join("host_key"));
        let of_user = new_key(&folder.join("user_key"));
        write(&folder.join("authorized_keys"), &of_user);
        let path = |name: &str| folder.join(name).display().to_string();
        let mut config = format!(
            "Host *\n Port {PORT}\n User root\n IdentityFile {}\n IdentitiesOnly yes\n \
             UserKnownHostsFile {}\n StrictHostKeyChecking yes\n",
            path("user_key"),
            path("known_hosts")
        );
        let (mut known, mut hosts) = (String::new(), String::new());
        let nodes: Vec<NodeId> = (1..=3).map(NodeId::numbered).collect();
        let spec = SandboxSpec { nodes: nodes.clone(), seed: 1 };
        let sandbox = Sandbox::new(spec).expect("a sandbox");
        for (node, n) in nodes.iter().zip(1..) {
            let address = sandbox.address(node).expect("an address");
            start_sshd(&sandbox, node, address, folder);
            let _ = write!(config, "Host host{n}\n HostName {address}\n");
            let _ = writeln!(known, "[{address}]:{PORT} {}", of_hosts.trim());
            let _ = writeln!(hosts, "host{n} {address}");
        }
        write(&folder.join("ssh_config"), &config);
        write(&folder.join("known_hosts"), &known);
        write(&folder.join("hosts"), &hosts);
        Hosts { folder: folder.to_owned(), _sandbox: sandbox }
    }

    fn ordeal(&self, args: &[&str]) -> Command {
        let mut command = Command::new(ORDEAL);
        command.arg("run").args(args).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    fn run(&self) {
        let mut command = self.ordeal(&["--plan", "plan.json", "--out", "out"]);
        let status = command.status().expect("the binary runs");
        // What a run without a verdict means is for the test to say.
        assert!(matches!(status.code(), Some(0 | 2)), "{status}");
    }

    fn kill(&self) {
        let mut command = self.ordeal(&["--plan", "plan.json", "--out", "out"]);
        let mut child: Child = command.spawn().expect("the binary runs");
        let history = self.folder.join("out/history.jsonl");
        until("clients work", || {
            std::fs::read_to_string(&history).is_ok_and(|text| text.lines().count() > 50)
        });
        assert!(!of_ordeal().is_empty(), "agents and members run");
        child.kill().expect("a child of ours");
        child.wait().expect("a child of ours");
        until("all of it has ended", || of_ordeal().is_empty());
        until("its folders are gone", || folders().is_empty());
    }

    fn refuse(&self) {
        let hosts = ["--env=ssh", "--hosts=hosts", "--ssh-config=ssh_config"];
        let no_key = ["--env=ssh", "--hosts=known", "--ssh-config=no_key"];
        let rows: [(&[&str], &[&str], &str); 4] = [
            (&hosts, &["--nemesis=delay,kill"], "asks for delay, which --env ssh cannot do here"),
            (&hosts, &["--nodes=4"], "3 hosts for 4 nodes"),
            (
                &["--env=ssh", "--hosts=stranger"],
                &["--nemesis=kill"],
                "cannot log in to 10.10.0.77",
            ),
            (&no_key, &["--nemesis=kill"], "cannot log in to host1"),
        ];
        write(&self.folder.join("stranger"), "10.10.0.77\n");
        write(&self.folder.join("known"), "host1 10.10.0.1\n");
        let config = std::fs::read_to_string(self.folder.join("ssh_config")).expect("a file");
        write(&self.folder.join("no_key"), &config.replace("user_key", "host_key"));
        for (place, more, expected) in rows {
            let output = self.ordeal(&[place, more].concat()).output().expect("the binary runs");
            let told = told(&output);
            assert!(told.contains(expected), "{place:?} {more:?}: {told}");
            let status = if expected.contains("nodes") { 64 } else { 69 };
            assert_eq!(output.status.code(), Some(status), "{told}");
        }
    }

    /// Nothing of a run is left on the hosts.
    fn expect_nothing(&self) {
        assert_eq!(of_ordeal(), Vec::<String>::new());
        assert_eq!(folders(), Vec::<PathBuf>::new());
    }
}

fn start_sshd(sandbox: &Sandbox, node: &NodeId, address: Ipv4Addr, folder: &Path) {
    let path = |name: &str| folder.join(name).display().to_string();
    let config = format!(
        "Port {PORT}\nListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
         StrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nUsePAM no\n",
        path("host_key"),
        path("authorized_keys")
    );
    let file = folder.join(format!("sshd_{node}"));
    write(&file, &config);
    let launch = Launch {
        program: SSHD.into(),
        args: ["-D".into(), "-e".into(), "-f".into(), file.into()].into(),
        env: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
        cwd: folder.to_owned(),
        log: folder.join(format!("sshd_{node}.log")),
    };
    sandbox.start(node, &launch).expect("sshd starts");
    until("sshd listens", || TcpStream::connect((address, PORT)).is_ok());
}

/// The processes of a run that this sandbox sees, those on the hosts among them, but for our own.
fn of_ordeal() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("a /proc");
    let pids = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.parse::<u32>().is_ok())
    });
    let commands = pids.filter_map(|pid| {
        let command = std::fs::read(pid.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command).replace('\0', " "))
    });
    let ours = |command: &String| {
        command.contains("__ssh-agent")
            || command.contains("/tmp/ordeal-")
            || command.contains("--plan")
    };
    commands.filter(ours).collect()
}

fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/tmp").expect("a /tmp").flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.display().to_string().contains("/tmp/ordeal-")).collect()
}
