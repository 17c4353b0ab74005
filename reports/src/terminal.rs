//! The report in a terminal: the verdict, and the counterexample drawn with characters.

use crate::band::{Band, bands};
use crate::case::{Case, Shown, story};
use crate::expectation::{alternatives, expectation, held};
use crate::layout::{Layout, Measure};
use crate::results::{CheckerResult, CounterexampleResult, Results, Ruling};
use crate::text::{NAME_MAX, SENTENCE_MAX, clean, counted, grouped};
use crate::timeline::{BANDS_MAX, columns, f_class, within};
use crate::verdict::{bug_warning, sentence, stopped, subject};
use ordeal_history::{History, Outcome};

/// The picture is at most about so many columns wide, if its labels allow.
const ROOM: f64 = 82.0;
/// A picture wider than this, in columns, is drawn with numbers for labels, or not at all.
const WIDTH_MAX: f64 = 104.0;
const GUTTER: usize = 14;
const VALUE_MAX: usize = 12;

/// The report as lines for a terminal; with `colour` it holds ANSI colours, else none at all.
///
/// No control character from outside comes through.
pub fn terminal(results: &Results, history: &History, colour: bool) -> String {
    let ink = Ink(colour);
    let (code, _) = ruling(results.verdict);
    let mut out = format!(
        "{}  {}\n",
        ink.paint(&format!("1;{code}"), &results.verdict.word().to_uppercase()),
        sentence(results)
    );
    out.push_str(&format!("  {}\n", subject(results)));
    if results.interrupted {
        out.push_str(
            "  The run was interrupted: this is a verdict on what was recorded until then.\n",
        );
    }
    if let Some(stopped) = stopped(results) {
        out.push_str(&format!("  {stopped}\n"));
    }
    if let Some(warning) = bug_warning(results) {
        out.push_str(&format!("\n  {}\n", ink.paint("1;7;33", &format!("*** {warning} ***"))));
    }
    out.push('\n');
    let wide = results.checkers.iter().map(|c| clean(&c.name, NAME_MAX).chars().count());
    let wide = wide.max().unwrap_or(0);
    for checker in &results.checkers {
        out.push_str(&checker_line(checker, wide, &ink));
    }
    for checker in &results.checkers {
        if let Some(found) = &checker.counterexample {
            let told = counterexample(&checker.name, found, history, colour);
            out.push_str(&format!("\n{told}"));
        }
    }
    out.push_str(&format!("\n{}\n", tally(results)));
    if !results.command.is_empty() {
        out.push_str(&format!("Again: {}\n", clean(&results.command, 4_000)));
    }
    out
}

/// The counterexample of `checker` as lines for a terminal: the argument, what was expected, the
/// picture, and each operation's story.
pub fn counterexample(
    checker: &str,
    found: &CounterexampleResult,
    history: &History,
    colour: bool,
) -> String {
    let ink = Ink(colour);
    let case = Case::new(found, history);
    let key = match case.key() {
        key if key.is_empty() => String::new(),
        key => format!(": {key}"),
    };
    let heading = format!("Counterexample{key}");
    let mut out = format!("{}\n", ink.paint("1", &heading));
    for sentence in found.story.iter().take(20) {
        out.push_str(&format!("  {}\n", clean(sentence, SENTENCE_MAX)));
    }
    if !found.anomalies.is_empty() {
        let names: Vec<String> = found.anomalies.iter().map(|a| clean(a, NAME_MAX)).collect();
        out.push_str(&format!("  Anomalies: {}\n", names.join(", ")));
    }
    if let Some(expectation) = expectation(checker, &case) {
        let (right, wrong) = (alternatives(&expectation.expected), held(&expectation.seen));
        out.push_str(&format!("  Expected {}", ink.paint("32", &right)));
        out.push_str(&format!(", seen {}.\n", ink.paint("1;31", &wrong)));
    }
    for difference in found.differences.iter().take(20) {
        let held = difference.members.iter().map(|(m, v)| format!("{m} {v}"));
        let held: Vec<String> = held.map(|held| clean(&held, 60)).collect();
        out.push_str(&format!("  {}: {}\n", clean(&difference.key, NAME_MAX), held.join("; ")));
    }
    if case.shown.is_empty() {
        return out;
    }
    out.push('\n');
    out.push_str(&picture(&case, &bands(history), &ink));
    out.push('\n');
    for shown in &case.shown {
        let mut line = story(shown.operation, case.start_ns());
        if shown.breaks {
            line.push_str(&ink.paint("1;31", " Here the history became wrong."));
        }
        out.push_str(&format!("{:>4}. {line}\n", shown.number));
    }
    if case.shown.len() < case.total {
        out.push_str(&format!(
            "      … {} more\n",
            counted((case.total - case.shown.len()) as u64, "operation", "operations")
        ));
    }
    out
}

/// Colours, or none.
struct Ink(bool);

