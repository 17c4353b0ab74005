//! A million list-append operations, in transactions of 1 to 4.

#[path = "../tests/support/mod.rs"]
mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use ordeal_checker::isolation::{ListAppend, RwRegister};
use ordeal_checker::{Checker, Limits, Verdict};
use support::store::{Simulation, Wrongs, simulate};

const MILLION: Simulation = Simulation {
    seed: 1,
    operations: 1_000_000,
    clients: 25,
    keys: 10,
    writes_a_key: 32,
    steps_max: 4,
    info: 0.01,
    fail: 0.01,
    append: true,
    wrongs: Wrongs { stale: 0.0, lost: 0.0, dirty: 0.0 },
};

fn isolation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("isolation");
    group.sample_size(10);
    let one_wrong = Wrongs { stale: 0.000_01, ..Wrongs::default() };
    for (name, append, wrongs, valid) in [
        ("list-append, a million operations, valid", true, Wrongs::default(), true),
        ("list-append, a million operations, stale reads", true, one_wrong, false),
        ("rw-register, a million operations, valid", false, Wrongs::default(), true),
    ] {
        let history = simulate(Simulation { append, wrongs, ..MILLION });
        let checker: &dyn Checker =
            if append { &ListAppend::default() } else { &RwRegister::default() };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let judgement = checker.check(&history, &Limits::default());
                let found = matches!(judgement.verdict, Verdict::Valid(_));
                assert_eq!(found, valid, "{}", judgement.reason);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, isolation);
criterion_main!(benches);
