//! What is asked of the Docker daemon, over its socket: the few calls of its Engine API that are
//! needed here, without the `docker` program.

use super::error::DockerError;
use futures::stream::{self, BoxStream};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// The label that a run's containers bear, with the run's name.
const RUN: &str = "ordeal.run";
/// And the one that they and the image bear for people, with the run's folder.
const FOLDER: &str = "ordeal.folder";
/// How long the daemon may take to answer one call; making a container can wait for a busy disk.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of a file is sent at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// A Docker daemon on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    socket: PathBuf,
}

/// What a container is made of, beside the image.
pub(super) struct Container<'a> {
    /// Its name, and what it is called in messages.
    pub name: &'a str,
    /// The run's folder.
    pub folder: &'a Path,
    /// Arguments of Ordeal's own binary in it.
    pub args: Vec<String>,
    /// What the API calls `HostConfig`, beside what all containers of ours have.
    pub host: Value,
    /// `UID:GID`.
    pub user: &'a str,
    /// Its host name; none where it shares another container's.
    pub hostname: Option<&'a str>,
}

/// What the daemon says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// It runs as an ordinary user, whom containers see as root.
    pub rootless: bool,
    /// It maps users.
    pub remaps: bool,
}

/// The daemon wants to know beforehand that there is nothing, where it expects nothing.
type Body = Either<Full<Bytes>, StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>>;

fn whole(bytes: Vec<u8>) -> Body {
    Either::Left(Full::from(bytes))
}

