//! Puts a saved snapshot in place of what a member stored, as an operator does after a disaster.
//!
//! For etcd its own tool does it, `etcdutl` or `etcdctl` (of 3.3 to 3.5), the one that lies beside
//! the server's binary or, without one there, on the `PATH`. For the embedded cluster Ordeal does.

use crate::plan::Db;
use ordeal_cluster::disk::RealDisk;
use std::fs::{DirEntry, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The tools, the newer one first.
const TOOLS: [&str; 2] = ["etcdutl", "etcdctl"];

/// What can restore a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Restorer {
    /// For the embedded cluster.
    Own,
    /// For etcd: one of its tools.
    Tool(PathBuf),
}

/// One member, and the snapshot that it is to go on from.
pub(super) struct Restoration {
    pub restorer: Restorer,
    pub snapshot: PathBuf,
    pub name: String,
    pub peer_url: String,
    /// `--initial-cluster` and its token, as the member is started with.
    pub cluster: String,
    pub token: String,
    /// The member's data; empty.
    pub data: PathBuf,
    /// A folder beside it that is not there, for as long as it takes.
    pub scratch: PathBuf,
}

impl Restorer {
    /// What restores a snapshot for this database; `None` when there is no such tool.
    pub fn of(db: &Db) -> Option<Restorer> {
        let Db::Etcd { path, .. } = db else { return Some(Restorer::Own) };
        let beside = path.parent().map(Path::to_owned);
        let search = std::env::var_os("PATH").unwrap_or_default();
        let folders = beside.into_iter().chain(std::env::split_paths(&search));
        let mut tools = folders.flat_map(|folder| TOOLS.map(|tool| folder.join(tool)));
        tools.find(|tool| tool.is_file()).map(Restorer::Tool)
    }
}

impl Restoration {
    /// Does it; durable when this returns. Blocks.
    ///
    /// # Errors
    ///
    /// One sentence.
    pub fn run(&self) -> Result<(), String> {
        match &self.restorer {
            Restorer::Own => self.by_ourselves(),
            Restorer::Tool(tool) => self.by(tool),
        }
    }

    fn by_ourselves(&self) -> Result<(), String> {
        let bytes = std::fs::read(&self.snapshot)
            .map_err(|error| format!("cannot read {}: {error}", self.snapshot.display()))?;
        let disk = Arc::new(RealDisk::new(&self.data));
        let Restoration { name, cluster, token, .. } = self;
        let restored = ordeal_cluster::restore::restore(&bytes, disk, name, cluster, token);
        restored.map(drop).map_err(|error| format!("{}: {error}", self.snapshot.display()))
    }

    fn by(&self, tool: &Path) -> Result<(), String> {
        let told =
            |error: io::Error| format!("cannot restore into {}: {error}", self.data.display());
        self.clear_scratch().map_err(told)?;
        let output = Command::new(tool)
            // Up to 3.3 the tool speaks another version of the API when it is not told.
            .env("ETCDCTL_API", "3")
            .args(["snapshot", "restore"])
            .arg(&self.snapshot)
            .args(["--name", &self.name, "--initial-advertise-peer-urls", &self.peer_url])
            .args(["--initial-cluster", &self.cluster, "--initial-cluster-token", &self.token])
            .arg("--data-dir")
            .arg(&self.scratch)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot run {}: {error}", tool.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("it said nothing");
            return Err(format!("{} snapshot restore: {last}", tool.display()));
        }
        bring(&self.scratch, &self.data).map_err(told)?;
        self.clear_scratch().map_err(told)
    }

    fn clear_scratch(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(&self.scratch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Brings what a folder holds into another, durable.
fn bring(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        match std::fs::rename(entry.path(), &place) {
            // The data is on a disk of its own, which can be broken.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(&entry, &place)?,
            renamed => renamed?,
        }
    }
    File::open(to)?.sync_all()
}

/// Copies a file, or a folder with what it holds, and makes it durable.
fn copy(entry: &DirEntry, place: &Path) -> io::Result<()> {
    if entry.file_type()?.is_dir() {
        return copy_folder(&entry.path(), place);
    }
    let (mut from, mut to) = (File::open(entry.path())?, File::create(place)?);
    to.set_len(from.metadata()?.len())?;
    let mut block = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut block)?;
        let read = &block[..count];
        match count {
            0 => return to.sync_all(),
            // Of etcd's log most is still to be written: it stays a hole.
            _ if read.iter().all(|byte| *byte == 0) => to.seek_relative(count as i64)?,
            _ => to.write_all(read)?,
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        copy(&entry, &place)?;
    }
    File::open(to)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_same_bytes_holes_and_all() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir_all(from.join("member/wal"))?;
        let mut bytes = vec![0; 300_000];
        bytes[..5].copy_from_slice(b"begin");
        bytes[200_000] = 7;
        std::fs::write(from.join("member/wal/0.wal"), &bytes)?;
        std::fs::write(from.join("member/empty"), [])?;
        copy_folder(&from, &to)?;
        assert_eq!(std::fs::read(to.join("member/wal/0.wal"))?, bytes);
        assert_eq!(std::fs::read(to.join("member/empty"))?, [0_u8; 0]);
        bring(&from, &folder.path().join("moved"))?;
        assert_eq!(std::fs::read(folder.path().join("moved/member/wal/0.wal"))?, bytes);
        assert!(!from.join("member").exists());
        Ok(())
    }

    fn etcd(path: PathBuf) -> Db {
        Db::Etcd { path, version: "3.5.30".to_owned() }
    }

    #[test]
    fn the_tool_beside_the_server_is_taken_and_the_newer_one_first() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let db = etcd(folder.path().join("etcd"));
        assert_eq!(Restorer::of(&Db::Embedded), Some(Restorer::Own));
        for tool in ["etcdctl", "etcdutl"] {
            let path = folder.path().join(tool);
            std::fs::write(&path, "")?;
            assert_eq!(Restorer::of(&db), Some(Restorer::Tool(path)));
        }
        Ok(())
    }

    #[test]
    fn a_tool_that_refuses_is_told_with_its_last_words_and_leaves_the_data_empty() -> io::Result<()>
    {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let restoration = |restorer| Restoration {
            restorer,
            snapshot: at("none.db"),
            name: "n1".to_owned(),
            peer_url: "http://10.0.0.1:2380".to_owned(),
            cluster: "n1=http://10.0.0.1:2380".to_owned(),
            token: "t".to_owned(),
            data: at("data"),
            scratch: at("scratch"),
        };
        let rows = [
            (Restorer::Tool("/bin/false".into()), "/bin/false snapshot restore: it said nothing"),
            (Restorer::Tool(at("no-such-tool")), "no-such-tool: No such file"),
            (Restorer::Own, "none.db: No such file"),
        ];
        for (restorer, expected) in rows {
            let error = restoration(restorer).run().expect_err(expected);
            assert!(error.contains(expected), "{error}");
            assert!(!at("data").exists());
        }
        Ok(())
    }
}
