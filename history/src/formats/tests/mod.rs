//! Rows of text and what is read from them.

mod edn_forms;
mod histories;
mod properties;
mod recorded;
