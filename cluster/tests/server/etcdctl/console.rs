//! Plays a script of commands to one `etcdctl`, and writes down what it shows.
//!
//! A script's line is the arguments of a command, with `''` for an empty one. Names with a `$` are
//! filled in: `$A` is the address of the member that led at first, `$B` and so on those of the
//! others, `$ID_A` and `$PEER_A` their ids and the addresses for members, `$ALL` all addresses,
//! `$LEASE` the lease that was granted last, `$DIR` a folder. A line may begin with:
//!
//! - `3.4:`, `3.5:`: from that release of `etcdctl` on;
//! - `bare:`: without the certificate that the other commands show;
//! - `proto:`: what it shows is decoded;
//! - `sorted:`: the lines shown are sorted;
//! - `until:`: again until it succeeds, and then shown; `until-shows WORD:`: until it shows a word;
//! - `hold NAME N:`: goes on while the next commands run, and shows `N` lines now;
//! - `more NAME N`: shows so many more lines of it; `int NAME` interrupts it, and shows the rest;
//!   `kill NAME` kills it;
//! - `join`: starts the member that was added.
//!
//! A line that begins with `<` is the input of the command before, with `\n` between lines.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::masks::masked;
use super::output::{decoded, output, text};
use super::target::Target;
use crate::differential::etcd::{PATIENCE, Release};

/// The least release that a line's beginning names, with the beginning.
const SINCE: &[(&str, Release)] = &[("3.4: ", (3, 4, 0)), ("3.5: ", (3, 5, 0))];

/// A command that goes on while others run.
struct Held {
    command: String,
    child: Child,
    lines: Receiver<String>,
}

/// One `etcdctl`, and what it talks to.
pub struct Console<'a> {
    program: &'a str,
    release: Release,
    target: &'a mut Target,
    /// The flags of every command that is not bare.
    flags: Vec<String>,
    /// What is known by which name; the names of numbers that hold others first.
    names: Vec<(String, String)>,
    /// Ids as they are shown where they are filled up, and their names.
    filled_up: Vec<(String, String)>,
    held: BTreeMap<String, Held>,
    leases: usize,
    folder: TempDir,
    shown: String,
}

impl<'a> Console<'a> {
    pub fn new(
        (program, release): (&'a str, Release),
        target: &'a mut Target,
        flags: Vec<String>,
    ) -> Self {
        let folder = TempDir::new().expect("a directory");
        let mut console = Self {
            program,
            release,
            target,
            flags,
            names: Vec::new(),
            filled_up: Vec::new(),
            held: BTreeMap::new(),
            leases: 0,
            folder,
            shown: String::new(),
        };
        console.learn_members();
        console
    }

    /// Makes more addresses known, as `$NAME`.
    pub fn name(&mut self, name: &str, url: &str) {
        self.names.push((host(url).to_owned(), format!("${name}")));
    }

    /// Plays a script to its end; gives all that was shown.
    pub fn play(mut self, script: &str) -> String {
        let mut lines = script.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut lines = lines.by_ref().peekable();
        while let Some(line) = lines.next() {
            let input = lines.next_if(|next| next.starts_with('<'));
            let input = input
                .map_or(String::new(), |input| input[1..].trim_start().replace("\\n", "\n") + "\n");
            self.line(line, &input);
        }
        std::mem::take(&mut self.shown)
    }

    fn line(&mut self, line: &str, input: &str) {
        let mut rest = line;
        for (beginning, release) in SINCE {
            if let Some(command) = line.strip_prefix(beginning) {
                if self.release < *release {
                    return;
                }
                rest = command;
            }
        }
        let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "join" => self.target.join(),
            "until:" => self.until(behind, ""),
            "until-shows" => {
                let (sign, command) = behind.split_once(": ").expect("until-shows WORD: COMMAND");
                self.until(command, sign);
            }
            "sorted:" => {
                let (shown, _) = self.run(behind, "", true);
                let mut lines: Vec<&str> = shown.lines().collect();
                lines.sort_unstable();
                self.show(rest, &(lines.join("\n") + "\n"));
            }
            "proto:" => {
                let (stdout, _, _) = output(self.command(behind, true), input);
                let shown = masked(behind, &decoded(behind, &stdout), &self.known());
                self.show(rest, &shown);
            }
            "bare:" => {
                let (shown, _) = self.run(behind, input, false);
                self.show(rest, &shown);
            }
            "hold" => self.hold(behind, input),
            "more" | "int" | "kill" => self.end(word, behind),
            _ => {
                let (shown, _) = self.run(rest, input, true);
                self.show(rest, &shown);
            }
        }
    }

