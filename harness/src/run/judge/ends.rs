//! What must hold after every run, whatever its clients did: members are equal, revisions never
//! went down. Each is a line of its own in the verdict.

use crate::run::course::Course;
use ordeal_checker::{Cost, Counterexample, Judgement, Verdict, Witness};
use ordeal_history::{History, Operation, Outcome, Value};
use ordeal_nemesis::NodeId;
use ordeal_reports::Difference;
use ordeal_workloads::etcd::Inspected;
use std::collections::{BTreeMap, BTreeSet};

/// So many things that members do not hold alike are told.
const DIFFERENCES_MAX: usize = 1_000;

/// The operations whose answers name the revision of a moment within them.
const LINEARIZABLE: [&str; 9] =
    ["read", "write", "cas", "put", "get", "add", "txn", "range", "delete-range"];

/// What two members differ in: the line's name, what is compared, and how it reads.
struct Aspect {
    name: &'static str,
    what: &'static str,
    of: fn(&Inspected) -> String,
}

const ASPECTS: [Aspect; 4] = [
    Aspect {
        name: "members-equal",
        what: "keys",
        of: |node| {
            let (hash, compacted) = (node.hash.hash, node.hash.compact_revision);
            format!("revision {}, hash {hash:08x} since revision {compacted}", node.revision)
        },
    },
    Aspect { name: "leases-equal", what: "leases", of: |node| listed(&node.contents.leases) },
    Aspect { name: "auth-equal", what: "users and roles", of: |node| listed(&node.contents.auth) },
    Aspect { name: "membership-equal", what: "members", of: |node| listed(&node.contents.members) },
];

fn listed<T: std::fmt::Debug>(items: &BTreeSet<T>) -> String {
    format!("{} {items:?}", items.len())
}

/// What members hold, when all faults are over and clients rest; those in `failed` may differ.
pub fn equality(course: &Course, failed: &BTreeSet<NodeId>) -> Vec<Judgement> {
    let Some(survey) = &course.survey else {
        // Cut short, or nobody answered: what that is worth, the line `nodes` says.
        return Vec::new();
    };
    let held: Vec<(&NodeId, &Result<Inspected, String>)> =
        survey.iter().filter(|(node, _)| !failed.contains(*node)).collect();
    ASPECTS.iter().map(|aspect| compare(aspect, &held)).collect()
}

fn compare(aspect: &Aspect, held: &[(&NodeId, &Result<Inspected, String>)]) -> Judgement {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut unasked = Vec::new();
    for (node, said) in held {
        match said {
            Ok(said) => groups.entry((aspect.of)(said)).or_default().push(&node.0),
            Err(why) => unasked.push(format!("{node} did not say what it holds ({why})")),
        }
    }
    let what = aspect.what;
    let verdict = if groups.len() > 1 {
        let mut story = vec![format!("After the last fault members differ in their {what}.")];
        story.extend(groups.iter().map(|(held, nodes)| format!("{}: {held}", nodes.join(", "))));
        let reason = format!("{} {}", story[0], story[1..].join("; "));
        (Verdict::Invalid(Counterexample { story, ..Counterexample::default() }), reason)
    } else if let Some(why) = unasked.first() {
        (Verdict::Unknown(why.clone()), why.clone())
    } else {
        let reason = format!("All members have the same {what}.");
        (Verdict::Valid(Witness::default()), reason)
    };
    judgement(aspect.name, verdict, 0)
}

/// The keys, leases and so on that members do not hold alike, by the name of the line that says
/// that they differ.
pub fn differences(
    course: &Course,
    failed: &BTreeSet<NodeId>,
) -> BTreeMap<&'static str, Vec<Difference>> {
    let counts = |node: &NodeId| !failed.contains(node);
    let keys = course.keys.iter().filter(|(node, _)| counts(node));
    let keys: Held = keys.map(|(node, held)| (&node.0, held.clone())).collect();
    let said: Vec<(&String, &Inspected)> = (course.survey.iter().flatten())
        .filter(|(node, _)| counts(node))
        .filter_map(|(node, said)| Some((&node.0, said.as_ref().ok()?)))
        .collect();
    let there = |things: fn(&Inspected) -> Vec<String>| -> Held<'_> {
        let there = |thing| (thing, "there".to_owned());
        said.iter().map(|(node, of)| (*node, things(of).into_iter().map(there).collect())).collect()
    };
    let leases = there(|of| of.contents.leases.iter().map(|id| format!("lease {id:x}")).collect());
    let auth = there(|of| of.contents.auth.iter().cloned().collect());
    let members = there(|of| of.contents.members.iter().cloned().collect());
    let mut all = BTreeMap::from([
        ("leases-equal", unequal(&leases)),
        ("auth-equal", unequal(&auth)),
        ("membership-equal", unequal(&members)),
    ]);
    // Of a member that did not say nothing can be told, and not that it holds the same.
    if said.iter().all(|(node, _)| keys.contains_key(node)) {
        all.insert("members-equal", unequal(&keys));
    }
    all
}

