//! etcd's revisions: the order is in the answers.
//!
//! Every answer of etcd bears the store's revision, and every change has a revision of its own, so
//! the total order of a history need not be searched for: it is read off, and held against real
//! time and against the values in one sweep each, O(n log n). That asks for more than
//! linearizability: revisions and versions must be right too, and every revision must be accounted
//! for by a request that is known, or by one of unknown outcome.
//!
//! The operations are the register's: `read`, `write`, `cas`, with `revision` and `version`. What
//! the revisions cannot tell (answers that bear none) is left to linearizability, which is
//! demanded as well. A store in which others write at the same time is outside of this model, and
//! so is deletion.

use crate::linear::{Entry, Linearizable, MisfitAt, Model, entry_of, tell};
use crate::models::{Register, RegisterOp};
use crate::online::{Online, recheck};
use crate::{Checker, Cost, Counterexample, Judgement, Limits, Verdict};
use ordeal_history::{History, Operation, Value};
use rustc_hash::FxHashMap;

/// Holds a history of reads, writes and cas against etcd's revisions and versions.
#[derive(Clone, Debug, Default)]
pub struct EtcdRevisions {
    linearizable: Option<Linearizable<Register>>,
}

impl EtcdRevisions {
    /// The checker; `linearizable` judges what the revisions leave open.
    pub fn new(linearizable: Linearizable<Register>) -> Self {
        EtcdRevisions { linearizable: Some(linearizable) }
    }

    fn linearizable(&self) -> Linearizable<Register> {
        self.linearizable.clone().unwrap_or_else(|| Linearizable::new(Register::default()))
    }
}

impl Checker for EtcdRevisions {
    fn name(&self) -> &str {
        "etcd"
    }

    fn summary(&self) -> &str {
        "reads, writes and cas in the order of etcd's revisions, which and versions are right"
    }

    fn misfit(&self, history: &History) -> Option<MisfitAt> {
        self.linearizable().misfit(history)
    }

    fn check(&self, history: &History, limits: &Limits) -> Judgement {
        let broken = Known::gather(history).and_then(|known| known.first_broken_rule());
        if let Some(Broken { operations, reason }) = broken {
            return self.invalid(history, operations, reason);
        }
        let judgement = self.linearizable().check(history, limits);
        let algorithm = format!("revisions+{}", judgement.algorithm);
        Judgement { checker: self.name().to_owned(), algorithm, ..judgement }
    }

    fn online(&self, limits: &Limits) -> Option<Box<dyn Online>> {
        recheck(self.clone(), limits)
    }
}

impl EtcdRevisions {
    fn invalid(&self, history: &History, mut operations: Vec<u32>, reason: String) -> Judgement {
        operations.sort_unstable();
        operations.dedup();
        let model = Register::default();
        let entries: Vec<Entry<RegisterOp>> = operations
            .iter()
            .filter_map(|&position| entry_of(&model, history, position, None).ok().flatten())
            .collect();
        let mut story = tell(&model, history, &entries.iter().collect::<Vec<_>>());
        for (line, &position) in story.iter_mut().zip(&operations) {
            let operation = &history.operations[position as usize];
            if let (Some(revision), Some('.')) = (operation.revision, line.pop()) {
                line.push_str(&format!(", at revision {revision}."));
            }
        }
        story.push(format!("{reason}."));
        let concerned = operations.iter().map(|&position| &history.operations[position as usize]);
        let counterexample = Counterexample {
            key: concerned.clone().next_back().and_then(|operation| operation.key.clone()),
            broken_at_event: concerned.filter_map(|operation| operation.complete).max(),
            operations,
            story,
            anomalies: Vec::new(),
        };
        Judgement {
            checker: self.name().to_owned(),
            verdict: Verdict::Invalid(counterexample),
            algorithm: "revisions".to_owned(),
            reason,
            operations: history.operations.len() as u64,
            cost: Cost::default(),
        }
    }
}

/// A rule that is broken, by these operations.
struct Broken {
    operations: Vec<u32>,
    reason: String,
}

/// An operation whose revision is known.
struct At {
    position: u32,
    revision: i64,
    call: u64,
    ret: u64,
    op: RegisterOp,
}

impl At {
    /// The value that it made, if it changed anything.
    fn made(&self) -> Option<&Value> {
        made(&self.op)
    }

    /// The value that it saw, and the revision at which it was there.
    fn saw(&self) -> Option<(&Value, i64)> {
        match &self.op {
            RegisterOp::Read(seen) | RegisterOp::CasSaw(_, seen) => Some((seen, self.revision)),
            RegisterOp::Cas(old, _) => Some((old, self.revision - 1)),
            RegisterOp::Write(_) | RegisterOp::CasNot(_) => None,
        }
    }
}

