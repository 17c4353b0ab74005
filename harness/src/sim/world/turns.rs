//! What comes of a happening: the node is stepped, and what it wants done is done.

use super::{Asked, Cargo, Due, Happening, Inner};
use crate::sim::host::{Host, REMOVED, fatal};
use crate::sim::wire::{CLIENTS, End, Fate, Parcel, Wire};
use ordeal_cluster::bugs::Bug;
use ordeal_cluster::core::{Effect, Event, Message, MessageType, Note, WatchInput, encoded};
use ordeal_cluster::log::Write;
use ordeal_cluster::log::snapshot::{self, Image};
use ordeal_nemesis::NodeId;
use ordeal_nemesis::disk::Access;
use rand::Rng;
use std::time::Duration;

/// The log's files, for rules about them.
const WAL: &str = "member/wal/0.wal";
const SNAP: &str = "member/snap/0.snap";
/// How long a new connection between members takes beyond the way there and back.
const HANDSHAKE: Duration = Duration::from_millis(1);

impl Inner {
    pub(super) fn end(&self, node: &NodeId) -> Option<End> {
        self.hosts.iter().position(|host| host.id == *node).map(|place| place + 1)
    }

    pub(super) fn host(&mut self, end: End) -> &mut Host {
        &mut self.hosts[end - 1]
    }

    pub(super) fn later(&mut self, at: Duration, due: Due) {
        self.made += 1;
        self.queue.insert((at, self.made), due);
    }

    pub(super) fn for_process(&mut self, after: Duration, end: End, happening: Happening) {
        let incarnation = self.hosts[end - 1].incarnation;
        self.later(self.now + after, Due::Process(end, incarnation, happening));
    }

    /// Lets the next thing happen.
    pub(super) fn turn(&mut self) {
        let Some(((at, number), due)) = self.queue.pop_first() else { return };
        self.trace.add_all(&[at.as_nanos() as u64, number]);
        match due {
            Due::Process(end, incarnation, happening) => {
                if self.host(end).incarnation == incarnation {
                    self.happen(end, happening);
                }
            }
            Due::Parcel(parcel, process) => self.arrive(parcel, process),
            Due::GiveUp(from, to, since) => self.give_up(from, to, since),
        }
    }

    pub(super) fn arrive(&mut self, parcel: Parcel<Cargo>, process: u64) {
        let Parcel { to, what } = parcel;
        match what {
            Cargo::Raft(message) => self.meet_message(to, message),
            Cargo::Open(id, outlet) => {
                if self.host(to).incarnation == process {
                    self.happen(to, Happening::Open(id, outlet));
                }
            }
            Cargo::Watch(id, input) => {
                if self.host(to).incarnation == process {
                    self.happen(to, Happening::Watch(id, input));
                }
            }
            // Whoever watched may be gone.
            Cargo::Watched(outlet, streamed) => drop(outlet.client.unbounded_send(*streamed)),
            Cargo::Ask(asked) => {
                // One that was meant for an earlier process is refused: the asker is dropped.
                if self.host(to).incarnation == process && self.host(to).process.is_some() {
                    self.happen(to, Happening::Ask(asked));
                }
            }
            Cargo::Knock(say) => {
                let host = self.host(to);
                let there = host.process.is_some().then_some(host.incarnation);
                self.send(to, CLIENTS, 64, Cargo::Knocked(say, there), 0);
            }
            // Whoever asked may have given up waiting.
            Cargo::Knocked(say, there) => drop(say.send(there)),
            Cargo::Answer(say, answered) => drop(say.send(*answered)),
        }
    }

