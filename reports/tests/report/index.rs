//! The index over runs.

use crate::made_up::nights;
use crate::page::assert_balanced;
use ordeal_reports::{RunSummary, Serving, index, live};

#[test]
fn every_test_has_a_row_with_its_first_failure() {
    let page = index(&nights(), &[], Serving::File);
    assert_balanced(&page);
    assert!(page.contains("<h1>36 runs</h1>"));
    assert!(page.contains("27 valid, 7 invalid, 2 unknown."));
    let row = page.split("<tr>").find(|row| row.contains("<bdi>register, serializable</bdi>"));
    let row = row.expect("the test has a row");
    assert!(row.contains("7 of 12"), "{row}");
    assert!(row.contains("<a href=\"./1/2026-02-06/report.html\">2026-02-06</a>"), "{row}");
}

#[test]
fn links_lead_to_reports_below_the_index_and_nowhere_else() {
    for (report, address) in [
        ("register/20260203T040506Z/report.html", "./register/20260203T040506Z/report.html"),
        ("../../etc/passwd", "./etc/passwd"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("//evil.example/x", "./evil.example/x"),
        ("a b/\"><script>/ü.html", "./a%20b/%22%3E%3Cscript%3E/%C3%BC.html"),
    ] {
        let run = RunSummary { report: report.into(), ..Default::default() };
        let page = index(&[run], &[], Serving::File);
        assert!(page.contains(&format!("href=\"{address}\"")), "{report}");
        assert_eq!(page.matches("href=").count(), page.matches("href=\"./").count());
    }
}

#[test]
fn hostile_names_do_not_break_the_index() {
    let run = RunSummary {
        test: "</table><script>alert(1)</script>".into(),
        sentence: "\u{202e}<img src=x>".repeat(50_000),
        started_at: "é<b>日本語\u{1b}[2J and so on".into(),
        bug: vec!["<i>".into()],
        ..Default::default()
    };
    let page = index(&[run], &[], Serving::File);
    assert_balanced(&page);
    assert!(page.len() < 40_000, "{} bytes", page.len());
    let page = page.split("<script>").next().unwrap_or("");
    for banned in ["<script", "<img", "<i>", "<b>\u{65e5}", "\u{202e}", "\u{1b}"] {
        assert!(!page.contains(banned), "{banned} came through");
    }
}

#[test]
fn no_run_is_an_index_too() {
    assert!(index(&[], &[], Serving::File).contains("No run is stored here yet."));
}

#[test]
fn the_page_of_a_run_under_way_asks_its_own_server_alone_and_names_each_part_once() {
    let page = live("<b>\u{202e}x", "/live.json/a%20b");
    assert_balanced(&page);
    assert!(page.contains("default-src 'none'; connect-src 'self';"), "{page}");
    assert!(!page.contains("<b>\\u") && !page.contains('\u{202e}'), "{page}");
    let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|s| s.split('"').next()).collect();
    let once: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), once.len(), "{ids:?}");
    for (at, _) in page.match_indices("getElementById('") {
        let id = page[at + 16..].split('\'').next().unwrap_or("");
        assert!(once.contains(id), "the script asks for {id}");
    }
}
