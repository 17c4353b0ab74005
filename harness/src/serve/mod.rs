//! `ordeal serve`: stored runs to browse, and those under way to watch, on loopback alone.
//!
//! Three things keep strangers out: it binds no address but a loopback one; it answers no request
//! whose `Host` is another, so that no name on the network can be made to point here; and it hands
//! out no file but those that a run consists of, none of which lies outside the folder.

mod live;
mod pages;

use crate::status;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What to show, and where.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The folder of runs
    #[arg(default_value = "runs")]
    dir: PathBuf,
    /// Where to listen; only loopback addresses are taken, and port 0 is any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7447")]
    listen: SocketAddr,
}

/// Serves until it is interrupted; gives the exit status.
pub fn run(args: ServeArgs) -> u8 {
    if !args.listen.ip().is_loopback() {
        tell!(
            "ordeal serve: --listen {}: this is no loopback address; name one such as \
             127.0.0.1:{}, and reach it from elsewhere through ssh -L",
            args.listen,
            args.listen.port()
        );
        return status::USAGE;
    }
    let dir = match args.dir.canonicalize() {
        Ok(dir) if dir.is_dir() => dir,
        Ok(_) => return refuse(&args.dir, "this is no folder; name one that runs are stored in"),
        Err(error) => {
            return refuse(&args.dir, &format!("{error}; name a folder that runs are stored in"));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| runtime.block_on(serve(dir, args.listen)));
    match served {
        Ok(()) => status::VALID,
        Err(error) => {
            tell!("ordeal serve: {}: {error}", args.listen);
            status::UNAVAILABLE
        }
    }
}

fn refuse(dir: &std::path::Path, why: &str) -> u8 {
    tell!("ordeal serve: {}: {why}", dir.display());
    status::USAGE
}

async fn serve(dir: PathBuf, listen: SocketAddr) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    say!("http://{}/", listener.local_addr()?);
    let app = pages::router(dir, live::start());
    axum::serve(listener, app).with_graceful_shutdown(interrupted()).await
}

async fn interrupted() {
    // Where it cannot listen for the interrupt, the signal's own effect ends it.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
