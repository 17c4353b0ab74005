//! One logical process after another, in one slot, pinned to one node as long as the members stay,
//! or moving from member to member where the plan says so.

use super::environment::Environment;
use super::flag::Flag;
use super::pace::Pace;
use super::record::Recorder;
use super::thinning::Thinning;
use crate::plan::Scripted;
use futures::future::{Either, select};
use ordeal_history::Outcome;
use ordeal_nemesis::{NodeId, Time, by};
use ordeal_workloads::{
    Completion, Generator, Login, Next, Options, Patience, Planned, Store, StoreError, Workload,
};
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a slot rests after a connection was refused, so that it does not spin.
const REFUSED_REST: Duration = Duration::from_millis(100);

/// Every other slot waits so many times shorter for an answer than the rest.
const IMPATIENCE: u32 = 8;

/// How long what may never come is waited for after the work.
const FINAL_WAIT: Duration = Duration::from_secs(5);

/// What all slots share.
pub struct Shared<'a, W, E, T> {
    pub environment: &'a E,
    pub time: &'a T,
    pub recorder: &'a Recorder<'a, T>,
    pub generator: RefCell<Box<dyn Generator>>,
    pub slots: u32,
    /// How long a patient client waits for an answer.
    pub op_timeout: Duration,
    /// After so many milliseconds each slot turns to the next member; 0: it stays.
    pub move_every_ms: u64,
    /// Which operations are left out, where some are.
    pub thinning: Option<Thinning>,
    pub workload: PhantomData<W>,
}

/// A slot: a sequence of processes, of which one is alive. It works through one node, and through
/// another one when the members have changed: as a client does that is told where the cluster is.
pub struct Client<'a, W, E: Environment, T> {
    shared: &'a Shared<'a, W, E, T>,
    slot: usize,
    here: Way<E::Store>,
    /// To a member of the second cluster, where there is one.
    there: Option<Way<E::Store>>,
    process: i64,
    patience: Duration,
    /// Who asks, where the store asks for that.
    login: Option<Login>,
    rng: ChaCha8Rng,
}

/// A node that is asked, and the connection to it that there is.
struct Way<S> {
    node: NodeId,
    store: Option<S>,
}

impl<S> Way<S> {
    fn to(node: NodeId) -> Way<S> {
        Way { node, store: None }
    }
}

impl<'a, W: Workload, E: Environment, T: Time> Client<'a, W, E, T> {
    /// The slot's first process. All draws of the slot come from `rng`.
    ///
    /// Patient clients see what a late answer says. Impatient ones are free again while an election
    /// lasts, and so the first to find a new leader, and to see whether the old one knows of it.
    pub fn new(
        shared: &'a Shared<'a, W, E, T>,
        slot: usize,
        node: NodeId,
        rng: ChaCha8Rng,
    ) -> Self {
        let process = i64::try_from(slot).unwrap_or(i64::MAX);
        let patience = match slot % 2 {
            0 => shared.op_timeout,
            _ => (shared.op_timeout / IMPATIENCE).max(Duration::from_millis(1)),
        };
        let others = shared.environment.elsewhere();
        let there = others.get(slot % others.len().max(1)).cloned().map(Way::to);
        Client { shared, slot, here: Way::to(node), there, process, patience, login: None, rng }
    }

    /// The same as this user.
    pub fn logged_in(mut self, login: Option<Login>) -> Self {
        self.login = login;
        self
    }

    /// Works from `origin` until `end`, or until `stop` is raised. An operation that is under way
    /// then is finished, which takes no longer than its timeout.
    pub async fn work(
        &mut self,
        options: &Options,
        rate_per_s: u32,
        origin: Duration,
        end: Duration,
        stop: &Flag,
    ) {
        let time = self.shared.time;
        let mut pace = Pace::new(origin, self.slot, self.shared.slots, rate_per_s);
        let mut due = pace.due(time.now(), &mut self.rng);
        loop {
            select(pin!(stop.raised()), pin!(time.sleep_until(due.min(end)))).await;
            if stop.is_raised() || due >= end || time.now() >= end {
                return;
            }
            let next = self.shared.generator.borrow_mut().next(self.slot, &mut self.rng);
            let mut open = false;
            match next {
                Next::Done => return,
                // Asked again when the next operation is due.
                Next::Wait => {}
                // To the generator it is one that failed, as any may.
                Next::Invoke(operation) if self.is_left_out(operation.f) => {
                    let refused = Completion::refused(operation.value.clone());
                    self.shared.generator.borrow_mut().observe(self.slot, &operation, &refused);
                }
                Next::Invoke(operation) => {
                    open = W::patience(&operation) == Patience::Open;
                    let cut = Cut { at: end, stop };
                    if !self.perform(options, &operation, &cut).await {
                        select(pin!(stop.raised()), pin!(time.sleep(REFUSED_REST))).await;
                    }
                }
            }
            // What waits for the store to say something is due whenever there is time for it.
            if !open {
                due = pace.due(time.now(), &mut self.rng);
            }
        }
    }

    fn is_left_out(&mut self, f: &'static str) -> bool {
        self.shared.thinning.as_ref().is_some_and(|it| it.leaves_out(f, &mut self.rng))
    }

    /// Does what the script has for it, each operation at its moment or as soon as it is free.
    pub async fn play(
        &mut self,
        options: &Options,
        script: &[Scripted],
        (origin, end): (Duration, Duration),
        stop: &Flag,
    ) {
        let slot = self.slot;
        let own = script.iter().filter(|scripted| scripted.client as usize == slot);
        for scripted in own {
            let at = origin + Duration::from_micros(scripted.at_us);
            select(pin!(stop.raised()), pin!(self.shared.time.sleep_until(at))).await;
            if stop.is_raised() {
                return;
            }
            let (key, value) = (scripted.key.clone(), scripted.value.clone());
            let cut = Cut { at: end, stop };
            self.perform(options, &Planned { f: word(&scripted.f), key, value }, &cut).await;
        }
    }

