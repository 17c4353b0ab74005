//! Elections: one leader at a revision, and each later than those before.

use super::fenced_mutex::tokens;
use super::findings::Findings;
use super::objects::{Fault, Object, event, field, number, objects};
use crate::online::{Online, recheck};
use crate::{Checker, Judgement, Limits};
use ordeal_history::{History, Operation, Outcome, Value};
use rustc_hash::FxHashSet;

/// Judges `campaign` v → token, `proclaim` v, `resign`, `leader` → `{"token","value"}` or null,
/// and `observe` → the same with `mod`; each key is an election.
///
/// A token is the revision at which the leader's key was created. The leader is the candidate with
/// the smallest token, so leaders' tokens rise. `leader` tells who leads at the answer's
/// `revision`; one response of an observing stream is one operation `observe`, and tells who led
/// at `mod`. The anomalies: `two-leaders` (two at one revision), `leader-went-back` (a smaller
/// token at a greater revision, or in a later answer of one stream), `wrong-proposal` (a leader's
/// value that nobody proposed), `token-went-back` (as [`FencedMutex`](super::FencedMutex) has it,
/// or one token given twice). `Unknown` when nobody saw a leader. O(n log n).
#[derive(Clone, Copy, Debug, Default)]
pub struct Election;

impl Checker for Election {
    fn name(&self) -> &str {
        "election"
    }

    fn summary(&self) -> &str {
        "at most one leader at a revision, and leaders' tokens rise"
    }

    fn check(&self, history: &History, _: &Limits) -> Judgement {
        let mut findings = Findings::new(history);
        let mut missing = None;
        for object in objects(history) {
            match tokens(&object, "campaign") {
                Err(Fault::Wrong(operations, mut story)) => {
                    let sentence = story.swap_remove(0);
                    findings.note("token-went-back", &operations, sentence);
                }
                Err(Fault::Unknown(why)) => missing = missing.or(Some(why)),
                Ok(()) => {}
            }
            match sights(&object) {
                Err(why) => missing = missing.or(Some(why)),
                Ok(sights) if sights.is_empty() => {
                    missing = missing.or(Some("nobody saw a leader".to_owned()));
                }
                Ok(mut sights) => {
                    proposals(&object, &sights, &mut findings);
                    streams(&sights, &mut findings);
                    revisions(&mut sights, &mut findings);
                }
            }
        }
        findings.judge(self.name(), "revisions", missing, "one leader at a time, each later")
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(*self, limits)
    }
}

/// An answer that names a leader.
struct Sight<'h> {
    position: u32,
    operation: &'h Operation,
    token: i64,
    /// It led at that revision.
    at: Option<i64>,
    value: Option<&'h Value>,
}

fn sights<'h>(object: &Object<'h>) -> Result<Vec<Sight<'h>>, String> {
    let mut sights = Vec::new();
    for &(position, operation) in &object.operations {
        let observed = match (&*operation.f, operation.outcome) {
            ("leader", Outcome::Ok) => false,
            ("observe", Outcome::Ok) => true,
            _ => continue,
        };
        let output = &operation.output;
        if output.is_null() {
            continue;
        }
        let Some(token) = number(output, "token") else {
            return Err(format!("{} has {output}, no leader with a token", event(operation)));
        };
        let at = if observed { number(output, "mod") } else { operation.revision };
        sights.push(Sight { position, operation, token, at, value: field(output, "value") });
    }
    Ok(sights)
}