impl Ink {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn ruling(ruling: Ruling) -> (&'static str, &'static str) {
    match ruling {
        Ruling::Valid => ("32", "✓"),
        Ruling::Invalid => ("31", "✗"),
        Ruling::Unknown => ("33", "?"),
    }
}

fn checker_line(checker: &CheckerResult, wide: usize, ink: &Ink) -> String {
    let (code, sign) = ruling(checker.verdict);
    let name = clean(&checker.name, NAME_MAX);
    let pad = " ".repeat(wide.saturating_sub(name.chars().count()));
    let word = format!("{:<7}", checker.verdict.word());
    format!(
        "  {} {name}{pad}  {}  {}\n",
        ink.paint(code, sign),
        ink.paint(code, &word),
        clean(&checker.reason, SENTENCE_MAX)
    )
}

fn tally(results: &Results) -> String {
    let (all, faults) = (results.outcomes(), results.fault_counts());
    let mut out = format!(
        "{}: {} ok, {} failed, {} indeterminate.",
        counted(all.total(), "operation", "operations"),
        grouped(all.ok),
        grouped(all.fail),
        grouped(all.info)
    );
    if results.faults.is_empty() {
        out.push_str(" No fault was scheduled.");
        return out;
    }
    let kinds: Vec<String> = results
        .faults
        .iter()
        .take(32)
        .map(|(kind, n)| {
            format!("{} {} of {}", clean(kind, NAME_MAX), n.landed, n.scheduled.max(n.started))
        })
        .collect();
    out.push_str(&format!(
        " Faults landed: {} of {} ({}).",
        faults.landed,
        faults.scheduled.max(faults.started),
        kinds.join(", ")
    ));
    out
}

/// A row a fault, then a row a process; with labels as long as there is room for.
fn picture(case: &Case<'_>, bands: &[Band], ink: &Ink) -> String {
    let long = |s: &Shown<'_>| {
        let failed = if s.operation.outcome == Outcome::Fail { " ✗" } else { "" };
        format!("{} {}{failed}", s.number, clean(&case.label(s.operation, VALUE_MAX), 40))
    };
    let number = |s: &Shown<'_>| s.number.to_string();
    for label in [&long as &dyn Fn(&Shown<'_>) -> String, &number] {
        let labels: Vec<String> = case.shown.iter().map(label).collect();
        let (layout, bands) = lay_out(case, bands, &labels);
        if layout.width <= WIDTH_MAX {
            return draw(case, &layout, &bands, &labels, ink);
        }
    }
    "  The picture is too wide for a terminal; it stands in the report.\n".to_owned()
}

fn lay_out<'a>(case: &Case<'_>, bands: &'a [Band], labels: &[String]) -> (Layout, Vec<&'a Band>) {
    let widths: Vec<f64> = labels.iter().map(|l| columns(l) as f64 + 1.0).collect();
    let measure = Measure { gap: 2.0, per_doubling: 0.3, idle: 1.0 };
    let window = Layout::new(&case.shown, &widths, &[], &measure).window();
    let bands = within(bands, window);
    let moments: Vec<u64> = bands
        .iter()
        .flat_map(|b| [b.start_ns, b.end_ns])
        .filter(|&t| t > window.0 && t < window.1)
        .collect();
    (Layout::fitting(&case.shown, &widths, &moments, &measure, ROOM), bands)
}

fn draw(case: &Case<'_>, layout: &Layout, bands: &[&Band], labels: &[String], ink: &Ink) -> String {
    let mut out = String::new();
    for band in bands.iter().take(BANDS_MAX) {
        out.push_str(&band_row(band, layout, ink));
    }
    for (process, row) in &layout.rows {
        let mut line = String::new();
        let mut at = 0;
        for &i in row {
            let (start, end) = layout.spans[i];
            let (start, end) = (start.round() as usize, end.round() as usize);
            let shown = &case.shown[i];
            let code = match (shown.breaks, f_class(&shown.operation.f)) {
                (true, _) => "1;31",
                (_, "f-read") => "32",
                (_, "f-write") => "34",
                (_, "f-cas") => "35",
                _ => "36",
            };
            line.push_str(&" ".repeat(start.saturating_sub(at)));
            let bar = bar(&labels[i], end.saturating_sub(start), shown.operation.outcome);
            at = at.max(start) + columns(&bar);
            line.push_str(&ink.paint(code, &bar));
            if shown.breaks {
                line.push_str(&ink.paint("1;31", " ◀ wrong here"));
                at += 13;
            }
        }
        out.push_str(&format!("  {:<GUTTER$}{line}\n", format!("process {process}")));
    }
    out
}

/// A bar of `width` columns beside its last: `├1 write 17──┤`.
fn bar(label: &str, width: usize, outcome: Outcome) -> String {
    let (left, fill, right) = match outcome {
        Outcome::Ok => ("├", "─", "┤"),
        Outcome::Fail => ("╎", " ", "╎"),
        Outcome::Info => ("├", "╌", "▷"),
    };
    let rest = width.saturating_sub(columns(label) + 1);
    format!("{left}{label}{}{right}", fill.repeat(rest))
}

fn band_row(band: &Band, layout: &Layout, ink: &Ink) -> String {
    let (start, end) = (layout.place(band.start_ns), layout.place(band.end_ns));
    let (start, end) = (start.round() as usize, end.round() as usize);
    let width = (end.saturating_sub(start)).max(1);
    let what = if band.what.is_empty() { band.nodes.join(", ") } else { band.what.clone() };
    let what = clean(what.strip_prefix(band.kind.as_str()).unwrap_or(&what).trim(), 40);
    let text = if columns(&what) + 4 <= width && !what.is_empty() {
        format!("░ {what} {}", "░".repeat(width - columns(&what) - 3))
    } else {
        format!("{} {what}", "░".repeat(width))
    };
    let row = format!("{}{}", " ".repeat(start), ink.paint("33", text.trim_end()));
    format!("  {:<GUTTER$}{row}\n", clean(&band.kind, GUTTER - 1))
}
