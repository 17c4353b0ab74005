//! How long the judgement of a register takes; `docs/checker.md` has the figures and what they are
//! compared with.

#[path = "../examples/generate/load.rs"]
mod load;
#[path = "../examples/generate/store.rs"]
mod store;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use load::Load;
use ordeal_checker::etcd::EtcdHistory;
use ordeal_checker::linear::{Algorithm, Linearizable};
use ordeal_checker::models::Register;
use ordeal_checker::{Checker, Limits};
use ordeal_history::{History, ReadOptions, Writer, read_jsonl};
use std::hint::black_box;
use std::time::Duration;

fn history(load: Load) -> History {
    let mut events = Vec::new();
    load::play(load, &mut |event| events.push(event));
    History::from_events(events).expect("a generated history is well-formed")
}

fn judge(criterion: &mut Criterion, group: &str, algorithm: Algorithm, loads: &[(&str, Load)]) {
    let mut group = criterion.benchmark_group(group);
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    group.measurement_time(Duration::from_secs(3));
    let checker = Linearizable::new(Register::default()).with_algorithm(algorithm);
    for (name, load) in loads {
        let history = history(*load);
        group.bench_with_input(BenchmarkId::from_parameter(name), &history, |bencher, history| {
            bencher.iter(|| checker.check(black_box(history), &Limits::default()));
        });
    }
    group.finish();
}

fn unique(criterion: &mut Criterion) {
    let load = Load { operations: 1_000_000, ..Load::default() };
    let loads = [
        ("1M ops, 25 clients", load),
        ("1M ops, 25 clients, one stale read", Load { stale: true, ..load }),
        ("1M ops, 1000 clients", Load { clients: 1_000, ..load }),
        ("1M ops, 25 clients, 100 keys", Load { keys: 100, ..load }),
        ("300k ops, no concurrency", Load { operations: 300_000, clients: 1, ..load }),
        (
            "1k reads and writes, 20 clients",
            Load { operations: 1_000, clients: 20, cas_percent: 0, ..load },
        ),
    ];
    judge(criterion, "blocks", Algorithm::Auto, &loads);
}

fn few(criterion: &mut Criterion) {
    let load = Load { values: 5, ..Load::default() };
    let loads = [
        ("10k ops, 10 clients", Load { clients: 10, ..load }),
        ("10k ops, 25 clients", load),
        ("10k ops, 5 clients", Load { clients: 5, ..load }),
        ("10k ops, 15 clients", Load { clients: 15, ..load }),
        ("10k ops, 50 clients", Load { clients: 50, ..load }),
        ("10k ops, 25 clients, a value never written", Load { stale: true, ..load }),
        ("10k ops, 25 clients, none indeterminate", Load { info_percent: 0.0, ..load }),
    ];
    judge(criterion, "few values", Algorithm::Auto, &loads);
}

fn search(criterion: &mut Criterion) {
    let load = Load { values: 0, ..Load::default() };
    let loads = [
        ("10k ops, 10 clients", Load { clients: 10, ..load }),
        ("10k ops, 15 clients", Load { clients: 15, ..load }),
    ];
    judge(criterion, "search on unique values", Algorithm::Search, &loads);
}

fn etcd(criterion: &mut Criterion) {
    let load = Load { operations: 1_000_000, keys: 10, info_percent: 0.0, ..Load::default() };
    let mut group = criterion.benchmark_group("etcd");
    group.sample_size(10);
    let checker = EtcdHistory::default();
    for (name, load) in [
        ("1M ops, 25 clients, 10 keys", load),
        (
            "1M ops, 25 clients, 1 key, 5 % indeterminate",
            Load { keys: 1, info_percent: 5.0, ..load },
        ),
        ("1M ops, 25 clients, 10 keys, one revision off by one", Load { stale: true, ..load }),
    ] {
        let events = store::events(load);
        let history = History::from_events(events).expect("a generated history is well-formed");
        group.bench_with_input(BenchmarkId::from_parameter(name), &history, |bencher, history| {
            bencher.iter(|| checker.check(black_box(history), &Limits::default()));
        });
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let mut writer = Writer::new(Vec::new());
    load::play(Load { operations: 100_000, ..Load::default() }, &mut |event| {
        writer.write(&event).expect("memory takes it");
    });
    let text = writer.into_inner();
    let mut group = criterion.benchmark_group("read");
    group.sample_size(10).throughput(criterion::Throughput::Bytes(text.len() as u64));
    group.bench_function("100k ops", |bencher| {
        bencher.iter(|| read_jsonl(black_box(text.as_slice()), ReadOptions::default()));
    });
    group.finish();
}

criterion_group!(benches, unique, few, search, etcd, read);
criterion_main!(benches);
