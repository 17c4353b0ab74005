//! A history of as many operations as are wanted, on many keys, with nothing of a story.

use ordeal_history::{History, Operation, Outcome, Value};
use std::sync::Arc;

/// `count` reads, writes and compare-and-sets of 100 clients on 5 nodes, 10 µs apart; each key
/// is left for a new one after some hundred operations, as the workloads do.
pub fn history(count: u64) -> History {
    let mut state = 7_u64;
    let mut draw = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let name = |text: String| -> Arc<str> { text.into() };
    let (read, write, cas) = (name("read".into()), name("write".into()), name("cas".into()));
    let nodes: Vec<Arc<str>> = (1..=5).map(|n| name(format!("n{n}"))).collect();
    let error = name("no answer in 1000 ms".into());
    let keys: Vec<Arc<str>> = (0..count / 200 + 8).map(|n| name(format!("k{n}"))).collect();
    let mut operations = Vec::with_capacity(count as usize);
    for i in 0..count {
        let key = keys[(i / 200 + draw(8)) as usize % keys.len()].clone();
        let fresh = Value::Int(i as i64);
        let old = Value::Int(i as i64 - draw(400) as i64);
        let (f, input, output) = match draw(5) {
            0..=1 => (&read, Value::Null, old),
            2..=3 => (&write, fresh.clone(), fresh),
            _ => (&cas, Value::Array([old, fresh.clone()].into()), fresh),
        };
        let outcome = match draw(100) {
            0 => Outcome::Info,
            1..=6 => Outcome::Fail,
            _ => Outcome::Ok,
        };
        let took_ns =
            if outcome == Outcome::Info { 1_000_000_000 } else { 300_000 + draw(4_000_000) };
        let output = if outcome == Outcome::Ok { output } else { input.clone() };
        operations.push(Operation {
            process: draw(100) as i64,
            f: f.clone(),
            key: Some(Value::String(key)),
            input,
            output,
            actual: None,
            outcome,
            invoke: i * 2,
            complete: Some(i * 2 + 1 + draw(200) * 2),
            invoke_time: i * 10_000 + draw(10_000),
            complete_time: Some(i * 10_000 + took_ns),
            revision: (outcome == Outcome::Ok).then_some(i as i64 / 2),
            version: None,
            node: Some(nodes[draw(5) as usize].clone()),
            error: (outcome == Outcome::Info).then(|| error.clone()),
        });
    }
    History { operations, notes: Vec::new(), events: count * 2 }
}
