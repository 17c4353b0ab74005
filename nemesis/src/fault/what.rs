//! What a fault does, for a person.

use super::{Cut, Fault, Links, Nodes, Way, clock, disk, list};
use crate::NodeId;
use crate::disk::Files;

impl Fault {
    /// What it does, for a person, while `leader` leads: `isolate n2 (the leader)`.
    pub fn what(&self, leader: Option<&NodeId>) -> String {
        let aim = |nodes: &Nodes| match (nodes, leader) {
            (Nodes::These(nodes), _) => list(nodes),
            (Nodes::Leader, Some(leader)) => format!("{leader} (the leader)"),
            (Nodes::Leader, None) => "the leader".to_owned(),
            (Nodes::Followers(_), Some(_)) => {
                format!("{} (followers)", list(&nodes.resolve(leader)))
            }
            (Nodes::Followers(_), None) => "followers".to_owned(),
        };
        let on = |nodes: &Nodes, files: &Files| match *files == Files::any() {
            true => aim(nodes),
            false => format!("{} ({files})", aim(nodes)),
        };
        let at = |links: &Links| links.shown(&aim(&links.of));
        match self {
            Fault::Kill { nodes } => format!("kill {}", aim(nodes)),
            Fault::Pause { nodes } => format!("pause {}", aim(nodes)),
            Fault::Slow { nodes, period_ms, running_percent } => {
                let nodes = aim(nodes);
                format!("{nodes} runs for {running_percent} % of every {period_ms} ms")
            }
            Fault::Restart { nodes } => format!("end {} in order", aim(nodes)),
            Fault::Outage { nodes } => format!("{} is gone for long", aim(nodes)),
            Fault::Partition { cut } => topology(cut, &aim),
            Fault::Flap { cut, period_ms } => {
                format!("{}, to and fro every {period_ms} ms", topology(cut, &aim))
            }
            Fault::Swizzle { cut, heal } => {
                format!("isolate one by one {}, heal one by one {}", list(cut), list(heal))
            }
            Fault::ClientPartition { nodes, way } => match way {
                Way::Both => format!("clients and {} cut off from each other", aim(nodes)),
                Way::Out => format!("clients do not hear {}", aim(nodes)),
                Way::In => format!("{} does not hear clients", aim(nodes)),
            },
            Fault::Delay { links, delay_us, jitter_us } => {
                format!("packets {} are {} late", at(links), late(*delay_us, *jitter_us))
            }
            Fault::Loss { links, share_ppm } => {
                format!("{} of packets {} vanish", percent(*share_ppm), at(links))
            }
            Fault::Duplicate { links, share_ppm } => {
                format!("{} of packets {} arrive twice", percent(*share_ppm), at(links))
            }
            Fault::Reorder { links, share_ppm, delay_us } => {
                let (share, by) = (percent(*share_ppm), late(*delay_us, 0));
                format!("{share} of packets {} overtake by {by}", at(links))
            }
            Fault::PacketCorrupt { links, share_ppm } => {
                format!("{} of packets {} are corrupted", percent(*share_ppm), at(links))
            }
            Fault::Rate { links, bytes_per_s } => {
                format!("links {} carry {bytes_per_s} bytes/s", at(links))
            }
            Fault::Reset { links, share_ppm } => {
                let share = percent(*share_ppm);
                format!("{share} of segments {} reset their connection", at(links))
            }
            Fault::SlowClients { nodes, delay_us, jitter_us, bytes_per_s } => {
                let rate = match bytes_per_s {
                    0 => String::new(),
                    rate => format!(", {rate} bytes/s"),
                };
                let late = late(*delay_us, *jitter_us);
                format!("packets between clients and {} are {late} late{rate}", aim(nodes))
            }
            Fault::ClockJump { nodes, wall_ms, monotonic_ms } => {
                format!(
                    "clocks of {} leap: {}",
                    aim(nodes),
                    clock::apart(wall_ms, monotonic_ms, "ms")
                )
            }
            Fault::ClockDrift { nodes, wall_ppm, monotonic_ppm } => {
                let gains = clock::apart(wall_ppm, monotonic_ppm, "ppm");
                format!("clocks of {} drift: {gains}", aim(nodes))
            }
            Fault::ClockStrobe { nodes, wall_ms, monotonic_ms, period_ms } => {
                let leaps = clock::apart(wall_ms, monotonic_ms, "ms");
                format!("clocks of {} strobe: {leaps}, every {period_ms} ms", aim(nodes))
            }
            Fault::PowerLoss { nodes, survivors, .. } => {
                format!("power loss of {}: {}", aim(nodes), disk::torn(*survivors))
            }
            Fault::FsyncDelay { nodes, files, delay_ms } => {
                format!("fsyncs of {} take {delay_ms} ms longer", on(nodes, files))
            }
            Fault::DiskFull { nodes, bytes_free } => {
                format!("disk of {} is full after {bytes_free} bytes", aim(nodes))
            }
            Fault::DiskError { nodes, files, access } => {
                format!("{} of {} fail with EIO", disk::access(*access), on(nodes, files))
            }
            Fault::LyingDisk { nodes, files } => {
                format!("disk of {} lies about fsync, then loses power", on(nodes, files))
            }
            Fault::Corrupt { nodes, files, corruption, .. } => {
                format!("files of {} go bad: {}", on(nodes, files), disk::corruption(*corruption))
            }
            Fault::MemberAdd { node } => format!("{node} joins"),
            Fault::MemberRemove { nodes } => format!("take {} out", aim(nodes)),
            Fault::MemberReplace { nodes } => format!("replace {}", aim(nodes)),
            Fault::Wipe { nodes } => format!("{} loses all that it stored", aim(nodes)),
            Fault::Learner { nodes } => format!("replace {} by a learner", aim(nodes)),
            Fault::MoveLeader { nodes } => {
                let leader = leader.map_or("the leader", |leader| leader.0.as_str());
                format!("{leader} hands over to one of {}", list(&nodes.resolve(None)))
            }
            Fault::Compact {} => "compact history".to_owned(),
            Fault::Defrag { nodes } => format!("defragment {}", aim(nodes)),
            Fault::Snapshot { nodes } => format!("save a snapshot of {}", aim(nodes)),
            Fault::Alarm { nodes } => format!("{} is said to have no space", aim(nodes)),
            Fault::Restore { nodes } => {
                format!("restore all from a snapshot of {}", aim(nodes))
            }
            Fault::RollingRestart { order } => format!("restart one by one {}", list(order)),
            Fault::Upgrade { order } => format!("upgrade one by one {}", list(order)),
        }
    }
}