    /// Lets something happen to whatever process runs there, or keeps it for when it goes on.
    pub(super) fn happen(&mut self, end: End, happening: Happening) {
        let now = self.now;
        let host = &mut self.hosts[end - 1];
        if host.process.is_none() {
            return;
        }
        if host.paused {
            return host.held.push(happening);
        }
        match happening {
            Happening::Tick => {
                let after = host.tick(self.settings.tick_us, now);
                self.for_process(after, end, Happening::Tick);
                self.event(end, Event::Tick);
            }
            Happening::Message(message) => self.event(end, Event::Message(*message)),
            Happening::Reachable(peer) => self.event(end, Event::Reachable(peer)),
            Happening::Disconnected(peer) => self.event(end, Event::Disconnected(peer)),
            Happening::Sync => self.sync(end),
            Happening::Save(image) => self.save(end, &image),
            Happening::SnapshotSent { peer, arrived } => {
                if let Some(process) = &mut host.process {
                    process.sending -= 1;
                }
                self.event(end, Event::SnapshotSent { peer, arrived });
            }
            Happening::Ask(asked) => {
                self.last_request += 1;
                let Asked { request, credentials, answer } = *asked;
                if let Some(process) = &mut host.process {
                    process.waiting.insert(self.last_request, answer);
                }
                self.event(end, Event::RequestAs(self.last_request, request, credentials));
            }
            Happening::Open(id, outlet) => {
                if let Some(process) = &mut host.process {
                    process.outlets.insert(id, outlet);
                }
                self.event(end, Event::Watch(id, WatchInput::Open));
            }
            Happening::Watch(id, input) => {
                if *input == WatchInput::Close
                    && let Some(process) = &mut host.process
                {
                    process.outlets.remove(&id);
                }
                self.event(end, Event::Watch(id, *input));
            }
            Happening::Expelled => {
                host.say(REMOVED.to_owned());
                self.count("member-expelled");
                self.kill(end);
            }
        }
    }

    pub(super) fn event(&mut self, end: End, event: Event) {
        let tells_wall = self.settings.bugs.has(Bug::LeaseReadWallClock);
        let mut effects = std::mem::take(&mut self.effects);
        let now = self.now;
        let stepped = self.host(end).step(now, tells_wall, event, &mut effects);
        if let Err(words) = stepped {
            // What it meant to do when it panicked it does not.
            effects.clear();
            self.die(end, words);
        }
        for effect in effects.drain(..) {
            self.perform(end, effect);
        }
        self.effects = effects;
        let host = &self.hosts[end - 1];
        if let Some(process) = &host.process {
            let has = |entry| process.node.has_entry(entry);
            self.safety.look(host.member, &process.node.status(), has);
            self.count_counts(end);
        }
    }

    pub(super) fn perform(&mut self, end: End, effect: Effect) {
        match effect {
            Effect::Send(message) => self.send_message(end, message),
            Effect::SendSnapshot(mut message, image) => {
                message.mut_snapshot().data = image.encode();
                let peer = message.to;
                if let Some(process) = &mut self.host(end).process {
                    process.snapshots_begun += 1;
                    process.sending += 1;
                }
                let to = self.end_of(peer);
                let whole = to.is_some_and(|to| !self.wire.is_cut(end, to));
                let after = if whole { 50 } else { 5_000 };
                let sent = Happening::SnapshotSent { peer, arrived: whole };
                self.for_process(Duration::from_millis(after), end, sent);
                self.send_message(end, message);
            }
            Effect::Write(write, number) => self.write(end, &write, number),
            Effect::SaveSnapshot(image) => {
                let delay = self.host(end).disk.with(|disk| disk.delay(Access::Fsync, SNAP));
                let after =
                    delay + Duration::from_micros(self.host(end).rng.random_range(1_000..50_000));
                self.for_process(after, end, Happening::Save(Box::new(image)));
            }
            Effect::Respond(request, answered) => {
                let waiting =
                    self.host(end).process.as_mut().and_then(|p| p.waiting.remove(&request));
                self.trace.add_all(&[request, u64::from(answered.is_ok())]);
                if let Some(say) = waiting {
                    let cargo = Cargo::Answer(say, Box::new(answered));
                    self.send(end, CLIENTS, 256, cargo, 0);
                }
            }
            Effect::Watch(id, response) => {
                let revision = response.header.as_ref().map_or(0, |header| header.revision);
                self.trace.add_all(&[id, revision as u64, response.events.len() as u64]);
                self.stream(end, id, Ok(response), false);
            }
            Effect::WatchEnded(id, error) => self.stream(end, id, Err(error), true),
            Effect::Members { members, removed } => {
                self.know(end, members.iter().map(|member| member.id).collect(), removed);
            }
            Effect::Removed => {
                // It goes on until then, so that the others hear of it.
                let farewell = Duration::from_micros(self.settings.election_us);
                self.for_process(farewell, end, Happening::Expelled);
            }
            Effect::Note(note) => self.note(end, &note),
        }
    }