fn made(op: &RegisterOp) -> Option<&Value> {
    match op {
        RegisterOp::Write(new) | RegisterOp::Cas(_, new) => Some(new),
        _ => None,
    }
}

/// A change of unknown outcome.
struct Maybe {
    position: u32,
    call: u64,
    op: RegisterOp,
}

struct Known<'a> {
    history: &'a History,
    /// In the order of their revisions; a change before those who saw its revision.
    order: Vec<At>,
    /// In the order of their invocations.
    maybes: Vec<Maybe>,
    /// The invocations of those, by key.
    maybe_calls: FxHashMap<&'a Option<Value>, Vec<u64>>,
    /// Revisions from the first known change on that belong to no known change.
    gaps: Vec<i64>,
}

impl<'a> Known<'a> {
    /// Sorts out what bears a revision; `None` when the model does not understand the history or
    /// a change that surely happened bears none.
    fn gather(history: &'a History) -> Option<Known<'a>> {
        let model = Register::default();
        let mut known = Known {
            history,
            order: Vec::new(),
            maybes: Vec::new(),
            maybe_calls: FxHashMap::default(),
            gaps: Vec::new(),
        };
        for (position, operation) in history.operations.iter().enumerate() {
            let position = position as u32;
            let Some(entry) = entry_of(&model, history, position, None).ok()? else { continue };
            let Entry { call, ret, op, .. } = entry;
            if ret == crate::linear::NEVER {
                known.maybe_calls.entry(&operation.key).or_default().push(call);
                known.maybes.push(Maybe { position, call, op });
            } else if let Some(revision) = operation.revision {
                known.order.push(At { position, revision, call, ret, op });
            } else if made(&op).is_some() {
                return None;
            }
        }
        known.order.sort_by_key(|at| (at.revision, at.made().is_none(), at.call));
        known.find_gaps();
        Some(known)
    }

    fn find_gaps(&mut self) {
        let mut changes = self.order.iter().filter(|at| at.made().is_some());
        let Some(first) = changes.next() else { return };
        // A revision far away would make a list of gaps as long as the way there.
        let gaps_max = self.maybes.len() + 1;
        let mut next = first.revision + 1;
        for revision in changes.chain(self.order.last()).map(|at| (at.revision, at.made())) {
            let end = revision.0 + i64::from(revision.1.is_none());
            while next < end && self.gaps.len() <= gaps_max {
                self.gaps.push(next);
                next += 1;
            }
            next = next.max(revision.0 + 1);
        }
    }

    fn first_broken_rule(&self) -> Option<Broken> {
        self.revisions_are_changes_own()
            .or_else(|| self.revisions_follow_real_time())
            .or_else(|| self.values_follow_revisions())
            .or_else(|| self.revisions_are_accounted_for())
    }

    fn operation(&self, position: u32) -> &Operation {
        &self.history.operations[position as usize]
    }

    /// "process 3 read 5 at revision 7".
    fn did(&self, at: &At) -> String {
        let process = self.operation(at.position).process;
        let did = Register::default().describe(&at.op);
        format!("process {process} {did} at revision {}", at.revision)
    }

    /// No two changes have one revision.
    fn revisions_are_changes_own(&self) -> Option<Broken> {
        let changes: Vec<&At> = self.order.iter().filter(|at| at.made().is_some()).collect();
        let pair = changes.windows(2).find(|pair| pair[0].revision == pair[1].revision)?;
        Some(Broken {
            operations: vec![pair[0].position, pair[1].position],
            reason: format!(
                "{} and {}: two changes cannot have one revision",
                self.did(pair[0]),
                self.did(pair[1])
            ),
        })
    }

    /// What ended before another began has no later revision, and no change has an earlier one.
    fn revisions_follow_real_time(&self) -> Option<Broken> {
        let mut by_ret: Vec<&At> = self.order.iter().collect();
        by_ret.sort_unstable_by_key(|at| at.ret);
        let mut by_call: Vec<&At> = self.order.iter().collect();
        by_call.sort_unstable_by_key(|at| at.call);
        let mut ended = by_ret.into_iter().peekable();
        let mut latest: Option<&At> = None;
        for at in by_call {
            while let Some(before) = ended.next_if(|before| before.ret < at.call) {
                if latest.is_none_or(|latest| before.revision > latest.revision) {
                    latest = Some(before);
                }
            }
            let Some(before) = latest else { continue };
            if at.revision < before.revision
                || (at.made().is_some() && at.revision == before.revision)
            {
                return Some(Broken {
                    operations: vec![before.position, at.position],
                    reason: format!("{} after {}", self.did(at), self.did(before)),
                });
            }
        }
        None
    }

    /// Each answer shows what the changes up to its revision made, or what a change of unknown
    /// outcome may have made at a revision that is free; and its version counts them.
    fn values_follow_revisions(&self) -> Option<Broken> {
        let mut last_change: FxHashMap<&Option<Value>, (&At, i64)> = FxHashMap::default();
        let mut broken: Option<(u64, Broken)> = None;
        for at in &self.order {
            let key = &self.operation(at.position).key;
            let change = last_change.get(key).copied();
            let found = self
                .wrong_value(at, key, change.map(|(change, _)| change))
                .or_else(|| self.wrong_version(at, key, change));
            if let Some(found) = found
                && broken.as_ref().is_none_or(|(ret, _)| at.ret < *ret)
            {
                broken = Some((at.ret, found));
            }
            if at.made().is_some() {
                let count = change.map_or(0, |(_, count)| count) + 1;
                last_change.insert(key, (at, count));
            }
        }
        broken.map(|(_, broken)| broken)
    }

    fn gaps_between(&self, after: i64, until: i64) -> usize {
        let end = self.gaps.partition_point(|&gap| gap <= until);
        let start = self.gaps.partition_point(|&gap| gap <= after);
        end.saturating_sub(start)
    }

    fn wrong_value(&self, at: &At, key: &Option<Value>, change: Option<&At>) -> Option<Broken> {
        let (seen, revision) = at.saw()?;
        let there = change.and_then(At::made).unwrap_or(&Value::Null);
        if seen == there {
            return None;
        }
        // Before the first known change it is not known which revisions were free.
        let is_free = change.is_none_or(|change| self.gaps_between(change.revision, revision) > 0);
        let mut maybes = self.maybes.iter().take_while(|maybe| maybe.call < at.ret);
        let may_be = is_free
            && maybes.any(|maybe| {
                made(&maybe.op) == Some(seen) && self.operation(maybe.position).key == *key
            });
        if may_be {
            return None;
        }
        let made = match change {
            Some(change) => format!("though {}, the last change before", self.did(change)),
            None => "though nothing had changed it before".to_owned(),
        };
        Some(Broken {
            operations: change.iter().map(|change| change.position).chain([at.position]).collect(),
            reason: format!("{}, {made}", self.did(at)),
        })
    }

    fn wrong_version(
        &self,
        at: &At,
        key: &Option<Value>,
        change: Option<(&At, i64)>,
    ) -> Option<Broken> {
        let version = self.operation(at.position).version?;
        let known = change.map_or(0, |(_, count)| count) + i64::from(at.made().is_some());
        let calls = self.maybe_calls.get(key).map_or(&[][..], Vec::as_slice);
        let maybes = calls.partition_point(|&call| call < at.ret) as i64;
        if (known..=known + maybes).contains(&version) {
            return None;
        }
        let s = if known == 1 { "" } else { "s" };
        let more = match maybes {
            0 => String::new(),
            _ => format!(" and at most {maybes} more may have been"),
        };
        Some(Broken {
            operations: change.iter().map(|(at, _)| at.position).chain([at.position]).collect(),
            reason: format!(
                "{} and was told version {version}, but {known} change{s} had been made{more}",
                self.did(at)
            ),
        })
    }

    /// Every revision between known ones belongs to a request of unknown outcome that can have
    /// had it: one that began before any answer showed that revision or a later one, and after
    /// no answer that did.
    fn revisions_are_accounted_for(&self) -> Option<Broken> {
        let mut by_ret: Vec<(u64, i64)> =
            self.order.iter().map(|at| (at.ret, at.revision)).collect();
        by_ret.sort_unstable();
        let mut highest = i64::MIN;
        for (_, revision) in &mut by_ret {
            highest = highest.max(*revision);
            *revision = highest;
        }
        // A request can have only revisions above what was shown before it began.
        let mut lowest: Vec<i64> = self
            .maybes
            .iter()
            .map(|maybe| {
                let ended = by_ret.partition_point(|&(ret, _)| ret < maybe.call);
                ended.checked_sub(1).map_or(i64::MIN, |last| by_ret[last].1)
            })
            .collect();
        lowest.sort_unstable();
        let short = self
            .gaps
            .iter()
            .enumerate()
            .find(|&(before, &gap)| lowest.partition_point(|&lowest| lowest < gap) <= before)?;
        let gap = *short.1;
        let below = self.order.iter().rev().find(|at| at.revision < gap)?;
        let above = self.order.iter().find(|at| at.revision >= gap)?;
        Some(Broken {
            operations: vec![below.position, above.position],
            reason: format!(
                "no request can have had revision {gap}: {}, and {}",
                self.did(below),
                self.did(above)
            ),
        })
    }
}
