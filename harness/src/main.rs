//! Puts an etcd-compatible store on trial.

fn main() {}
