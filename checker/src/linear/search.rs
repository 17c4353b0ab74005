//! The general search: Wing and Gong's, with Lowe's memory of configurations.
//!
//! A configuration is the set of operations that were placed, and the state that they left. It is
//! remembered as a 128-bit fingerprint that each step updates in O(1); a collision could only hide
//! a path (one chance in 2^100 or so), and a counterexample is checked afresh while it is
//! minimised. What keeps the number of configurations down, each exact for any model:
//!
//! - **Observers are eager.** An operation that changes no state in which it is legal is placed as
//!   soon as it is enabled and legal, without an alternative.
//! - **Equal operations are placed in the order of their ends**: exchanging two equal operations
//!   that are both open leaves every state as it was and only widens what can follow.
//! - **Indeterminate operations stand beside the list**, in classes of equal ones, taken in the
//!   order of their invocations. One is applied only if what follows it needs it: if the next
//!   operation leads to the same state without it, or the two commute, it could as well be left
//!   out or come later. None need ever be applied.
//! - **For a register** ([`Model::shows`]) all values that no operation left names are one value,
//!   and a write of such a value is placed just before the next write, which hides it; an
//!   indeterminate operation is applied only when one that waits sees what it makes.
//! - **Candidates are tried by earliest end**, so that a valid history is a nearly straight path.

mod answer;
mod named;
mod space;

use super::model::Model;
use super::object::{Entry, NEVER};
pub use answer::{Answer, Budget, Found, Hint};
use named::Named;
use rustc_hash::{FxHashMap, FxHashSet};
use space::{NONE, Space, maybe_token, token};

/// Searches for a linearization of `entries`. Exponential in the operations open at once.
pub fn search<M: Model>(model: &M, entries: &[Entry<M::Op>], budget: Budget<'_>) -> Found {
    let mut search = Search::new(model, entries, budget);
    let answer = search.run();
    Found {
        answer,
        configurations: search.seen.len() as u64,
        memory_bytes: search.memory_bytes() as u64,
        hint: Hint::default(),
    }
}

/// A certain operation.
#[derive(Clone, Copy)]
struct Certain {
    entry: u32,
    class: u32,
    call: u64,
    ret: u64,
    before: u32,
    after: u32,
}

/// Indeterminate operations that are equal, by invocation.
struct Maybe {
    class: u32,
    /// Entry and invocation.
    members: Vec<(u32, u64)>,
    used: usize,
}

/// An indeterminate operation that was just applied, and the state before it.
type Pending = Option<(u32, u32)>;

/// A step that was made: a certain operation, or the next member of `maybes`.
#[derive(Clone, Copy)]
enum Placed {
    Certain(u32),
    Maybe(u32),
}

/// A configuration on the path.
struct Node {
    state: u32,
    pending: Pending,
    /// Length of the trail before the step that led here.
    trail: usize,
    /// Its candidates in the pool, and the next to try.
    candidates: usize,
    next: usize,
}

