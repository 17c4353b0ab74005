use super::*;
use crate::{Cut, Fault, Nodes, With};
use rand_chacha::rand_core::SeedableRng;

fn nodes(count: usize) -> Vec<NodeId> {
    (1..=count).map(NodeId::numbered).collect()
}

fn schedule(kinds: &[Kind], count: usize, time_limit_ms: u64, seed: u64) -> Schedule {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let asked: Vec<Asked> = kinds.iter().copied().map(Asked::from).collect();
    generate(&asked, count, time_limit_ms, &mut rng)
}

fn generate(asked: &[Asked], count: usize, time_limit_ms: u64, rng: &mut ChaCha8Rng) -> Schedule {
    let spares = [NodeId::numbered(count + 1)];
    let cluster = Cluster { nodes: &nodes(count), spares: &spares };
    Schedule::generate(asked, cluster, time_limit_ms, rng)
}

#[test]
fn every_kind_asked_for_strikes_and_all_is_over_before_the_end() {
    let rows = [
        (20_000, 5, Kind::ALL.to_vec()),
        (5_000, 5, Kind::ALL.to_vec()),
        (1_000, 3, Kind::ALL.to_vec()),
        (30_000, 3, vec![Kind::Partition]),
        (60_000, 7, vec![Kind::Kill, Kind::Pause]),
    ];
    for (time_limit_ms, count, kinds) in rows {
        for seed in 0..300 {
            let schedule = schedule(&kinds, count, time_limit_ms, seed);
            assert_eq!(schedule.kinds(), kinds, "seed {seed}, {time_limit_ms} ms");
            let end_ms = schedule.0.iter().map(|f| f.at_ms + f.for_ms).max().unwrap_or(0);
            assert!(end_ms < time_limit_ms, "seed {seed}: {end_ms} of {time_limit_ms} ms");
        }
    }
}

#[test]
fn the_same_kind_never_overlaps_itself() {
    for seed in 0..300 {
        let schedule = schedule(&Kind::ALL, 5, 60_000, seed);
        for kind in Kind::ALL {
            let mine: Vec<&ScheduledFault> =
                schedule.0.iter().filter(|fault| fault.fault.kind() == kind).collect();
            for pair in mine.windows(2) {
                assert!(pair[0].at_ms + pair[0].for_ms <= pair[1].at_ms, "seed {seed}");
            }
        }
    }
}

#[test]
fn faults_of_a_run_of_twenty_seconds_outlast_an_election() {
    for seed in 0..300 {
        for fault in schedule(&Kind::ALL, 5, 20_000, seed).0 {
            match fault.fault.kind() {
                Kind::Outage => assert!(fault.for_ms > FAULT_MS_MAX, "{fault:?}"),
                // As long as it takes.
                Kind::Upgrade => {}
                _ => assert!((FAULT_MS_MIN..=FAULT_MS_MAX).contains(&fault.for_ms), "{fault:?}"),
            }
        }
    }
}

#[test]
fn the_first_fault_of_each_kind_that_must_be_survived_strikes_the_leader() {
    for seed in 0..100 {
        let schedule = schedule(&Kind::survivable(), 5, 20_000, seed);
        // A swizzle has an order of its own.
        let aimed = |kind: &Kind| kind.can_be_aimed() && *kind != Kind::Swizzle;
        for kind in Kind::survivable().into_iter().filter(aimed) {
            let first = schedule.0.iter().find(|fault| fault.fault.kind() == kind);
            assert!(first.is_some_and(|f| f.fault.wants_leader()), "seed {seed}: {first:?}");
        }
    }
}

#[test]
fn a_seed_names_one_schedule() {
    let (one, two) = (schedule(&Kind::ALL, 5, 20_000, 7), schedule(&Kind::ALL, 5, 20_000, 7));
    assert_eq!(one, two);
    assert_ne!(one, schedule(&Kind::ALL, 5, 20_000, 8));
}