    /// The reads after the last heal, until there are none left or `stop` is raised.
    pub async fn final_reads(&mut self, options: &Options, stop: &Flag) {
        while !stop.is_raised() {
            let next = self.shared.generator.borrow_mut().next_final(self.slot);
            match next {
                Next::Done => return,
                Next::Wait => self.shared.time.sleep(Duration::from_millis(1)).await,
                Next::Invoke(operation) => {
                    let cut = Cut { at: self.shared.time.now() + FINAL_WAIT, stop };
                    if !self.perform(options, &operation, &cut).await {
                        self.shared.time.sleep(REFUSED_REST).await;
                    }
                }
            }
        }
    }

    /// One operation, recorded. Whether there was a connection for it.
    async fn perform(&mut self, options: &Options, operation: &Planned, cut: &Cut<'_>) -> bool {
        let recorder = self.shared.recorder;
        self.follow_members();
        let is_elsewhere = W::is_elsewhere(operation);
        let node = self.way(is_elsewhere).node.clone();
        recorder.invoke(self.process, &node, operation);
        let deadline = self.shared.time.now() + self.patience;
        let (completion, connected) = match self.connection(is_elsewhere, deadline).await {
            Ok(mut store) => {
                let sent = self.send(&mut store, options, operation, cut).await;
                (sent.unwrap_or_else(|| self.no_answer(operation)), Some(store))
            }
            Err(error) => (Completion::of_error(error), None),
        };
        recorder.complete(self.process, &node, operation, &completion);
        self.shared.generator.borrow_mut().observe(self.slot, operation, &completion);
        let reached = connected.is_some();
        if completion.error.is_none() {
            // After an error the next operation gets a connection of its own: this one may be
            // broken, and the request may still be on its way in it.
            self.way(is_elsewhere).store = connected;
        }
        if completion.outcome == Outcome::Info {
            self.process += i64::from(self.shared.slots);
        }
        reached
    }

    /// Turns to another node if the members have changed so that this is no longer the slot's, or
    /// when it is time to move on.
    fn follow_members(&mut self) {
        let members = self.shared.environment.members();
        if members.is_empty() {
            return;
        }
        let node = &members[(self.slot + self.moves()) % members.len()];
        if *node != self.here.node {
            self.here = Way::to(node.clone());
        }
    }

    /// How often it was time to move on.
    fn moves(&self) -> usize {
        let now_ms = self.shared.time.now().as_millis();
        let moves = now_ms.checked_div(u128::from(self.shared.move_every_ms));
        usize::try_from(moves.unwrap_or(0)).unwrap_or(0)
    }

    /// The way to the node that is asked: of the second cluster, if there is one and it is meant.
    fn way(&mut self, is_elsewhere: bool) -> &mut Way<E::Store> {
        match &mut self.there {
            Some(there) if is_elsewhere => there,
            _ => &mut self.here,
        }
    }

    /// The connection that there is, or a new one.
    async fn connection(
        &mut self,
        is_elsewhere: bool,
        deadline: Duration,
    ) -> Result<E::Store, StoreError> {
        let way = self.way(is_elsewhere);
        if let Some(store) = way.store.take() {
            return Ok(store);
        }
        let node = way.node.clone();
        let connecting = self.shared.environment.connect(&node);
        let connected = by(self.shared.time, deadline, connecting).await.unwrap_or_else(|| {
            let ms = self.patience.as_millis();
            Err(StoreError::DidNotHappen(format!("no connection to {node} in {ms} ms")))
        });
        connected.map(|mut store| {
            if let Some(login) = &self.login {
                store.log_in(login);
            }
            store
        })
    }

    /// `None`: no answer came while it was waited for.
    async fn send(
        &self,
        store: &mut E::Store,
        options: &Options,
        operation: &Planned,
        cut: &Cut<'_>,
    ) -> Option<Completion> {
        let time = self.shared.time;
        let sending = W::send(store, options, operation);
        let deadline = match W::patience(operation) {
            Patience::Usual => time.now() + self.patience,
            Patience::Long(times) => time.now() + self.shared.op_timeout * times,
            Patience::Open => {
                let (raised, over) = (pin!(cut.stop.raised()), pin!(time.sleep_until(cut.at)));
                return match select(pin!(sending), select(raised, over)).await {
                    Either::Left((completion, _)) => Some(completion),
                    Either::Right(_) => None,
                };
            }
        };
        by(time, deadline, sending).await
    }

    fn no_answer(&self, operation: &Planned) -> Completion {
        let waited = match W::patience(operation) {
            Patience::Usual => self.patience,
            Patience::Long(times) => self.shared.op_timeout * times,
            Patience::Open => return Completion::cut_off(),
        };
        let error = format!("no answer in {} ms", waited.as_millis());
        Completion::of_error(StoreError::Indeterminate(error))
    }
}

/// A function's name for as long as the program runs. There are a handful, whatever plans say.
fn word(name: &str) -> &'static str {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(word) = words.get(name) {
        return word;
    }
    let word: &'static str = String::leak(name.to_owned());
    words.insert(word);
    word
}

/// When an operation that may wait for ever is cut off.
struct Cut<'a> {
    at: Duration,
    stop: &'a Flag,
}
