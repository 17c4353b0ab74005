//! The two stores that are asked the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ordeal_cluster::proto::etcdserverpb::{
    DeleteRangeRequest, LeaseGrantRequest, PutRequest, WatchResponse,
};

use super::answer::Answer;
use super::ask::Ask;
use super::etcd::{Etcd, Release, release};
use super::releases;
use super::root::as_keeper;
use super::store::Store;
use super::stream::{Stream, Watch};
use crate::cluster::Cluster;

/// With this etcd's process ends now and then at a read in the past after a compaction (seen with
/// 3.5.30): there is nothing to compare with then.
const FATAL: &str = "range failed to find revision pair";

/// Leases that live shorter, in seconds, are revoked at once, so that time does not matter.
const SHORT_TTL: i64 = 60;

/// A store that took longer may rightly have revoked the shortest of leases by itself.
const PROMPT: Duration = Duration::from_secs(1);

/// How far into the future a watch may start that is still waited for.
const FUTURE_MAX: i64 = 10;

/// Where two stores stopped to agree.
#[derive(Debug)]
pub struct Difference {
    /// The place of the request in its sequence.
    pub nth: usize,
    /// What the embedded node answered.
    pub embedded: String,
    /// What etcd answered.
    pub etcd: String,
    /// It did not answer: its process ended, by a failure of its own that is known.
    pub etcd_ended: bool,
}

/// What the two stores are.
pub struct Setup {
    /// The real etcd.
    pub program: String,
    /// `--auth-token`, if it is given.
    pub tokens: Option<String>,
}

/// An embedded node and a real etcd, with the same content.
pub struct Pair {
    embedded: Store,
    pub(super) etcd: Store,
    /// The newest revision of both.
    head: i64,
    /// Whether anything was asked about users and roles.
    pub(super) with_users: bool,
    cluster: Cluster,
    process: Etcd,
    release: Release,
}

impl Pair {
    /// Two empty stores.
    pub async fn start(setup: &Setup) -> Pair {
        let program = &setup.program;
        let flags = setup.tokens.as_ref().map(|tokens| ["--auth-token".into(), tokens.clone()]);
        let cluster = Cluster::start_with(1, |config| {
            // As etcd's own: the shortest lease follows from them.
            config.heartbeat_interval = Duration::from_millis(100);
            config.election_timeout = Duration::from_millis(1_000);
            if let Some(tokens) = &setup.tokens {
                config.auth.token = tokens.clone();
            }
        });
        let process = Etcd::start_with(program, flags.as_ref().map_or(&[], |flags| flags));
        let embedded = Store::connect(cluster.url(0)).await;
        let etcd = Store::connect(&process.url).await;
        let release = release(program);
        Pair { embedded, etcd, head: 1, with_users: false, cluster, process, release }
    }

    /// Asks both, request after request, until they answer differently.
    pub async fn play(&mut self, asks: &[Ask]) -> Result<(), Difference> {
        let began = Instant::now();
        for (nth, ask) in asks.iter().enumerate() {
            let place = Place { nth, began };
            let Some(ask) = &self.fit(ask) else { continue };
            self.with_users |= matches!(ask.what(), Ask::Auth(_));
            if matches!(ask.what(), Ask::Restart | Ask::Compact(_)) {
                self.settle(place).await?;
            }
            if matches!(ask, Ask::Restart) {
                self.hold_streams_together(place)?;
                self.restart().await;
                continue;
            }
            let asked = Instant::now();
            let answer = self.both(place, ask).await?;
            if let (Ask::Grant(request), Answer::Grant(_)) = (ask.what(), answer) {
                self.end_short_lease(place, request, asked).await?;
            }
        }
        let place = Place::after(asks, began);
        self.settle(place).await?;
        self.hold_streams_together(place)?;
        self.hold_users_together(place).await
    }

    /// The request as the real etcd's release can be asked it.
    pub(super) fn fit(&self, ask: &Ask) -> Option<Ask> {
        releases::fit(ask, self.release, self.head, self.etcd.compacted())
    }

    /// Asks both the same, and gives their answer if it is one.
    pub(super) async fn both(&mut self, place: Place, ask: &Ask) -> Result<Answer, Difference> {
        let mut embedded = self.embedded.ask(ask, self.head).await;
        let etcd = self.etcd.ask(ask, self.head).await;
        if !embedded.agrees(&etcd, place.began.elapsed()) {
            return Err(self.difference(place, &embedded, &etcd));
        }
        if self.with_users && !matches!(ask.what(), Ask::Login(..)) {
            self.etcd.commit().await;
        }
        self.head = embedded.revision().unwrap_or(self.head).max(self.head);
        Ok(embedded)
    }

    fn difference(
        &self,
        place: Place,
        embedded: &impl std::fmt::Debug,
        etcd: &impl std::fmt::Debug,
    ) -> Difference {
        let last_words = self.process.last_words();
        Difference {
            nth: place.nth,
            embedded: format!("{embedded:?}"),
            etcd: format!("{etcd:?}{last_words}"),
            etcd_ended: last_words.contains(FATAL),
        }
    }

    async fn end_short_lease(
        &mut self,
        place: Place,
        granted: &LeaseGrantRequest,
        asked: Instant,
    ) -> Result<(), Difference> {
        if granted.ttl >= SHORT_TTL {
            return Ok(());
        }
        let revoked = self.as_root(place, Ask::Revoke(granted.id)).await;
        if asked.elapsed() < PROMPT { revoked.map(drop) } else { Ok(()) }
    }

