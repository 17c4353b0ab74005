//! The pages in a real browser: what is seen, what the keyboard does, and what must never run.

mod chromium;
mod page;
mod runs;
