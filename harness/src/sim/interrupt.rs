//! Interrupts of work that goes on in threads: what is done is kept and told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// A flag that is raised at the first SIGINT or SIGTERM from now on; whoever works looks at it
/// between two pieces. The second ends the program at once.
pub fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = flag.clone();
    std::thread::spawn(move || {
        if let Err(error) = listen(&raised) {
            // The work goes on, and an interrupt ends it without a summary.
            tell!("ordeal: cannot listen for interrupts: {error}");
        }
    });
    flag
}

fn listen(flag: &AtomicBool) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(crate::status::INTERRUPTED));
            }
            tell!("ordeal: interrupted: ending the seeds under way, and telling what was found");
        }
    })
}
