//! Writes a history of a register under load to standard output, for benchmarks by hand:
//!
//!     cargo run --release -p ordeal-checker --example generate -- \
//!         operations=1000000 clients=25 info=5 values=0 stale=true > history.jsonl
//!
//! With `model=etcd` it is one of etcd's store.

mod load;
mod store;

use load::Load;
use ordeal_history::{Event, Writer};
use std::io::{BufWriter, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::from(64)
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut load = Load::default();
    let mut events: fn(Load) -> Vec<Event> = load::events;
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
            "model" if value == "etcd" => events = store::events,
            "model" if value == "register" => events = load::events,
            "seed" => load.seed = value.parse()?,
            _ => return Err(format!("there is no option {name}").into()),
        }
    }
    let mut writer = Writer::new(BufWriter::with_capacity(1 << 20, stdout().lock()));
    for event in events(load) {
        writer.write(&event)?;
    }
    Ok(writer.flush()?)
}
