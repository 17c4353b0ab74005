//! Writes a history of a register under load to standard output, for benchmarks by hand:
//!
//!     cargo run --release -p ordeal-checker --example generate -- \
//!         operations=1000000 clients=25 info=5 values=0 stale=true > history.jsonl
//!
//! With `model=etcd` it is one of etcd's store, with `model=list-append` or `model=rw-register` one
//! of so many transactions of 1 to 4 steps. With few values faults can be planted in one of a
//! register: `fault=stale|other|swapped|cas|failed-cas`, how many with `faults=1`, and
//! `from=0 to=100` in which part of the history (of a hundred).

mod fault;
mod load;
mod store;
#[path = "../../tests/support/mod.rs"]
mod support;

use fault::Fault;
use load::Load;
use ordeal_history::{Event, Writer};
use std::io::{BufWriter, stdout};
use std::process::ExitCode;
use support::store::{Simulation, Wrongs, simulate};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::from(64)
        }
    }
}

/// The events of a run on registers.
fn registers(load: Load) -> Vec<Event> {
    let mut events = Vec::with_capacity(2 * load.operations + 2);
    load::play(load, &mut |event| events.push(event));
    events
}

/// The events of transactions over lists, or over registers.
fn transactions(load: Load, append: bool) -> Vec<Event> {
    let history = simulate(Simulation {
        seed: load.seed,
        // Of 1 to 4 steps each.
        operations: load.operations * 5 / 2,
        clients: load.clients as i64,
        keys: 10,
        writes_a_key: 32,
        steps_max: 4,
        info: load.info_percent / 100.0,
        fail: 0.01,
        append,
        wrongs: Wrongs { stale: if load.stale { 0.000_01 } else { 0.0 }, ..Wrongs::default() },
    });
    let all: Vec<u32> = (0..history.operations.len() as u32).collect();
    history.events_of(&all)
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut load = Load::default();
    let mut make: fn(Load) -> Vec<Event> = registers;
    let mut kind = None;
    let (mut count, mut from_percent, mut to_percent) = (1, 0, 100);
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').ok_or("expected NAME=VALUE")?;
        match name {
            "operations" => load.operations = value.parse()?,
            "clients" => load.clients = value.parse()?,
            "keys" => load.keys = value.parse()?,
            "info" => load.info_percent = value.parse()?,
            "values" => load.values = value.parse()?,
            "cas" => load.cas_percent = value.parse()?,
            "stale" => load.stale = value.parse()?,
            "model" if value == "etcd" => make = store::events,
            "model" if value == "register" => make = registers,
            "model" if value == "list-append" => make = |load| transactions(load, true),
            "model" if value == "rw-register" => make = |load| transactions(load, false),
            "seed" => load.seed = value.parse()?,
            "fault" => kind = Some(fault::kind(value)?),
            "faults" => count = value.parse()?,
            "from" => from_percent = value.parse()?,
            "to" => to_percent = value.parse()?,
            _ => return Err(format!("there is no option {name}").into()),
        }
    }
    let mut writer = Writer::new(BufWriter::with_capacity(1 << 20, stdout().lock()));
    let mut events = make(load);
    if let Some(kind) = kind {
        if load.values < 3 || from_percent > to_percent || to_percent > 100 {
            return Err("faults need values=3 or more, and from <= to <= 100".into());
        }
        let fault = Fault { kind, count, from_percent, to_percent };
        fault::plant(&mut events, fault, load.values, load.seed);
    }
    for event in &events {
        writer.write(event)?;
    }
    Ok(writer.flush()?)
}
