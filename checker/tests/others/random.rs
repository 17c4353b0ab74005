//! Random small histories of operations, and what is asked of a checker on them.

use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{History, Operation, Outcome, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An operation of `process` that began at event `invoke` and ended at `complete`, if it did.
/// Events are a second apart.
pub fn operation(process: i64, f: &str, outcome: Outcome, invoke: u64, complete: u64) -> Operation {
    let ended = (outcome != Outcome::Info).then_some(complete);
    Operation {
        process,
        f: f.into(),
        key: None,
        input: Value::Null,
        output: Value::Null,
        actual: None,
        outcome,
        invoke,
        complete: ended,
        invoke_time: invoke * 1_000_000_000,
        complete_time: ended.map(|event| event * 1_000_000_000),
        revision: None,
        version: None,
        node: None,
        error: None,
    }
}

/// A history of `count` operations of three processes, some at the same time; `draw` says what
/// each is: its function, input, and output if it succeeds.
pub fn history(
    rng: &mut ChaCha8Rng,
    count: usize,
    mut draw: impl FnMut(&mut ChaCha8Rng) -> (&'static str, Value, Value),
) -> History {
    let mut open: [Option<usize>; 3] = [None; 3];
    let mut names = [0_i64, 1, 2];
    let mut operations: Vec<Operation> = Vec::new();
    let mut event = 0;
    while operations.len() < count || open.iter().any(Option::is_some) {
        let slot = rng.random_range(0..open.len());
        match open[slot].take() {
            None if operations.len() < count => {
                open[slot] = Some(operations.len());
                let (f, input, output) = draw(rng);
                let begun = operation(names[slot], f, Outcome::Ok, event, 0);
                operations.push(Operation { input, output, ..begun });
            }
            None => continue,
            Some(place) => {
                let Operation { process, f, input, output, invoke, .. } = operations[place].clone();
                let outcome = match rng.random_range(0..8) {
                    0 => Outcome::Info,
                    1 => Outcome::Fail,
                    _ => Outcome::Ok,
                };
                names[slot] += if outcome == Outcome::Info { 10 } else { 0 };
                let ended = operation(process, &f, outcome, invoke, event);
                let output = if outcome == Outcome::Ok { output } else { Value::Null };
                operations[place] = Operation { input, output, ..ended };
            }
        }
        event += 1;
    }
    History { operations, notes: Vec::new(), events: event }
}

/// The verdict's word, after a look at the counterexample: judged by itself it is invalid too.
pub fn verdict(checker: &dyn Checker, history: &History) -> &'static str {
    match checker.check(history, &Limits::default()).verdict {
        Verdict::Valid(_) => "valid",
        Verdict::Unknown(_) => "unknown",
        Verdict::Invalid(wrong) => {
            let part = |at: &u32| history.operations[*at as usize].clone();
            let part = History {
                operations: wrong.operations.iter().map(part).collect(),
                notes: Vec::new(),
                events: history.events,
            };
            let again = checker.check(&part, &Limits::default()).verdict;
            let stands = matches!(again, Verdict::Invalid(_));
            assert!(stands, "{wrong:#?}\nby itself: {again:?}\n{}", show(history));
            "invalid"
        }
    }
}

/// Holds `checker` against `oracle` on `rounds` histories that `draw` gives. Each of the words in
/// `all` must come up, so that the trial tries something.
pub fn agree(
    checker: &dyn Checker,
    rounds: u64,
    all: &[&str],
    draw: impl Fn(&mut ChaCha8Rng) -> History,
    oracle: impl Fn(&History) -> &'static str,
) {
    let mut seen = Vec::new();
    for seed in 0..rounds {
        let history = draw(&mut ChaCha8Rng::seed_from_u64(seed));
        let (found, expected) = (verdict(checker, &history), oracle(&history));
        assert_eq!(found, expected, "{} seed {seed}: {}", checker.name(), show(&history));
        if seed % 8 == 0 && found != "invalid" && checker.online(&Limits::default()).is_some() {
            was_never_wrong(checker, &history);
        }
        seen.push(found);
    }
    for word in all {
        let times = seen.iter().filter(|found| *found == word).count();
        assert!(times as u64 > rounds / 100, "{}: {word} only {times} times", checker.name());
    }
}

/// A check that is asked again and again as the history grows calls nothing wrong that comes out
/// right in the end.
fn was_never_wrong(checker: &dyn Checker, history: &History) {
    let all: Vec<u32> = (0..history.operations.len() as u32).collect();
    let events = history.events_of(&all);
    for count in 0..events.len() {
        let part = History::from_events(events[..count].iter().cloned()).unwrap();
        let verdict = checker.check(&part, &Limits::default()).verdict;
        let is_wrong = matches!(verdict, Verdict::Invalid(_));
        assert!(!is_wrong, "{} at event {count}: {}", checker.name(), show(history));
    }
}

/// Those called `f` that ended so.
pub fn those<'h>(
    history: &'h History,
    f: &'static str,
    outcome: Outcome,
) -> impl Iterator<Item = &'h Operation> + Clone {
    history.operations.iter().filter(move |o| &*o.f == f && o.outcome == outcome)
}

/// Whether `one` ended before `other` began.
pub fn before(one: &Operation, other: &Operation) -> bool {
    one.complete.is_some_and(|end| end < other.invoke)
}

/// The history as a person reads it.
pub fn show(history: &History) -> String {
    let line = |o: &Operation| {
        let (invoke, process, f, key) = (o.invoke, o.process, &o.f, &o.key);
        let Operation { input, output, outcome, complete, revision, .. } = o;
        format!(
            "\n{invoke}..{complete:?} {process} {f} {key:?} {input} {outcome:?} {output} at \
             {revision:?}"
        )
    };
    history.operations.iter().map(line).collect()
}
