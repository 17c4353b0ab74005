//! The thread that owns the log. While it syncs, more writes queue up, and the next sync serves
//! them all.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc;

use super::driver::{Handle, Input};
use crate::core::Event;
use crate::log::{Log, LogError, Write};

/// A write for the log; with a number, to be made durable and reported.
pub(super) type Job = (Write, Option<u64>);

/// Writes taken together before a sync.
const BATCH_MAX: usize = 1_024;

/// The thread and the way to it. It ends when the way is dropped, and gives up the data directory.
pub(super) struct LogThread {
    pub jobs: Sender<Job>,
    pub thread: JoinHandle<()>,
}

pub(super) fn spawn(
    log: Log,
    inputs: mpsc::Sender<Input>,
    handle: Handle,
) -> io::Result<LogThread> {
    let (jobs, received) = channel();
    let thread = std::thread::Builder::new().name("log".into()).spawn(move || {
        if let Err(error) = work(log, &received, &inputs, &handle) {
            // If the driver is gone there is nobody to tell.
            let _ = inputs.blocking_send(Input::Failed(error.to_string()));
        }
    })?;
    Ok(LogThread { jobs, thread })
}

fn work(
    mut log: Log,
    jobs: &Receiver<Job>,
    inputs: &mpsc::Sender<Input>,
    handle: &Handle,
) -> Result<(), LogError> {
    while let Ok(first) = jobs.recv() {
        let mut last = None;
        for (write, number) in std::iter::once(first).chain(jobs.try_iter().take(BATCH_MAX)) {
            log.append(&write)?;
            last = number.or(last);
        }
        if let Some(number) = last {
            let begun = Instant::now();
            log.sync()?;
            handle.syncs().add(begun.elapsed());
            if inputs.blocking_send(Input::Event(Event::Persisted(number))).is_err() {
                break;
            }
        }
    }
    Ok(())
}
