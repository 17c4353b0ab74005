//! The page: its order, its form, and that it needs nothing from elsewhere.

use crate::made_up::{faults, history, invalid, long, noise, stale_read, unknown, valid};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ordeal_reports::html;
use sha2::{Digest, Sha256};

/// Every element is closed by its own end tag, in the right order.
pub fn assert_balanced(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let tag = &rest[start + 1..];
        let end = tag.find('>').expect("a tag ends");
        let (inside, after) = (&tag[..end], &tag[end + 1..]);
        rest = after;
        let name = inside.split(|c: char| c.is_whitespace() || c == '/').find(|s| !s.is_empty());
        let name = name.expect("a tag has a name");
        if let Some(closed) = inside.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "before {:?}", rest.get(..80));
        } else if !inside.ends_with('/') && !["!DOCTYPE", "meta", "input"].contains(&name) {
            open.push(name);
            if ["style", "script"].contains(&name) {
                let end = format!("</{name}>");
                rest = &rest[rest.find(&end).expect("style and script end")..];
            }
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

/// Nothing is fetched, and nothing runs but the page's own script, whatever its text speaks of.
pub fn assert_self_contained(page: &str) {
    let (page, script) = page.rsplit_once("<script>").expect("the page's script comes last");
    let hash = STANDARD.encode(Sha256::digest(script.split("</script>").next().unwrap_or("")));
    assert!(page.contains(&format!("script-src 'sha256-{hash}';")), "the policy names no {hash}");
    let data = "<script class=\"trace\" type=\"application/octet-stream\">";
    for (at, _) in page.match_indices("<script") {
        assert!(page[at..].starts_with(data), "{}", &page[at..at + 60]);
        let base64 = page[at + data.len()..].split('<').next().unwrap_or("");
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        assert!(base64.bytes().all(is_base64), "a trace holds {:?}", base64.get(..80));
    }
    for banned in ["<img", "<link", "<iframe", "@import"] {
        assert!(!page.contains(banned), "the page holds {banned}");
    }
    assert_eq!(page.matches("<a ").count(), page.matches("<a href=\"#").count());
    let tags: String =
        page.split('<').filter_map(|part| part.split_once('>')).map(|(tag, _)| tag).collect();
    let tags = tags.replace("xmlns=\"http://www.w3.org/2000/svg\"", "").replace(" href=\"#", "");
    for banned in ["http:", "https:", " src=", " href=", " onload", " onerror", "javascript"] {
        assert!(!tags.contains(banned), "a tag holds {banned}");
    }
    for (at, _) in page.match_indices("url(") {
        assert_eq!(&page[at..at + 5], "url(#", "a url that leads out of the page");
    }
}

#[test]
fn the_verdict_comes_first_then_the_proof_then_the_rest() {
    let mut told = noise(400);
    told.extend(stale_read());
    let history = history(told, faults());
    let page = html(&invalid(&history, &["local-read"]), &history, &[]);
    let order = [
        "<h1>invalid</h1>",
        "5 of 405 operations prove it",
        "The planted bug local-read was switched on",
        "a stale read.",
        "Do it again",
        "--seed 7261",
        "What was tested",
        "What happened",
        "The counterexample",
        "expected",
        "class=\"timeline\"",
        "partition: isolate n2 (the leader)",
        "Process 9 read k7 and saw 411 at n2",
        "Here the history became wrong.",
        "An order that explains all but that answer",
        "The whole history",
        "<h2>Latency</h2>",
        "<h3>Quantiles by node</h3>",
        "<h2>Rate</h2>",
        "<h2>Availability</h2>",
        "<h2>Faults</h2>",
    ];
    let mut at = 0;
    for text in order {
        let found = page[at..].find(text);
        at += found.unwrap_or_else(|| panic!("{text} is not there, or not after the one before"));
    }
    assert_balanced(&page);
    assert_self_contained(&page);
}

#[test]
fn every_verdict_has_a_page_of_good_form() {
    let history = history(noise(400), faults());
    for (results, word) in [
        (valid(&history), "<h1>valid</h1>"),
        (unknown(&history, &[]), "<h1>unknown</h1>"),
        (Default::default(), "<h1>unknown</h1>"),
    ] {
        let page = html(&results, &history, &[]);
        assert!(page.contains(word));
        assert!(!page.contains("planted bug"), "no bug was switched on");
        assert_balanced(&page);
        assert_self_contained(&page);
    }
}

#[test]
fn a_long_counterexample_is_shown_in_part_and_the_operation_that_breaks_with_it() {
    let mut told = noise(4_000);
    told.extend(stale_read());
    let history = history(told, faults());
    let page = html(&long(&history), &history, &[]);
    assert!(page.contains("Shown: 60 of 70 operations"));
    assert!(page.contains("Here the history became wrong."));
    assert_balanced(&page);
}

#[test]
fn a_run_without_operations_has_a_page() {
    let nothing = ordeal_history::History::default();
    let page = html(&Default::default(), &nothing, &[]);
    assert!(page.contains("no checker judged the 0 operations"));
    assert_balanced(&page);
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let history = history(noise(3_000), faults());
    assert_eq!(html(&valid(&history), &history, &[]), html(&valid(&history), &history, &[]));
}

#[test]
fn many_operations_do_not_blow_the_page_up() {
    let mut told = noise(150_000);
    told.extend(stale_read());
    let history = history(told, faults());
    let page = html(&invalid(&history, &[]), &history, &[]);
    assert!(page.len() < 4_000_000, "{} bytes", page.len());
    assert!(page.contains("Of those that would cover each other the slowest is drawn"));
}

#[test]
fn many_faults_do_not_blow_the_page_up() {
    let mut notes = Vec::new();
    for i in 0..5_000 {
        let at = (i as u64 * 4, i as u64 * 4 + 2);
        notes.extend(crate::made_up::fault(i, "kill", "kill n1", "n1", at, Default::default()));
    }
    let mut told = noise(400);
    told.extend(stale_read());
    let history = history(told, notes);
    let page = html(&invalid(&history, &[]), &history, &[]);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert_balanced(&page);
}
