//! Leaves out of an invalid history what the pass that refutes it does not need, without going
//! through all of the history for each trial.
//!
//! After what is left out, the front is compared with that of the whole: if whatever it can come
//! to some configuration of the whole could too ([`super::front::Free`]), then nothing that follows
//! can tell the two apart, and what refuted the whole refutes the rest. So a trial goes only
//! through the events of what it leaves out and a few more. Where prices refute, the whole is
//! refuted first with the largest credit to each path for which it still is: what was left out may
//! make paths cheaper by as much.

use super::front::Config;
use super::moment::Moment;
use super::path::START;
use super::plan::{Happening, Plan};
use super::sweep::{Keep, Sweep};
use super::{prices, window};
use crate::linear::object::{Entry, NEVER};
use crate::linear::search::{Budget, Hint};
use crate::models::RegisterOp;
use std::collections::VecDeque;
use std::ops::Range;

/// Ends of operations after a trial by which the front must have caught up.
const AFTER: usize = 24;

/// Ends of operations from one place that a trial may begin at to the next, and how many of these
/// are remembered.
const EVERY: usize = 4;
const PLACES: usize = 256;

/// Credits that are tried; the highest price is about a million.
const CREDITS: [u64; 6] = [1 << 23, 1 << 21, 1 << 20, 1 << 18, 1 << 16, 0];

/// Configurations of a layer, where nothing has a price.
const WIDTH: usize = 256;

/// Which entries may go: each trial names some that can only go together.
///
/// They are decided one after the other, and what went stays gone. Nothing goes where one pass by
/// the hint does not refute the whole, and nothing more once the budget is spent.
pub fn thin(
    entries: &[Entry<&RegisterOp>],
    hint: &Hint,
    budget: Budget<'_>,
    trials: impl Iterator<Item = Vec<u32>>,
) -> Vec<bool> {
    let plan = Plan::new(entries);
    let mut gone = vec![false; entries.len()];
    if plan.is_too_wide {
        return gone;
    }
    let prices = prices(&plan, entries, hint);
    let events = window(&plan, hint);
    let whole = (&plan, entries.len());
    let Some(mut thinning) = Thinning::new(whole, events, &prices, budget) else { return gone };
    for mut trial in trials {
        trial.retain(|&entry| !gone[entry as usize]);
        if trial.iter().any(|&entry| entries[entry as usize].ret == NEVER) {
            continue;
        }
        match thinning.goes(&trial) {
            Some(true) => trial.iter().for_each(|&entry| gone[entry as usize] = true),
            Some(false) => {}
            None => break,
        }
    }
    gone
}

/// What stood before an event.
#[derive(Clone)]
struct Place {
    at: usize,
    worth: u64,
    moment: Moment,
    front: Vec<Config>,
}

impl Place {
    fn of(sweep: &Sweep<'_>, at: usize) -> Place {
        let (moment, front) = (sweep.moment.clone(), sweep.front.clone());
        Place { at, worth: sweep.worth, moment, front }
    }
}

/// A certain operation: its place in the plan, and the events at which it began and ended.
#[derive(Clone, Copy)]
struct Span {
    place: u32,
    first: usize,
    last: usize,
}

struct Thinning<'a> {
    plan: &'a Plan,
    /// The events up to where nothing is left of the whole.
    events: Range<usize>,
    sweep: Sweep<'a>,
    /// By entry.
    spans: Vec<Option<Span>>,
    /// By event: what is left of the whole after it.
    whole: Vec<Vec<Config>>,
    credit: u64,
    /// By place in the plan.
    gone: Vec<bool>,
    /// The last event of all that went.
    gone_until: usize,
    /// Places of the pass without what went.
    places: VecDeque<Place>,
}

