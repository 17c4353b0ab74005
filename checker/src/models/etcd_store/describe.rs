//! Requests and answers in words, to stand after who it was: "put a = 1".

use super::StoreOp;
use super::request::{KeyValue, Put, Range, Request, Seen, SeenKv, Span, Txn};
use super::store::Response;
use std::fmt::{self, Display};

impl Display for StoreOp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answer {
            None => write!(out, "{}", self.request)?,
            Some(Err(refusal)) => write!(out, "{} and was refused ({refusal})", self.request)?,
            Some(Ok(seen)) => write!(out, "{}{}", self.request, Told(seen))?,
        }
        self.revision.map_or(Ok(()), |revision| write!(out, " at revision {revision}"))
    }
}

impl Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.key, &*self.end) {
            (key, "") => write!(out, "{key}"),
            ("\0", "\0") => write!(out, "every key"),
            (key, "\0") => write!(out, "every key from {key} on"),
            (key, end) => write!(out, "the keys from {key} to {end}"),
        }
    }
}

impl Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Range(range) => write!(out, "{range}"),
            Request::Put(put) => write!(out, "{put}"),
            Request::Delete(delete) => write!(out, "deleted {}", delete.span),
            Request::Txn(txn) => write!(out, "{txn}"),
            Request::Compact(revision) => write!(out, "compacted up to revision {revision}"),
        }
    }
}

impl Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.count_only { "counted" } else { "read" };
        write!(out, "{what} {}", self.span)?;
        if self.revision > 0 {
            write!(out, " as of revision {}", self.revision)?;
        }
        if self.limit > 0 {
            write!(out, ", {} at most", self.limit)?;
        }
        Ok(())
    }
}

impl Display for Put {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Put { key, value, lease, .. } = self;
        match self.ignore_value {
            true => write!(out, "put {key} again")?,
            false => write!(out, "put {key} = {value}")?,
        }
        if *lease != 0 { write!(out, " with lease {lease}") } else { Ok(()) }
    }
}

impl Display for Txn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |out: &mut fmt::Formatter<'_>, ops: &[Request]| {
            ops.iter().enumerate().try_for_each(|(place, op)| {
                let comma = if place > 0 { ", " } else { "" };
                write!(out, "{comma}{op}")
            })
        };
        write!(out, "ran a transaction of {} conditions (then: ", self.compares.len())?;
        list(out, &self.success)?;
        write!(out, "; else: ")?;
        list(out, &self.failure)?;
        write!(out, ")")
    }
}

/// What an answer told beside the request.
struct Told<'a>(&'a Seen);

impl Display for Told<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Seen::Range { kvs: Some(kvs), count, .. } if !kvs.is_empty() || count.is_none() => {
                let shown: Vec<String> = kvs.iter().map(SeenKv::to_string).collect();
                let shown = if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") };
                write!(out, " and saw {shown}")
            }
            Seen::Range { count: Some(count), .. } => write!(out, " and was told of {count} keys"),
            Seen::Range { .. } | Seen::Compact | Seen::Put { prev_kv: None } => Ok(()),
            Seen::Put { prev_kv: Some(kv) } => write!(out, " in place of {kv}"),
            Seen::Delete { deleted, .. } => write!(out, " ({deleted} of them were there)"),
            Seen::Txn { succeeded, responses } => {
                write!(out, ", which {}", if *succeeded { "succeeded" } else { "failed" })?;
                responses.iter().try_for_each(|response| write!(out, "{}", Told(response)))
            }
        }
    }
}

impl Display for SeenKv {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.key)?;
        if let Some(value) = &self.value {
            write!(out, " = {value}")?;
        }
        let details = [("mod", self.modified), ("version", self.version), ("created", self.create)];
        let known = details.iter().filter_map(|(name, number)| Some((name, (*number)?)));
        let known: Vec<String> = known.map(|(name, number)| format!("{name} {number}")).collect();
        if known.is_empty() { Ok(()) } else { write!(out, " ({})", known.join(", ")) }
    }
}

impl Display for KeyValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyValue { key, value, create, modified, version, .. } = self;
        write!(out, "{key} = {value} (mod {modified}, version {version}, created {create})")
    }
}

/// The answer alone: "a = 1 (mod 2, version 1, created 2)".
impl Display for Response {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Response::Range(ranged) => {
                let shown: Vec<String> =
                    ranged.found.iter().take(ranged.shown).map(KeyValue::to_string).collect();
                let s = if ranged.count == 1 { "" } else { "s" };
                let list = if shown.is_empty() { String::new() } else { shown.join(", ") + ", " };
                write!(out, "{list}{} key{s} in all", ranged.count)
            }
            Response::Put { prev_kv: None } | Response::Compact => write!(out, "done"),
            Response::Put { prev_kv: Some(kv) } => write!(out, "done, in place of {kv}"),
            Response::Delete { deleted, prev_kvs } => {
                write!(out, "{deleted} deleted")?;
                prev_kvs.iter().try_for_each(|kv| write!(out, ", {kv}"))
            }
            Response::Txn { succeeded, responses } => {
                write!(out, "{}", if *succeeded { "success" } else { "failure" })?;
                responses.iter().try_for_each(|response| write!(out, "; {response}"))
            }
        }
    }
}