/// The file's bytes, a chunk at a time.
fn contents(file: File) -> Body {
    let chunks = stream::unfold(Some(file), |file| async {
        let mut file = file?;
        let mut chunk = vec![0; CHUNK_BYTES];
        match file.read(&mut chunk) {
            Ok(0) => None,
            Ok(count) => {
                chunk.truncate(count);
                Some((Ok(Frame::data(Bytes::from(chunk))), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    Either::Right(StreamBody::new(Box::pin(chunks)))
}

impl Engine {
    /// The daemon that `DOCKER_HOST` names, or the usual one. Nothing is asked of it yet.
    ///
    /// # Errors
    ///
    /// [`DockerError::Elsewhere`].
    pub fn named() -> Result<Engine, DockerError> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_default();
        if host.is_empty() {
            return Ok(Engine::at(Path::new("/var/run/docker.sock")));
        }
        match host.strip_prefix("unix://") {
            Some(path) => Ok(Engine::at(Path::new(path))),
            None => Err(DockerError::Elsewhere(host)),
        }
    }

    /// The daemon at this socket.
    pub fn at(socket: &Path) -> Engine {
        Engine { socket: socket.to_owned() }
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// As a person writes it.
    fn shown(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// A connection to the daemon that says nothing: it ends when the daemon does.
    pub async fn connect(&self) -> Result<UnixStream, DockerError> {
        UnixStream::connect(&self.socket).await.map_err(|source| {
            let way_out = match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "join the group that owns the socket, usually docker, or use a rootless Docker"
                }
                _ => "start the daemon, or name its socket in DOCKER_HOST",
            };
            DockerError::Unreachable { at: self.shown(), source, way_out }
        })
    }

    /// The daemon went away during this.
    pub fn gone(&self, doing: &str, why: impl ToString) -> DockerError {
        DockerError::Gone { at: self.shown(), doing: doing.to_owned(), why: why.to_string() }
    }

    async fn call(
        &self,
        doing: &str,
        method: Method,
        path: &str,
        kind: &str,
        body: Body,
    ) -> Result<Vec<u8>, DockerError> {
        let stream = self.connect().await?;
        let gone = |error: &dyn std::fmt::Display| self.gone(doing, error);
        let exchange = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .map_err(|error| gone(&error))?;
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", "docker")
                .header("content-type", kind)
                .body(body)
                .map_err(|error| gone(&error))?;
            let answered = async move {
                let answer = sender.send_request(request).await?;
                let status = answer.status();
                Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
            };
            // The connection ends when nobody is left to ask; its failure shows in the answer.
            let (answered, _) = futures::join!(answered, connection);
            answered.map_err(|error| gone(&error))
        };
        let (status, bytes) = match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(answered) => answered?,
            Err(_) => return Err(gone(&format!("no answer in {} s", PATIENCE.as_secs()))),
        };
        if status.is_success() || status.as_u16() == 304 {
            return Ok(bytes.to_vec());
        }
        let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let message = match said["message"].as_str() {
            Some(message) => message.trim().to_owned(),
            None => String::from_utf8_lossy(&bytes).trim().to_owned(),
        };
        Err(DockerError::Refused { doing: doing.to_owned(), message, status: status.as_u16() })
    }

    async fn get(&self, doing: &str, path: &str) -> Result<Value, DockerError> {
        let said = self.call(doing, Method::GET, path, "text/plain", whole(Vec::new())).await?;
        serde_json::from_slice(&said).map_err(|error| self.gone(doing, error))
    }

    async fn post(&self, doing: &str, path: &str, body: &Value) -> Result<Value, DockerError> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let body = whole(body.into_bytes());
        let said = self.call(doing, Method::POST, path, "application/json", body).await?;
        Ok(serde_json::from_slice(&said).unwrap_or_default())
    }

    /// Asks what kind of a daemon it is; the first call of all.
    pub async fn about(&self) -> Result<About, DockerError> {
        let info = self.get("telling about itself", "/info").await?;
        let options = info["SecurityOptions"].as_array().cloned().unwrap_or_default();
        let has = |word: &str| {
            let name = format!("name={word}");
            options.iter().any(|option| option.as_str().is_some_and(|o| o.starts_with(&name)))
        };
        Ok(About { rootless: has("rootless"), remaps: has("userns") })
    }

    /// Makes an image `ordeal:RUN` of one layer out of a tar archive.
    pub async fn import(&self, run: &str, folder: &Path, archive: File) -> Result<(), DockerError> {
        let doing = "building the image";
        let label = encoded(&format!("LABEL {FOLDER}={}", json!(folder)));
        let path = format!("/images/create?fromSrc=-&repo=ordeal&tag={run}&changes={label}");
        let kind = "application/x-tar";
        let said = self.call(doing, Method::POST, &path, kind, contents(archive)).await?;
        // The status is sent before the archive is read: what goes wrong comes as a line.
        let lines = said.split(|byte| *byte == b'\n');
        let mut lines = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        match lines.find_map(|line| line["error"].as_str().map(str::to_owned)) {
            None => Ok(()),
            Some(message) => {
                Err(DockerError::Refused { doing: doing.to_owned(), message, status: 200 })
            }
        }
    }

    /// Makes and starts a container of the run's image; gives its number.
    pub async fn start(&self, run: &str, it: Container<'_>) -> Result<String, DockerError> {
        let doing = format!("starting the container {}", it.name);
        let mut host = json!({
            "AutoRemove": true,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": true,
            "LogConfig": {"Type": "none"},
        });
        if let (Value::Object(host), Value::Object(more)) = (&mut host, it.host) {
            host.extend(more);
        }
        let command: Vec<String> =
            std::iter::once(super::image::ORDEAL.to_owned()).chain(it.args).collect();
        let mut body = json!({
            "Image": format!("ordeal:{run}"),
            "Cmd": command,
            "User": it.user,
            "Labels": {RUN: run, FOLDER: it.folder},
            "HostConfig": host,
        });
        if let Some(hostname) = it.hostname {
            body["Hostname"] = hostname.into();
        }
        let made =
            self.post(&doing, &format!("/containers/create?name={}", it.name), &body).await?;
        let id = made["Id"].as_str().unwrap_or_default().to_owned();
        self.post(&doing, &format!("/containers/{id}/start"), &Value::Null).await?;
        Ok(id)
    }

    /// Whether this container runs.
    pub async fn runs(&self, id: &str) -> Result<bool, DockerError> {
        match self.get("looking after a container", &format!("/containers/{id}/json")).await {
            Ok(about) => Ok(about["State"]["Running"] == true),
            Err(DockerError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The numbers of the run's containers.
    async fn containers(&self, run: &str) -> Result<Vec<String>, DockerError> {
        let filters = encoded(&json!({"label": [format!("{RUN}={run}")]}).to_string());
        let path = format!("/containers/json?all=1&filters={filters}");
        let found = self.get("listing the run's containers", &path).await?;
        let found = found.as_array().cloned().unwrap_or_default();
        Ok(found.iter().filter_map(|it| it["Id"].as_str().map(str::to_owned)).collect())
    }

    async fn delete(&self, doing: &str, path: &str) -> Result<(), DockerError> {
        let body = whole(Vec::new());
        match self.call(doing, Method::DELETE, path, "text/plain", body).await {
            Ok(_) | Err(DockerError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes whatever there is of the run, as far as it goes; whether nothing is left.
    pub async fn remove(&self, run: &str) -> Result<bool, DockerError> {
        let containers = self.containers(run).await?;
        for id in &containers {
            let path = format!("/containers/{id}?force=1&v=1");
            // One that removes itself just now says so.
            match self.delete("removing a container", &path).await {
                Ok(()) | Err(DockerError::Refused { status: 409, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if !self.containers(run).await?.is_empty() {
            return Ok(false);
        }
        match self.delete("removing the image", &format!("/images/ordeal:{run}")).await {
            Ok(()) => Ok(true),
            Err(DockerError::Refused { status: 409, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// As a value in a query (RFC 3986).
pub(super) fn encoded(value: &str) -> String {
    let byte = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn what_means_something_in_a_query_is_encoded() {
        assert_eq!(encoded("a=\"b c\"&é"), "a%3D%22b%20c%22%26%C3%A9");
    }
}
