//! The report of a run.

use super::chromium::{Page, chromium_or_skip};
use crate::made_up::{faults, history, invalid, kinds, noise, stale_read, unknown, valid};
use ordeal_history::History;
use ordeal_reports::{Results, html, html_with_spacetime};
use serde_json::json;
use std::time::Duration;

const WIDE: (u32, u32) = (1280, 900);
const NARROW: (u32, u32) = (360, 740);

/// A stale read among `count` other operations.
fn stale(count: u64) -> (Results, History) {
    let history = history(noise(count).into_iter().chain(stale_read()).collect(), faults());
    (invalid(&history, &[]), history)
}

/// The event of the read that broke the history.
fn broken(results: &Results, history: &History) -> u64 {
    let found = results.checkers[0].counterexample.as_ref().expect("a counterexample");
    let end = found.broken_at_event;
    let broken = history.operations.iter().find(|o| o.complete == end).expect("the stale read");
    broken.invoke
}

fn await_history(page: &mut Page<'_>) {
    page.until("document.getElementById('context')?.dataset.ready");
    page.until("document.getElementById('history-canvas').dataset.ms");
    assert_eq!(page.eval("document.getElementById('context').dataset.ready"), "true");
}

/// Waits until the operation that was asked at `event` is selected; the picture is drawn a frame
/// after the key.
fn await_selected(page: &mut Page<'_>, event: u64) {
    page.until(&format!(
        "document.getElementById('history-canvas').dataset.selected === '{event}'"
    ));
}

#[test]
fn the_verdict_and_the_counterexample_are_seen() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let (results, history) = stale(4_000);
    let mut page = chromium.open(&html(&results, &history, &[]), WIDE, "");
    await_history(&mut page);
    assert_eq!(page.text("h1").to_lowercase(), "invalid");
    let top = page.eval("document.querySelector('h1').getBoundingClientRect().bottom");
    assert!(top.as_f64().expect("a number") < 300.0, "the verdict is not on the first screen");
    assert!(page.text(".counterexample").contains("Process 9 read k7 and saw 411 at n2"));
    assert_eq!(page.eval("document.querySelectorAll('.timeline .bar').length"), 5);
    page.screenshot("stale", true);
    page.assert_calm();
}

#[test]
fn the_keyboard_goes_from_anomaly_to_anomaly_and_the_address_follows() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let (results, history) = stale(4_000);
    let text = html(&results, &history, &[]);
    let mut page = chromium.open(&text, WIDE, "");
    await_history(&mut page);
    let found = results.checkers[0].counterexample.as_ref().expect("a counterexample");
    let invoked = history.operations.iter().map(|o| o.invoke);
    let invoked: Vec<u64> = invoked.filter(|event| found.events.contains(event)).collect();
    for event in &invoked {
        page.press("n");
        await_selected(&mut page, *event);
        assert_eq!(page.eval("location.hash"), format!("#op-{event}"));
    }
    page.press("n");
    // Around the end, and back.
    await_selected(&mut page, invoked[0]);
    page.press("p");
    let last = invoked[invoked.len() - 1];
    await_selected(&mut page, last);
    assert!(page.text("#history-operation").contains("read → 411"));
    page.screenshot("anomaly", false);
    page.assert_calm();
}

#[test]
fn a_link_to_an_operation_opens_the_page_at_it() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let (results, history) = stale(4_000);
    let event = broken(&results, &history);
    let mut page = chromium.open(&html(&results, &history, &[]), WIDE, &format!("#op-{event}"));
    await_history(&mut page);
    await_selected(&mut page, event);
    let width = page
        .eval("(c => c.dataset.to - c.dataset.from)(document.getElementById('history-canvas'))");
    assert!(width.as_f64().expect("a number") < 100_000.0, "{width} µs is not close");
    let top = page.eval("document.getElementById('context').getBoundingClientRect().top");
    assert!(top.as_f64().expect("a number").abs() < 400.0, "{top} is out of sight");
    page.assert_calm();
}

