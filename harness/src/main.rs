//! Puts an etcd-compatible store on trial.

fn main() {
    ordeal::sandbox::run_init_if_asked();
}