    pub(super) fn note(&mut self, end: End, note: &Note) {
        self.count_note(end, note);
        let line = format!("{:?} {note}", self.now);
        self.trace.add(line.as_bytes());
        self.story.happened(end, self.now, || note.to_string());
        self.host(end).say(line);
    }

    pub(super) fn send_message(&mut self, end: End, message: Message) {
        let bytes = encoded(&message);
        self.trace.add(&bytes);
        if let Some(to) = self.end_of(message.to) {
            self.send(end, to, bytes.len(), Cargo::Raft(Box::new(message)), 0);
        }
    }

    pub(super) fn send(&mut self, from: End, to: End, bytes: usize, cargo: Cargo, process: u64) {
        let in_order = matches!(cargo, Cargo::Open(..) | Cargo::Watch(..) | Cargo::Watched(..));
        let fate = self.wire.fate(self.now, (from, to), bytes, in_order);
        if let Cargo::Raft(message) = &cargo {
            let arrives = if let Fate::Arrives(at, _) = &fate { Some(*at) } else { None };
            self.story.sent((from, to), self.now, arrives, || words_of(message));
        }
        match fate {
            Fate::Arrives(at, again) => {
                if let (Some(at), Cargo::Raft(message)) = (again, &cargo)
                    && message.get_msg_type() != MessageType::MsgPropose
                {
                    // Raft takes what comes twice; a proposal would be made twice, and TCP, which
                    // real members speak, brings nothing twice.
                    let what = Cargo::Raft(message.clone());
                    self.later(at, Due::Parcel(Parcel { to, what }, process));
                }
                self.later(at, Due::Parcel(Parcel { to, what: cargo }, process));
            }
            Fate::Waits => self.wire.keep(from, to, bytes, (cargo, process)),
            Fate::Broken => {
                self.lost(to, cargo, process);
                self.broken(from, to);
            }
        }
    }

    /// The connection between two ends is gone, and both know.
    pub(super) fn broken(&mut self, one: End, other: End) {
        for (end, peer) in [(one, other), (other, one)] {
            if end != CLIENTS && peer != CLIENTS {
                let peer = self.host(peer).member;
                self.for_process(HANDSHAKE, end, Happening::Disconnected(peer));
                self.for_process(4 * HANDSHAKE, end, Happening::Reachable(peer));
            }
        }
    }

    pub(super) fn give_up(&mut self, from: End, to: End, since: Duration) {
        let still = self.now.saturating_sub(since) >= Wire::<()>::give_up();
        if !still || !self.wire.is_cut(from, to) {
            return;
        }
        for (to, (cargo, process)) in self.wire.forget(from, to) {
            self.lost(to, cargo, process);
        }
        for (end, peer) in [(from, to), (to, from)] {
            if end != CLIENTS && peer != CLIENTS {
                let peer = self.host(peer).member;
                self.for_process(Duration::ZERO, end, Happening::Disconnected(peer));
            }
        }
    }

    pub(super) fn heal(&mut self, from: End, to: End) {
        let (lives, waiting) = self.wire.heal(self.now, from, to);
        let pause = self.wire.pause(self.now, from, to);
        for (_, (cargo, process)) in waiting {
            if lives {
                let parcel = Parcel { to, what: cargo };
                self.later(self.now + pause, Due::Parcel(parcel, process));
            } else {
                self.lost(to, cargo, process);
            }
        }
        if from != CLIENTS && to != CLIENTS && !self.wire.is_cut(to, from) {
            self.meet(from, to, pause);
        }
    }

    /// Two nodes that both run find each other.
    pub(super) fn meet(&mut self, one: End, other: End, after: Duration) {
        for (end, peer) in [(one, other), (other, one)] {
            let reachable = Happening::Reachable(self.host(peer).member);
            self.for_process(after + HANDSHAKE, end, reachable);
        }
    }

