//! Writes a history as JSON lines, whole lines only.

use crate::value::{write_string, write_value};
use crate::{Event, EventType, Process};
use std::fmt::{self, Write as _};
use std::io;

/// Writes events as they happen.
///
/// Each event is one call of the underlying `write`, so a process that is killed leaves whole
/// lines behind. Give it the file itself; a `BufWriter` around the file would cut lines.
///
/// ```
/// # use ordeal_history::{Event, EventType, Process, Value, Writer};
/// let mut writer = Writer::new(Vec::new());
/// let mut event = Event::new(0, 17, Process::Client(3), EventType::Invoke, "write");
/// event.value = Value::from(5);
/// writer.write(&event).unwrap();
/// assert_eq!(
///     writer.into_inner(),
///     b"{\"index\":0,\"time\":17,\"process\":3,\"type\":\"invoke\",\"f\":\"write\",\"value\":5}\n"
/// );
/// ```
#[derive(Debug)]
pub struct Writer<W: io::Write> {
    out: W,
    line: String,
}

impl<W: io::Write> Writer<W> {
    /// Writes to `out` from where it stands.
    pub fn new(out: W) -> Self {
        Writer { out, line: String::with_capacity(256) }
    }

    /// Writes one event as one line.
    ///
    /// Errors as the underlying writer does. The event's index is the caller's to keep.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        self.line.clear();
        write_event(event, &mut self.line).map_err(io::Error::other)?;
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes())
    }

    /// Flushes the underlying writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The underlying writer, to sync it.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// Gives the underlying writer back.
    pub fn into_inner(self) -> W {
        self.out
    }
}

impl EventType {
    /// The word that stands for it in a history.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::Invoke => "invoke",
            EventType::Ok => "ok",
            EventType::Fail => "fail",
            EventType::Info => "info",
        }
    }
}

fn write_event(event: &Event, out: &mut String) -> fmt::Result {
    write!(out, "{{\"index\":{},\"time\":{},\"process\":", event.index, event.time)?;
    match event.process {
        Process::Client(number) => write!(out, "{number}")?,
        Process::Nemesis => out.push_str("\"nemesis\""),
    }
    write!(out, ",\"type\":\"{}\",\"f\":", event.kind.as_str())?;
    write_string(&event.f, out)?;
    if let Some(key) = &event.key {
        out.push_str(",\"key\":");
        write_value(key, out)?;
    }
    out.push_str(",\"value\":");
    write_value(&event.value, out)?;
    if let Some(actual) = &event.actual {
        out.push_str(",\"actual\":");
        write_value(actual, out)?;
    }
    for (name, number) in [("revision", event.revision), ("version", event.version)] {
        if let Some(number) = number {
            write!(out, ",\"{name}\":{number}")?;
        }
    }
    for (name, text) in [("node", &event.node), ("error", &event.error)] {
        if let Some(text) = text {
            write!(out, ",\"{name}\":")?;
            write_string(text, out)?;
        }
    }
    out.push('}');
    Ok(())
}
