//! What is answered to whom.

use super::live::Watcher;
use crate::store;
use axum::Router;
use axum::extract::{Path as Named, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ordeal_reports::{Serving, encoded};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What every answer is made of.
struct Shown {
    dir: PathBuf,
    watcher: Watcher,
}

/// The routes over the runs in `dir`, a canonical path.
pub fn router(dir: PathBuf, watcher: Watcher) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/live/{*run}", get(live_page))
        .route("/live.json/{*run}", get(live_state))
        .route("/{*file}", get(file))
        .layer(from_fn(only_loopback))
        .with_state(Arc::new(Shown { dir, watcher }))
}

/// Refuses a request that was sent to a name which is not loopback's: a page of another site can
/// have its own name point here, and would then be let at the answers.
async fn only_loopback(request: Request, next: Next) -> Response {
    if !request.headers().get(HOST).is_some_and(|host| host.to_str().is_ok_and(is_loopback)) {
        let told =
            "This server answers on loopback alone: use http://127.0.0.1 or http://localhost.\n";
        return (StatusCode::FORBIDDEN, told).into_response();
    }
    next.run(request).await
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn index(State(shown): State<Arc<Shown>>) -> Response {
    let page = ordeal_reports::index(
        &store::runs(&shown.dir),
        &store::campaigns(&shown.dir),
        Serving::Server,
    );
    answer("text/html; charset=utf-8", page)
}

async fn live_page(State(shown): State<Arc<Shown>>, Named(run): Named<String>) -> Response {
    match folder_of(&shown, &run) {
        Some(_) => {
            let page = ordeal_reports::live(&run, &format!("/live.json/{}", encoded(&run)));
            answer("text/html; charset=utf-8", page)
        }
        None => missing(),
    }
}

async fn live_state(State(shown): State<Arc<Shown>>, Named(run): Named<String>) -> Response {
    let Some(folder) = folder_of(&shown, &run) else { return missing() };
    let report =
        folder.join("report.html").exists().then(|| format!("/{}/report.html", encoded(&run)));
    match shown.watcher.look(folder, report).await {
        Some(state) => answer("application/json", state),
        None => missing(),
    }
}

async fn file(State(shown): State<Arc<Shown>>, Named(name): Named<String>) -> Response {
    let Some(path) = below(&shown.dir, &name) else { return missing() };
    let Some(kind) = kind(&path) else { return missing() };
    match tokio::fs::read(&path).await {
        Ok(bytes) => answer(kind, bytes),
        Err(_) => missing(),
    }
}

fn answer(kind: &'static str, body: impl IntoResponse) -> Response {
    let headers =
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, body).into_response()
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, "There is no such run here.\n").into_response()
}

/// The folder of a run that lies below the served one.
fn folder_of(shown: &Shown, run: &str) -> Option<PathBuf> {
    below(&shown.dir, run).filter(|folder| folder.join("plan.json").is_file())
}

/// What lies below `dir` under `name`, links followed; `None` for what lies elsewhere.
fn below(dir: &Path, name: &str) -> Option<PathBuf> {
    let path = dir.join(name).canonicalize().ok()?;
    path.starts_with(dir).then_some(path)
}

/// How a file of a run is shown; `None` for what is none, such as a node's data.
fn kind(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    let kind = match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("json" | "jsonl" | "xml" | "md") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        None if name == "log" => "text/plain; charset=utf-8",
        _ => return None,
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_loopback_are_answered() {
        for (host, is) in [
            ("127.0.0.1:7447", true),
            ("127.9.9.9", true),
            ("localhost:80", true),
            ("LocalHost", true),
            ("[::1]:7447", true),
            ("evil.example:7447", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1:7447", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), is, "{host}");
        }
    }

    #[test]
    fn nothing_outside_the_folder_and_no_data_of_a_node_is_handed_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("runs").canonicalize();
        assert!(dir.is_err());
        std::fs::create_dir(folder.path().join("runs")).expect("a folder");
        let dir = folder.path().join("runs").canonicalize().expect("it is there");
        for name in ["secret.html", "runs/report.html", "runs/db"] {
            std::fs::write(folder.path().join(name), "x").expect("a file");
        }
        std::os::unix::fs::symlink("../secret.html", dir.join("link.html")).expect("a link");
        for (name, is) in [
            ("report.html", true),
            ("../secret.html", false),
            ("link.html", false),
            ("/etc/passwd", false),
            ("nothing.html", false),
        ] {
            assert_eq!(below(&dir, name).is_some(), is, "{name}");
        }
        assert_eq!(kind(&dir.join("db")), None);
        assert!(kind(&dir.join("nodes/n1/log")).is_some());
    }
}
