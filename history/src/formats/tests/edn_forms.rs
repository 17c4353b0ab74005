use crate::formats::edn::{Reader, is_delimiter};

/// The first form of `text` as JSON, or the byte and the message of the error.
fn json(text: &str) -> Result<String, (usize, String)> {
    let form = Reader::new(text).next_form()?.ok_or((0, "no form".to_owned()))?;
    form.into_value().map(|value| value.to_string()).map_err(|message| (0, message))
}

#[test]
fn forms_become_json_values() {
    for (text, expected) in [
        ("nil", "null"),
        ("true", "true"),
        ("-17", "-17"),
        ("+17", "17"),
        ("007", "7"),
        ("-0", "0"),
        ("0x1fN", ""),
        ("0x1f", "31"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
        ("123456789012345678901234567890N", "123456789012345678901234567890"),
        ("7N", "7"),
        ("1.50M", "1.5"),
        ("1.5e3", "1500"),
        ("-2.5E-1", "-0.25"),
        ("3.", "3"),
        ("1/3", "\"1/3\""),
        ("##NaN", "\"##NaN\""),
        ("[##Inf ##-Inf]", "[\"##Inf\",\"##-Inf\"]"),
        (":a", "\"a\""),
        (":ns/a-b?", "\"ns/a-b?\""),
        ("some.symbol/x'", "\"some.symbol/x'\""),
        ("-", "\"-\""),
        ("\\a", "\"a\""),
        (
            "[\\newline \\space \\u0041 \\o101 \\( \\\\]",
            "[\"\\n\",\" \",\"A\",\"A\",\"(\",\"\\\\\"]",
        ),
        (r#""a\n\"\\\tµ\u00b5\101""#, "\"a\\n\\\"\\\\\\tµµA\""),
        (r#""\uD83D\uDE00""#, "\"😀\""),
        ("#\"a\\\"b\\d\"", "\"a\\\\\\\"b\\\\d\""),
        ("(1, 2 ,3)", "[1,2,3]"),
        ("[1 ; two\n 3]", "[1,3]"),
        ("[1 #_ 2 3]", "[1,3]"),
        ("[1 #_ #_ 2 3 4]", "[1,4]"),
        ("[#_[1 [2]] #_x]", "[]"),
        ("#{3 1 2 1}", "[1,2,3]"),
        ("{:b 1 :a {0 10, 1 20}}", "{\"a\":{\"0\":10,\"1\":20},\"b\":1}"),
        ("{[1 2] 3}", "{\"[1,2]\":3}"),
        ("#:a{:b 1 :c/d 2}", "{\"a/b\":1,\"c/d\":2}"),
        ("#inst \"2026-01-01\"", "\"2026-01-01\""),
        ("#object[clojure.core 0x5f2 \"x\"]", "[\"clojure.core\",1522,\"x\"]"),
        ("#jepsen.history.Op{:f :r}", "{\"f\":\"r\"}"),
        ("^{:line 3} ^:dynamic [1]", "[1]"),
        ("#jepsen.independent/tuple [1 nil]", "[1,null]"),
    ] {
        let read = json(text);
        if expected.is_empty() {
            assert!(read.is_err(), "{text}: {read:?}");
        } else {
            assert_eq!(read.as_deref(), Ok(expected), "{text}");
        }
    }
}

#[test]
fn a_token_ends_at_the_same_place_whether_or_not_it_is_ascii() {
    for byte in 0..128_u8 {
        let character = char::from(byte);
        for before in [":a", ":µ"] {
            let text = format!("{before}{character}b");
            let end = crate::formats::edn::token_len(&text);
            let expected = if is_delimiter(character) { before.len() } else { text.len() };
            assert_eq!(end, expected, "{text:?}");
        }
    }
}

#[test]
fn text_that_is_no_edn_names_its_byte() {
    for (text, at, message) in [
        ("[1 2", 0, "never closed"),
        ("[1 (2 3]", 7, "] closes nothing"),
        ("  }", 2, "} closes nothing"),
        ("{:a}", 0, "a key without a value"),
        ("{1 2, \"1\" 3}", 0, "the key 1 stands twice"),
        ("\"abc", 0, "never closed"),
        ("\"a\\q\"", 2, "no escape"),
        ("\"\\ud800\"", 1, "surrogate"),
        ("\"\\u12", 1, "four hexadecimal"),
        ("12x", 0, "12x is no number"),
        ("1.5.2", 0, "no number"),
        ("##NaM", 0, "none of ##NaN"),
        ("# foo", 0, "after # a tag"),
        ("#foo", 4, "the text ends"),
        ("#_", 2, "the text ends"),
        ("\\", 0, "the text ends"),
        ("\\nope", 0, "no character"),
        (":", 0, "needs a name"),
        ("#:a 1", 0, "before a map"),
        ("#\"abc", 0, "never closed"),
        ("#jepsen.independent/tuple [1]", 0, "exactly a key and a value"),
        ("#jepsen.independent/tuple 1", 0, "not a number"),
    ] {
        let (found_at, found) = json(text).expect_err(text);
        assert!(found.contains(message), "{text}: {found}");
        assert_eq!(found_at, at, "{text}: {found}");
    }
}

#[test]
fn nesting_is_bounded_however_it_is_made() {
    for (open, deepest) in
        [("[", "[]"), ("(", "()"), ("#{", "#{}"), ("{1 ", "{}"), ("#_", "1"), ("^", "1")]
    {
        let (_, message) = json(&(open.repeat(200_000) + deepest)).expect_err(open);
        assert!(message.contains("nested 128 deep"), "{open}: {message}");
    }
    for open in ["#a ", "#:a{1 ", "#jepsen.independent/tuple [1 "] {
        let (_, message) = json(&open.repeat(200_000)).expect_err(open);
        assert!(message.contains("nested 128 deep"), "{open}: {message}");
    }
    assert!(json(&("[".repeat(100) + &"]".repeat(100))).is_ok());
}
