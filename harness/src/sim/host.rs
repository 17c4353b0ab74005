//! One simulated machine: its disk, its clocks, and the process that runs on it, if one does.

use super::disk::SimDisk;
use super::panics::caught;
use super::settings::Settings;
use super::world::{Happening, Outlet, member};
use crate::run::environment::Death;
use crate::seed::stream;
use futures::channel::oneshot;
use ordeal_cluster::core::{
    Config, Effect, Event, Limits, Node, RequestId, Response, Status, StreamId,
};
use ordeal_cluster::error::ApiError;
use ordeal_cluster::log::{self, Log, LogConfig, LogError, Owner, Write};
use ordeal_cluster::proto::etcdserverpb::{Member, RangeRequest};
use ordeal_cluster::proto::mvccpb::KeyValue;
use ordeal_nemesis::NodeId;
use ordeal_nemesis::clock::BareClock;
use ordeal_workloads::etcd::{Contents, HELD_MAX, Hash, Inspected, named, told};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What the clocks on the walls show when a simulation begins: some day in 2020, in microseconds.
const WALL_US: i64 = 1_600_000_000_000_000;

/// The cluster that every simulation's nodes belong to.
const CLUSTER_ID: u64 = 0x0_5ea1;

/// A token is forgotten when it is not used for so long: short, so that some end while a run lasts.
const TOKEN_TTL_US: u64 = 5_000_000;

/// What a start says of a node that is no member any more.
pub const REMOVED: &str = "it has been removed from the cluster";

/// How a request was answered.
pub type Answered = Result<Response, ApiError>;

/// Where a machine's node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A member with a vote.
    In,
    /// One without.
    Learner,
    /// No member.
    Out,
}

/// A machine of the cluster.
pub struct Host {
    pub id: NodeId,
    /// Counts the machines, from 1.
    pub number: u64,
    /// The id of the member that runs on it, or ran last.
    pub member: u64,
    pub place: Place,
    /// It is a member anew, and these are the members that its next start is told of.
    pub joining: Option<(u64, Vec<Member>)>,
    /// The member that it was when it was last asked to be let in (0) or taken out, while it is
    /// not known whether that was done.
    pub uncertain: Option<u64>,
    pub disk: SimDisk,
    pub clock: BareClock,
    /// Counts its processes: what was meant for an earlier one does not reach a later one.
    pub incarnation: u64,
    pub process: Option<Process>,
    /// Its last start cut off a torn record.
    pub torn: bool,
    /// The process is stopped, and this waits for it.
    pub paused: bool,
    pub held: Vec<Happening>,
    /// What it last said, for a person.
    pub said: VecDeque<String>,
    pub deaths: Vec<Death>,
    /// Its own draws, so that what happens on one machine shifts no draw of another.
    pub rng: ChaCha8Rng,
}

/// A process: the embedded node's core, and its log.
pub struct Process {
    pub node: Node,
    pub log: Log,
    pub waiting: BTreeMap<RequestId, oneshot::Sender<Answered>>,
    pub outlets: BTreeMap<StreamId, Outlet>,
    /// The members that it has heard of, and those that are none any more.
    pub known: BTreeSet<u64>,
    pub removed: BTreeSet<u64>,
    /// How many snapshots it has begun to send.
    pub snapshots_begun: u64,
    /// Those of them that are under way.
    pub sending: u64,
    /// The newest number that was written, and whether an fsync is under way.
    pub written: u64,
    pub syncing: bool,
    /// What of the node's own counts was taken into account: reads tried again, leases that ended.
    pub counted: [u64; 2],
    /// When it began, by its monotonic clock; and the latest that it has seen since.
    began_us: i64,
    seen_us: u64,
}

/// How many of a node's last lines are kept.
const SAID_MAX: usize = 6;