    /// Waits until every watch has told all that has happened: a key of each is put and deleted,
    /// and what it tells of that is waited for.
    async fn settle(&mut self, place: Place) -> Result<(), Difference> {
        self.log_in_as_root(place).await?;
        let open = |watch: &&Watch| watch.open;
        let streams = self.embedded.streams.values();
        let watches = || streams.clone().flat_map(|stream| stream.watches.iter().filter(open));
        let starts = watches().map(|watch| watch.request.start_revision);
        let near = starts.filter(|start| *start <= self.head + FUTURE_MAX).max();
        let mut keys: BTreeMap<Bytes, (i64, i64)> =
            watches().map(|watch| (watch.key(), (0, 0))).collect();
        while let Some(start) = near
            && self.head < start
        {
            if self.put(place, &Bytes::from_static(b"~")).await? == 0 {
                break;
            }
        }
        for (key, told) in &mut keys {
            *told = (self.put(place, key).await?, self.delete(place, key).await?);
        }
        let mut silent = [None, None];
        for (store, silent) in [&mut self.embedded, &mut self.etcd].into_iter().zip(&mut silent) {
            for stream in store.streams.values_mut() {
                *silent = silent.take().or(wait_for(stream, &keys).await);
            }
        }
        match silent {
            [None, None] => Ok(()),
            [embedded, etcd] => Err(self.difference(place, &embedded, &etcd)),
        }
    }

    /// The revision of the put, or 0 if it is refused by both.
    async fn put(&mut self, place: Place, key: &Bytes) -> Result<i64, Difference> {
        let put = PutRequest { key: key.clone(), ..Default::default() };
        let mut answer = self.both(place, &as_keeper(Ask::Put(put))).await?;
        Ok(answer.revision().unwrap_or(0))
    }

    async fn delete(&mut self, place: Place, key: &Bytes) -> Result<i64, Difference> {
        let delete = DeleteRangeRequest { key: key.clone(), ..Default::default() };
        let mut answer = self.both(place, &as_keeper(Ask::Delete(delete))).await?;
        Ok(answer.revision().unwrap_or(0))
    }

    /// What the streams of both have told must be the same.
    fn hold_streams_together(&self, place: Place) -> Result<(), Difference> {
        for (number, embedded) in &self.embedded.streams {
            let Some(etcd) = self.etcd.streams.get(number) else { continue };
            for stream in [embedded, etcd] {
                if !stream.faults.is_empty() {
                    return Err(self.difference(place, &embedded.faults, &etcd.faults));
                }
            }
            let told = |store: &Store, responses: &[WatchResponse]| -> Vec<Answer> {
                let answers = responses.iter().cloned().map(Answer::Watch);
                answers.map(|answer| answer.compared(&store.leases)).collect()
            };
            let (one, two) =
                (told(&self.embedded, &embedded.controls), told(&self.etcd, &etcd.controls));
            if one != two {
                return Err(self.difference(place, &one, &two));
            }
            for (one, two) in embedded.watches.iter().zip(&etcd.watches) {
                self.hold_watches_together(place, one, two)?;
            }
        }
        Ok(())
    }

    fn hold_watches_together(
        &self,
        place: Place,
        one: &Watch,
        two: &Watch,
    ) -> Result<(), Difference> {
        // One that was cancelled, or not waited for, may have had something to tell yet.
        let both = one.events.len().min(two.events.len());
        let told = |store: &Store, watch: &Watch| {
            let events = match watch.settled() {
                Some(settled) => settled.to_vec(),
                None => watch.events[..both].to_vec(),
            };
            let response = WatchResponse { events, watch_id: watch.id, ..Default::default() };
            Answer::Watch(response).compared(&store.leases)
        };
        let embedded = told(&self.embedded, one);
        let etcd = told(&self.etcd, two);
        if embedded == etcd { Ok(()) } else { Err(self.difference(place, &embedded, &etcd)) }
    }

    /// Stops both and starts them again; streams end with them.
    async fn restart(&mut self) {
        self.embedded.streams.clear();
        self.etcd.streams.clear();
        self.cluster.stop(0);
        self.cluster.restart(0);
        self.process.restart();
        self.embedded.wait_for_leader(self.cluster.url(0)).await;
        self.etcd.wait_for_leader(&self.process.url).await;
    }

    /// Deletes every key, lease, user and role of both, and closes every stream. False if nobody
    /// can.
    pub async fn wipe(&mut self) -> bool {
        if !self.wipe_users().await {
            return false;
        }
        for store in [&mut self.embedded, &mut self.etcd] {
            self.head = store.wipe().await;
        }
        true
    }
}

/// Which request of the sequence is at issue, and when the sequence began.
#[derive(Clone, Copy)]
pub(super) struct Place {
    nth: usize,
    began: Instant,
}

impl Place {
    /// Behind all of them.
    pub fn after(asks: &[Ask], began: Instant) -> Place {
        Place { nth: asks.len().saturating_sub(1), began }
    }
}

/// Waits until its watches have told of the puts and deletions of their keys, and gives what they
/// do not tell of.
async fn wait_for(stream: &mut Stream, keys: &BTreeMap<Bytes, (i64, i64)>) -> Option<String> {
    for nth in 0..stream.watches.len() {
        let watch = &stream.watches[nth];
        let Some((put, delete)) = keys.get(&watch.key()).filter(|_| watch.open) else { continue };
        if let Some(revision) = watch.tells_of(*put, *delete)
            && !stream.told(nth, revision).await
        {
            let watch = &stream.watches[nth];
            return Some(format!(
                "watch {} does not tell of revision {revision}: {:?}",
                watch.id, watch.events
            ));
        }
    }
    None
}