    fn show(&mut self, command: &str, shown: &str) {
        self.shown += &format!("$ {command}\n{shown}");
    }

    /// The command with its names filled in.
    fn command(&self, line: &str, flagged: bool) -> Command {
        let addresses: Vec<&str> = self.members().map(|(known, _)| known.as_str()).collect();
        // Their names begin with those of members.
        let mut line = line.replace("$ALL", &addresses.join(","));
        line = line.replace("$DIR", self.folder.path().to_str().expect("text"));
        // Longer names first: one may begin with another.
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
        for (known, name) in names {
            line = line.replace(name.as_str(), known);
        }
        // A suite that runs in the background may be started with interrupts ignored, and hands
        // that on: `lease keep-alive` of 3.3 would never end.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT").arg(self.program);
        command.env("ETCDCTL_API", "3");
        if !line.contains("--endpoints") {
            command.args(["--endpoints", addresses.first().expect("a member")]);
        }
        if !line.contains("--command-timeout") {
            // On a busy machine the usual five seconds say nothing of the cluster.
            command.args(["--command-timeout", "50s", "--dial-timeout", "30s"]);
        }
        if flagged {
            command.args(&self.flags);
        }
        command.args(line.split(' ').map(|argument| if argument == "''" { "" } else { argument }));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn members(&self) -> impl Iterator<Item = &(String, String)> {
        self.names.iter().filter(|(_, name)| ["$A", "$B", "$C"].contains(&name.as_str()))
    }

    /// What a command shows, and whether it succeeds.
    fn run(&mut self, line: &str, input: &str, flagged: bool) -> (String, bool) {
        let (stdout, stderr, status) = output(self.command(line, flagged), input);
        let shown = text(&stdout) + &text(&stderr);
        if line.starts_with("lease grant") {
            self.learn_lease(&shown);
        }
        if line.starts_with("member add") && status == Some(0) {
            self.learn_added();
        }
        let mut shown = masked(line, &shown, &self.known());
        if status != Some(0) {
            shown += &status.map_or("(hangs)\n".into(), |status| format!("(status {status})\n"));
        }
        (shown, status == Some(0))
    }

    /// What is known, longest first, so that no name is found within another.
    fn known(&self) -> Vec<(String, String)> {
        let mut known = [&self.names[..], &self.filled_up].concat();
        let folder = self.folder.path().to_str().expect("text");
        known.push((folder.to_owned(), "$DIR".into()));
        known.sort_by_key(|(known, _)| std::cmp::Reverse(known.len()));
        known
    }

    fn until(&mut self, line: &str, sign: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (shown, succeeds) = self.run(line, "", true);
            if (succeeds || !sign.is_empty()) && shown.contains(sign) {
                return self.show(line, &shown);
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {line}: {shown}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn hold(&mut self, behind: &str, input: &str) {
        let (head, line) = behind.split_once(": ").expect("hold NAME N: COMMAND");
        let (name, count) = head.split_once(' ').expect("hold NAME N: COMMAND");
        let mut child = self.command(line, true).spawn().expect("it ran before");
        // It stays open, as long as the command goes on.
        let stdin = child.stdin.as_mut().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("it reads");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("a pipe");
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                // Nobody listens any more when it is killed.
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let held = Held { command: line.to_owned(), child, lines };
        self.held.insert(name.to_owned(), held);
        let shown = self.next_lines(name, count);
        self.show(&format!("hold {behind}"), &shown);
    }

    fn next_lines(&mut self, name: &str, count: &str) -> String {
        let held = &self.held[name];
        let mut shown = String::new();
        for _ in 0..count.parse().expect("a count") {
            match held.lines.recv_timeout(PATIENCE) {
                Ok(line) => shown += &(line + "\n"),
                Err(RecvTimeoutError::Timeout) => shown += "(nothing)\n",
                Err(RecvTimeoutError::Disconnected) => shown += "(the end)\n",
            }
        }
        masked(&held.command, &shown, &self.known())
    }

    fn end(&mut self, word: &str, behind: &str) {
        let (name, count) = behind.split_once(' ').unwrap_or((behind, "0"));
        let mut shown = self.next_lines(name, count);
        if word != "more" {
            let signal = if word == "int" { Signal::SIGINT } else { Signal::SIGKILL };
            let mut held = self.held.remove(name).expect("it is held");
            let pid = Pid::from_raw(held.child.id().try_into().expect("a process id"));
            kill(pid, signal).expect("it runs");
            held.child.wait().expect("it ends");
            if word == "int" {
                let rest: Vec<String> = held.lines.iter().collect();
                shown += &masked(&held.command, &rest.join("\n"), &self.known());
            }
        }
        self.show(&format!("{word} {behind}"), &shown);
    }

    fn learn_lease(&mut self, shown: &str) {
        let Some(hex) = shown.strip_prefix("lease ").and_then(|rest| rest.split(' ').next()) else {
            return;
        };
        let id = i64::from_str_radix(hex, 16).expect("an id in hexadecimal");
        // The one before keeps a name of its own.
        for (_, name) in self.names.iter_mut().filter(|(_, name)| name.starts_with("$LEASE")) {
            *name = name.replace("$LEASE", &format!("$L{}-", self.leases));
        }
        self.leases += 1;
        self.names.push((hex.to_owned(), "$LEASE".into()));
        self.names.push((id.to_string(), "$LEASE-10".into()));
    }

    /// Gives the members letters: the first to the one that leads.
    fn learn_members(&mut self) {
        let urls = self.target.urls();
        let endpoint = format!("--endpoints {}", host(&urls[0].0));
        let leader = self.ask(&format!("{endpoint} endpoint status -w json"), |status| {
            status[0]["Status"]["leader"].as_u64().filter(|id| *id != 0)
        });
        // Names come with the members' first words to the cluster.
        let list = self.ask(&format!("{endpoint} member list -w json"), |list| {
            let named = |member: &Value| member["name"].is_string();
            list["members"].as_array()?.iter().all(named).then(|| list.clone())
        });
        self.know(list["header"]["cluster_id"].as_u64().expect("an id"), "CLUSTER");
        let mut members = ids(&list);
        members.sort_by_key(|(id, _)| (*id != leader, *id));
        for ((id, peer), letter) in members.into_iter().zip(["A", "B", "C"]) {
            let known = urls.iter().find(|(_, known)| *known == peer);
            let (client, _) = known.expect("a known member");
            self.name(letter, client);
            self.name(&format!("PEER_{letter}"), &peer);
            self.know(id, &format!("ID_{letter}"));
        }
        let (client, peer) = urls.last().expect("one more");
        self.name("D", client);
        self.name("PEER_D", peer);
    }

    /// Names the member that was added.
    fn learn_added(&mut self) {
        let list = self.ask("member list -w json", |list| Some(list.clone()));
        for (id, peer) in ids(&list) {
            let is_spare =
                |(known, name): &(String, String)| known == host(&peer) && name == "$PEER_D";
            if self.names.iter().any(is_spare) {
                self.know(id, "ID_D");
            }
        }
    }

    fn know(&mut self, id: u64, name: &str) {
        // Some commands fill an id of fewer digits up to sixteen with spaces.
        if id < 1 << 60 {
            self.filled_up.push((format!(" {id:>16x}"), format!(" ${name}")));
        }
        self.names.push((format!("{id:x}"), format!("${name}")));
        self.names.push((id.to_string(), format!("${name}-10")));
    }

    /// Asks until the answer is one.
    fn ask<T>(&self, line: &str, answer: impl Fn(&Value) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (stdout, stderr, _) = output(self.command(line, true), "");
            let shown = text(&stdout) + &text(&stderr);
            let first = shown.lines().find(|line| line.starts_with(['{', '[']));
            let value = first.and_then(|line| serde_json::from_str(line).ok());
            if let Some(answer) = value.as_ref().and_then(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {line}: {shown}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Console<'_> {
    fn drop(&mut self) {
        for held in self.held.values_mut() {
            // Whatever comes of it, nobody is left to be told.
            let _ = held.child.kill();
            let _ = held.child.wait();
        }
    }
}

/// The ids in a list of members, each with its URL for members.
fn ids(list: &Value) -> Vec<(u64, String)> {
    let members = list["members"].as_array().expect("members").iter();
    let members = members.map(|member| {
        let peer = member["peerURLs"][0].as_str().expect("a URL");
        (member["ID"].as_u64().expect("an id"), peer.to_owned())
    });
    members.collect()
}

/// The `HOST:PORT` of a URL.
fn host(url: &str) -> &str {
    url.rsplit('/').next().expect("a URL")
}