/// Who leads has the smallest token of those who are there, so no later leader has a smaller one.
fn revisions(sights: &mut [Sight<'_>], findings: &mut Findings<'_>) {
    sights.sort_by_key(|sight| (sight.at, sight.position));
    let dated: Vec<&Sight<'_>> = sights.iter().filter(|sight| sight.at.is_some()).collect();
    let mut greatest: Option<&Sight<'_>> = None;
    for sight in dated {
        let before = greatest.filter(|before| {
            before.token > sight.token || (before.at == sight.at && before.token != sight.token)
        });
        if let Some(before) = before {
            let (one, two) = (before.at.unwrap_or(0), sight.at.unwrap_or(0));
            let kind = if one == two { "two-leaders" } else { "leader-went-back" };
            let story = format!(
                "Leader {} leads at revision {one} ({}), leader {} at {two} ({}).",
                before.token,
                event(before.operation),
                sight.token,
                event(sight.operation)
            );
            findings.note(kind, &[before.position, sight.position], story);
        }
        if greatest.is_none_or(|before| before.token <= sight.token) {
            greatest = Some(sight);
        }
    }
}

/// What one process observed never goes back, with revisions or without.
fn streams(sights: &[Sight<'_>], findings: &mut Findings<'_>) {
    let mut last: rustc_hash::FxHashMap<(i64, &str), &Sight<'_>> = Default::default();
    for sight in sights {
        let stream = (sight.operation.process, &*sight.operation.f);
        let Some(before) = last.insert(stream, sight).filter(|one| one.token > sight.token) else {
            continue;
        };
        let story = format!(
            "Process {} saw leader {} in {}, after leader {} in {}.",
            sight.operation.process,
            sight.token,
            event(sight.operation),
            before.token,
            event(before.operation)
        );
        findings.note("leader-went-back", &[before.position, sight.position], story);
    }
}

/// A leader's value is one that somebody proposed before.
fn proposals(object: &Object<'_>, sights: &[Sight<'_>], findings: &mut Findings<'_>) {
    // Sights and proposals both stand in the order of their invocations; a sight is held against
    // what was proposed before its end.
    let mut proposed = object
        .operations
        .iter()
        .filter(|(_, o)| matches!(&*o.f, "campaign" | "proclaim") && o.outcome != Outcome::Fail)
        .peekable();
    let mut values: FxHashSet<&Value> = FxHashSet::default();
    let mut by_end: Vec<&Sight<'_>> = sights.iter().collect();
    by_end.sort_by_key(|sight| sight.operation.complete);
    for sight in by_end {
        let end = sight.operation.complete.unwrap_or(u64::MAX);
        while let Some((_, proposal)) = proposed.next_if(|(_, o)| o.invoke < end) {
            values.insert(&proposal.input);
        }
        if let Some(value) = sight.value.filter(|value| !values.contains(value)) {
            let at = event(sight.operation);
            let story = format!("The leader of {at} proclaims {value}, which nobody had proposed.");
            findings.note("wrong-proposal", &[sight.position], story);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::check;
    use super::Election;

    #[test]
    fn there_is_one_leader_at_a_revision_and_each_is_later() {
        let (x, y) = ("0 campaign 1 -> 5 #5", "1 campaign 2 -> 8 #9");
        let one = r#"2 leader null -> {"token":5,"value":1} #7"#;
        let two = r#"3 leader null -> {"token":8,"value":2} #9"#;
        let both = r#"3 leader null -> {"token":8,"value":2} #7"#;
        let back = r#"2 leader null -> {"token":5,"value":1} #10"#;
        check(
            &Election,
            &[
                (&[], "valid"),
                (&[x], "unknown: nobody saw a leader"),
                (&[x, "2 leader null -> null #4"], "unknown: nobody saw a leader"),
                (&[x, one, y, two], "valid"),
                (&[x, y, two, one], "valid"),
                (&[x, y, one, both], "Leader 5 leads at revision 7 (event 4), leader 8 at 7"),
                (&[x, y, two, back], "Leader 8 leads at revision 9 (event 4), leader 5 at 10"),
                (&[y, x, two, "0 resign null"], "got token 5, though that of event 0 had got 8"),
                (&[x, "1 campaign 2 -> 5", one], "Token 5 was given to the campaign of event 0"),
                (&[x, "2 leader null -> 5"], "unknown: event 2 has 5, no leader"),
                (&["0 campaign null -> \"x\"", one], "which nobody had proposed"),
            ],
        );
    }

    #[test]
    fn what_a_stream_observes_never_goes_back() {
        let see = |token: i64, value: i64, at: i64| {
            format!(r#"9 observe null -> {{"token":{token},"value":{value},"mod":{at}}}"#)
        };
        let lines = |more: &[&String], expected: &str| {
            let mut all = vec!["0 campaign 1 -> 5 #5", "0 proclaim 3", "1 > campaign 2"];
            all.extend(more.iter().map(|line| line.as_str()));
            check(&Election, &[(&all, expected)]);
        };
        lines(&[&see(5, 1, 5), &see(5, 3, 6), &see(8, 2, 8)], "valid");
        lines(
            &[&see(8, 2, 8), &see(5, 3, 6)],
            "saw leader 5 in event 7, after leader 8 in event 5",
        );
        lines(&[&see(5, 1, 5), &see(8, 4, 8)], "proclaims 4, which nobody had proposed");
        lines(&[&see(8, 2, 8), &see(5, 1, 9)], "Process 9 saw leader 5");
    }
}
