//! Reads a history from JSON lines.
//!
//! The input is cut into blocks at line breaks; blocks are taken apart in parallel
//! ([`line`]), and their events are paired in order (`assemble`), so the first mistake of the
//! file is the one that is reported, with its line and column. Memory: the history, and a few
//! blocks.

mod line;

use crate::assemble::{Assembler, Broken, KeyPart, Parts};
use crate::{History, Malformed};
use line::{Key, RawEvent, Text};
use rayon::prelude::*;
use std::io::{self, Read};

/// Bytes of a block, unless one line is longer.
const BLOCK_BYTES: usize = 1 << 20;

/// The byte order mark that some editors put first.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// What may be forgiven.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// Forgive a last line that was cut: without its line break and not whole.
    pub partial: bool,
}

/// Why no history could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The input is no history.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Reads a history in the format of `history.jsonl`.
///
/// Blank lines, CRLF and a byte order mark are accepted, unknown fields are ignored; everything
/// else that is not a well-formed history is an error with its line and column. O(bytes).
///
/// ```
/// use ordeal_history::{ReadOptions, read_jsonl};
/// let text = r#"{"index":0,"time":1,"process":0,"type":"invoke","f":"read","value":null}"#;
/// let history = read_jsonl(text.as_bytes(), ReadOptions::default()).unwrap();
/// assert_eq!(history.operations.len(), 1);
/// ```
pub fn read_jsonl(input: impl Read, options: ReadOptions) -> Result<History, ReadError> {
    let mut source = Source { input, rest: Vec::new(), ended: false, lines: 0, first: true };
    let mut assembler = Assembler::default();
    let mut parsed: Vec<Parsed> = Vec::new();
    loop {
        let blocks = source.batch(2 * rayon::current_num_threads())?;
        let last = blocks.is_empty();
        let (next, done) = if blocks.len() > 1 {
            rayon::join(
                || blocks.into_par_iter().map(Block::parse).collect(),
                || assemble(&mut assembler, parsed, options),
            )
        } else {
            let done = assemble(&mut assembler, parsed, options);
            (blocks.into_iter().map(Block::parse).collect(), done)
        };
        done?;
        if last {
            return Ok(assembler.finish());
        }
        parsed = next;
    }
}

/// Line and column (in bytes, both from 1) of the value of an event of a history that was read.
///
/// `None` when there is no such event. O(bytes).
pub(crate) fn place(input: &[u8], event: u64) -> Option<(u64, u64)> {
    let mut start = 0;
    let lines = input.split(|&byte| byte == b'\n').map(|line| {
        let range = start..start + line.len();
        start = range.end + 1;
        range
    });
    let mark = if input.starts_with(MARK) { MARK.len() } else { 0 };
    let mut written = lines.enumerate().filter(|(number, range)| {
        let from = if *number == 0 { mark } else { range.start };
        !input[from..range.end].trim_ascii().is_empty()
    });
    let (number, range) = written.nth(usize::try_from(event).ok()?)?;
    let from = if number == 0 { mark } else { range.start };
    let at = line::locate(input, from..range.end, "value");
    Some((number as u64 + 1, (at - range.start) as u64 + 1))
}

/// Cuts the input into blocks.
struct Source<R> {
    input: R,
    /// The beginning of a line whose end has not been read.
    rest: Vec<u8>,
    ended: bool,
    lines: u64,
    first: bool,
}

impl<R: Read> Source<R> {
    /// Up to `count` blocks; none at the end of the input.
    fn batch(&mut self, count: usize) -> io::Result<Vec<Block>> {
        let mut blocks = Vec::with_capacity(count);
        while blocks.len() < count {
            match self.block()? {
                Some(block) => blocks.push(block),
                None => break,
            }
        }
        Ok(blocks)
    }