struct Search<'a, M: Model> {
    space: Space<'a, M>,
    named: Named,
    budget: Budget<'a>,
    certain: Vec<Certain>,
    maybes: Vec<Maybe>,
    /// First certain operation that is not placed.
    head: u32,
    state: u32,
    pending: Pending,
    fingerprint: u128,
    seen: FxHashSet<u128>,
    trail: Vec<Placed>,
    path: Vec<Node>,
    pool: Vec<Placed>,
    enabled: Vec<u32>,
    placed: usize,
    placed_best: usize,
    /// The latest first end that any path reached.
    reached: u64,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, entries: &[Entry<M::Op>], budget: Budget<'a>) -> Self {
        let mut space = Space::new(model);
        let state = space.number(model.initial());
        let mut classes: FxHashMap<&M::Op, u32> = FxHashMap::default();
        let mut certain: Vec<Certain> = Vec::new();
        let mut maybes: Vec<Maybe> = Vec::new();
        let mut maybe_of: FxHashMap<u32, usize> = FxHashMap::default();
        for (index, entry) in entries.iter().enumerate() {
            let class = *classes.entry(&entry.op).or_insert_with(|| space.class(&entry.op));
            if entry.ret != NEVER {
                certain.push(Certain {
                    entry: index as u32,
                    class,
                    call: entry.call,
                    ret: entry.ret,
                    before: NONE,
                    after: NONE,
                });
            } else if !space.observes[class as usize] {
                let place = *maybe_of.entry(class).or_insert_with(|| {
                    maybes.push(Maybe { class, members: Vec::new(), used: 0 });
                    maybes.len() - 1
                });
                maybes[place].members.push((index as u32, entry.call));
            }
        }
        certain.sort_by_key(|op| op.call);
        let count = certain.len();
        for (index, op) in certain.iter_mut().enumerate() {
            op.before = if index == 0 { NONE } else { index as u32 - 1 };
            op.after = if index + 1 == count { NONE } else { index as u32 + 1 };
        }
        let named = Named::new(&space, &certain, &maybes);
        Search {
            named,
            space,
            budget,
            head: if certain.is_empty() { NONE } else { 0 },
            certain,
            maybes,
            state,
            pending: None,
            fingerprint: 0,
            seen: FxHashSet::default(),
            trail: Vec::new(),
            path: Vec::new(),
            pool: Vec::new(),
            enabled: Vec::new(),
            placed: 0,
            placed_best: 0,
            reached: 0,
        }
    }

    fn run(&mut self) -> Answer {
        self.observe();
        if self.head == NONE {
            return self.witness();
        }
        self.remember();
        self.open(0);
        let mut steps = 0_u64;
        loop {
            steps += 1;
            if steps.is_multiple_of(1024)
                && let Some(why) = self.spent()
            {
                let (placed, certain) = (self.placed_best, self.certain.len());
                return Answer::Unknown { why, placed, certain };
            }
            let Some(node) = self.path.last_mut() else {
                return Answer::Invalid(self.reached);
            };
            if node.next == self.pool.len() {
                self.close();
                continue;
            }
            let candidate = self.pool[node.next];
            node.next += 1;
            let trail = self.trail.len();
            self.place(candidate);
            self.observe();
            if self.head == NONE {
                return self.witness();
            }
            if self.remember() {
                self.open(trail);
            } else {
                self.undo(trail);
            }
        }
    }

    fn witness(&self) -> Answer {
        let mut used = vec![0; self.maybes.len()];
        let order = self.trail.iter().map(|placed| match *placed {
            Placed::Certain(index) => self.certain[index as usize].entry,
            Placed::Maybe(index) => {
                let member = &mut used[index as usize];
                *member += 1;
                self.maybes[index as usize].members[*member - 1].0
            }
        });
        Answer::Valid(order.collect())
    }

    fn memory_bytes(&self) -> usize {
        self.seen.capacity() * 17
            + self.space.steps.capacity() * 13
            + self.space.state_bytes
            + self.pool.capacity() * 8
            + self.path.capacity() * std::mem::size_of::<Node>()
    }

    fn spent(&self) -> Option<&'static str> {
        let budget = &self.budget;
        if self.memory_bytes() > budget.memory_bytes {
            return Some("out of memory");
        }
        if self.seen.len() as u64 > budget.configurations {
            return Some("too many configurations");
        }
        budget.spent()
    }

    /// Notes the configuration; whether it is new.
    fn remember(&mut self) -> bool {
        self.placed_best = self.placed_best.max(self.placed);
        let pending = match self.pending {
            Some((class, state)) => token(3, (u64::from(class) << 32) | u64::from(state)),
            None => 0,
        };
        let state = if self.is_dead(self.state) { NONE } else { self.state };
        self.seen.insert(self.fingerprint ^ token(1, u64::from(state)) ^ pending)
    }

    /// Whether no operation that is left names the value of `state`.
    fn is_dead(&self, state: u32) -> bool {
        let value = self.space.shown[state as usize];
        value != NONE && !self.named.is_named(value)
    }

    /// Whether `class` overwrites whatever is there, by a value that no operation left names, and
    /// none is left that it could help by overwriting what it avoids.
    fn is_dead_write(&self, class: u32) -> bool {
        let names = &self.space.names[class as usize];
        self.named.is_positive()
            && names.overwrites()
            && !names.makes.iter().any(|&value| self.named.is_named(value))
    }

    /// Fills `enabled` with the certain operations that may come next; the first end among all
    /// that are not placed.
    fn enable(&mut self) -> u64 {
        self.enabled.clear();
        let mut first_end = NEVER;
        let mut index = self.head;
        while index != NONE {
            let op = &self.certain[index as usize];
            if op.call > first_end {
                break;
            }
            first_end = first_end.min(op.ret);
            self.enabled.push(index);
            index = op.after;
        }
        // What began after the first end was seen too early to know it.
        let certain = &self.certain;
        self.enabled.retain(|&index| certain[index as usize].call < first_end);
        first_end
    }

    /// Places every observer that is enabled and legal, and while nobody will see what is there,
    /// every write that nobody will see either.
    fn observe(&mut self) {
        loop {
            self.enable();
            let mut placed = false;
            for at in 0..self.enabled.len() {
                let index = self.enabled[at];
                let class = self.certain[index as usize].class;
                if self.space.observes[class as usize] && self.space.step(self.state, class) != NONE
                {
                    self.lift(index);
                    // What was applied last is needed by this very answer.
                    self.pending = None;
                    placed = true;
                } else if self.is_dead(self.state) && self.is_dead_write(class) {
                    self.state = self.space.step(self.state, class);
                    self.lift(index);
                    self.pending = None;
                    placed = true;
                }
            }
            if !placed {
                return;
            }
        }
    }

    fn place(&mut self, candidate: Placed) {
        match candidate {
            Placed::Certain(index) => {
                let class = self.certain[index as usize].class;
                if self.space.names[class as usize].overwrites() {
                    self.hide(index);
                }
                self.state = self.space.step(self.state, class);
                self.pending = None;
                self.lift(index);
            }
            Placed::Maybe(index) => {
                let maybe = &mut self.maybes[index as usize];
                self.pending = Some((maybe.class, self.state));
                self.fingerprint ^= maybe_token(maybe.class, maybe.used);
                maybe.used += 1;
                self.named.forget(&self.space.names[maybe.class as usize]);
                self.state = self.space.step(self.state, maybe.class);
                self.fingerprint ^= maybe_token(maybe.class, maybe.used);
                self.trail.push(candidate);
            }
        }
    }

    /// Places the writes that nobody will see just before the write at `index`, which hides them.
    fn hide(&mut self, index: u32) {
        self.enable();
        for at in 0..self.enabled.len() {
            let other = self.enabled[at];
            if other != index && self.is_dead_write(self.certain[other as usize].class) {
                self.lift(other);
            }
        }
    }

    /// Takes a certain operation out of the list.
    fn lift(&mut self, index: u32) {
        let Certain { class, before, after, .. } = self.certain[index as usize];
        self.named.forget(&self.space.names[class as usize]);
        match before {
            NONE => self.head = after,
            before => self.certain[before as usize].after = after,
        }
        if after != NONE {
            self.certain[after as usize].before = before;
        }
        self.fingerprint ^= token(0, u64::from(index));
        self.placed += 1;
        self.trail.push(Placed::Certain(index));
    }

    /// Takes back what was placed since the trail had this length, and the state of the node that
    /// is now last on the path.
    fn undo(&mut self, trail: usize) {
        while self.trail.len() > trail {
            match self.trail.pop() {
                Some(Placed::Certain(index)) => {
                    let Certain { class, before, after, .. } = self.certain[index as usize];
                    self.named.recall(&self.space.names[class as usize]);
                    match before {
                        NONE => self.head = index,
                        before => self.certain[before as usize].after = index,
                    }
                    if after != NONE {
                        self.certain[after as usize].before = index;
                    }
                    self.fingerprint ^= token(0, u64::from(index));
                    self.placed -= 1;
                }
                Some(Placed::Maybe(index)) => {
                    let maybe = &mut self.maybes[index as usize];
                    self.fingerprint ^= maybe_token(maybe.class, maybe.used);
                    maybe.used -= 1;
                    self.named.recall(&self.space.names[maybe.class as usize]);
                    self.fingerprint ^= maybe_token(maybe.class, maybe.used);
                }
                None => break,
            }
        }
        if let Some(node) = self.path.last() {
            self.state = node.state;
            self.pending = node.pending;
        }
    }

    fn close(&mut self) {
        if let Some(node) = self.path.pop() {
            self.pool.truncate(node.candidates);
            self.undo(node.trail);
        }
    }

    /// Puts the present configuration on the path, with its candidates.
    fn open(&mut self, trail: usize) {
        let first_end = self.enable();
        self.reached = self.reached.max(first_end);
        let candidates = self.pool.len();
        let mut enabled = std::mem::take(&mut self.enabled);
        let certain = &self.certain;
        enabled.sort_unstable_by_key(|&index| certain[index as usize].ret);
        for (rank, &index) in enabled.iter().enumerate() {
            let class = self.certain[index as usize].class;
            let twin = |&other: &u32| self.certain[other as usize].class == class;
            if !self.space.observes[class as usize]
                && !enabled[..rank].iter().any(twin)
                && self.is_useful(class, None)
            {
                self.pool.push(Placed::Certain(index));
            }
        }
        self.enabled = enabled;
        self.open_maybes(first_end);
        self.path.push(Node {
            state: self.state,
            pending: self.pending,
            trail,
            candidates,
            next: candidates,
        });
    }

    /// Adds the indeterminate operations that may be applied here to the pool.
    fn open_maybes(&mut self, first_end: u64) {
        if self.maybes.is_empty() {
            return;
        }
        let is_open = |maybe: &Maybe| {
            maybe.members.get(maybe.used).is_some_and(|&(_, call)| call < first_end)
        };
        let wanted = if self.space.is_register() {
            let classes = self.enabled.iter().map(|&index| self.certain[index as usize].class);
            let shown = self.space.shown[self.state as usize];
            self.named.wanted(&self.space.names, classes, shown, |maybe| {
                let maybe = &self.maybes[maybe as usize];
                is_open(maybe).then_some(maybe.class)
            })
        } else {
            (0..self.maybes.len() as u32).collect()
        };
        for index in wanted {
            let maybe = &self.maybes[index as usize];
            if is_open(maybe) && self.is_useful(maybe.class, Some(maybe.class)) {
                self.pool.push(Placed::Maybe(index));
            }
        }
    }

    /// Whether `class` is legal here and needs the indeterminate operation that was just applied.
    fn is_useful(&mut self, class: u32, maybe: Option<u32>) -> bool {
        let next = self.space.step(self.state, class);
        if next == NONE || (maybe.is_some() && next == self.state) {
            return false;
        }
        let Some((applied, state)) = self.pending else { return true };
        let without = self.space.step(state, class);
        if without == NONE {
            return true;
        }
        let useless = without == next;
        // Of two indeterminate ones that commute, the lower number comes first.
        let commutes =
            maybe.is_none_or(|maybe| maybe < applied) && self.space.step(without, applied) == next;
        !useless && !commutes
    }
}
