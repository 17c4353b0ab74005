//! An embedded Raft KV that speaks etcd v3, with switchable bugs.
