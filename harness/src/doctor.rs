//! `ordeal doctor`: what this machine can do, each facility tried.
//!
//! Nothing is concluded from a version or a setting: namespaces are made, a TUN device is brought
//! up, a FUSE filesystem is mounted, another process' clocks are taken over, Docker is asked how it
//! is. What this leaves behind is nothing: it all happens in a sandbox that ends with it.

mod probe;

use crate::sandbox::{Facility, SandboxError};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io::Write as _;

/// What the doctor can be asked for.
#[derive(Args, Clone, Debug, Default)]
pub struct DoctorArgs {
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub json: bool,
}

/// Exit status when the sandbox does not work here.
const UNAVAILABLE: u8 = 69;

/// Whether a facility is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "found")]
enum Finding {
    /// It was tried and works.
    There,
    /// It was tried and does not.
    Missing {
        /// What was tried, and what the answer was.
        reason: String,
        /// What would give it.
        way_out: String,
    },
    /// It can only be tried in a sandbox, and there is none.
    Untried,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Row {
    /// The facility.
    name: &'static str,
    /// What Ordeal does with it.
    purpose: &'static str,
    /// Whether the sandbox needs it.
    required: bool,
    #[serde(flatten)]
    finding: Finding,
}

/// Tries each facility and prints what it found: 0 when the sandbox works here, 69 when not.
///
/// Must be called while the process has one thread, as [`enter`](crate::sandbox::enter).
pub fn run(args: DoctorArgs) -> u8 {
    let rows = examine();
    let text = if args.json { json(&rows) } else { table(&rows) };
    // Who does not want to hear it still gets the status.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if sandbox_works(&rows) { 0 } else { UNAVAILABLE }
}

fn sandbox_works(rows: &[Row]) -> bool {
    rows.iter().all(|row| !row.required || row.finding == Finding::There)
}

fn examine() -> Vec<Row> {
    let root = nix::unistd::geteuid().is_root();
    let (sandbox, inside) = match probe::inside() {
        Ok(inside) => (None, inside),
        Err(error) => (Some(error), probe::Inside::untried()),
    };
    let mut rows = vec![
        Row {
            name: "user namespaces",
            purpose: "a sandbox without root",
            // Root makes the other namespaces as it is.
            required: !root,
            finding: finding(probe::user_namespace()),
        },
        Row {
            name: "namespaces",
            purpose: "each node on a machine of its own",
            required: true,
            finding: of_entering(Facility::Namespaces, sandbox.as_ref()),
        },
        Row {
            name: "/proc of its own",
            purpose: "each node sees its own processes",
            required: true,
            finding: of_entering(Facility::Proc, sandbox.as_ref()),
        },
    ];
    let row = |name, purpose, required, finding| Row { name, purpose, required, finding };
    rows.extend([
        row(
            "TUN devices",
            "the network of nodes and clients: cuts, delay, loss, resets",
            true,
            inside.tun,
        ),
        row("FUSE", "disk faults: power loss, lost fsyncs, errors", false, inside.fuse),
        row("clocks of a process", "clock faults: jumps and drift", false, inside.clocks),
        row("Docker", "--env docker: each node in a container", false, probe::docker()),
        row("ssh", "--env ssh: each node on a host of its own", false, probe::ssh()),
    ]);
    rows
}

/// What an attempt to enter the sandbox says of one of the facilities that it needs.
fn of_entering(facility: Facility, error: Option<&SandboxError>) -> Finding {
    match error {
        None => Finding::There,
        Some(SandboxError::Missing { facility: missing, .. }) if *missing != facility => {
            // Facilities are tried in order: the ones before the first that failed are there.
            if *missing == Facility::Proc { Finding::There } else { Finding::Untried }
        }
        Some(error) => of_error(error),
    }
}

fn finding(tried: Result<(), SandboxError>) -> Finding {
    tried.map_or_else(|error| of_error(&error), |()| Finding::There)
}

fn of_error(error: &SandboxError) -> Finding {
    match error {
        SandboxError::Missing { what, source, way_out, .. } => Finding::Missing {
            reason: format!("{what} failed: {source}"),
            way_out: way_out.clone(),
        },
        other => Finding::Missing {
            reason: other.to_string(),
            way_out: "run it on another machine".into(),
        },
    }
}

fn json(rows: &[Row]) -> String {
    let object = serde_json::json!({ "sandbox": sandbox_works(rows), "facilities": rows });
    format!("{object:#}\n")
}

fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for Row { name, purpose, finding, .. } in rows {
        let mark = match finding {
            Finding::There => "yes",
            Finding::Missing { .. } => "no",
            Finding::Untried => "?",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{mark:<4}{name:<width$}  {purpose}");
        if let Finding::Missing { reason, way_out } = finding {
            let _ = writeln!(text, "    {:width$}  {reason}", "");
            let _ = writeln!(text, "    {:width$}  way out: {way_out}", "");
        }
    }
    let missing = |row: &&Row| row.required && row.finding != Finding::There;
    match rows.iter().find(missing) {
        None => text.push_str("\nThe sandbox works here: ordeal run\n"),
        Some(row) => {
            let _ = writeln!(text, "\nThe sandbox does not work here, for want of {}.", row.name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let row = |name, purpose, required, finding| Row { name, purpose, required, finding };
        let missing = Finding::Missing {
            reason: "opening /dev/net/tun failed: No such file".into(),
            way_out: "modprobe tun".into(),
        };
        vec![
            row("namespaces", "machines", true, Finding::There),
            row("TUN devices", "networks", true, missing),
            row("FUSE", "disks", false, Finding::Untried),
        ]
    }

    #[test]
    fn the_table_says_what_is_missing_and_what_would_give_it() {
        assert_eq!(
            table(&rows()),
            "yes namespaces   machines\n\
             no  TUN devices  networks\n\
             \x20                opening /dev/net/tun failed: No such file\n\
             \x20                way out: modprobe tun\n\
             ?   FUSE         disks\n\
             \n\
             The sandbox does not work here, for want of TUN devices.\n"
        );
        assert!(table(&rows()[..1]).ends_with("\nThe sandbox works here: ordeal run\n"));
    }

    #[test]
    fn only_what_is_required_decides() {
        let mut rows = rows();
        assert!(!sandbox_works(&rows));
        rows[1].finding = Finding::There;
        assert!(sandbox_works(&rows));
    }

    #[test]
    fn the_json_has_the_same_and_is_whole() {
        let value: serde_json::Value = serde_json::from_str(&json(&rows())).unwrap();
        assert_eq!(value["sandbox"], false);
        assert_eq!(value["facilities"][0]["found"], "there");
        assert_eq!(value["facilities"][1]["found"], "missing");
        assert_eq!(value["facilities"][1]["way_out"], "modprobe tun");
        assert_eq!(value["facilities"][2]["found"], "untried");
    }
}
