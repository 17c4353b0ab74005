//! The users of a cluster that asks for them: root, clients, workers whose rights change, and those
//! of a rollout: an operator, and some who may only read.

use crate::{AuthChange, Grant, Login, Rights, after};

/// Under which all workloads keep their keys.
const EVERYTHING: &str = "ordeal/";
/// Under which the configuration lies that is rolled out.
pub(crate) const ROLLOUT: &str = "ordeal/rollout/";
/// How many users the clients share.
const CLIENTS: usize = 3;
/// How many users there are whose rights are changed.
pub(crate) const WORKERS: usize = 3;

fn login(user: String) -> Login {
    let password = format!("{user}'s password");
    Login { user, password }
}

/// The user who may do everything.
pub fn root() -> Login {
    login("root".to_owned())
}

/// The user that the clients of this slot are. Root is nobody's.
pub fn client(slot: usize) -> Login {
    login(format!("client-{}", slot % CLIENTS))
}

/// A user whose rights are changed while it works.
pub(crate) fn worker(number: usize) -> Login {
    login(format!("worker-{}", number % WORKERS))
}

/// The role that such a user has.
pub(crate) fn role_of(number: usize) -> String {
    format!("work-{}", number % WORKERS)
}

/// The user who changes the configuration that is rolled out.
pub(crate) fn operator() -> Login {
    login("operator".to_owned())
}

/// The users who read it, and may not write it.
pub(crate) fn readers() -> Vec<Login> {
    ["provisioner", "dhcp", "machine"].map(|name| login(name.to_owned())).into()
}

/// What makes all of them, in this order, on a cluster that knows no user. The last one enables
/// the asking.
///
/// Clients may read and write all that workloads use, by a role that they share and, for half of
/// the keys, by one of their own: so rights are merged.
pub fn setup() -> Vec<AuthChange> {
    let mut changes = vec![
        AuthChange::UserAdd(root()),
        AuthChange::RoleAdd("root".to_owned()),
        grant_role(&root(), "root"),
        AuthChange::RoleAdd("clients".to_owned()),
        AuthChange::RoleGrant { role: "clients".to_owned(), grant: from(EVERYTHING) },
    ];
    for number in 0..CLIENTS {
        let (client, role) = (client(number), format!("client-{number}"));
        let half = Grant { range_end: b"ordeal/m".to_vec(), ..from(EVERYTHING) };
        changes.extend([
            AuthChange::UserAdd(client.clone()),
            grant_role(&client, "clients"),
            AuthChange::RoleAdd(role.clone()),
            AuthChange::RoleGrant { role: role.clone(), grant: half },
            grant_role(&client, &role),
        ]);
    }
    for number in 0..WORKERS {
        let (worker, role) = (worker(number), role_of(number));
        changes.extend([
            AuthChange::UserAdd(worker.clone()),
            AuthChange::RoleAdd(role.clone()),
            grant_role(&worker, &role),
        ]);
    }
    let rollout = |rights| Grant {
        rights,
        key: ROLLOUT.as_bytes().to_vec(),
        range_end: after(ROLLOUT.as_bytes()),
    };
    let reads = readers().into_iter().map(|reader| (reader, Rights::Read));
    for (login, rights) in reads.chain([(operator(), Rights::ReadWrite)]) {
        let role = format!("rollout-{}", login.user);
        changes.extend([
            AuthChange::UserAdd(login.clone()),
            AuthChange::RoleAdd(role.clone()),
            AuthChange::RoleGrant { role: role.clone(), grant: rollout(rights) },
            grant_role(&login, &role),
        ]);
    }
    changes.push(AuthChange::Enable);
    changes
}

/// All keys from this one on: requests may ask for a range without an end.
fn from(key: &str) -> Grant {
    Grant { rights: Rights::ReadWrite, key: key.as_bytes().to_vec(), range_end: vec![0] }
}

fn grant_role(login: &Login, role: &str) -> AuthChange {
    AuthChange::UserGrantRole { user: login.user.clone(), role: role.to_owned() }
}
