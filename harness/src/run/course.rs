//! The course of a run: start, work under faults, heal, recover, read, stop.
//!
//! One task, one thread: clients, nemesis and watch are futures that are polled together, and all
//! waiting goes through [`Time`]. So the same code runs on real time and on simulated time.

use super::client::{Client, Shared};
use super::environment::{Death, Environment, EnvironmentError};
use super::flag::Flag;
use super::needs::lacking;
use super::progress::Stage;
use super::record::Recorder;
use super::thinning::Thinning;
use crate::plan::Plan;
use crate::seed;
use futures::StreamExt;
use futures::future::{join_all, select, select_all};
use futures::stream::FuturesUnordered;
use ordeal_checker::Violation;
use ordeal_history::Value;
use ordeal_nemesis::{Conductor, Machinery, NodeId, Task, Time, within};
use ordeal_workloads::etcd::Inspected;
use ordeal_workloads::{
    Login, Options, Range, Request, Store, StoreError, Workload, client, root, setup,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How long a cluster may take to its first acknowledged reads.
const START_MAX: Duration = Duration::from_secs(30);
/// How long it may take to answer again after the last fault.
const RECOVERY_MAX: Duration = Duration::from_secs(20);
/// How long one attempt to get an answer may take.
const PROBE_MAX: Duration = Duration::from_secs(1);
/// How long one change of users and roles may take at the start.
const SETUP_MAX: Duration = Duration::from_secs(10);
/// How long the member that is to lead may take until it does.
const SEAT_MAX: Duration = Duration::from_secs(10);
/// How long a node may take to say what it holds.
const INSPECTION_MAX: Duration = Duration::from_secs(5);
/// How often a node is asked at last that does not say.
const INSPECTIONS: usize = 5;
/// The rest between two attempts, and between two looks at the nodes.
const PROBE_REST: Duration = Duration::from_millis(50);
const LOOK_REST: Duration = Duration::from_millis(200);

/// What came of a run, beside its history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// Whether it was cut short from outside.
    pub interrupted: bool,
    /// The violation that the check which runs along saw first.
    pub violation: Option<Violation>,
    /// Whether that ended the run.
    pub stopped: bool,
    /// How long the clients worked.
    pub worked: Duration,
    /// Nodes that died on their own.
    pub deaths: Vec<Death>,
    /// Nodes that did not answer a read after all faults were over.
    pub silent: Vec<NodeId>,
    /// When those who did had all answered; like the times of the history.
    pub recovered: Option<Duration>,
    /// What could not be done at the end, in sentences.
    pub trouble: Vec<String>,
    /// What each node holds at the end, or why it did not say; `None` if nobody was asked.
    pub survey: Option<BTreeMap<NodeId, Result<Inspected, String>>>,
    /// The keys of each node, with what it says of each; asked for only when nodes differ, and not
    /// there for one that did not say.
    pub keys: BTreeMap<NodeId, BTreeMap<String, String>>,
}

/// Runs `plan`. The history goes to the recorder.
///
/// `interrupt` may be raised from outside: the run then ends early but orderly, without the reads
/// at the end. So it does when the recorder has seen enough, a violation: what the cluster says
/// after that changes no verdict.
///
/// # Errors
///
/// When the environment cannot do what a fault of the plan needs, when the cluster could not be
/// started, and when it never answered.
pub async fn run<W: Workload, E: Environment, T: Time>(
    plan: &Plan,
    environment: &E,
    time: &T,
    recorder: &Recorder<'_, T>,
    interrupt: &Flag,
) -> Result<Course, EnvironmentError> {
    let asks = Cell::new(false);
    let run = Run { plan, environment, time, recorder, interrupt, asks };
    let mut course = Course::default();
    run.refuse_what_is_missing()?;
    run.start(&mut course).await?;
    if !interrupt.is_raised() {
        run.work::<W>(&mut course).await;
    }
    course.interrupted = interrupt.is_raised();
    course.stopped = recorder.enough.is_raised() && !course.interrupted;
    course.violation = recorder.violation();
    recorder.progress.stage.set(Stage::Ending);
    course.deaths.extend(environment.deaths());
    if let Err(error) = environment.stop().await {
        course.trouble.push(error.to_string());
    }
    Ok(course)
}

