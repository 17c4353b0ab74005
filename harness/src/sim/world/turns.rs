//! What comes of a happening: the node is stepped, and what it wants done is done.

use super::{Asked, Cargo, Due, Happening, Inner};
use crate::sim::host::{Host, fatal};
use crate::sim::wire::{CLIENTS, End, Fate, Parcel, Wire};
use ordeal_cluster::bugs::Bug;
use ordeal_cluster::core::{Effect, Event, Message, MessageType, Note, encoded};
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
            Cargo::Raft(message) => self.happen(to, Happening::Message(message)),
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
                self.event(end, Event::SnapshotSent { peer, arrived });
            }
            Happening::Ask(asked) => {
                self.last_request += 1;
                let Asked { request, answer } = *asked;
                if let Some(process) = &mut host.process {
                    process.waiting.insert(self.last_request, answer);
                }
                self.event(end, Event::Request(self.last_request, request));
            }
        }
    }

    pub(super) fn event(&mut self, end: End, event: Event) {
        let tells_wall = self.settings.bugs.has(Bug::LeaseReadWallClock);
        let mut effects = std::mem::take(&mut self.effects);
        let now = self.now;
        self.host(end).step(now, tells_wall, event, &mut effects);
        for effect in effects.drain(..) {
            self.perform(end, effect);
        }
        self.effects = effects;
        let host = &self.hosts[end - 1];
        if let Some(status) = host.status() {
            self.safety.look(host.number, &status);
        }
    }

    pub(super) fn perform(&mut self, end: End, effect: Effect) {
        match effect {
            Effect::Send(message) => self.send_message(end, message),
            Effect::SendSnapshot(mut message, image) => {
                message.mut_snapshot().data = image.encode();
                let peer = message.to;
                let to = peer as End;
                let whole = to <= self.hosts.len() && !self.wire.is_cut(end, to);
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
            // Nobody watches, and the members stay as they are.
            Effect::Watch(..) | Effect::WatchEnded(..) | Effect::Members { .. } => {}
            Effect::Removed => {
                self.kill(end);
            }
            Effect::Note(note) => self.note(end, &note),
        }
    }

    pub(super) fn note(&mut self, end: End, note: &Note) {
        *self.notes.entry(name_of(note)).or_default() += 1;
        let line = format!("{:?} {note}", self.now);
        self.trace.add(line.as_bytes());
        self.host(end).say(line);
    }

    pub(super) fn send_message(&mut self, end: End, message: Message) {
        let bytes = encoded(&message);
        self.trace.add(&bytes);
        let to = message.to as End;
        if (1..=self.hosts.len()).contains(&to) {
            self.send(end, to, bytes.len(), Cargo::Raft(Box::new(message)), 0);
        }
    }

    pub(super) fn send(&mut self, from: End, to: End, bytes: usize, cargo: Cargo, process: u64) {
        match self.wire.fate(self.now, (from, to), bytes) {
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
            Fate::Broken => self.broken(from, to),
        }
    }

    /// The connection between two ends is gone, and both know.
    pub(super) fn broken(&mut self, one: End, other: End) {
        for (end, peer) in [(one, other), (other, one)] {
            if end != CLIENTS && peer != CLIENTS {
                self.for_process(HANDSHAKE, end, Happening::Disconnected(peer as u64));
                self.for_process(4 * HANDSHAKE, end, Happening::Reachable(peer as u64));
            }
        }
    }

    pub(super) fn give_up(&mut self, from: End, to: End, since: Duration) {
        let still = self.now.saturating_sub(since) >= Wire::<()>::give_up();
        if !still || !self.wire.is_cut(from, to) {
            return;
        }
        self.wire.forget(from, to);
        for (end, peer) in [(from, to), (to, from)] {
            if end != CLIENTS && peer != CLIENTS {
                self.for_process(Duration::ZERO, end, Happening::Disconnected(peer as u64));
            }
        }
    }

    pub(super) fn heal(&mut self, from: End, to: End) {
        let waiting = self.wire.heal(self.now, from, to);
        let pause = self.wire.pause(from, to);
        for (_, (cargo, process)) in waiting {
            let parcel = Parcel { to, what: cargo };
            self.later(self.now + pause, Due::Parcel(parcel, process));
        }
        if from != CLIENTS && to != CLIENTS && !self.wire.is_cut(to, from) {
            self.meet(from, to, pause);
        }
    }

    /// Two nodes that both run find each other.
    pub(super) fn meet(&mut self, one: End, other: End, after: Duration) {
        for (end, peer) in [(one, other), (other, one)] {
            let reachable = Happening::Reachable(peer as u64);
            self.for_process(after + HANDSHAKE, end, reachable);
        }
    }

    pub(super) fn write(&mut self, end: End, write: &Write, number: Option<u64>) {
        let host = &mut self.hosts[end - 1];
        let Some(process) = &mut host.process else { return };
        if let Err(error) = process.log.append(write) {
            return self.die(end, fatal(&error));
        }
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
            Ok(()) => self.event(end, Event::Persisted(number)),
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
        let number = self.host(end).number;
        self.safety.restarted(number);
        if let Err(why) = self.host(end).start(&settings, &members, now, seed) {
            return self.host(end).die(format!("fatal: {why}"));
        }
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
        let number = self.host(end).number;
        for peer in 1..=self.hosts.len() {
            if peer != end && !self.wire.is_cut(end, peer) {
                self.for_process(HANDSHAKE, peer, Happening::Disconnected(number));
            }
        }
        if self.wire.is_cut(end, CLIENTS)
            && let Some(process) = &mut self.hosts[end - 1].process
        {
            self.limbo.extend(std::mem::take(&mut process.waiting).into_values());
        }
    }

    pub(super) fn pause(&mut self, end: End, pause: bool) -> bool {
        let host = self.host(end);
        if host.process.is_none() || host.paused == pause {
            return false;
        }
        host.paused = pause;
        if !pause {
            for happening in std::mem::take(&mut host.held) {
                self.for_process(Duration::ZERO, end, happening);
            }
        }
        true
    }
}

fn name_of(note: &Note) -> &'static str {
    match note {
        Note::BecameLeader { .. } => "became-leader",
        Note::Follows { .. } => "follows",
        Note::NoLeader { .. } => "no-leader",
        Note::SavesSnapshot { .. } => "saves-snapshot",
        Note::ReleasedLog { .. } => "released-log",
        Note::SendsSnapshot { .. } => "sends-snapshot",
        Note::InstalledSnapshot { .. } => "installed-snapshot",
        Note::DamagedSnapshot { .. } => "damaged-snapshot",
        Note::UnreadableEntry { .. } => "unreadable-entry",
    }
}
