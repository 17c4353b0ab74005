//! The models that histories can be held against. One file a model.

mod counter;
pub mod etcd_store;
mod kv_append;
mod multi_register;
mod mutex;
mod queue;
mod register;
mod set;

pub use counter::{Counter, CounterOp};
pub use etcd_store::EtcdStore;
pub use kv_append::{KvAppend, KvAppendOp};
pub use multi_register::{MultiRegister, TxnStep};
pub use mutex::{Mutex, MutexOp};
pub use queue::{Queue, QueueOp, Stack};
pub use register::{FailedCas, Register, RegisterOp};
pub use set::{Set, SetOp};