/// Whether two nodes that say what they hold do not say the same of their keys.
fn differ(survey: &BTreeMap<NodeId, Result<Inspected, String>>) -> bool {
    let mut said = survey.values().flatten().map(|said| (said.revision, said.hash));
    let first = said.next();
    said.any(|other| Some(other) != first)
}

struct Run<'a, E, T> {
    plan: &'a Plan,
    environment: &'a E,
    time: &'a T,
    recorder: &'a Recorder<'a, T>,
    interrupt: &'a Flag,
    /// Whether the cluster asks for users by now.
    asks: Cell<bool>,
}

impl<E: Environment, T: Time> Run<'_, E, T> {
    /// Before anything starts: whether the environment offers what the faults need.
    fn refuse_what_is_missing(&self) -> Result<(), EnvironmentError> {
        match lacking(self.plan, &self.environment.machinery().offers()) {
            Some(lacking) => Err(EnvironmentError(lacking)),
            None => Ok(()),
        }
    }

    /// Starts the nodes, and waits until each has acknowledged a linearizable read.
    async fn start(&self, course: &mut Course) -> Result<(), EnvironmentError> {
        self.environment.start().await?;
        let silent = self.await_answers(START_MAX).await;
        if self.interrupt.is_raised() {
            return Ok(());
        }
        course.deaths.extend(self.environment.deaths());
        if let Some(death) = course.deaths.first() {
            let Death { node, how, last_words } = death;
            return Err(EnvironmentError(format!(
                "{node} died at its start ({how}):\n{last_words}"
            )));
        }
        if let Some(node) = silent.first() {
            let (seconds, words) = (START_MAX.as_secs(), self.environment.last_words(node));
            let message = format!("{node} acknowledged no read within {seconds} s of its start");
            return Err(EnvironmentError(format!("{message}; its last words:\n{words}")));
        }
        if self.plan.auth {
            self.make_users().await?;
        }
        self.seat_leader().await
    }

    /// Has the member lead that the plan names, if it names one.
    async fn seat_leader(&self) -> Result<(), EnvironmentError> {
        let Some(wanted) = &self.plan.leader else { return Ok(()) };
        let machinery = self.environment.machinery();
        let give_up = self.time.now() + SEAT_MAX;
        while machinery.leader().await.as_ref() != Some(wanted) && !self.interrupt.is_raised() {
            if self.time.now() >= give_up {
                let seconds = SEAT_MAX.as_secs();
                let message = format!("{wanted} could not be made the leader in {seconds} s");
                return Err(EnvironmentError(message));
            }
            // Refused while there is no leader, or a change of the members is under way.
            let _ = machinery.maintain(&Task::MoveLeader(wanted.clone())).await;
            self.time.sleep(LOOK_REST).await;
        }
        Ok(())
    }

    /// Makes users and roles, and lets the cluster ask for them from then on, and a second one too.
    async fn make_users(&self) -> Result<(), EnvironmentError> {
        for node in self.plan.nodes.iter().take(1).chain(&self.environment.elsewhere()) {
            self.make_users_through(node).await?;
        }
        self.asks.set(true);
        self.environment.log_in(&root());
        Ok(())
    }

    async fn make_users_through(&self, node: &NodeId) -> Result<(), EnvironmentError> {
        let failed = |error: StoreError| {
            EnvironmentError(format!("{node} could not be given users and roles: {error}"))
        };
        let mut store = self.environment.connect(node).await.map_err(failed)?;
        for change in setup() {
            let made = within(self.time, SETUP_MAX, store.send(Request::Auth(change))).await;
            let silence = || StoreError::Indeterminate("no answer".to_owned());
            made.unwrap_or_else(|| Err(silence())).map_err(failed)?;
        }
        Ok(())
    }

    /// Who asks in the runner's own name.
    fn login(&self) -> Option<Login> {
        self.asks.get().then(root)
    }

    /// The clients' work under the schedule, and what follows it.
    async fn work<W: Workload>(&self, course: &mut Course) {
        let plan = self.plan;
        let options = &plan.workload.options;
        let slots = plan.concurrency;
        let shared = Shared::<W, E, T> {
            environment: self.environment,
            time: self.time,
            recorder: self.recorder,
            generator: RefCell::new(W::generator(options, slots as usize)),
            slots,
            op_timeout: Duration::from_millis(plan.op_timeout_ms),
            move_every_ms: plan.move_every_ms,
            thinning: plan.workload.thinned.then(|| Thinning::new(plan.seed)),
            workload: PhantomData,
        };
        let mut clients: Vec<Client<'_, W, E, T>> = (0..slots as usize)
            .map(|slot| {
                let node = plan.nodes[slot % plan.nodes.len()].clone();
                let rng = seed::stream(plan.seed, &format!("workload/{slot}"));
                let login = self.asks.get().then(|| client(slot));
                Client::new(&shared, slot, node, rng).logged_in(login)
            })
            .collect();
        self.recorder.begin();
        self.recorder.progress.stage.set(Stage::Working);
        let origin = self.time.now();
        self.under_faults(&mut clients, origin, course).await;
        course.worked = self.time.now() - origin;
        self.recorder.progress.stage.set(Stage::Recovering);
        if let Err(error) = self.environment.revive().await {
            course.trouble.push(error.to_string());
        }
        if self.stopped() {
            return;
        }
        course.silent = self.await_answers(RECOVERY_MAX).await;
        if self.stopped() {
            // Cut short: who had not answered yet was not asked for long enough.
            course.silent.clear();
            return;
        }
        course.recovered = Some(self.time.now() - origin);
        // In a script the reads at the end, if they matter, are in it.
        if plan.script.is_none() {
            self.final_reads(&mut clients, &options.for_final_reads()).await;
        }
        if !self.stopped() {
            let survey = self.survey().await;
            if differ(&survey) {
                course.keys = self.keys().await;
            }
            course.survey = Some(survey);
        }
    }

    async fn final_reads<W: Workload>(
        &self,
        clients: &mut [Client<'_, W, E, T>],
        options: &Options,
    ) {
        self.recorder.progress.stage.set(Stage::FinalReads);
        let over = Flag::default();
        let reads = async {
            let reads = clients.iter_mut().map(|client| client.final_reads(options, &over));
            reads.collect::<FuturesUnordered<_>>().collect::<()>().await;
            over.raise();
        };
        futures::join!(reads, self.early_end(&over));
    }

    /// What each node holds, as soon as all hold the same; when they do not in time, what they
    /// then hold.
    async fn survey(&self) -> BTreeMap<NodeId, Result<Inspected, String>> {
        let give_up = self.time.now() + RECOVERY_MAX;
        loop {
            let revisions = self.inspect(None).await;
            let at = revisions.values().flatten().map(|said| said.revision).max().unwrap_or(0);
            let least = revisions.values().flatten().map(|said| said.revision).min();
            let mut held = revisions;
            if held.values().all(|said| said.as_ref().is_ok_and(|said| said.revision == at)) {
                held = self.inspect(Some(at)).await;
                let mut said = held.values();
                let first = said.next();
                if first.is_some_and(Result::is_ok) && said.all(|other| Some(other) == first) {
                    return held;
                }
            }
            if self.time.now() >= give_up || self.stopped() {
                // As of a revision that all of them have, or one that stays behind could not tell.
                return self.inspect_patiently(least).await;
            }
            self.time.sleep(LOOK_REST).await;
        }
    }

    /// Asks again where one does not say: its token may be forgotten between two of its answers.
    async fn inspect_patiently(
        &self,
        at: Option<i64>,
    ) -> BTreeMap<NodeId, Result<Inspected, String>> {
        let mut held = self.inspect(at).await;
        for _ in 1..INSPECTIONS {
            if held.values().all(Result::is_ok) || self.stopped() {
                break;
            }
            self.time.sleep(LOOK_REST).await;
            let mut anew = self.inspect(at).await;
            held.retain(|node, said| said.is_ok() || !anew.get(node).is_some_and(Result::is_ok));
            anew.retain(|node, _| !held.contains_key(node));
            held.append(&mut anew);
        }
        held
    }

    async fn keys(&self) -> BTreeMap<NodeId, BTreeMap<String, String>> {
        let asked = self.environment.members().into_iter().map(|node| async move {
            let held = within(self.time, INSPECTION_MAX, self.environment.keys(&node)).await;
            Some((node, held?.ok()?))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn inspect(&self, at: Option<i64>) -> BTreeMap<NodeId, Result<Inspected, String>> {
        let asked = self.environment.members().into_iter().map(|node| async move {
            let said = self.environment.inspect(&node, at);
            let said = within(self.time, INSPECTION_MAX, said).await;
            let said = said
                .unwrap_or_else(|| Err(StoreError::Indeterminate("no answer in time".to_owned())));
            (node, said.map_err(|error| error.to_string()))
        });
        join_all(asked).await.into_iter().collect()
    }

    /// Clients, nemesis and watch together, until the time limit or an early end. When this
    /// returns every fault is over.
    async fn under_faults<W: Workload>(
        &self,
        clients: &mut [Client<'_, W, E, T>],
        origin: Duration,
        course: &mut Course,
    ) {
        let plan = self.plan;
        let end = origin + Duration::from_millis(plan.time_limit_ms);
        let over = Flag::default();
        let work = async {
            match &plan.script {
                Some(script) => {
                    let options = &plan.workload.options;
                    let work = clients
                        .iter_mut()
                        .map(|client| client.play(options, script, (origin, end), &over));
                    work.collect::<FuturesUnordered<_>>().collect::<()>().await;
                    // The faults last as long as they would have.
                    select(pin!(over.raised()), pin!(self.time.sleep_until(end))).await;
                }
                None => {
                    let work = clients.iter_mut().map(|client| {
                        client.work(&plan.workload.options, plan.rate_per_s, origin, end, &over)
                    });
                    work.collect::<FuturesUnordered<_>>().collect::<()>().await;
                }
            }
            over.raise();
        };
        let watch = async {
            while !over.is_raised() {
                select(pin!(over.raised()), pin!(self.time.sleep(LOOK_REST))).await;
                for death in self.environment.deaths() {
                    self.recorder.note("death", death_note(&death));
                    course.deaths.push(death);
                }
            }
        };
        let note = |f: &'static str, value: Value| self.recorder.note(f, value);
        let mut conductor = Conductor::new(self.environment.machinery(), self.time, note)
            .with_locks(|| self.recorder.lock_is_held());
        let nemesis = conductor.play(&plan.schedule, origin, over.raised());
        futures::join!(work, self.early_end(&over), nemesis, watch);
    }

    /// Raises `over`, if nobody else does, as soon as the run is to end early.
    async fn early_end(&self, over: &Flag) {
        let reasons = [self.interrupt, &self.recorder.broken, &self.recorder.enough, over];
        select_all(reasons.map(|reason| Box::pin(reason.raised()))).await;
        over.raise();
    }

    /// Asks every node for a linearizable read until it answers one, for at most `bound`. Those
    /// that did not.
    async fn await_answers(&self, bound: Duration) -> Vec<NodeId> {
        let give_up = self.time.now() + bound;
        let (members, others) = (self.environment.members(), self.environment.elsewhere());
        let asked = members.into_iter().chain(others).map(|node| async move {
            while self.time.now() < give_up && !self.stopped() {
                if within(self.time, PROBE_MAX, self.answers(&node)).await == Some(true) {
                    return None;
                }
                self.time.sleep(PROBE_REST).await;
            }
            Some(node)
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn answers(&self, node: &NodeId) -> bool {
        let Ok(mut store) = self.environment.connect(node).await else {
            return false;
        };
        if let Some(login) = self.login() {
            store.log_in(&login);
        }
        store.send(Request::Range(Range::of("ordeal/ready"))).await.is_ok()
    }

    fn stopped(&self) -> bool {
        let reasons = [self.interrupt, &self.recorder.broken, &self.recorder.enough];
        reasons.into_iter().any(Flag::is_raised)
    }
}

fn death_note(death: &Death) -> Value {
    let text = |text: &str| Value::String(text.into());
    let members: BTreeMap<Arc<str>, Value> =
        [("node".into(), text(&death.node.0)), ("how".into(), text(&death.how))].into();
    Value::Object(Arc::new(members))
}