    pub(super) fn write(&mut self, end: End, write: &Write, number: Option<u64>) {
        let host = &mut self.hosts[end - 1];
        let Some(process) = &mut host.process else { return };
        if let Err(error) = process.log.append(write) {
            return self.die(end, fatal(&error));
        }
        self.safety.appended(host.member, write);
        let Some(number) = number else { return };
        process.written = number;
        if std::mem::replace(&mut process.syncing, true) {
            return;
        }
        let delay = host
            .disk
            .with(|disk| disk.delay(Access::Fsync, WAL).max(disk.delay(Access::Write, WAL)));
        let spread = host.rng.random_range(0..=self.settings.fsync_spread_us);
        let after = delay + Duration::from_micros(self.settings.fsync_us + spread);
        self.for_process(after, end, Happening::Sync);
    }

    pub(super) fn sync(&mut self, end: End) {
        let Some(process) = &mut self.hosts[end - 1].process else { return };
        process.syncing = false;
        let number = process.written;
        match process.log.sync() {
            Ok(()) => {
                self.story.happened(end, self.now, || format!("fsync of write {number}"));
                self.event(end, Event::Persisted(number));
            }
            Err(error) => self.die(end, fatal(&error)),
        }
    }

    pub(super) fn save(&mut self, end: End, image: &Image) {
        let position = image.position();
        let saved = snapshot::save(&self.host(end).disk.clone(), image);
        match saved {
            Ok(()) => self.event(end, Event::SnapshotSaved(position)),
            Err(error) => self.die(end, fatal(&error)),
        }
    }

    pub(super) fn start(&mut self, end: End) {
        if self.host(end).process.is_some() {
            return;
        }
        let (settings, members) = (self.settings.clone(), self.members.clone());
        let (now, seed) = (self.now, self.seed);
        let held = match self.host(end).start(&settings, &members, now, seed) {
            Ok(held) => held,
            Err(why) if why == REMOVED => return self.host(end).say(why),
            Err(why) => return self.host(end).die(format!("fatal: {why}")),
        };
        let member = self.host(end).member;
        self.safety.restarted(member, &held);
        self.count_start(end);
        self.story.happened(end, now, || "starts".to_owned());
        let first = self.host(end).rng.random_range(0..settings.tick_us.max(1));
        let first = Duration::from_micros(first);
        self.for_process(first, end, Happening::Tick);
        for peer in 1..=self.hosts.len() {
            let apart = self.wire.is_cut(end, peer) || self.wire.is_cut(peer, end);
            if peer != end && !apart && self.host(peer).process.is_some() {
                self.meet(end, peer, Duration::ZERO);
            }
        }
    }

    pub(super) fn die(&mut self, end: End, why: String) {
        self.bury(end);
        self.host(end).die(why);
    }

    pub(super) fn kill(&mut self, end: End) -> bool {
        self.bury(end);
        self.host(end).kill()
    }

    /// Tells those who are connected to a process that it is gone, where they can hear it.
    pub(super) fn bury(&mut self, end: End) {
        self.count_end(end);
        if self.host(end).process.is_some() {
            self.story.happened(end, self.now, || "ends".to_owned());
        }
        let member = self.host(end).member;
        for peer in 1..=self.hosts.len() {
            if peer != end && !self.wire.is_cut(end, peer) {
                self.for_process(HANDSHAKE, peer, Happening::Disconnected(member));
            }
        }
        // What the process was to be told is told nobody.
        if self.wire.is_cut(end, CLIENTS)
            && let Some(process) = &mut self.hosts[end - 1].process
        {
            self.limbo.extend(std::mem::take(&mut process.waiting).into_values());
            self.limbo_streams.extend(std::mem::take(&mut process.outlets).into_values());
        }
    }

    pub(super) fn pause(&mut self, end: End, pause: bool) -> bool {
        let host = self.host(end);
        if host.process.is_none() || host.paused == pause {
            return false;
        }
        host.paused = pause;
        let what = if pause { "stopped" } else { "goes on" };
        self.story.happened(end, self.now, || what.to_owned());
        if !pause {
            for happening in std::mem::take(&mut self.host(end).held) {
                self.for_process(Duration::ZERO, end, happening);
            }
        }
        true
    }
}

/// A message of Raft, for a picture.
fn words_of(message: &Message) -> String {
    let Message { term, index, entries, .. } = message;
    let kind = format!("{:?}", message.get_msg_type());
    let kind = kind.strip_prefix("Msg").unwrap_or(&kind);
    format!("{kind}, term {term}, index {index}, {} entries", entries.len())
}
