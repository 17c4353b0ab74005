use super::tests::{play, text, these};
use crate::{Cut, Fault, Links, NodeId, Nodes, Way, With};
use ordeal_history::Value;

fn between(of: usize, far: usize) -> Links {
    Links { of: these(&[of]), with: With::These(vec![NodeId::numbered(far)]), way: Way::Out }
}

fn delay(links: Links, delay_us: u32) -> Fault {
    Fault::Delay { links, delay_us, jitter_us: 0 }
}

#[test]
fn links_are_shaped_and_made_perfect_again_and_what_they_carried_is_told() {
    let links = Links { of: Nodes::Leader, with: With::Clients, way: Way::Both };
    let (told, notes) = play(Some(2), None, 60_000, vec![(500, 1_000, delay(links, 20_000))]);
    assert_eq!(
        told,
        ["500 20000 us 0 ppm n2>clients clients>n2", "1500 0 us 0 ppm n2>clients clients>n2"]
    );
    let what = "packets between n2 (the leader) and the clients are 20 ms late";
    assert_eq!(notes[0].1["what"], text(what));
    assert_eq!(notes[1].1["landed"], Value::Bool(true));
    let expected = r#"{"bytes":200000,"carried":2000,"delayed":2000,"dropped":0}"#;
    assert_eq!(notes[1].1["seen"].to_string(), expected);
}

#[test]
fn a_fault_whose_effect_no_packet_had_has_not_landed() {
    let loss = Fault::Loss { links: between(1, 2), share_ppm: 5 };
    let (_, notes) = play(None, None, 60_000, vec![(0, 1_000, loss)]);
    assert_eq!(notes[1].1["landed"], Value::Bool(false));
    assert_eq!(notes[1].0, "loss");
}

#[test]
fn shapes_that_overlap_are_put_together_and_undone_one_by_one() {
    let loss = Fault::Loss { links: between(1, 2), share_ppm: 9 };
    let faults = vec![
        (0, 1_000, delay(between(1, 2), 20)),
        (500, 1_000, delay(between(1, 2), 3)),
        (700, 100, loss),
    ];
    let (told, _) = play(None, None, 60_000, faults);
    let expected = [
        "0 20 us 0 ppm n1>n2",
        "500 23 us 0 ppm n1>n2",
        "700 23 us 9 ppm n1>n2",
        "800 23 us 0 ppm n1>n2",
        "1000 3 us 0 ppm n1>n2",
        "1500 0 us 0 ppm n1>n2",
    ];
    assert_eq!(told, expected);
}

#[test]
fn links_that_flap_are_cut_and_healed_until_it_is_over() {
    let flap = Fault::Flap { cut: Cut::OneWay(these(&[1])), period_ms: 200 };
    let (told, notes) = play(None, None, 60_000, vec![(0, 450, flap)]);
    let links = "n1>n2 n1>n3";
    let verbs = ["0 cut", "100 heal", "200 cut", "300 heal", "400 cut", "450 heal"];
    assert_eq!(told, verbs.map(|verb| format!("{verb} {links}")));
    assert_eq!(notes[1].1["seen"].to_string(), r#"{"dropped":6}"#);
}

#[test]
fn a_link_that_flaps_and_is_cut_by_another_fault_too_carries_when_both_let_it() {
    let flap = Fault::Flap { cut: Cut::OneWay(these(&[1])), period_ms: 200 };
    let cut = Fault::Partition { cut: Cut::OneWay(these(&[1])) };
    let (told, _) = play(None, None, 60_000, vec![(0, 450, flap), (50, 200, cut)]);
    assert_eq!(told[0], "0 cut n1>n2 n1>n3");
    assert!(!told.iter().any(|told| told.starts_with("100 heal n1")), "{told:?}");
    let heals: Vec<&str> =
        told.iter().filter(|told| told.contains("heal n1")).map(String::as_str).collect();
    assert_eq!(heals, ["300 heal n1>n2 n1>n3", "450 heal n1>n2 n1>n3"]);
}

#[test]
fn a_swizzle_isolates_one_by_one_and_heals_one_by_one() {
    let ids = |numbers: [usize; 2]| numbers.map(NodeId::numbered).to_vec();
    let swizzle = Fault::Swizzle { cut: ids([1, 3]), heal: ids([1, 3]) };
    let (told, notes) = play(None, None, 60_000, vec![(0, 400, swizzle)]);
    assert_eq!(
        told,
        [
            "0 cut n1>n2 n1>n3 n2>n1 n3>n1",
            "100 cut n2>n3 n3>n2",
            "200 heal n1>n2 n2>n1",
            "300 heal n1>n3 n2>n3 n3>n1 n3>n2",
        ]
    );
    assert_eq!(notes[1].1["seen"].to_string(), r#"{"dropped":6}"#);
    assert_eq!(notes[1].1["landed"], Value::Bool(true));
}

#[test]
fn a_slow_node_stops_and_runs_by_turns() {
    let slow = Fault::Slow { nodes: these(&[1]), period_ms: 100, running_percent: 20 };
    let (told, notes) = play(None, None, 60_000, vec![(0, 250, slow)]);
    let expected = [
        "0 pause n1",
        "80 resume n1",
        "100 pause n1",
        "180 resume n1",
        "200 pause n1",
        "250 resume n1",
    ];
    assert_eq!(told, expected);
    assert_eq!(notes[1].1["seen"].to_string(), r#"{"stopped":["n1"],"times":3}"#);
}

#[test]
fn a_slow_node_that_is_paused_too_stands_still_until_the_pause_is_over() {
    let slow = Fault::Slow { nodes: these(&[1]), period_ms: 100, running_percent: 50 };
    let pause = Fault::Pause { nodes: these(&[1]) };
    let (told, _) = play(None, None, 60_000, vec![(0, 390, slow), (70, 150, pause)]);
    let expected = [
        "0 pause n1",
        "50 resume n1",
        "70 pause n1",
        "250 resume n1",
        "300 pause n1",
        "350 resume n1",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_restart_tells_who_ended_when_asked_and_who_had_to_be_killed() {
    let restart = Fault::Restart { nodes: these(&[1, 2]) };
    let (told, notes) = play(None, None, 60_000, vec![(0, 100, restart)]);
    assert_eq!(told, ["0 terminate n1", "0 terminate n2", "100 start n1", "100 start n2"]);
    let seen = notes[1].1["seen"].to_string();
    assert_eq!(seen, r#"{"ended":["n1"],"killed":["n2"]}"#);
    let outage = Fault::Outage { nodes: Nodes::Followers(vec![NodeId::numbered(3)]) };
    let (told, notes) = play(Some(1), None, 60_000, vec![(0, 9_000, outage)]);
    assert_eq!(told, ["0 kill n3", "9000 start n3"]);
    assert_eq!(notes[0].1["what"], text("n3 (followers) is gone for long"));
}

#[test]
fn a_fault_that_waits_for_a_leader_holds_up_no_other() {
    let kill = || Fault::Kill { nodes: these(&[1]) };
    let leader = Fault::Pause { nodes: Nodes::Leader };
    let (told, notes) = play(None, None, 60_000, vec![(0, 900, kill()), (100, 1_000, leader)]);
    assert_eq!(told, ["0 kill n1", "900 start n1"]);
    assert_eq!(notes[2].1["error"], text("no node led for 3000 ms"));
}
