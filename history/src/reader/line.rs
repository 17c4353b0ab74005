//! One line of the JSON-lines format, taken apart.

use crate::brief::brief;
use crate::json::{Parser, SyntaxError};
use crate::{EventType, Process, Value};
use std::borrow::Cow;

/// A string of a line: where it stands in the block, or a copy when it had escapes.
#[derive(Debug)]
pub(super) enum Text {
    Plain(u32, u32),
    Owned(Box<str>),
}

/// The object of an event.
#[derive(Debug)]
pub(super) enum Key {
    Absent,
    Name(Text),
    Other(Value),
}

/// A line taken apart; nothing is judged but its own grammar.
#[derive(Debug)]
pub(super) struct RawEvent {
    /// Bytes from the block's start to the line's.
    pub(super) start: u32,
    /// Line within the block, from 0.
    pub(super) line: u32,
    pub(super) index: u64,
    pub(super) time: u64,
    pub(super) process: Process,
    pub(super) kind: EventType,
    pub(super) f: Text,
    pub(super) key: Key,
    pub(super) value: Value,
    pub(super) actual: Option<Value>,
    pub(super) revision: Option<i64>,
    pub(super) version: Option<i64>,
    pub(super) node: Option<Text>,
    pub(super) error: Option<Text>,
}

/// The fields that were seen so far.
#[derive(Default)]
struct Fields {
    index: Option<u64>,
    time: Option<u64>,
    process: Option<Process>,
    kind: Option<EventType>,
    f: Option<Text>,
    key: Option<Key>,
    value: Option<Value>,
    actual: Option<Value>,
    revision: Option<Option<i64>>,
    version: Option<Option<i64>>,
    node: Option<Option<Text>>,
    error: Option<Option<Text>>,
}

/// Takes apart the line that spans `range` of `block`.
pub(super) fn parse(
    block: &[u8],
    range: std::ops::Range<usize>,
    line: u32,
) -> Result<RawEvent, SyntaxError> {
    // Positions stay those of the block, so that texts can be found again in it.
    let mut parser = Parser::new(&block[..range.end]);
    parser.at = range.start;
    parser.space();
    let open = parser.at;
    if parser.peek() != Some(b'{') {
        return parser.unexpected("`{`, the beginning of an event");
    }
    parser.at += 1;
    let mut fields = Fields::default();
    if !parser.take_if(b'}') {
        loop {
            field(&mut parser, &mut fields)?;
            if parser.take_if(b',') {
                continue;
            }
            if parser.take_if(b'}') {
                break;
            }
            return parser.unexpected("`,` or `}`");
        }
    }
    parser.end()?;
    finish(&parser, fields, range.start, line, open)
}

fn field(parser: &mut Parser<'_>, fields: &mut Fields) -> Result<(), SyntaxError> {
    parser.space();
    let at = parser.at;
    let name = parser.member_name()?;
    parser.space();
    let again = match name.as_ref() {
        "index" => fields.index.replace(whole(parser, "index")?).is_some(),
        "time" => fields.time.replace(whole(parser, "time")?).is_some(),
        "process" => fields.process.replace(process(parser)?).is_some(),
        "type" => fields.kind.replace(kind(parser)?).is_some(),
        "f" => fields.f.replace(text(parser, "`f` must be a string")?).is_some(),
        "key" => fields.key.replace(key(parser)?).is_some(),
        "value" => fields.value.replace(parser.value(1)?).is_some(),
        "actual" => fields.actual.replace(parser.value(1)?).is_some(),
        "revision" => fields.revision.replace(signed(parser, "revision")?).is_some(),
        "version" => fields.version.replace(signed(parser, "version")?).is_some(),
        "node" => fields.node.replace(optional_text(parser, "`node` must be a string")?).is_some(),
        "error" => fields.error.replace(error_text(parser)?).is_some(),
        _ => {
            parser.value(1)?;
            false
        }
    };
    if again {
        return parser.error_at(at, format!("the field `{}` stands here twice", brief(&name)));
    }
    Ok(())
}

fn finish(
    parser: &Parser<'_>,
    fields: Fields,
    start: usize,
    line: u32,
    open: usize,
) -> Result<RawEvent, SyntaxError> {
    let missing =
        |name: &str| SyntaxError { at: open, message: format!("the event has no `{name}`").into() };
    let process = fields.process.ok_or_else(|| missing("process"))?;
    // A note of the nemesis may say less: nobody judges it.
    let value = match (fields.value, process) {
        (Some(value), _) => value,
        (None, Process::Nemesis) => Value::Null,
        (None, Process::Client(_)) => return Err(missing("value")),
    };
    let Ok(start) = u32::try_from(start) else {
        return parser.error_at(start, "lines of more than 4 GiB cannot be read");
    };
    Ok(RawEvent {
        start,
        line,
        index: fields.index.ok_or_else(|| missing("index"))?,
        time: fields.time.ok_or_else(|| missing("time"))?,
        process,
        kind: fields.kind.ok_or_else(|| missing("type"))?,
        f: fields.f.ok_or_else(|| missing("f"))?,
        key: fields.key.unwrap_or(Key::Absent),
        value,
        actual: fields.actual,
        revision: fields.revision.flatten(),
        version: fields.version.flatten(),
        node: fields.node.flatten(),
        error: fields.error.flatten(),
    })
}

