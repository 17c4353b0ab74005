//! The example that `docs/workloads.md` points at does what it says.

#[path = "../examples/own_workload.rs"]
mod example;

#[test]
fn the_workload_of_ones_own_finds_the_tickets_that_were_drawn_twice() {
    example::main();
}

#[test]
fn it_is_one_file_of_fewer_than_150_lines() {
    assert!(include_str!("../examples/own_workload.rs").lines().count() < 150);
}
