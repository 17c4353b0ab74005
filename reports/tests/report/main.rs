//! What a person reads of a run, and that nothing from outside can harm it.

mod browser;
mod hostile;
mod index;
#[path = "../../examples/made_up/mod.rs"]
mod made_up;
mod page;
mod results;
mod text;
mod trace;
