//! EDN's strings, characters and regular expressions.

use super::{Fault, Reader, is_delimiter};
use crate::brief::brief;
use crate::formats::form::Form;

impl Reader<'_> {
    /// A string, the opening quote being next.
    pub(super) fn string(&mut self) -> Result<String, Fault> {
        let open = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let Some(stop) = rest.find(['"', '\\']) else {
                return Err((open, "this string is never closed".into()));
            };
            out.push_str(&rest[..stop]);
            self.at += stop + 1;
            if rest.as_bytes()[stop] == b'"' {
                return Ok(out);
            }
            out.push(self.escape()?);
        }
    }

    /// What follows a backslash in a string.
    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at - 1;
        let Some(letter) = self.rest().chars().next() else {
            return Err((start, "the text ends in the middle of a string".into()));
        };
        self.at += letter.len_utf8();
        Ok(match letter {
            't' => '\t',
            'r' => '\r',
            'n' => '\n',
            'b' => '\u{8}',
            'f' => '\u{c}',
            '"' | '\\' | '/' | '\'' => letter,
            'u' => self.unicode(start)?,
            '0'..='7' => {
                self.at -= 1;
                let digits = self.rest().bytes().take(3).take_while(|b| (b'0'..b'8').contains(b));
                let len = digits.count();
                let code = u32::from_str_radix(&self.rest()[..len], 8).unwrap_or(0);
                self.at += len;
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => {
                return Err((
                    start,
                    format!("\\{} is no escape in a string", other.escape_debug()),
                ));
            }
        })
    }

    /// The code point of `\u` and four hexadecimal digits, of two of them for a pair of surrogates.
    fn unicode(&mut self, start: usize) -> Result<char, Fault> {
        let high = self.hex4(start)?;
        let code = if (0xD800..0xDC00).contains(&high) && self.rest().starts_with("\\u") {
            self.at += 2;
            let low = self.hex4(start)?;
            if !(0xDC00..0xE000).contains(&low) {
                return Err((start, "half of a surrogate pair is no character".into()));
            }
            0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
        } else {
            high
        };
        char::from_u32(code)
            .ok_or_else(|| (start, "half of a surrogate pair is no character".into()))
    }

    fn hex4(&mut self, start: usize) -> Result<u32, Fault> {
        let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        code.ok_or_else(|| (start, "\\u must be followed by four hexadecimal digits".into()))
    }

    /// A regular expression, as its source; its backslashes are its own.
    pub(super) fn regex(&mut self) -> Result<Form, Fault> {
        let start = self.at;
        let body = &self.rest()[2..];
        let mut escaped = false;
        for (offset, byte) in body.bytes().enumerate() {
            match byte {
                b'"' if !escaped => {
                    self.at += 2 + offset + 1;
                    return Ok(Form::Text(body[..offset].into()));
                }
                b'\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
        Err((start, "this regular expression is never closed".into()))
    }

    /// A character: `\a`, `\newline`, `\u0041`, `\o101`.
    pub(super) fn character(&mut self) -> Result<Form, Fault> {
        let start = self.at;
        self.at += 1;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Err((start, "the text ends where a character should stand".into()));
        };
        let tail = &rest[first.len_utf8()..];
        let len = first.len_utf8() + tail.find(is_delimiter).unwrap_or(tail.len());
        self.at += len;
        let name = &rest[..len];
        let named = match name {
            "newline" => Some('\n'),
            "space" => Some(' '),
            "tab" => Some('\t'),
            "return" => Some('\r'),
            "backspace" => Some('\u{8}'),
            "formfeed" => Some('\u{c}'),
            _ if len == first.len_utf8() => Some(first),
            _ if first == 'u' => u32::from_str_radix(&name[1..], 16).ok().and_then(char::from_u32),
            _ if first == 'o' => u32::from_str_radix(&name[1..], 8).ok().and_then(char::from_u32),
            _ => None,
        };
        let named = named.ok_or_else(|| (start, format!("\\{} is no character", brief(name))))?;
        Ok(Form::Text(named.into()))
    }
}
