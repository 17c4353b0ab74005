//! The trace of a page: its size, its time, and that nothing of weight is left out of it.

use crate::made_up::{faults, history, invalid, noise, stale_read};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;
use ordeal_reports::html;
use std::io::Read;

/// The head of the page's trace.
fn head(page: &str) -> serde_json::Value {
    let block = page.split("<script class=\"trace\"").nth(1).expect("a trace");
    let base64 = block.split(['>', '<']).nth(1).expect("the block");
    let deflated = STANDARD.decode(base64).expect("base64");
    let mut text = String::new();
    DeflateDecoder::new(&deflated[..]).read_to_string(&mut text).expect("deflated UTF-8");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_million_operations_would_fit_into_15_megabytes() {
    let page = |count: u64| {
        let history = history(noise(count).into_iter().chain(stale_read()).collect(), faults());
        html(&invalid(&history, &[]), &history, &[]).len()
    };
    // Both have as many points in their plots as there may be, so what grows is the trace.
    let (some, more) = (page(100_000), page(200_000));
    let million = some + (more - some) * 9;
    assert!(million <= 15_000_000, "{million} bytes");
}

#[test]
fn the_head_names_faults_and_the_operations_that_a_checker_spoke_of() {
    let history = history(noise(500).into_iter().chain(stale_read()).collect(), faults());
    let head = head(&html(&invalid(&history, &[]), &history, &[]));
    assert_eq!((&head["count"], &head["total"]), (&505.into(), &505.into()));
    assert_eq!(head["anomalies"].as_array().map(Vec::len), Some(5));
    assert_eq!(head["bands"][1]["class"], "partition");
    let broken = head["anomalies"].as_array().expect("a list").iter().filter(|a| a[1] == true);
    assert_eq!(broken.count(), 1);
}
