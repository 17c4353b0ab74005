//! The tests, seen from outside.

use crate::outside::{Finished, Hold, Probe, expect_gone, expect_no_trace, family};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::Pid;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A user that owns nothing.
const NOBODY: u32 = 65_533;

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        /// Every test by its name.
        pub const ALL: &[(&str, fn())] = &[$((stringify!($name), $name)),*];
    };
}

tests![
    the_bodys_value_is_the_status,
    a_body_that_panics_is_a_failure_of_ours,
    nodes_and_clients_talk_over_tcp,
    a_cut_is_silent_and_of_one_direction_and_heals,
    pause_resume_kill_and_terminate_do_what_they_say,
    what_cannot_be_started_is_refused_with_the_reason,
    a_node_sees_its_own_machine_and_inherits_nothing,
    orphans_are_reaped_and_children_are_left_to_their_parent,
    a_nodes_clocks_are_its_own_and_outlive_its_process,
    a_nodes_disk_loses_its_power_and_can_be_broken,
    faults_of_links_are_seen_from_inside_with_figures,
    faults_of_processes_are_seen_from_inside_with_figures,
    kill_9_of_any_of_the_three_leaves_nothing,
    an_interrupt_of_the_whole_group_reaches_the_body_once,
    a_second_interrupt_ends_at_once,
    an_interrupt_that_nobody_handles_ends_the_body,
    two_sandboxes_side_by_side_do_not_see_each_other,
    many_sandboxes_in_a_row_leave_nothing,
    signals_that_were_ignored_before_do_no_harm,
    an_ordinary_user_can_do_it_and_owns_the_files,
    where_user_namespaces_are_forbidden_the_message_says_so,
    where_there_is_no_tun_device_the_message_says_so,
    the_doctor_finds_what_the_other_tests_found,
    the_doctor_names_what_is_missing_and_how_to_get_it,
    so_much_goes_through,
];

fn passes(probe: &str) -> Finished {
    let finished = Probe::start(probe).finish();
    finished.expect_status(0);
    finished
}

fn the_bodys_value_is_the_status() {
    Probe::start("forty-two").finish().expect_status(42);
}

fn a_body_that_panics_is_a_failure_of_ours() {
    let finished = Probe::start("panic").finish();
    finished.expect_status(70);
    assert!(finished.errors.contains("on purpose"), "{}", finished.errors);
}

fn nodes_and_clients_talk_over_tcp() {
    passes("talk");
}

fn a_cut_is_silent_and_of_one_direction_and_heals() {
    passes("cut");
}

fn pause_resume_kill_and_terminate_do_what_they_say() {
    passes("lives");
}

fn what_cannot_be_started_is_refused_with_the_reason() {
    passes("starts");
}

fn a_node_sees_its_own_machine_and_inherits_nothing() {
    passes("surroundings");
}

fn orphans_are_reaped_and_children_are_left_to_their_parent() {
    passes("orphans");
}

fn so_much_goes_through() {
    passes("throughput");
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("it is there");
}

/// Outer, init, supervisor, and three nodes, of which one is stopped.
fn a_nodes_clocks_are_its_own_and_outlive_its_process() {
    passes("clocks");
}

fn a_nodes_disk_loses_its_power_and_can_be_broken() {
    passes("disks");
}

fn faults_of_links_are_seen_from_inside_with_figures() {
    passes("links");
}

fn faults_of_processes_are_seen_from_inside_with_figures() {
    passes("processes");
}

fn kill_9_of_any_of_the_three_leaves_nothing() {
    for (victim, name, status) in [(0, "outer", 128 + 9), (1, "init", 70), (2, "supervisor", 70)] {
        let mut probe = Probe::start("idle");
        probe.expect_line("ready");
        let family = family(probe.pid());
        assert_eq!(family.len(), 6, "{name}: {family:?}");
        let hold = Hold::of(&family);
        // Those of the sandbox: mnt, pid, net, ipc, uts at least; and as many of each node.
        assert!(hold.namespaces.len() >= 4 * 5, "{name}: {:?}", hold.namespaces);
        send(family[victim], Signal::SIGKILL);
        expect_gone(&family[1..]);
        let finished = probe.finish();
        finished.expect_status(status);
        expect_no_trace(&hold, finished.folder.path());
        let said = finished.errors.contains("nothing of it is left");
        assert_eq!(said, victim > 0, "{name}: {}", finished.errors);
    }
}

/// As a terminal does it: every process of the foreground group gets the signal.
fn an_interrupt_of_the_whole_group_reaches_the_body_once() {
    let mut probe = Probe::start("interrupts");
    probe.expect_line("ready");
    send(-probe.pid(), Signal::SIGINT);
    probe.expect_line("interrupt");
    // The body answers this one with the number of the others.
    send(probe.pid(), Signal::SIGTERM);
    probe.finish().expect_status(1);
}

fn a_second_interrupt_ends_at_once() {
    let mut probe = Probe::start("interrupts");
    probe.expect_line("ready");
    let family = family(probe.pid());
    send(-probe.pid(), Signal::SIGINT);
    probe.expect_line("interrupt");
    send(-probe.pid(), Signal::SIGINT);
    probe.finish().expect_status(130);
    expect_gone(&family);
}