#[test]
fn search_finds_by_process_key_value_revision_and_outcome() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let (results, history) = stale(4_000);
    let mut page = chromium.open(&html(&results, &history, &[]), WIDE, "");
    await_history(&mut page);
    let infos = history.operations.iter().filter(|o| o.outcome == ordeal_history::Outcome::Info);
    let infos = infos.count();
    for (query, count) in [
        ("process:9", 1),
        ("key:k7", 5),
        ("key:k7 value:428", 2),
        ("rev:871", 2),
        ("outcome:info", infos),
        ("k7 n2", 3),
        ("f:cas outcome:info key:k7", 0),
        ("error:timed", infos),
    ] {
        let set = format!(
            "(s => {{ s.value = {query:?}; s.dispatchEvent(new Event('input')); }})\
             (document.getElementById('history-search'))"
        );
        page.eval(&set);
        let said = page.text("#history-said").replace(',', "");
        assert!(said.starts_with(&format!("{count} found")), "{query}: {said}, not {count}");
    }
    page.eval("document.getElementById('history-search').value = ''");
    page.press("/");
    assert_eq!(page.eval("document.activeElement.id"), "history-search");
    page.type_text("value:411 f:read");
    page.press("Enter");
    await_selected(&mut page, broken(&results, &history));
    page.assert_calm();
}

#[test]
fn dark_and_narrow_pages_are_whole() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let (results, history) = stale(2_000);
    let mut page = chromium.open(&html(&results, &history, &[]), NARROW, "");
    await_history(&mut page);
    let wide = page.eval("document.documentElement.scrollWidth");
    assert_eq!(wide, NARROW.0, "the page scrolls sideways");
    page.screenshot("narrow", true);
    let background = "getComputedStyle(document.body).backgroundColor";
    page.scheme("light");
    let light = page.eval(background);
    page.scheme("dark");
    assert_ne!(page.eval(background), light);
    page.screenshot("dark", true);
    page.assert_calm();
}

#[test]
fn the_picture_zooms_to_microseconds_and_back() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let (results, history) = stale(4_000);
    let mut page = chromium.open(&html(&results, &history, &[]), WIDE, "");
    await_history(&mut page);
    page.click("#history-canvas");
    let width = "(c => c.dataset.to - c.dataset.from)(document.getElementById('history-canvas'))";
    page.eval("document.getElementById('history-canvas').focus()");
    for _ in 0..25 {
        page.press("+");
    }
    page.until(&format!("{width} <= 21"));
    page.press("0");
    page.until(&format!("{width} > 19e6"));
    for by in ["key", "node"] {
        page.eval(&format!(
            "(s => {{ s.value = {by:?}; s.dispatchEvent(new Event('change')); }})\
             (document.getElementById('history-by'))"
        ));
    }
    page.screenshot("by-node", false);
    page.assert_calm();
}

#[test]
fn nothing_hostile_runs() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let long = "<b>\u{202e}".repeat(1 << 18);
    for text in crate::hostile::HOSTILE.into_iter().chain([long.as_str()]) {
        let (results, history) = crate::hostile::run(text);
        let mut page =
            chromium.open(&html(&results, &history, &crate::hostile::logs(text)), WIDE, "");
        await_history(&mut page);
        // What was hidden until it is looked at: the panel, the list, the hover.
        page.press("n");
        page.press("/");
        page.type_text("f:read");
        assert_eq!(
            page.eval("document.querySelectorAll('img, b > b, iframe, a[href^=\"h\"]').length"),
            0
        );
        page.assert_calm();
    }
}

#[test]
fn each_kind_of_violation_has_its_picture() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let measured = history(noise(2_000), faults().into_iter().chain(kinds::measured()).collect());
    let (stale, cycle, watch, differ) = (
        kinds::found_stale_read(2_000),
        kinds::cycle(),
        kinds::watch_anomaly(),
        kinds::differing(),
    );
    let unknown_run = (unknown(&measured, &["local-read"]), measured.clone());
    for (name, (results, history), words) in [
        ("found", stale, "An order that explains all but that answer"),
        ("cycle", cycle, "1: rw"),
        ("watch", watch, "Process 2 wrote 6 at revision 902"),
        ("differ", differ, "Where the members differ"),
        ("unknown", unknown_run, "Clocks"),
        ("valid", (valid(&measured), measured), "without a leader"),
    ] {
        let mut results = results;
        results.clients_began_us = Some(kinds::BEGAN_US);
        let mut page = chromium.open(&html(&results, &history, &kinds::logs()), WIDE, "");
        await_history(&mut page);
        let text = page.eval("document.body.textContent");
        assert!(text.as_str().unwrap_or_default().contains(words), "{name} lacks {words}");
        page.screenshot(name, true);
        page.assert_calm();
    }
}

