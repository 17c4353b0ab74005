//! Text from outside made harmless and short, and numbers as a person reads them.
//!
//! Escaping for HTML, SVG and XML is done where the text is written, by maud and by quick-junit.
//! What they let through is dealt with here: characters that reorder, hide or overprint what stands
//! around them, terminal escapes, and texts that are longer than any page.

/// The longest text of a reason, an error or a sentence that a page shows, in characters.
pub const SENTENCE_MAX: usize = 800;
/// The longest name (a node, a process, a kind of operation) that a page shows, in characters.
pub const NAME_MAX: usize = 48;

/// `text` with everything invisible or reordering written out (`\u{202e}`), and cut after
/// `max` characters with its length told.
pub fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max + 32));
    let length = push_clean(&mut out, text, max);
    if length > max {
        out.push_str(&format!("… ({} characters)", grouped(length as u64)));
    }
    out
}

/// Appends at most `max` characters of `text`, made harmless, and returns how many there are.
pub(crate) fn push_clean(out: &mut String, text: &str, max: usize) -> usize {
    let mut marks = 0;
    let mut length = 0;
    for c in text.chars() {
        length += 1;
        if length > max {
            continue;
        }
        marks = if is_mark(c) { marks + 1 } else { 0 };
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_hostile(c) || marks > 2 => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
    length
}

/// Controls, bidirectional overrides and isolates, invisible characters, tags, non-characters.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c as u32,
            0xAD | 0x61C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180E
            | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F
            | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0xFFFE..=0xFFFF | 0xE0000..=0xE0FFF)
}

/// Marks that are printed over the character before; a pile of them runs over other lines.
fn is_mark(c: char) -> bool {
    matches!(c as u32,
        0x300..=0x36F | 0x483..=0x489 | 0x591..=0x5BD | 0x610..=0x61A | 0x64B..=0x65F
        | 0xE31 | 0xE34..=0xE3A | 0xE47..=0xE4E
        | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE20..=0xFE2F)
}

/// `1234567` as `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 operation`, `2 operations`, `12,345 operations`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

/// A length of time in the unit that suits it: `850 µs`, `1.84 ms`, `12.3 s`, `3 min 20 s`.
pub fn duration(ns: u64) -> String {
    let three = |x: f64| match x {
        x if x < 9.995 => trimmed(format!("{x:.2}")),
        x if x < 99.95 => trimmed(format!("{x:.1}")),
        x => format!("{x:.0}"),
    };
    let whole_s = (ns as f64 / 1e9).round() as u64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..999_500 => format!("{} µs", three(ns as f64 / 1e3)),
        999_500..999_500_000 => format!("{} ms", three(ns as f64 / 1e6)),
        _ if whole_s < 120 => format!("{} s", three(ns as f64 / 1e9)),
        _ if whole_s < 7_200 => format!("{} min {} s", whole_s / 60, whole_s % 60),
        _ => format!("{} h {} min", whole_s / 3_600, whole_s % 3_600 / 60),
    }
}

/// A moment in milliseconds, to the microsecond: `1,200.345 ms`.
pub fn moment(ns: u64) -> String {
    format!("{}.{:03} ms", grouped(ns / 1_000_000), ns / 1_000 % 1_000)
}

/// `a`, `a and b`, `a, b and c`.
pub fn listed<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

fn trimmed(number: String) -> String {
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_reorders_is_written_out() {
        for (text, shown) in [
            ("plain, ünïcode, 日本語", "plain, ünïcode, 日本語"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{1b}[31mred", "a\\u{1b}[31mred"),
            ("nul\0 tab\t line\n", "nul\\u{0} tab\\t line\\n"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("e\u{301}", "e\u{301}"),
            ("z\u{300}\u{301}\u{302}\u{303}", "z\u{300}\u{301}\\u{302}\\u{303}"),
            ("<script>&\"'", "<script>&\"'"),
        ] {
            assert_eq!(clean(text, 100), shown);
        }
    }

    #[test]
    fn a_long_text_is_cut_and_its_length_told() {
        assert_eq!(clean(&"x".repeat(1 << 20), 5), "xxxxx… (1,048,576 characters)");
        assert_eq!(clean("xxxxx", 5), "xxxxx");
    }

    #[test]
    fn numbers_read_well() {
        for (n, shown) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(n), shown);
        }
        for (ns, shown) in [
            (17, "17 ns"),
            (1_500, "1.5 µs"),
            (850_000, "850 µs"),
            (999_600, "1 ms"),
            (1_840_000, "1.84 ms"),
            (20_000_000_000, "20 s"),
            (12_340_000_000, "12.3 s"),
            (200_000_000_000, "3 min 20 s"),
            (7_260_000_000_000, "2 h 1 min"),
        ] {
            assert_eq!(duration(ns), shown);
        }
        assert_eq!(moment(1_200_345_678), "1,200.345 ms");
    }
}