impl Host {
    /// A machine with an empty disk and true clocks, on which nothing runs.
    pub fn new(id: &NodeId, number: u64, is_member: bool, seed: u64) -> Host {
        Host {
            rng: stream(seed, &format!("sim/host/{number}")),
            id: id.clone(),
            number,
            member: number,
            place: if is_member { Place::In } else { Place::Out },
            joining: None,
            uncertain: None,
            disk: SimDisk::default(),
            clock: BareClock::default(),
            incarnation: 0,
            process: None,
            torn: false,
            paused: false,
            held: Vec::new(),
            said: VecDeque::new(),
            deaths: Vec::new(),
        }
    }

    /// Starts a process on what the disk holds; gives what its log held.
    ///
    /// # Errors
    /// When the node refuses its data, as it would say it.
    pub fn start(
        &mut self,
        settings: &Settings,
        members: &[Member],
        now: Duration,
        seed: u64,
    ) -> Result<Write, String> {
        self.incarnation += 1;
        let owner = log::owner(&self.disk).map_err(|error| error.to_string())?;
        let (id, joins, known) = match (owner, self.joining.clone()) {
            (Some(Owner { node_id, joined, .. }), _) => (node_id, joined, members.to_vec()),
            (None, Some((id, listed))) => (id, true, listed),
            (None, None) => (self.number, false, members.to_vec()),
        };
        self.member = id;
        let log_config = LogConfig {
            node_id: id,
            cluster_id: CLUSTER_ID,
            segment_bytes: settings.segment_bytes,
            joined: joins,
            bugs: settings.bugs,
        };
        let opened = caught(|| log::open(Arc::new(self.disk.clone()), log_config))?;
        let (log, recovered) = opened.map_err(|error| error.to_string())?;
        if recovered.torn_bytes > 0 {
            self.torn = true;
            self.say(format!("cut off {} bytes of a torn record", recovered.torn_bytes));
        }
        if let Some(image) = &recovered.snapshot
            && image.state.removed.contains(&id)
        {
            return Err(REMOVED.to_owned());
        }
        let others = known.into_iter().filter(|other| other.id != id && other.name != self.id.0);
        let members: Vec<Member> = others.chain([member(&self.id, id)]).collect();
        let known = members.iter().map(|member| member.id).collect();
        let config = Config {
            id,
            cluster_id: CLUSTER_ID,
            members,
            joins,
            incarnation: self.incarnation << 32 | self.number,
            seed,
            election_ticks: settings.election_ticks(),
            tick_us: settings.tick_us,
            request_timeout_us: 5_000_000 + 2 * settings.election_us,
            snapshot_count: settings.snapshot_count,
            watch_progress_us: 600_000_000,
            token_ttl_us: TOKEN_TTL_US,
            limits: Limits { strict_reconfig: settings.strict_reconfig, ..Limits::default() },
            bugs: settings.bugs,
        };
        let held = Write { entries: recovered.entries.clone(), ..Write::default() };
        let node = caught(|| Node::new(config, recovered))?.map_err(|error| error.to_string())?;
        let began_us = self.monotonic_us(now);
        self.process = Some(Process {
            node,
            log,
            waiting: BTreeMap::new(),
            outlets: BTreeMap::new(),
            known,
            removed: BTreeSet::new(),
            snapshots_begun: 0,
            sending: 0,
            written: 0,
            syncing: false,
            counted: [0; 2],
            began_us,
            seen_us: 0,
        });
        Ok(held)
    }

    /// Ends the process at once. Whoever waited for an answer of it hears that it is gone.
    pub fn kill(&mut self) -> bool {
        self.paused = false;
        self.held.clear();
        self.process.take().is_some()
    }

    /// The process ends on its own, and why.
    pub fn die(&mut self, how: String) {
        self.say(how);
        self.kill();
        let (node, last_words) = (self.id.clone(), self.last_words());
        self.deaths.push(Death { node, how: "exit status 1".to_owned(), last_words });
    }

