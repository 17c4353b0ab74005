//! What the page of a million operations is like in a browser: when the verdict is seen, and how
//! long its frames last while it is dragged and zoomed.
//!
//!     cargo bench -p ordeal-reports --bench browser [-- OPERATIONS]
//!
//! Chromium is driven as a person drives it: a button held down and moved, a wheel turned. A frame
//! is what lies between two of the browser's own; `own` is what of it the picture took.

#[path = "../tests/report/browser/chromium.rs"]
mod chromium;
#[path = "../examples/made_up/plain.rs"]
mod plain;

use chromium::{Page, chromium_or_skip};
use ordeal_reports::{CheckerResult, CounterexampleResult, Results, Ruling};
use serde_json::{Value, json};
use std::time::Instant;

const MILLION: u64 = 1_000_000;
/// So many moves of the mouse and turns of the wheel are one gesture.
const MOVES: u32 = 120;

fn main() {
    let count = std::env::args().filter_map(|argument| argument.parse().ok()).next();
    let count = count.unwrap_or(MILLION);
    let Some(mut chromium) = chromium_or_skip() else { return };
    let history = plain::history(count);
    let began = Instant::now();
    let text = ordeal_reports::html(&invalid(count), &history, &[]);
    println!(
        "{count} operations: {:.1} MB, written in {:.2} s",
        text.len() as f64 / 1e6,
        began.elapsed().as_secs_f64()
    );
    drop(history);
    let mut page = chromium.open(&text, (1280, 900), "");
    drop(text);
    page.until("document.getElementById('context')?.dataset.ready");
    let context = page.eval("document.getElementById('context').dataset.ready");
    assert_eq!(context, "true", "the history was not read");
    assert_eq!(page.text("h1").to_lowercase(), "invalid");
    let seen = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
    println!("the verdict is seen after {:.0} ms", page.eval(seen).as_f64().unwrap_or(f64::NAN));
    let read = page.eval("performance.getEntriesByName('history-read')[0]?.startTime");
    println!("the history can be moved after {:.0} ms", read.as_f64().unwrap_or(f64::NAN));
    let heap = page.call("Runtime.getHeapUsage", json!({}));
    let bytes = |name: &str| heap[name].as_f64().unwrap_or(0.0) / 1e6;
    println!(
        "the page's memory: {:.0} MB of objects, {:.0} MB of arrays",
        bytes("usedSize"),
        bytes("backingStorageSize")
    );
    page.click("#history-canvas");
    for (what, steps) in [("whole run", 0), ("an eighth", 3), ("a 64th", 6), ("a 4,096th", 12)] {
        page.press("0");
        (0..steps).for_each(|_| page.press("+"));
        gesture(&mut page, &format!("{what}, dragged"), drag);
        gesture(&mut page, &format!("{what}, zoomed"), wheel);
    }
    for anomaly in ["n", "n", "p"] {
        page.press(anomaly);
    }
    page.until("document.getElementById('history-canvas').dataset.selected");
    let selected = page.eval("document.getElementById('history-canvas').dataset.selected");
    println!("the key of anomalies leads to the operation of event {selected}");
    page.press("/");
    page.eval("document.getElementById('history-search').value = ''; 0");
    let began = Instant::now();
    page.type_text("outcome:info");
    let said = page.text("#history-said");
    println!("a search takes {:.0} ms: {said}", began.elapsed().as_secs_f64() * 1e3);
    page.scheme("dark");
    page.screenshot("bench", false);
    page.assert_calm();
}

/// A verdict with two anomalies, near the beginning and near the end.
fn invalid(count: u64) -> Results {
    let events = vec![count / 8, count / 8 * 15];
    let found = CounterexampleResult { events, operations: 2, ..Default::default() };
    let checker = CheckerResult {
        name: "linearizable-register".to_owned(),
        verdict: Ruling::Invalid,
        counterexample: Some(found),
        ..Default::default()
    };
    Results { verdict: Ruling::Invalid, checkers: vec![checker], ..Default::default() }
}

/// Runs `act` while the browser's frames are counted.
fn gesture(page: &mut Page<'_>, what: &str, act: fn(&mut Page<'_>)) {
    page.eval(
        "globalThis.frames = []; globalThis.own = []; globalThis.counting = true; \
         (last => { const next = now => { frames.push(now - last); last = now; \
         own.push(Number(document.getElementById('history-canvas').dataset.ms)); \
         if (counting) requestAnimationFrame(next); }; requestAnimationFrame(next); })\
         (performance.now()); 0",
    );
    act(page);
    let told = page.eval(
        "counting = false; (() => { const q = (of, p) => of.sort((a, b) => a - b)\
         [Math.min(Math.floor(of.length * p), of.length - 1)]; \
         return [frames.length, q(frames, 0.5), q(frames, 0.95), q(frames, 1), q(own, 0.5), \
         q(own, 1)]; })()",
    );
    let n = |at: usize| told[at].as_f64().unwrap_or(f64::NAN);
    println!(
        "{what}: {} frames, median {:.0} ms, 95th {:.0} ms, longest {:.0} ms; own {:.1} ms, \
         at most {:.1} ms",
        n(0),
        n(1),
        n(2),
        n(3),
        n(4),
        n(5)
    );
}

fn middle(page: &mut Page<'_>) -> (f64, f64) {
    let place = page.eval(
        "(b => [b.x + b.width / 2, b.y + b.height / 2])\
         (document.getElementById('history-canvas').getBoundingClientRect())",
    );
    let n = |at: usize| place[at].as_f64().expect("a place");
    (n(0), n(1))
}

fn mouse(page: &mut Page<'_>, kind: &str, (x, y): (f64, f64), more: Value) {
    let mut event = json!({ "type": kind, "x": x, "y": y });
    let (event_fields, more) = (event.as_object_mut(), more.as_object().cloned());
    event_fields.expect("an object").extend(more.unwrap_or_default());
    page.call("Input.dispatchMouseEvent", event);
}

fn drag(page: &mut Page<'_>) {
    let (x, y) = middle(page);
    let held = json!({ "button": "left", "buttons": 1, "clickCount": 1 });
    mouse(page, "mousePressed", (x, y), held.clone());
    for at in 0..MOVES {
        let away = f64::from(at) * std::f64::consts::TAU / f64::from(MOVES);
        mouse(page, "mouseMoved", (x + 300.0 * away.sin(), y), held.clone());
    }
    mouse(page, "mouseReleased", (x, y), held);
}

fn wheel(page: &mut Page<'_>) {
    let place = middle(page);
    for at in 0..MOVES {
        let turn = if at < MOVES / 2 { -40.0 } else { 40.0 };
        mouse(page, "mouseWheel", place, json!({ "deltaX": 0.0, "deltaY": turn }));
    }
}
