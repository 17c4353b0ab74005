//! How much of a store's rate is left when Ordeal records it: `register` at full rate, against a
//! plain loop of puts and gets, by turns, in sandboxes that are alike.
//!
//!     cargo run --release -p ordeal --example rate -- ETCD [SECONDS [ROUNDS [CLIENTS]]]
//!
//! Three members; so many clients, each with a connection of its own; no faults. The plain loop
//! counts and records nothing. Told besides: bytes of the history an event, and the memory of the
//! harness from a tenth of the run on, when it has what it needs, to the end.

use etcd_client::Client;
use ordeal::packed;
use ordeal::plan::{Plan, PlanOptions};
use ordeal::run::target::{Target, look};
use ordeal::sandbox::{Sandbox, SandboxSpec, enter, run_init_if_asked};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The hidden first argument of this program as `ordeal` itself.
const ORDEAL: &str = "__ordeal";
/// How often the harness' memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What the plain loop must reach at least that Ordeal is to have 80 % of.
const SHARE_MIN: f64 = 0.8;
/// The most bytes an event may take.
const BYTES_MAX: f64 = 100.0;

/// What is asked for on the command line.
struct Asked {
    etcd: String,
    seconds: u64,
    rounds: usize,
    clients: u32,
}

fn main() -> ExitCode {
    run_init_if_asked();
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|first| first == ORDEAL) {
        let args = std::iter::once("ordeal".into()).chain(args.into_iter().skip(2).map(Into::into));
        return ordeal::cli::run(args).into();
    }
    let number = |place: usize, default| match args.get(place) {
        None => Some(default),
        Some(text) => text.parse().ok().filter(|number| *number > 0),
    };
    let numbers = (number(2, 30), number(3, 3), number(4, 200));
    let (Some(etcd), (Some(seconds), Some(rounds), Some(clients))) = (args.get(1), numbers) else {
        eprintln!("usage: rate ETCD [SECONDS [ROUNDS [CLIENTS]]]");
        return ordeal::status::USAGE.into();
    };
    let (rounds, clients) = (rounds as usize, clients as u32);
    match compare(&Asked { etcd: etcd.clone(), seconds, rounds, clients }) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rate: {error}");
            ordeal::status::SOFTWARE.into()
        }
    }
}

/// Whether Ordeal reached what it must.
fn compare(asked: &Asked) -> Result<bool> {
    let Asked { etcd, seconds, rounds, clients } = asked;
    println!("{etcd}: 3 members, {clients} clients, {seconds} s a turn");
    let (mut plain_rates, mut recorded_rates, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=*rounds {
        let folder = tempfile::tempdir()?;
        let counted = folder.path().join("plain");
        let status = enter(|| match plain(asked, folder.path()) {
            Ok(operations) => match std::fs::write(&counted, operations.to_string()) {
                Ok(()) => 0,
                Err(_) => ordeal::status::SOFTWARE,
            },
            Err(error) => {
                eprintln!("rate: the plain loop: {error}");
                ordeal::status::SOFTWARE
            }
        })?;
        if status != 0 {
            return Err("there was no plain loop to compare with".into());
        }
        let operations: u64 = std::fs::read_to_string(&counted)?.parse()?;
        let plain = operations as f64 / *seconds as f64;
        println!("{round}. plain puts and gets:  {plain:8.0}/s");
        let recorded = recorded(asked, &folder.path().join("run"))?;
        let share = 100.0 * recorded.rate_per_s / plain;
        println!("{round}. register, recorded:   {:8.0}/s, {share:.1} %", recorded.rate_per_s);
        println!(
            "   history: {} events, {:.1} bytes each, {:.1} before it is packed; memory: {}",
            recorded.events, recorded.bytes_each, recorded.plain_bytes_each, recorded.memory
        );
        plain_rates.push(plain);
        recorded_rates.push(recorded.rate_per_s);
        bytes.push(recorded.bytes_each);
    }
    let share = median(recorded_rates) / median(plain_rates);
    let bytes = median(bytes);
    println!("medians: {:.1} % of the plain rate, {bytes:.1} bytes an event", 100.0 * share);
    Ok(share >= SHARE_MIN && bytes <= BYTES_MAX)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}

/// Plain puts and gets, half of the clients each, of keys that all share; how many were answered.
fn plain(asked: &Asked, folder: &Path) -> Result<u64> {
    let plan = Plan::derive(&PlanOptions {
        nodes: 3,
        db: look(&asked.etcd)?,
        nemesis: Vec::new(),
        ..PlanOptions::default()
    })?;
    let sandbox = Sandbox::new(SandboxSpec { nodes: plan.nodes.clone(), seed: 0 })?;
    let mut addresses = BTreeMap::new();
    for node in &plan.nodes {
        addresses.insert(node.clone(), sandbox.address(node)?);
    }
    let target = Target::new(&plan, addresses, folder)?;
    for node in &plan.nodes {
        std::fs::create_dir_all(target.folder(node))?;
        sandbox.start(node, &target.launch(node, None, false))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        let mut clients = Vec::new();
        for slot in 0..asked.clients as usize {
            let endpoint = target.endpoint(&plan.nodes[slot % plan.nodes.len()]);
            clients.push(connected(&endpoint).await?);
        }
        let done = Rc::new(Cell::new(0_u64));
        let until = Instant::now() + Duration::from_secs(asked.seconds);
        let work = clients.into_iter().enumerate().map(|(slot, client)| {
            tokio::task::spawn_local(work(client, slot, until, Rc::clone(&done)))
        });
        for worker in futures::future::join_all(work).await {
            worker??;
        }
        Ok(done.get())
    }))
}