#[test]
fn a_simulation_has_its_spacetime_in_light_in_dark_and_on_paper() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let (results, history) = stale(400);
    let story = kinds::spacetime();
    let text = html_with_spacetime(&results, &history, &[], Some(&story));
    let mut page = chromium.open(&text, WIDE, "");
    await_history(&mut page);
    let said = page.eval("document.querySelector('svg.spacetime').textContent");
    let said = said.as_str().unwrap_or_default().to_owned();
    for words in ["never arrives", "knows no leader at term 2", "clients", "✗ wrong here"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let colour = "getComputedStyle(document.querySelector('.spacetime .sent line')).stroke";
    page.scheme("light");
    let light = page.eval(colour);
    page.screenshot("spacetime", true);
    page.scheme("dark");
    assert_ne!(page.eval(colour), light);
    page.screenshot("spacetime-dark", true);
    page.scheme("light");
    page.call("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    // What is folded up is printed too, and what only a hand can use is not.
    let height = "document.querySelector('details > :not(summary)').getBoundingClientRect().height";
    assert!(page.eval(height).as_f64().expect("a number") > 10.0, "details are not printed");
    assert_eq!(page.eval("getComputedStyle(document.querySelector('.tools')).display"), "none");
    page.screenshot("print", true);
    page.assert_calm();
}

#[test]
fn without_a_script_the_verdict_and_the_counterexample_are_read() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let (results, history) = stale(400);
    let mut page = chromium.open(&html(&results, &history, &[]), WIDE, "");
    await_history(&mut page);
    page.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    page.call("Page.reload", json!({}));
    // Without scripts nothing waits in the page: it is asked from here.
    let there = "document.readyState == 'complete' && document.getElementById('context')?.hidden";
    while page.eval(there) != true {
        std::thread::sleep(Duration::from_millis(20));
    }
    let text = page.eval("document.body.innerText");
    let text = text.as_str().unwrap_or_default().to_owned();
    for words in ["Process 9 read k7 and saw 411 at n2", "expected", "Do it again", "What happened"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    page.screenshot("no-script", true);
    page.assert_calm();
}

#[test]
fn a_million_operations_open_at_once_and_pan_without_a_stall() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let (results, history) = stale(1_000_000);
    let text = html(&results, &history, &[]);
    assert!(text.len() <= 15_000_000, "{} bytes", text.len());
    let event = broken(&results, &history);
    drop(history);
    let mut page = chromium.open(&text, WIDE, "");
    await_history(&mut page);
    assert_eq!(page.eval("document.querySelector('h1').innerText.toLowerCase()"), "invalid");
    // Frames in which the whole run is in sight, the dearest there are; their own time, so that a
    // busy machine does not decide.
    let slowest = page.eval(
        "(async () => { const c = document.getElementById('history-canvas'); const all = []; \
         for (const id of ['history-out', 'history-in', 'history-out', 'history-all']) { \
         document.getElementById(id).click(); \
         await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))); \
         all.push(Number(c.dataset.ms)); } return Math.min(...all); })()",
    );
    let paint = page.eval("performance.getEntriesByName('first-contentful-paint')[0]?.startTime");
    let bytes = text.len();
    eprintln!("{bytes} bytes, seen after {paint} ms, a frame of the whole run {slowest} ms");
    assert!(slowest.as_f64().expect("a number") < 250.0, "a frame took {slowest} ms");
    page.press("p");
    await_selected(&mut page, event);
    page.screenshot("million", false);
    page.assert_calm();
}
