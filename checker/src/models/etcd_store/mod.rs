//! The whole etcd store as one object: ranges, puts, deletes, transactions, compaction, and the
//! requests that must be refused.
//!
//! A new cluster's store: empty, at revision 1, and nobody else writes to it. Answers are judged
//! in full: values, create and mod revisions, versions, leases, counts, and the revision of the
//! header. Deliberately absent: leases themselves (a lease must outlive the history), watches,
//! users, and the keys that are no UTF-8.

mod answer;
mod describe;
mod form;
mod request;
mod rules;
mod store;

pub(crate) use request::{Compare, Delete, Field, Key, KeyValue, Put, Range, Span, Txn};
pub use request::{Refusal, Request, Seen, SeenKv};
pub(crate) use store::{Changes, Response, Store, View, order_of, relates};

use crate::linear::{Misfit, Model, Removal};
use ordeal_history::{Operation, Outcome};
use std::sync::Arc;

/// The model of the whole store.
#[derive(Clone, Copy, Debug, Default)]
pub struct EtcdStore;

/// A request and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreOp {
    /// What was asked.
    pub request: Request,
    /// What was answered, or refused; `None` when nobody knows.
    pub answer: Option<Result<Seen, Refusal>>,
    /// The revision in the answer's header.
    pub revision: Option<i64>,
}

impl StoreOp {
    /// Whether it changed keys, and so has a revision of its own.
    pub fn changed(&self) -> bool {
        matches!(&self.answer, Some(Ok(seen)) if seen.changed())
    }

    /// Whether it compacted the store.
    pub fn compacted(&self) -> Option<i64> {
        match (&self.request, &self.answer) {
            (Request::Compact(revision), Some(Ok(_))) => Some(*revision),
            _ => None,
        }
    }

    /// Whether it is a read that may be of the past.
    pub fn is_serializable(&self) -> bool {
        matches!(&self.request, Request::Range(range) if range.serializable)
    }

    /// What it changes at this moment, if it can have answered so there.
    ///
    /// Not for reads that may be of the past: see [`StoreOp::was_seen`].
    pub(crate) fn changes(&self, view: View<'_>) -> Option<Changes> {
        if let Some(Err(Refusal::DuplicateKey)) = self.answer {
            let refused = rules::check(&self.request) == Err(Refusal::DuplicateKey);
            return refused.then(Changes::new);
        }
        let head = view.head();
        match (view.ask(&self.request), &self.answer) {
            (Err(_), None) => Some(Changes::new()),
            (Ok((_, changes)), None) => Some(changes),
            (Err(refusal), Some(Err(told))) => (refusal == *told).then(Changes::new),
            (Ok((response, changes)), Some(Ok(seen))) => {
                let revision = head + i64::from(!changes.is_empty());
                let fits = self.revision.is_none_or(|told| told == revision)
                    && response.is_shown_by(seen, &self.request);
                fits.then_some(changes)
            }
            _ => None,
        }
    }

    /// Whether a read that may be of the past was right at the revision that it names, or at any
    /// up to `head` when it names none.
    pub(crate) fn was_seen(&self, store: &Store, head: i64) -> bool {
        let right = |at: i64| self.changes(store.at(at, -1)).is_some();
        match self.revision {
            Some(revision) => (1..=head).contains(&revision) && right(revision),
            None => (1..=head).rev().any(right),
        }
    }
}

impl Model for EtcdStore {
    type State = Arc<Store>;
    type Op = Arc<StoreOp>;

    fn name(&self) -> &str {
        "etcd"
    }

    fn summary(&self) -> &str {
        "etcd's whole store: every request of its KV API, with revisions, versions and errors"
    }

    fn initial(&self) -> Self::State {
        Arc::default()
    }

    fn compile(&self, operation: &Operation) -> Result<Option<Self::Op>, Misfit> {
        let f = &*operation.f;
        let request = form::request(f, &operation.input)
            .map_err(Misfit::invocation)?
            .ok_or_else(|| Misfit::unknown_f("etcd", operation, form::NAMES))?;
        let answer = match operation.outcome {
            Outcome::Info if !request.may_change() => return Ok(None),
            Outcome::Info => None,
            Outcome::Ok => Some(Ok(form::seen(f, &operation.output).map_err(Misfit::completion)?)),
            Outcome::Fail => match operation.error.as_deref().and_then(Refusal::named_in) {
                Some(refusal) => Some(Err(refusal)),
                None => return Ok(None),
            },
        };
        let revision = operation.revision.filter(|_| matches!(answer, Some(Ok(_))));
        let op = StoreOp { request, answer, revision };
        // A member that lags may refuse what others would not.
        let says_nothing = op.is_serializable() && matches!(op.answer, Some(Err(_)));
        Ok((!says_nothing).then(|| Arc::new(op)))
    }

    fn state_bytes(&self, state: &Self::State) -> usize {
        state.bytes()
    }

    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State> {
        if op.is_serializable() {
            return op.was_seen(state, state.head).then(|| state.clone());
        }
        let changes = op.changes(state.now())?;
        let compacts = match (&op.request, &op.answer) {
            (Request::Compact(revision), Some(Ok(_))) => Some(*revision),
            // Of unknown outcome: it compacts if it can.
            (Request::Compact(revision), None) => {
                ((state.compacted + 1)..=state.head).contains(revision).then_some(*revision)
            }
            _ => None,
        };
        let mut next = state.clone();
        if !changes.is_empty() || compacts.is_some() {
            let store = Arc::make_mut(&mut next);
            store.commit(changes);
            store.compacted = compacts.unwrap_or(store.compacted);
        }
        Some(next)
    }

    fn observes(&self, op: &Self::Op) -> bool {
        op.answer.is_some() && !op.changed() && op.compacted().is_none()
    }

    fn spans_keys(&self) -> bool {
        true
    }

    fn removal(&self, op: &Self::Op) -> Removal {
        if self.observes(op) { Removal::Free } else { Removal::Never }
    }

    fn describe(&self, op: &Self::Op) -> String {
        op.to_string()
    }
}