fn an_interrupt_that_nobody_handles_ends_the_body() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut probe = Probe::start("idle");
        probe.expect_line("ready");
        send(-probe.pid(), signal);
        probe.finish().expect_status(130);
    }
}

fn two_sandboxes_side_by_side_do_not_see_each_other() {
    let both = [Probe::start("talk"), Probe::start("cut")];
    for probe in both {
        probe.finish().expect_status(0);
    }
}

fn many_sandboxes_in_a_row_leave_nothing() {
    for _ in 0..20 {
        let finished = passes("nothing");
        expect_no_trace(&Hold::of(&[]), finished.folder.path());
    }
}

/// As a shell starts what it puts in the background, and as some runners of jobs start everything.
fn signals_that_were_ignored_before_do_no_harm() {
    let ignoring = |probe: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", r#"trap "" CHLD INT TERM; exec "$0" __probe "$1" "$2""#]);
        command.arg(std::env::current_exe().expect("this program"));
        command.arg(probe).arg(folder.path());
        Probe::spawn(command, folder)
    };
    ignoring("lives").finish().expect_status(0);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut probe = ignoring("idle");
        probe.expect_line("ready");
        send(probe.pid(), signal);
        probe.finish().expect_status(130);
    }
}

/// A folder with a copy of this program, which a user may run who may not enter the build's folder.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe().expect("this program"), &program).expect("a copy");
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("its owner");
    folder
}

/// The program in the folder, as nobody.
fn as_nobody(folder: &Path) -> Command {
    let mut command = Command::new(folder.join("program"));
    // With the user the supplementary groups go, too.
    command.uid(NOBODY).gid(NOBODY).current_dir(folder);
    command
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("(not root: the other tests have run as an ordinary user already)");
    }
    root
}

fn an_ordinary_user_can_do_it_and_owns_the_files() {
    if !is_root() {
        return;
    }
    for probe in ["talk", "lives", "surroundings"] {
        let folder = open_folder();
        let tun = folder.path().join("tun");
        mknod(&tun, SFlag::S_IFCHR, Mode::empty(), makedev(10, 200)).expect("a device");
        std::fs::set_permissions(&tun, Permissions::from_mode(0o666)).expect("its owner");
        let mut command = as_nobody(folder.path());
        command.args(["__probe", probe]).arg(folder.path()).env("ORDEAL_TUN", &tun);
        let finished = Probe::spawn(command, folder).finish();
        finished.expect_status(0);
        let log = finished.folder.path().join("n1.log").metadata().expect("a log");
        assert_eq!((log.uid(), log.gid()), (NOBODY, NOBODY));
    }
}

fn where_user_namespaces_are_forbidden_the_message_says_so() {
    if !is_root() {
        return;
    }
    let folder = open_folder();
    let mut command = Command::new(folder.path().join("program"));
    command.arg("__forbidden").arg(folder.path());
    let finished = Probe::spawn(command, folder).finish();
    finished.expect_status(69);
    for part in ["needs user namespaces", "Operation not permitted", "a machine that allows them"] {
        assert!(finished.errors.contains(part), "{part}: {}", finished.errors);
    }
}

fn where_there_is_no_tun_device_the_message_says_so() {
    for (tun, part) in [
        ("/no/such/tun", "opening /no/such/tun failed: No such file"),
        ("/dev/null", "making a TUN device failed"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["__probe", "nothing"]).arg(folder.path()).env("ORDEAL_TUN", tun);
        let finished = Probe::spawn(command, folder).finish();
        finished.expect_status(69);
        for part in [part, "needs TUN devices", "a machine that allows them"] {
            assert!(finished.errors.contains(part), "{part}: {}", finished.errors);
        }
    }
}

fn doctor(tun: Option<&str>) -> (Option<i32>, serde_json::Value, String) {
    let run = |args: &[&str]| {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(args);
        tun.map(|tun| command.env("ORDEAL_TUN", tun));
        command.output().expect("it runs")
    };
    let (table, json) = (run(&["__doctor"]), run(&["__doctor", "json"]));
    assert_eq!(table.status, json.status);
    let value = serde_json::from_slice(&json.stdout).expect("an object");
    (table.status.code(), value, String::from_utf8_lossy(&table.stdout).into_owned())
}

fn the_doctor_finds_what_the_other_tests_found() {
    let (status, value, table) = doctor(None);
    assert_eq!(status, Some(0), "{table}");
    assert_eq!(value["sandbox"], true);
    for facility in value["facilities"].as_array().expect("rows") {
        if facility["required"] == true {
            assert_eq!(facility["found"], "there", "{facility}");
        }
        let line = format!(" {}", facility["purpose"].as_str().expect("a purpose"));
        assert!(table.contains(&line), "{line}: {table}");
    }
    print!("{table}");
}

fn the_doctor_names_what_is_missing_and_how_to_get_it() {
    let (status, value, table) = doctor(Some("/no/such/tun"));
    assert_eq!(status, Some(69), "{table}");
    assert_eq!(value["sandbox"], false);
    assert!(table.contains("opening /no/such/tun failed: No such file"), "{table}");
    assert!(table.contains("way out: modprobe tun, and where the device has no name"), "{table}");
    assert!(table.ends_with("does not work here, for want of TUN devices.\n"), "{table}");
}