    fn block(&mut self) -> io::Result<Option<Block>> {
        let mut bytes = std::mem::take(&mut self.rest);
        let end = loop {
            if self.ended {
                break bytes.len();
            }
            let searched = bytes.len();
            let wanted = BLOCK_BYTES.max(searched);
            let read = (&mut self.input).take(wanted as u64).read_to_end(&mut bytes)?;
            self.ended = read < wanted;
            if self.ended {
                break bytes.len();
            }
            if let Some(at) = bytes[searched..].iter().rposition(|&byte| byte == b'\n') {
                break searched + at + 1;
            }
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        self.rest = Vec::with_capacity(BLOCK_BYTES + bytes.len() - end);
        self.rest.extend_from_slice(&bytes[end..]);
        bytes.truncate(end);
        let mark =
            if std::mem::take(&mut self.first) && bytes.starts_with(MARK) { MARK.len() } else { 0 };
        let lines_before = self.lines;
        self.lines += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        Ok(Some(Block { bytes, lines_before, skip: mark }))
    }
}

/// Whole lines of the input, and how many lines stand before them.
struct Block {
    bytes: Vec<u8>,
    lines_before: u64,
    /// Bytes of a byte order mark.
    skip: usize,
}

/// A block taken apart, up to its first mistake.
struct Parsed {
    block: Block,
    events: Vec<RawEvent>,
    mistake: Option<Mistake>,
}

struct Mistake {
    malformed: Malformed,
    /// The line has no line break: it may have been cut.
    open: bool,
}

impl Block {
    fn parse(self) -> Parsed {
        let mut events = Vec::with_capacity(self.bytes.len() / 100);
        let mut start = 0;
        let mut line = 0;
        let mut mistake = None;
        while start < self.bytes.len() {
            let range = self.line(start);
            let text = if start == 0 { range.start + self.skip..range.end } else { range.clone() };
            if !self.bytes[text.clone()].trim_ascii().is_empty() {
                match line::parse(&self.bytes, text, line) {
                    Ok(event) => events.push(event),
                    Err(error) => {
                        let message = error.message.into_owned();
                        let malformed = self.malformed(line, error.at - start, message);
                        mistake = Some(Mistake { malformed, open: range.end == self.bytes.len() });
                        break;
                    }
                }
            }
            start = range.end + 1;
            line += 1;
        }
        Parsed { block: self, events, mistake }
    }

    /// The line that begins at `start`, without its line break.
    fn line(&self, start: usize) -> std::ops::Range<usize> {
        let end = memchr(&self.bytes[start..]).map_or(self.bytes.len(), |length| start + length);
        start..end
    }

    fn malformed(&self, line: u32, column: usize, message: String) -> Malformed {
        Malformed {
            line: self.lines_before + u64::from(line) + 1,
            column: column as u64 + 1,
            message,
        }
    }

    fn text<'a>(&'a self, text: &'a Text) -> &'a str {
        match text {
            // The parser has seen that these bytes are UTF-8, so nothing is lost here.
            Text::Plain(start, length) => {
                let bytes = &self.bytes[*start as usize..][..*length as usize];
                std::str::from_utf8(bytes).unwrap_or_default()
            }
            Text::Owned(text) => text,
        }
    }
}

/// Position of the first line break.
fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

fn assemble(
    assembler: &mut Assembler,
    parsed: Vec<Parsed>,
    options: ReadOptions,
) -> Result<(), Malformed> {
    for Parsed { block, events, mistake } in parsed {
        for event in events {
            let (start, line) = (event.start as usize, event.line);
            if let Err(Broken { field, message }) = push(assembler, &block, event) {
                let line_start = if line == 0 { 0 } else { start };
                let at = line::locate(&block.bytes, block.line(start), field);
                return Err(block.malformed(line, at - line_start, message));
            }
        }
        if let Some(Mistake { malformed, open }) = mistake
            && !(open && options.partial)
        {
            return Err(malformed);
        }
    }
    Ok(())
}

fn push(assembler: &mut Assembler, block: &Block, event: RawEvent) -> Result<(), Broken> {
    assembler.push(Parts {
        index: event.index,
        time: event.time,
        process: event.process,
        kind: event.kind,
        f: block.text(&event.f),
        key: match event.key {
            Key::Absent => KeyPart::Absent,
            Key::Name(ref text) => KeyPart::Name(block.text(text)),
            Key::Other(value) => KeyPart::Other(value),
        },
        value: event.value,
        actual: event.actual,
        revision: event.revision,
        version: event.version,
        node: event.node.as_ref().map(|text| block.text(text)),
        error: event.error.as_ref().map(|text| block.text(text)),
    })
}
