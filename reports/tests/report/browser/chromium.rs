//! A headless Chromium, driven by its DevTools protocol over a pair of pipes.
//!
//! The protocol is JSON with a NUL after each message, on the browser's descriptors 3 and 4; no
//! port is opened. `sh` opens the pipes, so nothing here needs to fork by hand.

use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than this no answer takes that is still to come.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// A running browser; it ends with this.
pub struct Chromium {
    child: Child,
    to: File,
    from: Receiver<Value>,
    next: u64,
    events: Vec<Value>,
    folder: tempfile::TempDir,
}

/// The browser on PATH, or `$ORDEAL_CHROMIUM`; says so when there is none.
pub fn chromium_or_skip() -> Option<Chromium> {
    let named = std::env::var("ORDEAL_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let works = Command::new(&named).arg("--version").output().is_ok_and(|o| o.status.success());
    let required = std::env::var_os("ORDEAL_REQUIRE_CHROMIUM").is_some_and(|v| v == "1");
    assert!(works || !required, "no {named}, and ORDEAL_REQUIRE_CHROMIUM=1");
    if !works {
        eprintln!("skipped: no chromium on PATH (set ORDEAL_CHROMIUM to a browser)");
        return None;
    }
    Some(Chromium::start(&named))
}

impl Chromium {
    fn start(browser: &str) -> Chromium {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        let made = Command::new("mkfifo").args([&to, &from]).status().expect("mkfifo runs");
        assert!(made.success(), "no pipes");
        let child = Command::new("sh")
            .args(["-c", r#"to="$1" from="$2"; shift 2; exec "$@" 3<"$to" 4>"$from""#, "sh"])
            .args([&to, &from])
            .arg(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--remote-debugging-pipe", "--no-first-run", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let to = OpenOptions::new().write(true).open(to).expect("the pipe to the browser");
        let answers = File::open(from).expect("the pipe from the browser");
        let (send, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).expect("the protocol is JSON");
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        Chromium { child, to, from, next: 0, events: Vec::new(), folder }
    }

    /// Opens `text` as a page of its own, in a window of `size`, with `hash` in its address, and
    /// waits until it is loaded.
    pub fn open(&mut self, text: &str, size: (u32, u32), hash: &str) -> Page<'_> {
        let path = self.folder.path().join(format!("page-{}.html", self.next));
        std::fs::write(&path, text).expect("the page can be written");
        let address = format!("file://{}{hash}", path.display());
        let (width, height) = size;
        let target = self.call("", "Target.createTarget", json!({ "url": "about:blank" }));
        let target = target["targetId"].clone();
        let attach = json!({ "targetId": target, "flatten": true });
        let session = self.call("", "Target.attachToTarget", attach);
        let session = session["sessionId"].as_str().expect("a session").to_owned();
        let mut page = Page { browser: self, session, target };
        for domain in ["Page", "Runtime", "Log"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        page.call("Emulation.setDeviceMetricsOverride", metrics);
        page.call("Page.navigate", json!({ "url": address }));
        page.until("location.href != 'about:blank' && document.readyState == 'complete'");
        page
    }

    fn call(&mut self, session: &str, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !session.is_empty() {
            message["sessionId"] = session.into();
        }
        write!(self.to, "{message}\0").expect("the browser listens");
        loop {
            let message = self.from.recv_timeout(ANSWER_MAX);
            let message = message.unwrap_or_else(|error| panic!("no answer to {method}: {error}"));
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            // A dialog holds everything up: it is closed, and told of as an event.
            if message["method"] == "Page.javascriptDialogOpening" {
                let (id, session) = (self.next + 1_000_000, &message["sessionId"]);
                let method = "Page.handleJavaScriptDialog";
                let close = json!({ "id": id, "method": method, "params": { "accept": false },
                    "sessionId": session });
                write!(self.to, "{close}\0").expect("the browser listens");
            }
            self.events.push(message);
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // What still runs of it ends with it.
        let _ = write!(self.to, "{{\"id\":0,\"method\":\"Browser.close\"}}\0");
        let _ = self.child.wait();
    }
}

/// A page that is open; it is closed with this.
pub struct Page<'a> {
    browser: &'a mut Chromium,
    session: String,
    target: Value,
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.browser.call("", "Target.closeTarget", json!({ "targetId": self.target }));
        }
    }
}

impl Page<'_> {
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let session = self.session.clone();
        self.browser.call(&session, method, params)
    }

    /// What `expression` gives in the page; a promise is waited for.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", params);
        let failed = answer.get("exceptionDetails");
        assert!(failed.is_none(), "{expression}: {failed:?}");
        answer["result"]["value"].clone()
    }

    /// The text of the element that `selector` names.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({selector:?}).innerText"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until `condition` holds in the page.
    pub fn until(&mut self, condition: &str) {
        for _ in 0..2_000 {
            // A page that is about to be replaced forgets what it was asked.
            let ask = format!(
                "new Promise(done => {{ const until = performance.now() + 200; const look = () => \
                 ({condition}) ? done(true) : performance.now() > until ? done(false) \
                 : setTimeout(look, 5); look(); }})"
            );
            let params = json!({ "expression": ask, "awaitPromise": true, "returnByValue": true });
            if self.call_leniently("Runtime.evaluate", params) == Value::Bool(true) {
                return;
            }
        }
        panic!("it never came to be that {condition}");
    }

    fn call_leniently(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params);
        answer["result"]["value"].clone()
    }

    /// Presses a key, as a person does.
    pub fn press(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        self.call("Input.dispatchKeyEvent", json!({ "type": "keyDown", "key": key, "text": text }));
        self.call("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key }));
    }

    /// Types `text` into whatever has the focus.
    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// A click in the middle of the element that `selector` names.
    pub fn click(&mut self, selector: &str) {
        let place = self.eval(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView(\
             {{ block: 'center' }}); const b = e.getBoundingClientRect(); \
             return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place[0], "y": place[1],
                "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Dark or light, as a person's system would have it.
    pub fn scheme(&mut self, scheme: &str) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": feature }));
    }

    /// Writes a picture of the page to `$ORDEAL_SCREENSHOTS/NAME.png`, if that is set: of what is
    /// in the window, or of the whole page.
    pub fn screenshot(&mut self, name: &str, whole: bool) {
        let Some(folder) = std::env::var_os("ORDEAL_SCREENSHOTS") else { return };
        let mut params = json!({ "format": "png", "captureBeyondViewport": whole });
        if whole {
            let size = self.eval(
                "[document.documentElement.scrollWidth, \
                document.documentElement.scrollHeight]",
            );
            params["clip"] =
                json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        }
        let picture = self.call("Page.captureScreenshot", params);
        let data = picture["data"].as_str().expect("a picture");
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), data).expect("a file");
    }

    /// Nothing was thrown, nothing refused by the page's policy, no dialog opened.
    pub fn assert_calm(&mut self) {
        self.eval("1");
        let loud: Vec<&Value> = self
            .browser
            .events
            .iter()
            .filter(|event| event["sessionId"] == self.session.as_str())
            .filter(|event| {
                let method = event["method"].as_str().unwrap_or_default();
                method == "Page.javascriptDialogOpening"
                    || method == "Runtime.exceptionThrown"
                    || method == "Log.entryAdded" && event["params"]["entry"]["level"] == "error"
            })
            .collect();
        assert!(loud.is_empty(), "{loud:#?}");
    }
}
