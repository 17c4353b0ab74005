//! A short summary in Markdown, for the page of a CI job or a pull request.

use crate::results::{Results, Ruling};
use crate::text::{NAME_MAX, SENTENCE_MAX, clean, grouped};
use crate::verdict::{bug_warning, sentence, stopped, subject};

/// The results in a screenful of GitHub's Markdown. Nothing from outside is markup in it.
pub fn markdown(results: &Results) -> String {
    let sign = |ruling| match ruling {
        Ruling::Valid => "✅ valid",
        Ruling::Invalid => "❌ invalid",
        Ruling::Unknown => "❔ unknown",
    };
    let mut out = format!("### {}: {}\n\n", sign(results.verdict), plain(&sentence(results)));
    out.push_str(&format!("{}\n\n", plain(&subject(results))));
    if let Some(stopped) = stopped(results) {
        out.push_str(&format!("{}\n\n", plain(&stopped)));
    }
    if let Some(warning) = bug_warning(results) {
        out.push_str(&format!("**{}.**\n\n", plain(&warning)));
    }
    out.push_str("| checker | verdict | reason |\n|---|---|---|\n");
    for checker in &results.checkers {
        out.push_str(&format!(
            "| {} | {} | {} |\n",
            plain(&clean(&checker.name, NAME_MAX)),
            sign(checker.verdict),
            plain(&clean(&checker.reason, SENTENCE_MAX))
        ));
    }
    for found in results.checkers.iter().filter_map(|c| c.counterexample.as_ref()) {
        out.push_str("\nThe counterexample:\n\n");
        for sentence in found.story.iter().take(20) {
            out.push_str(&format!("1. {}\n", plain(&clean(sentence, SENTENCE_MAX))));
        }
    }
    out.push_str("\n| operations | ok | failed | indeterminate |\n|---|--:|--:|--:|\n");
    for (f, n) in results.operations.iter().take(20) {
        let name = plain(&clean(f, NAME_MAX));
        let (ok, fail, info) = (grouped(n.ok), grouped(n.fail), grouped(n.info));
        out.push_str(&format!("| {name} | {ok} | {fail} | {info} |\n"));
    }
    let kinds = results.faults.iter().take(20).map(|(kind, n)| {
        let name = plain(&clean(kind, NAME_MAX));
        format!("{name} {} of {}", n.landed, n.scheduled.max(n.started))
    });
    let kinds: Vec<String> = kinds.collect();
    if !kinds.is_empty() {
        out.push_str(&format!("\nFaults landed: {}.\n", kinds.join(", ")));
    }
    if !results.command.is_empty() {
        let command = clean(&results.command, 4_000);
        let fence = "`".repeat(longest_run(&command, '`').max(2) + 1);
        out.push_str(&format!("\n{fence}sh\n{command}\n{fence}\n"));
    }
    out
}

/// `text` with everything that Markdown would read as markup, a mention or a link written out.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

pub(crate) fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(|run| run.chars().count()).max().unwrap_or(0)
}
