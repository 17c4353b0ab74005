//! The clusters of `docker-compose.yml`.

use crate::ORDEAL;
use crate::docker::{skipped, told, until};
use etcd_client::Client;
use std::path::Path;
use std::process::{Command, Output};

/// The two programs that read a compose file, as they are called.
const PROGRAMS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];

/// One project, in a copy of the repository's few files that it takes; gone when this is.
struct Project {
    folder: tempfile::TempDir,
    program: &'static [&'static str],
}

impl Project {
    fn compose(&self, args: &[&str]) -> Output {
        let mut command = Command::new(self.program[0]);
        command.args(&self.program[1..]).args(args).current_dir(self.folder.path());
        for name in ["N1_PORT", "N2_PORT", "N3_PORT", "ETCD1_PORT", "ETCD2_PORT", "ETCD3_PORT"] {
            command.env(name, "0");
        }
        command.output().expect("the program runs")
    }

    /// Starts these services, of which the first is the way in, and writes and reads through it.
    fn try_out(&self, services: &[&str]) {
        let up = self.compose(&[&["up", "-d", "--build"], services].concat());
        assert!(up.status.success(), "{}", told(&up));
        let port = self.compose(&["port", services[0], "2379"]);
        let endpoint = String::from_utf8_lossy(&port.stdout).trim().to_owned();
        assert!(endpoint.starts_with("127.0.0.1:"), "{}", told(&port));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        until("the cluster answers", || {
            runtime
                .block_on(async {
                    let mut client = Client::connect([&endpoint], None).await?;
                    client.put("k", services[0], None).await?;
                    client.get("k", None).await
                })
                .is_ok_and(|got| got.kvs().iter().any(|kv| kv.value() == services[0].as_bytes()))
        });
        let members = runtime.block_on(async {
            let mut client = Client::connect([&endpoint], None).await.expect("it answers");
            client.member_list().await.expect("its members").members().len()
        });
        assert_eq!(members, 3);
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // The test has failed already when this does.
        self.compose(&["--profile", "etcd", "down", "--rmi", "all", "-v"]);
    }
}

fn works(program: &[&str]) -> bool {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg("version");
    command.output().is_ok_and(|output| output.status.success())
}

pub fn clusters_to_look_at() {
    if skipped() {
        return;
    }
    let etcd = crate::docker::etcd();
    let programs: Vec<_> = PROGRAMS.into_iter().filter(|program| works(program)).collect();
    if programs.is_empty() {
        println!("skipped: there is neither `docker compose` nor `docker-compose`");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's root");
    for program in programs {
        let folder = tempfile::tempdir().expect("a folder");
        let file = "docker-compose.yml";
        std::fs::copy(root.join(file), folder.path().join(file)).expect("a compose file");
        let image = |program: &str, name: &str| {
            let to = folder.path().join("target/images").join(name);
            let made = Command::new(root.join("tools/image")).arg(program).arg(to).output();
            let made = made.expect("tools/image runs");
            assert!(made.status.success(), "{}", told(&made));
        };
        image(ORDEAL, "ordeal");
        if let Some(etcd) = &etcd {
            image(etcd, "etcd");
        }
        let project = Project { folder, program };
        project.try_out(&["n1", "n2", "n3"]);
        if etcd.is_some() {
            project.try_out(&["etcd1", "etcd2", "etcd3"]);
        }
        println!("{} brings the clusters up", program.join(" "));
    }
}
