//! One test, driven on real time, in the place that the plan names.

use super::cluster::Cluster;
use super::course::{self, Course};
use super::environment::EnvironmentError;
use super::flag::Flag;
use super::folder::{self, Folder};
use super::place::Place;
use super::progress::Progress;
use super::real_time::RealTime;
use super::record::Recorder;
use super::target::Target;
use super::watch::Watch;
use super::{Failure, How, Ran, judge, pcap, screen};
use crate::docker;
use crate::plan::{Environment, Hosts, Plan};
use crate::sandbox::{Sandbox, SandboxSpec};
use crate::ssh;
use futures::future::{Either, select};
use ordeal_nemesis::{Capability, Side};
use ordeal_workloads::{Visitor, Workload, visit};
use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};

/// How often it is looked whether the place is still there.
const LOOK_REST: Duration = Duration::from_millis(200);

/// Builds the cluster where the plan says, and drives the test on real time.
pub(super) fn drive(plan: &Plan, folder: &Folder, how: &How) -> Result<Ran, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::ours)?;
    let test = Test { plan, folder, how };
    runtime.block_on(async {
        match &plan.environment {
            Environment::Sandbox => test.in_sandbox().await,
            Environment::Docker => test.in_docker().await,
            Environment::Ssh(hosts) => test.on_hosts(hosts).await,
            Environment::Simulation => {
                Err(Failure::ours("a simulation is not driven on real time"))
            }
        }
    })
}

/// One test, in whatever place.
struct Test<'a> {
    plan: &'a Plan,
    folder: &'a Folder,
    how: &'a How,
}

impl Test<'_> {
    async fn in_sandbox(&self) -> Result<Ran, Failure> {
        let spec = SandboxSpec { nodes: self.plan.everyone(), seed: self.plan.seed };
        let sandbox = Sandbox::new(spec).map_err(Failure::environment)?;
        self.begin_pcap(|one, other, path| sandbox.capture(one, other, path))?;
        let mut addresses = BTreeMap::new();
        for node in self.plan.everyone() {
            addresses.insert(node.clone(), sandbox.address(&node).map_err(Failure::environment)?);
        }
        let target =
            Target::new(self.plan, addresses, &self.folder.nodes()).map_err(Failure::ours)?;
        self.run(&Cluster::new(sandbox, target, &self.folder.nodes())).await
    }

    async fn in_docker(&self) -> Result<Ran, Failure> {
        let started = docker::start(self.plan, self.folder.path()).await;
        let docker = started.map_err(Failure::environment)?;
        self.begin_pcap(|one, other, path| docker.capture(one, other, path))?;
        let addresses = self.plan.everyone().into_iter().zip((1..).map(docker::address)).collect();
        let target =
            Target::new(self.plan, addresses, &self.folder.nodes()).map_err(Failure::ours)?;
        let target = target.relocated(&docker::own_program(), docker::program);
        let cluster = Cluster::new(docker, target, &self.folder.nodes());
        let ran = self.run(&cluster).await;
        let finished = cluster.into_place().finish();
        let ran = ran?;
        finished.map_err(Failure::environment)?;
        Ok(ran)
    }

    /// Begins to write down what passes on the links that were named, if any were.
    fn begin_pcap<E: std::fmt::Display>(
        &self,
        capture: impl Fn(&Side, &Side, &Path) -> Result<(), E>,
    ) -> Result<(), Failure> {
        let Some(list) = &self.how.pcap else { return Ok(()) };
        let links = pcap::links(list, self.plan).map_err(Failure::ours)?;
        pcap::begin(&links, &self.folder.path().join("pcap"), capture).map_err(Failure::ours)
    }

    async fn on_hosts(&self, hosts: &Hosts) -> Result<Ran, Failure> {
        let started = ssh::start(self.plan, hosts, &self.folder.nodes());
        let hosts = started.map_err(Failure::environment)?;
        let addresses = self.plan.everyone().into_iter().zip(hosts.addresses()).collect();
        let target = Target::new(self.plan, addresses, hosts.folder()).map_err(Failure::ours)?;
        let target = target.relocated(&ssh::own_program(), ssh::program);
        self.run(&Cluster::new(hosts, target, &self.folder.nodes())).await
    }

    /// Drives the test; what became of the place as a whole is looked at last.
    async fn run<P: Place>(&self, cluster: &Cluster<P>) -> Result<Ran, Failure> {
        if self.plan.schedule.kinds().iter().any(|kind| kind.needs() == Capability::Disk)
            && cluster.place().offers().contains(&Capability::Disk)
        {
            cluster.mount_disks().await.map_err(Failure::environment)?;
        }
        let sink = folder::sink(self.folder.begin_history().map_err(Failure::ours)?);
        let (time, began) = (RealTime::new(), SystemTime::now());
        let progress = Rc::new(Progress::default());
        let watch = Watch::new(&judge::checkers(self.plan), self.how.fail_fast);
        let recorder = Recorder::new(&time, sink, progress.clone()).with_watch(watch);
        let limit = Duration::from_millis(self.plan.time_limit_ms);
        let drive =
            Drive { plan: self.plan, environment: cluster, time: &time, recorder: &recorder };
        let running = visit(&self.plan.workload.name, drive);
        let running = running.ok_or_else(|| Failure::ours("the plan's workload is not there"))?;
        let screen = pin!(screen::show(&progress, &time, limit));
        let lost = pin!(loss(cluster.place()));
        let ended = match select(running, select(screen, lost)).await {
            Either::Left((course, _)) => course,
            Either::Right((Either::Left(((), _)), _)) => {
                return Err(Failure::ours("the screen ended before the run"));
            }
            Either::Right((Either::Right((lost, _)), _)) => {
                return Err(Failure::environment(lost));
            }
        };
        let course = ended.map_err(Failure::environment)?;
        let clients_began = progress.began.get().map(|after| began + after);
        let clients_began_us = clients_began
            .and_then(|at| u64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_micros()).ok());
        let (db_version, broken) = (cluster.version_seen(), recorder.error());
        Ok(Ran { course, clients_began_us, db_version, broken })
    }
}