#[test]
fn kinds_that_need_more_nodes_are_left_out_and_none_gives_none() {
    let alone: Vec<Kind> = Kind::ALL.into_iter().filter(|k| k.nodes_min() == 1).collect();
    assert!(!alone.contains(&Kind::Partition));
    assert_eq!(schedule(&Kind::ALL, 1, 20_000, 1).kinds(), alone);
    assert_eq!(schedule(&[], 5, 20_000, 1), Schedule::default());
    assert_eq!(schedule(&Kind::ALL, 5, 0, 1), Schedule::default());
}

/// Some of what must be drawn in the long run; every kind is, besides.
const EVERYTHING: [&str; 25] = [
    "kill the leader",
    "kill followers",
    "kill these",
    "pause the leader",
    "pause these",
    "partition isolate the leader",
    "partition isolate these",
    "partition halves",
    "partition third",
    "partition ring",
    "partition bridge",
    "partition one-way the leader",
    "partition one-way these",
    "flap ring",
    "clock-jump back",
    "clock-jump ahead",
    "clock-drift back",
    "clock-drift ahead",
    "client-partition Both",
    "client-partition Out",
    "client-partition In",
    "loss peers Both",
    "loss peers Out",
    "loss clients In",
    "delay clients Both",
];

fn aim(nodes: &Nodes) -> &'static str {
    match nodes {
        Nodes::Leader => "the leader",
        Nodes::Followers(_) => "followers",
        Nodes::These(_) => "these",
    }
}

fn topology(cut: &Cut) -> String {
    match cut {
        Cut::Isolate(nodes) => format!("isolate {}", aim(nodes)),
        Cut::Groups(groups) if groups[0].len() == 1 => "third".to_owned(),
        Cut::Groups(_) => "halves".to_owned(),
        Cut::MajoritiesRing(_) => "ring".to_owned(),
        Cut::Bridge { .. } => "bridge".to_owned(),
        Cut::OneWay(nodes) => format!("one-way {}", aim(nodes)),
    }
}

/// A fault by its kind, and by its target or topology.
fn named(fault: &Fault) -> String {
    let more = match fault {
        Fault::Kill { nodes } | Fault::Pause { nodes } => aim(nodes).to_owned(),
        Fault::Partition { cut } | Fault::Flap { cut, .. } => topology(cut),
        Fault::ClockJump { wall_ms: ahead, .. } | Fault::ClockDrift { wall_ppm: ahead, .. } => {
            if *ahead < 0 { "back" } else { "ahead" }.to_owned()
        }
        Fault::ClientPartition { way, .. } => format!("{way:?}"),
        Fault::Delay { links, .. } | Fault::Loss { links, .. } => {
            let with = if links.with == With::Clients { "clients" } else { "peers" };
            format!("{with} {:?}", links.way)
        }
        _ => String::new(),
    };
    format!("{} {more}", fault.kind())
}

#[test]
fn kinds_that_get_in_each_others_way_are_apart_in_a_run_of_a_minute() {
    for seed in 0..100 {
        let faults = schedule(&Kind::survivable(), 5, 60_000, seed).0;
        let firsts: Vec<&ScheduledFault> = Kind::survivable()
            .iter()
            .filter_map(|kind| faults.iter().find(|fault| fault.fault.kind() == *kind))
            .collect();
        for (one, two) in firsts.iter().flat_map(|one| firsts.iter().map(move |two| (one, two))) {
            let (first, second) = (one.fault.kind(), two.fault.kind());
            let apart = APART.iter().any(|apart| apart.contains(&first) && apart.contains(&second));
            let overlap = one.at_ms < two.at_ms + two.for_ms && two.at_ms < one.at_ms + one.for_ms;
            assert!(first == second || !apart || !overlap, "seed {seed}: {one:?} {two:?}");
        }
    }
}