/// What each member holds: the thing, and what is said of it.
type Held<'a> = BTreeMap<&'a String, BTreeMap<String, String>>;

fn unequal(held: &Held<'_>) -> Vec<Difference> {
    let things: BTreeSet<&String> = held.values().flat_map(BTreeMap::keys).collect();
    let of = |thing: &String| -> Vec<Option<&String>> {
        held.values().map(|said| said.get(thing)).collect()
    };
    let differs = |thing: &&&String| of(thing).windows(2).any(|two| two[0] != two[1]);
    let difference = |thing: &&String| Difference {
        key: (*thing).clone(),
        members: held
            .iter()
            .filter_map(|(node, said)| Some(((*node).clone(), said.get(*thing)?.clone())))
            .collect(),
    };
    things.iter().filter(differs).take(DIFFERENCES_MAX).map(difference).collect()
}

/// No answer names an earlier revision than one that had come before its request, and members
/// end where the last answer was at least. Serializable reads may be of the past.
pub fn revisions(history: &History, serializable: bool, course: &Course) -> Judgement {
    let mut ends: Vec<(u64, i64, u32)> = Vec::new();
    let mut asked: Vec<(u32, &Operation)> = Vec::new();
    for (position, operation) in (0..).zip(&history.operations) {
        let (Outcome::Ok, Some(revision)) = (operation.outcome, operation.revision) else {
            continue;
        };
        if !LINEARIZABLE.contains(&&*operation.f) || may_be_stale(operation, serializable) {
            continue;
        }
        ends.push((operation.complete.unwrap_or(u64::MAX), revision, position));
        asked.push((position, operation));
    }
    ends.sort_unstable();
    let last = ends.iter().map(|(_, revision, position)| (*revision, *position)).max();
    let mut ends = ends.into_iter().peekable();
    let mut before: Option<(i64, u32)> = None;
    for (position, operation) in asked {
        while let Some((_, revision, at)) = ends.next_if(|(end, ..)| *end < operation.invoke) {
            before = before.max(Some((revision, at)));
        }
        let revision = operation.revision.unwrap_or_default();
        if let Some((greater, first)) = before.filter(|(greater, _)| *greater > revision) {
            let story = format!(
                "Revision {greater} was answered (event {}) before event {} asked, and got \
                 {revision}.",
                history.operations[first as usize].complete.unwrap_or_default(),
                operation.invoke
            );
            return went_down(history, vec![first, position], story);
        }
    }
    let end = course.survey.iter().flatten().filter_map(|(_, said)| said.as_ref().ok());
    let end = end.map(|said| said.revision).max();
    if let (Some((greatest, position)), Some(end)) = (last, end)
        && end < greatest
    {
        let story =
            format!("Revision {greatest} was answered, and at the end no member is beyond {end}.");
        return went_down(history, vec![position], story);
    }
    let reason = last.map_or_else(
        || "No answer named a revision that could go down.".to_owned(),
        |(greatest, _)| format!("Revisions rose to {greatest}, and none came after a greater one."),
    );
    let count = history.operations.len() as u64;
    judgement("revisions", (Verdict::Valid(Witness::default()), reason), count)
}

fn may_be_stale(operation: &Operation, serializable: bool) -> bool {
    let asked = match &operation.input {
        Value::Object(members) => members.get("serializable") == Some(&Value::Bool(true)),
        _ => false,
    };
    asked || (serializable && matches!(&*operation.f, "read" | "txn" | "range"))
}

fn went_down(history: &History, operations: Vec<u32>, story: String) -> Judgement {
    let found =
        Counterexample { operations, story: vec![story.clone()], ..Counterexample::default() };
    judgement("revisions", (Verdict::Invalid(found), story), history.operations.len() as u64)
}