/// Waits until the place is gone as a whole, and tells why it is.
async fn loss(place: &impl Place) -> String {
    loop {
        tokio::time::sleep(LOOK_REST).await;
        if let Some(lost) = place.lost() {
            return lost;
        }
    }
}

/// Runs the course of whichever workload the plan names.
struct Drive<'a, P> {
    plan: &'a Plan,
    environment: &'a Cluster<P>,
    time: &'a RealTime,
    recorder: &'a Recorder<'a, RealTime>,
}

type Running<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Course, EnvironmentError>> + 'a>>;

impl<'a, P: Place> Visitor for Drive<'a, P> {
    type Output = Running<'a>;

    fn visit<W: Workload>(self) -> Running<'a> {
        Box::pin(async move {
            let interrupt = Flag::default();
            let listening = interrupts(interrupt.clone());
            let Drive { plan, environment, time, recorder } = self;
            let running = course::run::<W, _, _>(plan, environment, time, recorder, &interrupt);
            match select(pin!(running), pin!(listening)).await {
                Either::Left((course, _)) => course,
                Either::Right((error, running)) => {
                    // The run goes on, and cannot be interrupted.
                    tell!("ordeal: cannot listen for interrupts: {error}");
                    running.await
                }
            }
        })
    }
}

/// Raises the flag at each SIGINT and SIGTERM. Returns only when it cannot listen.
async fn interrupts(flag: Flag) -> std::io::Error {
    let signals =
        signal(SignalKind::interrupt()).and_then(|int| Ok((int, signal(SignalKind::terminate())?)));
    let (mut int, mut term) = match signals {
        Ok(signals) => signals,
        Err(error) => return error,
    };
    loop {
        select(pin!(int.recv()), pin!(term.recv())).await;
        if !flag.is_raised() {
            tell!("ordeal: interrupted: healing, stopping, and judging what was recorded");
        }
        flag.raise();
    }
}