async fn connected(endpoint: &str) -> Result<Client> {
    let give_up = Instant::now() + Duration::from_secs(30);
    loop {
        let failed: Box<dyn Error> = match Client::connect([endpoint], None).await {
            Ok(mut client) => match client.get("ready", None).await {
                Ok(_) => return Ok(client),
                Err(error) => error.into(),
            },
            Err(error) => error.into(),
        };
        if Instant::now() > give_up {
            return Err(failed);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn work(
    mut client: Client,
    slot: usize,
    until: Instant,
    done: Rc<Cell<u64>>,
) -> std::result::Result<(), etcd_client::Error> {
    for value in 0_u64.. {
        if Instant::now() >= until {
            break;
        }
        let key = format!("ordeal/plain/k{}", (value + slot as u64) % 8);
        if slot.is_multiple_of(2) {
            client.put(key, value.to_string(), None).await?;
        } else {
            client.get(key, None).await?;
        }
        done.set(done.get() + 1);
    }
    Ok(())
}

/// What a run left.
struct Recorded {
    rate_per_s: f64,
    events: u64,
    bytes_each: f64,
    plain_bytes_each: f64,
    memory: String,
}

/// `register` at full rate, by this program as `ordeal` itself.
fn recorded(asked: &Asked, out: &Path) -> Result<Recorded> {
    let program = std::env::current_exe()?;
    let mut run = Command::new(&program)
        .args([ORDEAL, "run", "--workload=register", "--nodes=3", "--nemesis=none", "--seed=1"])
        .args(["--rate=10000000".to_owned(), format!("--concurrency={}", asked.clients)])
        .args([format!("--time-limit={}s", asked.seconds), format!("--db={}", asked.etcd)])
        .args(["--op-timeout=10s", "--compress", "--out"])
        .arg(out)
        .stdout(Stdio::null())
        .spawn()?;
    let memory = memory_of(&mut run, &program, out)?;
    let status = run.wait()?;
    if status.code() != Some(0) {
        return Err(format!("the run ended with {status}").into());
    }
    let limit_ns = asked.seconds * 1_000_000_000;
    let (mut events, mut ok) = (0_u64, 0_u64);
    let history = packed::find(&out.join("history.jsonl"));
    let mut plain = 0;
    for line in BufReader::new(packed::open(&history)?).lines() {
        let line = line?;
        let event: serde_json::Value = serde_json::from_str(&line)?;
        (events, plain) = (events + 1, plain + line.len() as u64 + 1);
        // What is read after the work is none of it.
        let in_time = event["time"].as_u64().is_some_and(|time| time < limit_ns);
        ok += u64::from(in_time && event["type"] == "ok");
    }
    let bytes = std::fs::metadata(&history)?.len();
    Ok(Recorded {
        rate_per_s: ok as f64 / asked.seconds as f64,
        events,
        bytes_each: bytes as f64 / events.max(1) as f64,
        plain_bytes_each: plain as f64 / events.max(1) as f64,
        memory,
    })
}

/// Looks at the memory of the harness' processes until the clients have worked, in words.
fn memory_of(run: &mut Child, program: &Path, out: &Path) -> Result<String> {
    let mut looks: Vec<(u64, u64)> = Vec::new();
    while run.try_wait()?.is_none() {
        // It is written when the clients' work is over, and the history judged.
        if out.join("results.json").exists() {
            break;
        }
        let history = std::fs::metadata(out.join("history.jsonl")).map_or(0, |file| file.len());
        looks.push((history, resident_kib(program)));
        std::thread::sleep(LOOK_EVERY);
    }
    // As long as the history grows the clients work; afterwards it is read and judged as a whole.
    let last = looks.iter().map(|(history, _)| *history).max().unwrap_or(0);
    let working: Vec<u64> = looks
        .into_iter()
        .filter(|(history, _)| *history > 0 && *history < last)
        .map(|(_, kib)| kib)
        .collect();
    let settled = &working[working.len() / 10..];
    let mib = |kib: Option<&u64>| kib.map_or(0.0, |kib| *kib as f64 / 1_024.0);
    Ok(format!(
        "{:.1} MiB after a tenth of the run, {:.1} MiB at its end, {:.1} MiB at most",
        mib(settled.first()),
        mib(settled.last()),
        mib(settled.iter().max()),
    ))
}

/// What all processes of this program but this one have in memory.
fn resident_kib(program: &Path) -> u64 {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ours = processes.map(|entry| entry.path()).filter(|path: &PathBuf| {
        !path.ends_with(&own)
            && std::fs::read_link(path.join("exe")).is_ok_and(|exe| exe == program)
    });
    let resident = ours.filter_map(|path| {
        let status = std::fs::read_to_string(path.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    resident.sum()
}