/// A cut, with its targets as `aim` names them.
fn topology(cut: &Cut, aim: &impl Fn(&Nodes) -> String) -> String {
    match cut {
        Cut::Isolate(nodes) => format!("isolate {}", aim(nodes)),
        Cut::Groups(groups) => {
            let sizes = groups.iter().map(Vec::len);
            let uneven = sizes.clone().max().unwrap_or(0) > sizes.min().unwrap_or(0) + 1;
            let groups: Vec<String> = groups.iter().map(|group| list(group)).collect();
            format!("{} {}", if uneven { "split" } else { "halves" }, groups.join(" | "))
        }
        Cut::MajoritiesRing(ring) => format!("majorities ring {}", list(ring)),
        Cut::Bridge { over, left, right } => {
            format!("bridge over {over} between {} | {}", list(left), list(right))
        }
        Cut::OneWay(nodes) => format!("nobody hears {}", aim(nodes)),
    }
}

/// `20 ms`, `20 to 30 ms`, `1.5 ms`.
fn late(delay_us: u32, jitter_us: u32) -> String {
    let ms = |us: u64| us as f64 / 1000.0;
    let (least, most) = (u64::from(delay_us), u64::from(delay_us) + u64::from(jitter_us));
    if least == most {
        format!("{} ms", ms(least))
    } else {
        format!("{} to {} ms", ms(least), ms(most))
    }
}

/// `25 %`, `0.1 %`.
fn percent(ppm: u32) -> String {
    format!("{} %", (f64::from(ppm) / 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::With;

    #[test]
    fn network_faults_tell_where_and_how_much() {
        let ids = |numbers: &[usize]| -> Vec<NodeId> {
            numbers.iter().copied().map(NodeId::numbered).collect()
        };
        let links = |with, way| Links { of: Nodes::Leader, with, way };
        let rows = [
            (
                Fault::Delay {
                    links: links(With::Peers, Way::Both),
                    delay_us: 20_000,
                    jitter_us: 10_500,
                },
                "packets between n2 (the leader) and its peers are 20 to 30.5 ms late",
            ),
            (
                Fault::Loss { links: links(With::Clients, Way::Out), share_ppm: 250_000 },
                "25 % of packets from n2 (the leader) to the clients vanish",
            ),
            (
                Fault::Reset { links: links(With::These(ids(&[3])), Way::In), share_ppm: 1_000 },
                "0.1 % of segments from n3 to n2 (the leader) reset their connection",
            ),
            (
                Fault::Flap {
                    cut: Cut::Groups(vec![ids(&[1]), ids(&[2, 3, 4, 5])]),
                    period_ms: 300,
                },
                "split n1 | n2, n3, n4, n5, to and fro every 300 ms",
            ),
            (
                Fault::Outage { nodes: Nodes::Followers(ids(&[1, 2])) },
                "n1 (followers) is gone for long",
            ),
            (
                Fault::SlowClients {
                    nodes: Nodes::These(ids(&[1])),
                    delay_us: 1_000,
                    jitter_us: 0,
                    bytes_per_s: 9_000,
                },
                "packets between clients and n1 are 1 ms late, 9000 bytes/s",
            ),
        ];
        for (fault, what) in rows {
            assert_eq!(fault.what(Some(&NodeId::numbered(2))), what);
        }
    }
}