    /// Steps the process, and flushes. What it wants done goes to `out`.
    ///
    /// # Errors
    /// Its last words, if it panics.
    pub fn step(
        &mut self,
        now: Duration,
        tells_wall: bool,
        event: Event,
        out: &mut Vec<Effect>,
    ) -> Result<(), String> {
        let monotonic_us = self.monotonic_us(now);
        let wall_us = WALL_US + self.ahead_us(now, true) + as_us(now);
        let Some(process) = &mut self.process else { return Ok(()) };
        let since = u64::try_from(monotonic_us - process.began_us).unwrap_or(0);
        // No process sees its monotonic clock go back, whatever the nemesis does to it.
        process.seen_us = process.seen_us.max(since);
        let now_us = process.seen_us;
        caught(|| {
            if tells_wall {
                let wall_us = u64::try_from(wall_us).unwrap_or(0);
                process.node.step(now_us, Event::WallClock(wall_us), out);
            }
            process.node.step(now_us, event, out);
            process.node.flush(out);
        })
    }

    /// Where its node stands, if one runs.
    pub fn status(&self) -> Option<Status> {
        self.process.as_ref().map(|process| process.node.status())
    }

    /// What its node holds, its keys as of the revision `at`; `None` while none runs, or when that
    /// revision is not kept.
    pub fn inspect(&self, at: Option<i64>) -> Option<Inspected> {
        let state = self.process.as_ref()?.node.state();
        let revision = state.kv.revision();
        let Some(at) = at else { return Some(Inspected { revision, ..Inspected::default() }) };
        let kv = state.kv.hash(at).ok()?;
        let hash = Hash { hash: kv.hash, compact_revision: kv.compact_revision };
        let member = |member: &Member| {
            format!("{} {:x} {}", member.name, member.id, member.peer_ur_ls.join(","))
        };
        let users = state.auth.users().iter().map(|(name, user)| format!("user {name} {user:?}"));
        let roles = state.auth.roles().iter().map(|(name, role)| format!("role {name} {role:?}"));
        let contents = Contents {
            leases: state.kv.leases().iter().map(|(id, _)| id).collect(),
            members: state.members.values().map(member).collect(),
            auth: users.chain(roles).collect(),
        };
        Some(Inspected { revision, hash, contents, version: String::new() })
    }

    /// The keys that its node holds, each with what it says of it; `None` while none runs.
    pub fn keys(&self) -> Option<BTreeMap<String, String>> {
        let kv = &self.process.as_ref()?.node.state().kv;
        let all =
            RangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..Default::default() };
        let held = kv.range(&RangeRequest { limit: HELD_MAX as i64, ..all }, kv.revision()).ok()?;
        let pair = |kv: &KeyValue| {
            let revisions = (kv.mod_revision, kv.version, kv.create_revision);
            (named(&kv.key), told(&kv.value, revisions, kv.lease))
        };
        Some(held.kvs.iter().map(pair).collect())
    }

    /// Remembers a line of its log.
    pub fn say(&mut self, line: String) {
        if self.said.len() == SAID_MAX {
            self.said.pop_front();
        }
        self.said.push_back(line);
    }

    /// Its last lines.
    pub fn last_words(&self) -> String {
        self.said.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// How long a tick of the node is in true time now.
    pub fn tick(&self, tick_us: u64, now: Duration) -> Duration {
        let rate_ppm = self.clock.reading(as_ns(now)).monotonic.rate_ppm;
        // A clock that stands still is looked at ten times as seldom.
        let speed = (1_000_000 + rate_ppm).max(100_000) as u64;
        Duration::from_micros((tick_us * 1_000_000 / speed).max(1_000))
    }

    fn monotonic_us(&self, now: Duration) -> i64 {
        as_us(now) + self.ahead_us(now, false)
    }

    fn ahead_us(&self, now: Duration, wall: bool) -> i64 {
        let reading = self.clock.reading(as_ns(now));
        let clock = if wall { reading.wall } else { reading.monotonic };
        clock.ahead_ns / 1_000
    }
}

/// What ends a process when its log cannot be written.
pub fn fatal(error: &LogError) -> String {
    format!("fatal: {error}")
}

/// A simulation's time in whole nanoseconds; it lasts no centuries.
pub fn as_ns(now: Duration) -> i64 {
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

fn as_us(now: Duration) -> i64 {
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}
