//! A strict reader of JSON text (RFC 8259) that knows where it stands.
//!
//! Our own, because a history's numbers are compared exactly at any size, an error must name its
//! byte, and strings that are only names should not be copied. Nesting is bounded, so no input can
//! exhaust the stack.

use crate::Value;
use crate::brief::brief;
use crate::number;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Arrays and objects may stand this deep in each other.
pub(crate) const DEPTH_MAX: usize = 128;

/// What is wrong with a text, and at which byte of it (from 0).
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) at: usize,
    pub(crate) message: Cow<'static, str>,
}

/// A position in a text.
pub(crate) struct Parser<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

type Parsed<T> = Result<T, SyntaxError>;

impl<'a> Parser<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Parser { bytes, at: 0 }
    }

    pub(crate) fn error<T>(&self, message: impl Into<Cow<'static, str>>) -> Parsed<T> {
        self.error_at(self.at, message)
    }

    pub(crate) fn error_at<T>(
        &self,
        at: usize,
        message: impl Into<Cow<'static, str>>,
    ) -> Parsed<T> {
        Err(SyntaxError { at, message: message.into() })
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes `byte`, after blanks, or says that it was expected.
    pub(crate) fn take(&mut self, byte: u8) -> Parsed<()> {
        self.space();
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        self.unexpected(&format!("`{}`", char::from(byte)))
    }

    /// Takes `byte`, after blanks, if it is there.
    pub(crate) fn take_if(&mut self, byte: u8) -> bool {
        self.space();
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    #[cold]
    pub(crate) fn unexpected<T>(&self, wanted: &str) -> Parsed<T> {
        match self.peek() {
            None => self.error(format!("the text ends where {wanted} was expected")),
            Some(byte @ 0x21..=0x7e) => {
                self.error(format!("expected {wanted}, found `{}`", char::from(byte)))
            }
            Some(byte) => self.error(format!("expected {wanted}, found byte 0x{byte:02x}")),
        }
    }

    /// Nothing but blanks may follow.
    pub(crate) fn end(&mut self) -> Parsed<()> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { self.unexpected("the end") }
    }

    /// Any value, `depth` levels below the top.
    pub(crate) fn value(&mut self, depth: usize) -> Parsed<Value> {
        self.space();
        match self.peek() {
            Some(b'"') => Ok(Value::String(match self.string()? {
                Cow::Borrowed(text) => text.into(),
                Cow::Owned(text) => text.into(),
            })),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            _ => self.unexpected("a value"),
        }
    }

    fn word(&mut self, word: &'static str, value: Value) -> Parsed<Value> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        self.error(format!("expected `{word}`"))
    }

    fn descend(&mut self, depth: usize) -> Parsed<()> {
        if depth >= DEPTH_MAX {
            return self.error(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        self.at += 1;
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Parsed<Value> {
        self.descend(depth)?;
        let mut items = smallvec::SmallVec::<[Value; 4]>::new();
        if !self.take_if(b']') {
            loop {
                items.push(self.value(depth + 1)?);
                if self.take_if(b']') {
                    break;
                }
                if !self.take_if(b',') {
                    return self.unexpected("`,` or `]`");
                }
            }
        }
        Ok(Value::Array(items.into_iter().collect()))
    }

    fn object(&mut self, depth: usize) -> Parsed<Value> {
        self.descend(depth)?;
        let mut members = BTreeMap::<Arc<str>, Value>::new();
        if !self.take_if(b'}') {
            loop {
                let at = self.at;
                let name = self.member_name()?;
                let value = self.value(depth + 1)?;
                if members.insert(name.as_ref().into(), value).is_some() {
                    return self
                        .error_at(at, format!("the member `{}` stands here twice", brief(&name)));
                }
                if self.take_if(b'}') {
                    break;
                }
                if !self.take_if(b',') {
                    return self.unexpected("`,` or `}`");
                }
            }
        }
        Ok(Value::Object(Arc::new(members)))
    }

    /// A member's name and the colon after it.
    pub(crate) fn member_name(&mut self) -> Parsed<Cow<'a, str>> {
        self.space();
        if self.peek() != Some(b'"') {
            return self.unexpected("a member's name in quotes");
        }
        let name = self.string()?;
        self.take(b':')?;
        Ok(name)
    }

    /// A number; whole ones of up to 18 digits without a detour.
    pub(crate) fn number(&mut self) -> Parsed<Value> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let first = self.at;
        let mut size = 0_i64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            size = size.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        let digits = self.at - first;
        if digits == 0 {
            return self.unexpected("a digit");
        }
        if digits > 1 && self.bytes[first] == b'0' {
            return self.error_at(first, "a number may not begin with a zero");
        }
        if digits <= 18 && !matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Ok(Value::Int(if negative { -size } else { size }));
        }
        self.number_slow(start)
    }

    /// The rest of the number that began at `start` and whose whole part was read.
    #[cold]
    fn number_slow(&mut self, start: usize) -> Parsed<Value> {
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let text: String = self.bytes[start..self.at].iter().map(|&b| char::from(b)).collect();
        number::canonical(&text)
            .map_err(|message| SyntaxError { at: start, message: message.into() })
    }

    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.unexpected("a digit") } else { Ok(()) }
    }

    /// A string whose opening quote is next; borrowed when it has no escapes.
    pub(crate) fn string(&mut self) -> Parsed<Cow<'a, str>> {
        let open = self.at;
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = self.utf8(start)?;
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => return self.string_with_escapes(open, start),
                Some(0x20..) => self.at += 1,
                Some(_) => return self.error("a control character in a string must be escaped"),
                None => return self.error_at(open, "the string has no closing quote"),
            }
        }
    }

    /// The bytes from `start` to here, as text.
    fn utf8(&self, start: usize) -> Parsed<&'a str> {
        let bytes: &'a [u8] = self.bytes;
        std::str::from_utf8(&bytes[start..self.at]).map_err(|error| SyntaxError {
            at: start + error.valid_up_to(),
            message: "these bytes are no UTF-8".into(),
        })
    }

    #[cold]
    fn string_with_escapes(&mut self, open: usize, start: usize) -> Parsed<Cow<'a, str>> {
        let mut text = self.utf8(start)?.to_owned();
        loop {
            let plain = self.at;
            while matches!(self.peek(), Some(byte) if byte >= 0x20 && byte != b'"' && byte != b'\\')
            {
                self.at += 1;
            }
            text.push_str(self.utf8(plain)?);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return self.error("a control character in a string must be escaped"),
                None => return self.error_at(open, "the string has no closing quote"),
            }
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        let kind = self.bytes.get(start + 1).copied();
        self.at = (start + 2).min(self.bytes.len());
        Ok(match kind {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = self.hex4()?;
                let code = if (0xd800..0xdc00).contains(&high)
                    && self.bytes[self.at..].starts_with(b"\\u")
                {
                    self.at += 2;
                    let low = self.hex4()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return self.error_at(start, "half of a surrogate pair is no character");
                    }
                    0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                } else {
                    high
                };
                match char::from_u32(code) {
                    Some(character) => character,
                    None => {
                        return self.error_at(start, "half of a surrogate pair is no character");
                    }
                }
            }
            _ => return self.error_at(start, "there is no such escape"),
        })
    }

    fn hex4(&mut self) -> Parsed<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            match digit {
                Some(digit) => code = code * 16 + digit,
                None => return self.unexpected("a hexadecimal digit"),
            }
            self.at += 1;
        }
        Ok(code)
    }
}
