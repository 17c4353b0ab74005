//! The watcher: a process beside the runner that removes the run's containers and image when the
//! runner is gone, however it went. There is no other way to clean up: the end of an orderly run
//! is the watcher's work too.

use super::engine::Engine;
use super::error::DockerError;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The hidden first argument.
pub(super) const WATCH: &str = "__docker-watch";
/// How long a daemon that went away is waited for, so that it can be cleaned up after.
const PATIENCE: Duration = Duration::from_secs(60);
/// The rest between two attempts.
const REST: Duration = Duration::from_millis(200);

/// The runner's hold on its watcher.
pub(super) struct Watcher(Option<Child>);

impl Watcher {
    /// Starts it. From now on whatever bears the run's name is removed when this is gone.
    pub fn start(engine: &Engine, run: &str, control: &Path) -> Result<Watcher, DockerError> {
        let child = Command::new("/proc/self/exe")
            .args([WATCH.as_ref(), engine.socket().as_os_str(), run.as_ref(), control.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt from the terminal is none of its business.
            .process_group(0)
            .spawn()
            .map_err(DockerError::io("starting the watcher"))?;
        Ok(Watcher(Some(child)))
    }

    /// Has it clean up; whether it did.
    pub fn finish(&mut self, patience: Duration) -> bool {
        let Some(mut child) = self.0.take() else { return true };
        drop(child.stdin.take());
        let give_up = Instant::now() + patience;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) if Instant::now() < give_up => std::thread::sleep(REST / 20),
                // It goes on by itself.
                _ => return false,
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.finish(PATIENCE);
    }
}

/// The watcher itself: waits for the end of its standard input, and cleans up. Its exit status.
pub(super) fn watch(socket: &str, run: &str, control: &str) -> u8 {
    // Nothing is ever written: this returns at the runner's end.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    let control = PathBuf::from(control);
    let removed = std::fs::remove_dir_all(&control);
    let gone = removed.is_ok() || !control.exists();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return 70 };
    let engine = Engine::at(Path::new(socket));
    let give_up = Instant::now() + PATIENCE;
    while Instant::now() < give_up {
        if let Ok(true) = runtime.block_on(engine.remove(run)) {
            return if gone { 0 } else { 70 };
        }
        std::thread::sleep(REST);
    }
    70
}
