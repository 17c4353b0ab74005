//! What an event costs in the check that runs along; memory is for the example `follow`.

#[path = "../examples/generate/load.rs"]
mod load;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use load::Load;
use ordeal_checker::Online;
use ordeal_checker::models::Register;
use ordeal_checker::online::Linear;

fn feed(criterion: &mut Criterion) {
    let load = Load { operations: 100_000, ..Load::default() };
    let loads = [
        ("100k ops, 25 clients", load),
        ("100k ops, 1000 clients", Load { clients: 1_000, ..load }),
        ("100k ops, 25 clients, 100 keys", Load { keys: 100, ..load }),
    ];
    let mut group = criterion.benchmark_group("online");
    group.sample_size(10);
    for (name, load) in loads {
        let mut events = Vec::new();
        load::play(load, &mut |event| events.push(event));
        group.throughput(Throughput::Elements(events.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &events, |bencher, events| {
            bencher.iter_batched(
                || Linear::new(Register::default().into(), "register"),
                |mut online| {
                    events.iter().for_each(|event| online.feed(event));
                    assert_eq!(online.violation(), None);
                    online
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, feed);
criterion_main!(benches);