#[test]
fn every_topology_and_every_target_is_drawn_in_the_long_run() {
    let mut seen = std::collections::BTreeSet::new();
    let mut minority = 0;
    let mut faults = 0;
    for seed in 0..400 {
        for fault in schedule(&Kind::ALL, 5, 60_000, seed).0 {
            faults += 1;
            minority += u32::from(fault.fault.strikes(None).len() <= 2);
            seen.insert(named(&fault.fault));
            assert_eq!(fault.fault.mistake(), None, "{:?}", fault.fault);
        }
    }
    let missing: Vec<&str> = EVERYTHING.into_iter().filter(|name| !seen.contains(*name)).collect();
    assert_eq!(missing, [] as [&str; 0], "{seen:?}");
    assert!(minority * 10 > faults * 7, "{minority} of {faults} strike a minority");
}

#[test]
fn a_schedule_survives_json() -> Result<(), serde_json::Error> {
    let schedule = schedule(&Kind::ALL, 5, 60_000, 3);
    let text = serde_json::to_string(&schedule)?;
    assert_eq!(serde_json::from_str::<Schedule>(&text)?, schedule);
    Ok(())
}

/// The faults of one kind that are drawn when it is asked for like this.
fn drawn(text: &str, seed: u64) -> Vec<ScheduledFault> {
    let asked: Vec<Asked> =
        text.split(',').map(|one| one.parse().expect("it can be asked for")).collect();
    generate(&asked, 5, 60_000, &mut ChaCha8Rng::seed_from_u64(seed)).0
}

#[test]
fn a_fault_strikes_whom_it_was_asked_for_and_waits_for_what() {
    let leader = NodeId::numbered(2);
    let rows: [(&str, &[usize]); 13] = [
        ("kill@one", &[1]),
        ("pause@minority", &[1, 2]),
        ("restart@majority", &[3]),
        ("power-loss@all", &[5]),
        ("partition@followers", &[4]),
        ("flap@leader", &[1]),
        ("swizzle@n1+n3", &[2]),
        ("loss@n1+n3", &[2]),
        ("clock-jump@leader", &[1]),
        ("member-remove@followers", &[4]),
        ("wipe@majority", &[1]),
        ("snapshot@n5", &[1]),
        ("move-leader@n3", &[1]),
    ];
    for (text, counts) in rows {
        for seed in 0..20 {
            let faults = drawn(text, seed);
            assert!(faults.len() > 3, "{text}: {faults:?}");
            for ScheduledFault { fault, when, .. } in faults {
                let struck = fault.strikes(Some(&leader));
                assert!(counts.contains(&struck.len()), "{text}: {fault:?}");
                assert_eq!((when, fault.mistake()), (None, None), "{text}: {fault:?}");
                let (is_led, followers) = (struck.contains(&leader), text.contains("followers"));
                assert!(!text.contains("@leader") || is_led, "{text}: {fault:?}");
                assert!(!followers || !is_led, "{text}: {fault:?}");
            }
        }
    }
    let waiting = drawn("kill@leader:election,pause", 1);
    assert!(
        waiting.iter().all(|fault| { fault.when.is_some() == (fault.fault.kind() == Kind::Kill) })
    );
}

#[test]
fn what_weighs_more_is_drawn_more_often_and_the_rest_all_the_same() {
    let (mut kills, mut pauses) = (0, 0);
    for seed in 0..30 {
        let faults = drawn("kill=6,pause", seed);
        let count = |kind| faults.iter().filter(|fault| fault.fault.kind() == kind).count();
        kills += count(Kind::Kill);
        pauses += count(Kind::Pause);
        assert!(count(Kind::Pause) > 0, "seed {seed}");
    }
    assert!(kills > 2 * pauses, "{kills} and {pauses}");
}

#[test]
fn new_members_come_only_from_spares() {
    let asked = [Asked::from(Kind::MemberAdd)];
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let nodes = nodes(3);
    let cluster = Cluster { nodes: &nodes, spares: &[] };
    assert_eq!(Schedule::generate(&asked, cluster, 20_000, &mut rng), Schedule::default());
}