/// A whole number that is not negative and fits 64 bits.
fn whole(parser: &mut Parser<'_>, name: &str) -> Result<u64, SyntaxError> {
    let at = parser.at;
    let value = parser.value(1)?;
    let number = match &value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Number(text) => text.parse().ok(),
        _ => None,
    };
    match number {
        Some(number) => Ok(number),
        None => parser.error_at(
            at,
            format!(
                "`{name}` must be a whole number from 0 to {}, not {}",
                u64::MAX,
                value.brief()
            ),
        ),
    }
}

fn signed(parser: &mut Parser<'_>, name: &str) -> Result<Option<i64>, SyntaxError> {
    let at = parser.at;
    match parser.value(1)? {
        Value::Null => Ok(None),
        Value::Int(number) => Ok(Some(number)),
        value => parser.error_at(
            at,
            format!("`{name}` must be a whole number of 64 bits, not {}", value.brief()),
        ),
    }
}

fn process(parser: &mut Parser<'_>) -> Result<Process, SyntaxError> {
    let at = parser.at;
    match parser.value(1)? {
        Value::Int(number) => Ok(Process::Client(number)),
        Value::String(text) if &*text == "nemesis" => Ok(Process::Nemesis),
        value => parser.error_at(
            at,
            format!(
                "`process` must be a whole number of 64 bits or \"nemesis\", not {}",
                value.brief()
            ),
        ),
    }
}

fn kind(parser: &mut Parser<'_>) -> Result<EventType, SyntaxError> {
    let at = parser.at;
    let wrong = "`type` must be \"invoke\", \"ok\", \"fail\" or \"info\"";
    if parser.peek() != Some(b'"') {
        return parser.error_at(at, wrong);
    }
    match parser.string()?.as_ref() {
        "invoke" => Ok(EventType::Invoke),
        "ok" => Ok(EventType::Ok),
        "fail" => Ok(EventType::Fail),
        "info" => Ok(EventType::Info),
        _ => parser.error_at(at, wrong),
    }
}

fn text(parser: &mut Parser<'_>, wrong: &'static str) -> Result<Text, SyntaxError> {
    let at = parser.at;
    if parser.peek() != Some(b'"') {
        return parser.error_at(at, wrong);
    }
    Ok(match parser.string()? {
        Cow::Borrowed(text) => match (u32::try_from(at + 1), u32::try_from(text.len())) {
            (Ok(start), Ok(length)) => Text::Plain(start, length),
            _ => Text::Owned(text.into()),
        },
        Cow::Owned(text) => Text::Owned(text.into()),
    })
}

fn optional_text(
    parser: &mut Parser<'_>,
    wrong: &'static str,
) -> Result<Option<Text>, SyntaxError> {
    if parser.peek() == Some(b'n') {
        return parser.value(1).map(|_| None);
    }
    text(parser, wrong).map(Some)
}

/// Jepsen's errors may be any value; what is no string is kept as its JSON.
fn error_text(parser: &mut Parser<'_>) -> Result<Option<Text>, SyntaxError> {
    match parser.peek() {
        Some(b'"') => text(parser, "").map(Some),
        _ => Ok(match parser.value(1)? {
            Value::Null => None,
            value => Some(Text::Owned(value.to_string().into())),
        }),
    }
}

fn key(parser: &mut Parser<'_>) -> Result<Key, SyntaxError> {
    match parser.peek() {
        Some(b'"') => text(parser, "").map(Key::Name),
        _ => Ok(match parser.value(1)? {
            // `"key":null` is how some tools say that there is none.
            Value::Null => Key::Absent,
            value => Key::Other(value),
        }),
    }
}

/// Where in the line that spans `range` the value of `field` begins; the line's start if nowhere.
pub(super) fn locate(block: &[u8], range: std::ops::Range<usize>, field: &str) -> usize {
    let start = range.start;
    let mut parser = Parser::new(&block[..range.end]);
    parser.at = start;
    if parser.take(b'{').is_err() {
        return start;
    }
    while let Ok(name) = parser.member_name() {
        parser.space();
        if name == field {
            return parser.at;
        }
        if parser.value(1).is_err() || !parser.take_if(b',') {
            break;
        }
    }
    start
}
