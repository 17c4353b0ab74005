//! Values, names and errors that want to run, to hide or to break the page.

use crate::made_up::kinds::BEGAN_US;
use crate::made_up::{fault, history, invalid, noise, poison, stale_read, string};
use crate::page::{assert_balanced, assert_self_contained};
use ordeal_history::History;
use ordeal_reports::{NodeLog, Results, html, junit, markdown, terminal};

pub const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'; </style></svg></title><svg onload=alert(1)>",
    "]]>--><!-- &lt; &amp; &#0;",
    "\u{202e}desrever\u{2066}\u{2069}",
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{0}\r\n\u{85}\u{9b}31m",
    "z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}",
    "javascript:alert(1) http://evil.example/ [x](http://evil.example) | @everyone `a` ```",
    "\u{feff}\u{200b}\u{e0041}\u{2028}",
];

/// A run in which everything that can come from outside is `text`.
pub fn run(text: &str) -> (Results, History) {
    let mut told = noise(30);
    told.extend(stale_read());
    let what = fault(0, text, text, text, (8_000, 9_000), string(text));
    let mut history = history(told, what.to_vec());
    let mut results = invalid(&history, &["local-read"]);
    poison(&mut results, &mut history, text);
    results.clients_began_us = Some(BEGAN_US);
    (results, history)
}

/// A log in which everything is `text`.
pub fn logs(text: &str) -> Vec<NodeLog> {
    let line = format!("2026-02-03T04:05:17.436Z {text}\n{text}\n");
    vec![NodeLog { node: text.to_owned(), text: line }]
}

fn assert_harmless_characters(text: &str) {
    for c in text.chars() {
        let hidden = matches!(c as u32,
            0x200B..=0x200F | 0x2028..=0x202E | 0x2066..=0x2069 | 0xFEFF | 0xE0000..=0xE0FFF);
        assert!(!hidden && (c == '\n' || !c.is_control()), "{:x} came through", c as u32);
    }
}

#[test]
fn nothing_hostile_runs_in_the_page() {
    for text in HOSTILE {
        let (results, history) = run(text);
        let page = html(&results, &history, &logs(text));
        assert_balanced(&page);
        assert_self_contained(&page);
        assert_harmless_characters(&page);
    }
}

#[test]
fn nothing_hostile_reaches_the_terminal_junit_or_markdown() {
    for text in HOSTILE {
        let (results, history) = run(text);
        let (terminal, junit, markdown) =
            (terminal(&results, &history, false), junit(&results), markdown(&results));
        for report in [&terminal, &junit, &markdown] {
            assert_harmless_characters(report);
        }
        let body = junit.split_once("?>").expect("it begins with a declaration").1;
        assert_balanced(body);
        let (prose, command) = markdown.rsplit_once("\n\n").expect("the command comes last");
        assert!(command.starts_with("```"), "{command}");
        for markup in ["<script", "<img", "http://", " @", "x](", " `"] {
            assert!(!prose.contains(markup), "{markup} in {prose}");
        }
    }
}

#[test]
fn a_mebibyte_is_shortened_and_its_length_told() {
    let (results, history) = run(&"x".repeat(1 << 20));
    let page = html(&results, &history, &logs(&"x".repeat(1 << 20)));
    assert!(page.len() < 200_000, "{} bytes", page.len());
    assert!(page.contains("(1,048,576 characters)"));
    for report in [terminal(&results, &history, false), junit(&results), markdown(&results)] {
        assert!(report.len() < 60_000, "{} bytes", report.len());
        assert!(report.contains("(1,048,576 characters)"));
    }
}
