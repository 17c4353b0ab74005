//! A piece of the input, as a message shows it.

/// Characters of a piece that are shown.
const SHOWN_MAX: usize = 40;

/// The beginning of `text`, on one line, without what a terminal would obey.
pub(crate) fn brief(text: &str) -> String {
    let mut shown = String::new();
    for (place, character) in text.chars().enumerate() {
        if place == SHOWN_MAX {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::brief;

    #[test]
    fn only_the_beginning_is_shown_and_no_control_character() {
        for (text, shown) in [
            ("12x", "12x".to_owned()),
            ("a\0b\u{1b}[2J\n", "a\\u{0}b\\u{1b}[2J\\n".to_owned()),
            (&"é".repeat(40), "é".repeat(40)),
            (&"é".repeat(1_000_000), "é".repeat(40) + "…"),
        ] {
            assert_eq!(brief(text), shown);
        }
    }
}
