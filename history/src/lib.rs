//! Histories of concurrent operations: the types, and the file formats.
//!
//! A **history** is what clients saw: for each operation the moment of its invocation and, if it
//! came, the moment and the outcome of its completion. The order of the events in the file is the
//! only order that counts; times are for people and for plots.
//!
//! Deliberately absent: any judgement (that is `ordeal-checker`), any file access (readers and
//! writers take `Read` and `Write`), any clock.

mod assemble;
mod brief;
mod event;
pub mod formats;
mod json;
mod number;
mod operation;
mod reader;
mod value;
mod writer;

pub use event::{Event, EventType, Process};
pub use operation::{History, Malformed, Operation, Outcome};
pub use reader::{ReadError, ReadOptions, read_jsonl};
pub use value::Value;
pub use writer::Writer;
