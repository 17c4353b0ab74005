//! Members as processes of their own, on loopback, with their data in a folder that goes with them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use etcd_client::{Client, ConnectOptions};
use tempfile::TempDir;

use super::Failure;

/// How long a member may take until it answers.
const PATIENCE: Duration = Duration::from_secs(120);

/// The kernel counts a process' time in hundredths of a second, on every machine of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// How to start a member: the binary and what comes before etcd's flags.
#[derive(Debug, Clone)]
pub struct System {
    /// What the tables call it.
    pub name: &'static str,
    /// The binary.
    pub binary: PathBuf,
    /// The words before the flags.
    pub words: Vec<String>,
}

impl System {
    /// The embedded node.
    pub fn embedded(ordeal: PathBuf) -> Self {
        Self { name: "embedded", binary: ordeal, words: vec!["node".into()] }
    }
}

/// A running cluster. Dropping it kills the members and removes their data.
pub struct Processes {
    system: System,
    flags: Vec<Vec<String>>,
    children: Vec<Option<Child>>,
    /// Where clients reach each member.
    pub urls: Vec<String>,
    data: TempDir,
}

/// What the members have taken of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Processor time of all members, in user mode, in seconds.
    pub user_s: f64,
    /// The same in the kernel.
    pub system_s: f64,
    /// The most memory that a member ever held, in KiB: the mean over the members.
    pub rss_max_kib: u64,
}

impl Processes {
    /// Starts members and waits until each answers a linearizable read.
    ///
    /// # Errors
    /// If one cannot be started, or does not answer within two minutes.
    pub async fn start(system: &System, members: usize, extra: &[&str]) -> Result<Self, Failure> {
        let data = TempDir::new()?;
        let ports = free_ports(members * 2)?;
        let url = |nth: usize| format!("http://127.0.0.1:{}", ports[nth]);
        let cluster: Vec<String> = (0..members).map(|n| format!("n{n}={}", url(n))).collect();
        let flags = (0..members).map(|n| {
            let folder = data.path().join(format!("n{n}")).display().to_string();
            let (peer, client) = (url(n), url(members + n));
            let cluster = cluster.join(",");
            let named = [
                ("--name", &format!("n{n}")),
                ("--data-dir", &folder),
                ("--listen-peer-urls", &peer),
                ("--initial-advertise-peer-urls", &peer),
                ("--listen-client-urls", &client),
                ("--advertise-client-urls", &client),
                ("--initial-cluster", &cluster),
                ("--log-level", &"error".to_owned()),
            ];
            let named =
                named.iter().flat_map(|(flag, value)| [flag.to_string(), value.to_string()]);
            named.chain(extra.iter().map(|word| word.to_string())).collect()
        });
        let mut cluster = Self {
            system: system.clone(),
            flags: flags.collect(),
            children: (0..members).map(|_| None).collect(),
            urls: (members..members * 2).map(url).collect(),
            data,
        };
        (0..members).try_for_each(|nth| cluster.spawn(nth))?;
        for nth in 0..members {
            cluster.answers(nth).await?;
        }
        Ok(cluster)
    }

    /// Starts a member that does not run.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn spawn(&mut self, nth: usize) -> Result<(), Failure> {
        let log = std::fs::File::create(self.data.path().join(format!("n{nth}.log")))?;
        let child = Command::new(&self.system.binary)
            .args(&self.system.words)
            .args(&self.flags[nth])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", self.system.binary.display()))?;
        self.children[nth] = Some(child);
        Ok(())
    }

    /// Kills a member (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&mut self, nth: usize) -> Result<(), Failure> {
        if let Some(mut child) = self.children[nth].take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Waits until a member answers a linearizable read; gives how long that took.
    ///
    /// # Errors
    /// If it does not within two minutes; with the end of what the member said.
    pub async fn answers(&self, nth: usize) -> Result<Duration, Failure> {
        let begun = Instant::now();
        let options = ConnectOptions::new().with_timeout(Duration::from_secs(10));
        while begun.elapsed() < PATIENCE {
            if let Ok(mut client) = Client::connect([&self.urls[nth]], Some(options.clone())).await
                && client.get("none", None).await.is_ok()
            {
                return Ok(begun.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let said = std::fs::read_to_string(self.data.path().join(format!("n{nth}.log")))?;
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        Err(format!("{} member {nth} does not answer: {last:?}", self.system.name).into())
    }

    /// What the members have taken so far.
    ///
    /// # Errors
    /// If one is gone.
    pub fn usage(&self) -> Result<Usage, Failure> {
        let mut usage = Usage::default();
        let pids = self.children.iter().flatten().map(Child::id);
        for pid in pids {
            let folder = Path::new("/proc").join(pid.to_string());
            let stat = std::fs::read_to_string(folder.join("stat"))?;
            // Behind the name, which may hold anything, in parentheses: fields 3 and on.
            let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            let fields: Vec<&str> = fields.collect();
            let seconds = |nth: usize| -> Result<f64, Failure> {
                let ticks: f64 = fields.get(nth).ok_or("a short /proc/PID/stat")?.parse()?;
                Ok(ticks / TICKS_PER_SECOND)
            };
            usage.user_s += seconds(11)?;
            usage.system_s += seconds(12)?;
            let status = std::fs::read_to_string(folder.join("status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().next()).unwrap_or("0");
            usage.rss_max_kib += kib.parse::<u64>()?;
        }
        usage.rss_max_kib /= self.children.len().max(1) as u64;
        Ok(usage)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for nth in 0..self.children.len() {
            // One that has ended by itself is as gone as it can be.
            let _ = self.kill(nth);
        }
    }
}

/// Ports below the ephemeral range, so that no outgoing connection takes one meanwhile.
fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    let start = 20_000 + (std::process::id() % 1_000) as u16 * 10;
    let free = (start..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let ports: Vec<u16> = free.take(count).collect();
    if ports.len() < count { Err("not enough free ports".into()) } else { Ok(ports) }
}
