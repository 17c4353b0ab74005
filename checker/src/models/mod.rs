//! The models that histories can be held against. One file a model.

mod kv_append;
mod register;

pub use kv_append::{KvAppend, KvAppendOp};
pub use register::{FailedCas, Register, RegisterOp};