impl<'a> Thinning<'a> {
    /// `None` where the whole is not refuted.
    fn new(
        (plan, entries): (&'a Plan, usize),
        events: Range<usize>,
        prices: &[Vec<u32>],
        budget: Budget<'a>,
    ) -> Option<Self> {
        let keep = if prices.is_empty() { Keep::Merged(WIDTH) } else { Keep::All };
        let credits = if prices.is_empty() { &[0][..] } else { &CREDITS };
        let begin = || {
            let sweep = Sweep::new(plan, &[], keep, budget, 0).with_prices(prices.to_vec());
            let mut sweep = sweep.within(events.clone());
            // What comes later may go: so far it must refute nothing.
            sweep.moment.without_foresight();
            sweep
        };
        let (mut sweep, whole, credit) = credits.iter().find_map(|&credit| {
            let mut sweep = begin();
            sweep.worth = sweep.worth.saturating_add(credit);
            let whole = fronts(&mut sweep, plan, events.clone(), budget.memory_bytes / 4)?;
            Some((sweep, whole, credit))
        })?;
        let first = Place::of(&begin(), events.start);
        sweep.path.clear();
        Some(Thinning {
            plan,
            events: events.start..events.start + whole.len(),
            sweep,
            spans: spans(plan, entries),
            whole,
            credit,
            gone: vec![false; plan.certain.len()],
            gone_until: 0,
            places: VecDeque::from([first]),
        })
    }

    /// Whether the rest is refuted without these entries; then they are gone. `None` when the
    /// budget is spent.
    fn goes(&mut self, trial: &[u32]) -> Option<bool> {
        let spans = trial.iter().filter_map(|&entry| self.spans[entry as usize]);
        // What lies outside changes nothing by itself.
        let is_within =
            |span: &Span| span.last >= self.events.start && span.first < self.events.end;
        let spans: Vec<Span> = spans.filter(is_within).collect();
        let Some(first) = spans.iter().map(|span| span.first).min() else { return Some(true) };
        self.reach(first)?;
        let known = self.places.partition_point(|place| place.at <= first);
        if known == 0 {
            return Some(false);
        }
        let last = spans.iter().map(|span| span.last).fold(self.gone_until, usize::max);
        spans.iter().for_each(|span| self.gone[span.place as usize] = true);
        let caught_up = self.catch_up(known - 1, last)?;
        if let Some(places) = caught_up {
            self.places.truncate(known);
            self.remember(places);
            self.gone_until = last;
            return Some(true);
        }
        spans.iter().for_each(|span| self.gone[span.place as usize] = false);
        Some(false)
    }

    /// Takes the pass as far as an event.
    fn reach(&mut self, event: usize) -> Option<()> {
        let last = self.places.len() - 1;
        let mut places = Vec::new();
        let mut ended = 0;
        for at in self.resume(last)..event {
            if ended == EVERY {
                ended = 0;
                places.push(Place::of(&self.sweep, at));
            }
            ended += usize::from(self.step(at)?);
        }
        self.remember(places);
        Some(())
    }

    fn remember(&mut self, places: Vec<Place>) {
        self.places.extend(places);
        let superfluous = self.places.len().saturating_sub(PLACES);
        self.places.drain(..superfluous);
    }

    /// Takes up from a place that is remembered: the event before which it is.
    fn resume(&mut self, place: usize) -> usize {
        let Place { at, worth, moment, front } = &self.places[place];
        self.sweep.worth = *worth;
        self.sweep.moment.clone_from(moment);
        self.sweep.front.clone_from(front);
        // The steps that led here are no concern.
        self.sweep.front.iter_mut().for_each(|config| config.step = START);
        self.sweep.path.clear();
        *at
    }

    /// Goes on from a place without what is gone, which all ends by `last`, until no way is better
    /// than one of the whole: the places on the way, or nothing when that does not come soon.
    fn catch_up(&mut self, place: usize, last: usize) -> Option<Option<Vec<Place>>> {
        let mut places = Vec::new();
        let (mut ended, mut after) = (0, 0);
        for at in self.resume(place)..self.events.end {
            if ended == EVERY {
                ended = 0;
                places.push(Place::of(&self.sweep, at));
            }
            if !self.step(at)? {
                continue;
            }
            ended += 1;
            if self.sweep.front.is_empty() || (at >= last && self.is_no_better(at)) {
                return Some(Some(places));
            }
            after += usize::from(at >= last);
            if after == AFTER {
                break;
            }
        }
        Some(None)
    }

    /// Whether all that is left can come to no more than what was left of the whole could.
    fn is_no_better(&self, at: usize) -> bool {
        let free = self.sweep.free();
        let whole = &self.whole[at - self.events.start];
        self.sweep.front.iter().all(|config| {
            let config = Config { uses: config.uses + self.credit, ..*config };
            whole.iter().any(|known| free.dominates(known, &config))
        })
    }

    /// Past an event; whether an operation ended that is there. `None` when the budget is spent.
    fn step(&mut self, at: usize) -> Option<bool> {
        let gone = &self.gone;
        step(&mut self.sweep, self.plan, at, |place| gone[place as usize])
    }
}

/// See [`Thinning::step`].
fn step(
    sweep: &mut Sweep<'_>,
    plan: &Plan,
    at: usize,
    is_gone: impl Fn(u32) -> bool,
) -> Option<bool> {
    let (time, happening) = plan.events[at];
    sweep.moment.time = time;
    match happening {
        Happening::Supply(class) => sweep.supply(class),
        Happening::Call(place) if is_gone(place) => {
            let open = sweep.moment.call(plan, place);
            sweep.moment.close(open);
        }
        Happening::Call(place) => sweep.call(place),
        Happening::Return(place) if is_gone(place) => {}
        Happening::Return(place) => {
            let spent = sweep.finish(sweep.moment.open(plan, place), 0);
            return spent.is_none().then_some(true);
        }
    }
    Some(false)
}

/// What is left after each event, up to where nothing is; `None` if it does not come to that.
fn fronts(
    sweep: &mut Sweep<'_>,
    plan: &Plan,
    events: Range<usize>,
    bytes_max: usize,
) -> Option<Vec<Vec<Config>>> {
    let mut fronts: Vec<Vec<Config>> = Vec::new();
    let mut bytes = 0;
    for at in events {
        let is_end = step(sweep, plan, at, |_| false)?;
        let front = if is_end { sweep.front.clone() } else { Vec::new() };
        bytes += size_of_val(&front[..]);
        fronts.push(front);
        if sweep.front.is_empty() {
            return Some(fronts);
        }
        if bytes > bytes_max {
            return None;
        }
    }
    None
}

fn spans(plan: &Plan, entries: usize) -> Vec<Option<Span>> {
    let mut spans = vec![None; entries];
    for (at, &(_, happening)) in plan.events.iter().enumerate() {
        if let Happening::Call(place) | Happening::Return(place) = happening {
            let entry = plan.certain[place as usize].entry as usize;
            spans[entry].get_or_insert(Span { place, first: at, last: at }).last = at;
        }
    }
    spans
}
