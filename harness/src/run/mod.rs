//! `ordeal run`: one test.

mod client;
pub mod course;
pub mod environment;
pub mod flag;
mod pace;
pub mod progress;
pub mod record;

#[cfg(test)]
mod tests;
