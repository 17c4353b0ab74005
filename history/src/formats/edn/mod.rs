//! A reader of EDN, as far as Jepsen and its relatives write it.
//!
//! The crates on the registry each fail on real Jepsen files: bignums (`7N`), `##NaN`, characters,
//! tagged objects (`#object[…]`), records (`#jepsen.history.Op{…}`), several forms in one file.
//! This one reads them all, into [`Form`]s: tags, records' names and metadata are dropped, but for
//! `jepsen.independent/tuple`, which makes a tuple. `##NaN`, `##Inf` and ratios, which JSON does
//! not have, become strings.
//!
//! Nothing is evaluated, and nesting is bounded, so that no text can exhaust the stack.

mod number;
mod text;

use super::form::Form;
use crate::brief::brief;

/// Nesting this deep is refused: a history needs ten levels at most. What is read here must be
/// readable as JSON too.
pub(super) const DEPTH_MAX: usize = 128;

/// Where in the text something is wrong (in bytes), and what.
pub(super) type Fault = (usize, String);

/// Reads forms one after the other.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Reader { text, at: 0 }
    }

    /// The offset of the next byte to be read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next form, or `None` at the end of the text.
    pub(super) fn next_form(&mut self) -> Result<Option<Form>, Fault> {
        self.skip_blank(0)?;
        if self.peek().is_none() { Ok(None) } else { self.form(0).map(Some) }
    }

    /// Goes on at byte `at`, which must be a character's first.
    pub(super) fn skip_to(&mut self, at: usize) {
        debug_assert!(self.text.is_char_boundary(at));
        self.at = at;
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes one byte that has been peeked, which must be ASCII.
    pub(super) fn bump(&mut self) {
        self.at += 1;
    }

    /// Skips blanks, commas, comments and discarded forms.
    pub(super) fn skip_blank(&mut self, depth: usize) -> Result<(), Fault> {
        while let Some(byte) = self.peek() {
            match byte {
                b';' => self.skip_line(),
                b'#' if self.rest().starts_with("#_") => {
                    let start = self.at;
                    bounded(depth + 1, start)?;
                    self.at += 2;
                    self.skip_blank(depth + 1)?;
                    self.form(depth + 1)?;
                }
                b'#' if self.rest().starts_with("#!") => self.skip_line(),
                _ if is_blank(byte) => self.at += 1,
                _ => break,
            }
        }
        Ok(())
    }

    /// Skips the tag of a whole history (`#jepsen.history.DenseHistory [`), a `#` being next;
    /// false, and nothing skipped, if what follows is no tagged vector or list.
    pub(super) fn skip_collection_tag(&mut self) -> bool {
        let len = 1 + self.tag_len();
        let after = self.rest()[len..].trim_start();
        let found = len > 1 && after.starts_with(['[', '(']);
        self.at += if found { len } else { 0 };
        found
    }

    fn tag_len(&self) -> usize {
        let rest = &self.rest()[1..];
        let starts_well = rest.starts_with(|c: char| c.is_alphabetic());
        if starts_well { rest.find(is_delimiter).unwrap_or(rest.len()) } else { 0 }
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn form(&mut self, depth: usize) -> Result<Form, Fault> {
        let start = self.at;
        bounded(depth, start)?;
        match self.peek() {
            None => Err((self.at, "the text ends where a form should stand".into())),
            Some(b'[') => self.sequence(b']', depth).map(Form::Seq),
            Some(b'(') => self.sequence(b')', depth).map(Form::Seq),
            Some(b'{') => self.map(depth, None),
            Some(b'"') => self.string().map(Form::Text),
            Some(b'\\') => self.character(),
            Some(b'#') => self.dispatch(depth),
            Some(b'^') => {
                self.at += 1;
                self.skip_blank(depth)?;
                self.form(depth + 1)?;
                self.skip_blank(depth)?;
                self.form(depth + 1)
            }
            Some(byte @ (b']' | b')' | b'}')) => {
                Err((start, format!("{} closes nothing here", char::from(byte))))
            }
            Some(_) => self.atom(),
        }
    }

    /// The forms up to `close`, the opening bracket being next.
    fn sequence(&mut self, close: u8, depth: usize) -> Result<Vec<Form>, Fault> {
        let open = self.at;
        self.at += 1;
        let mut forms = Vec::new();
        loop {
            self.skip_blank(depth)?;
            match self.peek() {
                None => return Err((open, "this bracket is never closed".into())),
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(forms);
                }
                Some(_) => forms.push(self.form(depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize, namespace: Option<&str>) -> Result<Form, Fault> {
        let open = self.at;
        let forms = self.sequence(b'}', depth)?;
        if forms.len() % 2 == 1 {
            return Err((open, "this map has a key without a value".into()));
        }
        let mut members = Vec::with_capacity(forms.len() / 2);
        let mut forms = forms.into_iter();
        while let (Some(key), Some(value)) = (forms.next(), forms.next()) {
            let key = match (key, namespace) {
                (Form::Text(name), Some(space)) if !name.contains('/') => {
                    Form::Text(format!("{space}/{name}"))
                }
                (key, _) => key,
            };
            members.push((key, value));
        }
        Ok(Form::Map(members))
    }

    /// What begins with `#`: a set, a tagged form or record, `##NaN`, a namespaced map, a regex.
    fn dispatch(&mut self, depth: usize) -> Result<Form, Fault> {
        let start = self.at;
        let rest = &self.rest()[1..];
        if rest.starts_with('{') {
            self.at += 1;
            return self.sequence(b'}', depth).map(Form::Set);
        }
        if rest.starts_with('"') {
            return self.regex();
        }
        if let Some(symbol) = rest.strip_prefix('#') {
            let len = symbol.find(is_delimiter).unwrap_or(symbol.len());
            self.at += 2 + len;
            return match &symbol[..len] {
                name @ ("NaN" | "Inf" | "-Inf") => Ok(Form::Text(format!("##{name}"))),
                name => {
                    let name = brief(name);
                    Err((start, format!("##{name} is none of ##NaN, ##Inf and ##-Inf")))
                }
            };
        }
        if let Some(space) = rest.strip_prefix(':') {
            let len = space.find(is_delimiter).unwrap_or(space.len());
            self.at += 2 + len;
            self.skip_blank(depth)?;
            return match self.peek() {
                Some(b'{') => self.map(depth + 1, Some(space[..len].trim_start_matches(':'))),
                _ => Err((start, "a namespace such as #:name must stand before a map".into())),
            };
        }
        self.tagged(depth)
    }

    fn tagged(&mut self, depth: usize) -> Result<Form, Fault> {
        let start = self.at;
        let len = self.tag_len();
        if len == 0 {
            return Err((start, "after # a tag, a set or one of ##NaN, ##Inf must follow".into()));
        }
        let tag = &self.text[start + 1..start + 1 + len];
        self.at += 1 + len;
        self.skip_blank(depth)?;
        let form = self.form(depth + 1)?;
        // Older versions named the record that holds the pair, newer ones tag a vector.
        if !matches!(tag, "jepsen.independent/tuple" | "jepsen.independent.Tuple") {
            return Ok(form);
        }
        match form {
            Form::Seq(pair) => match <[Form; 2]>::try_from(pair) {
                Ok([key, value]) => Ok(Form::Tuple(Box::new((key, value)))),
                Err(_) => Err((start, "a tuple has exactly a key and a value".into())),
            },
            other => Err((start, format!("a tuple is a vector [key value], not {}", other.kind()))),
        }
    }

    /// A number, keyword, symbol, `nil`, `true` or `false`.
    fn atom(&mut self) -> Result<Form, Fault> {
        let start = self.at;
        let rest = self.rest();
        let len = token_len(rest);
        let token = &rest[..len];
        self.at += len;
        let after_sign = token.strip_prefix(['+', '-']).unwrap_or(token);
        if after_sign.starts_with(|c: char| c.is_ascii_digit()) {
            return number::read(token)
                .ok_or_else(|| (start, format!("{} is no number", brief(token))));
        }
        Ok(match token {
            "nil" => Form::Nil,
            "true" => Form::Bool(true),
            "false" => Form::Bool(false),
            "" | ":" => return Err((start, "a keyword or symbol needs a name".into())),
            _ => Form::Text(token.strip_prefix(':').unwrap_or(token).into()),
        })
    }
}

fn bounded(depth: usize, at: usize) -> Result<(), Fault> {
    if depth >= DEPTH_MAX {
        return Err((at, format!("forms nested {DEPTH_MAX} deep or deeper are not read")));
    }
    Ok(())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | 0x0b | 0x0c)
}

/// Bytes before the first delimiter. ASCII, which is nearly all there is, byte by byte.
pub(super) fn token_len(text: &str) -> usize {
    for (at, &byte) in text.as_bytes().iter().enumerate() {
        if !byte.is_ascii() {
            return text.find(is_delimiter).unwrap_or(text.len());
        }
        if ASCII_DELIMITERS[usize::from(byte)] {
            return at;
        }
    }
    text.len()
}

/// [`is_delimiter`] for each byte that is a character.
const ASCII_DELIMITERS: [bool; 128] = {
    let mut table = [false; 128];
    let delimiters = b"()[]{}\";\\, \t\r\n\x0b\x0c";
    let mut at = 0;
    while at < delimiters.len() {
        table[delimiters[at] as usize] = true;
        at += 1;
    }
    table
};

pub(super) fn is_delimiter(c: char) -> bool {
    matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | '"' | ';' | '\\' | ',') || c.is_whitespace()
}