fn judgement(name: &str, (verdict, reason): (Verdict, String), operations: u64) -> Judgement {
    Judgement {
        checker: name.to_owned(),
        verdict,
        algorithm: "compare".to_owned(),
        reason,
        operations,
        cost: Cost::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ordeal_history::{Event, EventType, Process};
    use ordeal_workloads::etcd::Hash;

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Valid(_) => "valid",
            Verdict::Invalid(_) => "invalid",
            Verdict::Unknown(_) => "unknown",
        }
    }

    fn course(nodes: Vec<Result<Inspected, String>>) -> Course {
        let survey = (1..).map(NodeId::numbered).zip(nodes).collect();
        Course { survey: Some(survey), ..Course::default() }
    }

    #[test]
    fn members_that_differ_are_invalid_each_in_its_own_line_and_silence_is_unknown() {
        let same = || Ok(Inspected { revision: 7, ..Inspected::default() });
        let hash = Hash { hash: 1, compact_revision: 0 };
        let keys = Inspected { revision: 7, hash, ..Inspected::default() };
        let mut lease = Inspected { revision: 7, ..Inspected::default() };
        lease.contents.leases.insert(5);
        let rows: [(Result<Inspected, String>, [&str; 4]); 4] = [
            (same(), ["valid"; 4]),
            (Ok(keys), ["invalid", "valid", "valid", "valid"]),
            (Ok(lease), ["valid", "invalid", "valid", "valid"]),
            (Err("no answer".to_owned()), ["unknown"; 4]),
        ];
        for (second, expected) in rows {
            let course = course(vec![same(), second]);
            let judged = equality(&course, &BTreeSet::new());
            let found: Vec<&str> = judged.iter().map(|one| word(&one.verdict)).collect();
            assert_eq!(found, expected, "{judged:?}");
            // One whose disk was to fail may hold what it likes.
            let judged = equality(&course, &BTreeSet::from([NodeId::numbered(2)]));
            assert!(judged.iter().all(|one| word(&one.verdict) == "valid"), "{judged:?}");
        }
        assert!(equality(&Course::default(), &BTreeSet::new()).is_empty());
    }

    #[test]
    fn the_keys_and_leases_that_differ_are_told_of_each_member() {
        let held = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
        };
        let mut course = course((1..=3).map(|_| Ok(Inspected::default())).collect());
        let survey = course.survey.as_mut().expect("a survey");
        if let Some(Ok(third)) = survey.get_mut(&NodeId::numbered(3)) {
            third.contents.leases.insert(255);
        }
        course.keys = [
            (NodeId::numbered(1), held(&[("a", "1"), ("b", "2")])),
            (NodeId::numbered(2), held(&[("a", "1"), ("b", "3")])),
            (NodeId::numbered(3), held(&[("a", "1"), ("b", "2"), ("c", "9")])),
        ]
        .into();
        let told = differences(&course, &BTreeSet::new());
        let keys: Vec<(&str, Vec<&str>)> = told["members-equal"]
            .iter()
            .map(|it| (&*it.key, it.members.values().map(String::as_str).collect()))
            .collect();
        assert_eq!(keys, [("b", vec!["2", "3", "2"]), ("c", vec!["9"])]);
        assert_eq!(told["leases-equal"][0].key, "lease ff");
        assert_eq!(told["leases-equal"][0].members.len(), 1);
        assert!(told["auth-equal"].is_empty());
        // One whose disk was to fail may hold what it likes.
        let told = differences(&course, &BTreeSet::from([2, 3].map(NodeId::numbered)));
        assert!(told.values().all(Vec::is_empty), "{told:?}");
    }

    /// Operations one after the other, each with the revision of its answer.
    fn history(answers: &[(&'static str, i64)]) -> History {
        let events = answers.iter().zip(0..).flat_map(|((f, revision), at)| {
            let event = |index, kind| Event::new(index, index, Process::Client(0), kind, *f);
            let ok = Event { revision: Some(*revision), ..event(2 * at + 1, EventType::Ok) };
            [event(2 * at, EventType::Invoke), ok]
        });
        History::from_events(events).expect("a history")
    }

    #[test]
    fn a_revision_that_went_down_is_found_and_one_that_may_be_stale_is_not() {
        let end = |revision| course(vec![Ok(Inspected { revision, ..Inspected::default() })]);
        type Answers<'a> = &'a [(&'a str, i64)];
        let rows: [(Answers<'_>, i64, bool, &str); 6] = [
            (&[("write", 2), ("read", 2), ("write", 3)], 3, false, "valid"),
            (&[("write", 2), ("write", 3), ("read", 2)], 3, false, "invalid"),
            (&[("write", 2), ("write", 3), ("read", 2)], 3, true, "valid"),
            (&[("write", 3), ("watch-next", 2)], 3, false, "valid"),
            (&[("write", 3)], 2, false, "invalid"),
            (&[], 1, false, "valid"),
        ];
        for (answers, at_end, serializable, expected) in rows {
            let judged = revisions(&history(answers), serializable, &end(at_end));
            assert_eq!(word(&judged.verdict), expected, "{answers:?}: {}", judged.reason);
        }
    }
}
