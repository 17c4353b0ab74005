//! A model of one's own: tickets, each of which is drawn once, in order.
//!
//!     cargo run -p ordeal-checker --example own_model
//!
//! With the name of a file it judges the history in it; without one, two that are written here.

use ordeal_checker::linear::{Linearizable, Misfit, Model};
use ordeal_checker::{Checker, Limits, Verdict};
use ordeal_history::{History, Operation, Outcome, ReadOptions, read_jsonl};

/// A roll of tickets, numbered from 1: `draw` answers with the number of the next one.
#[derive(Clone, Copy, Debug, Default)]
struct Tickets;

impl Model for Tickets {
    /// How many were drawn.
    type State = i64;
    /// The number that was drawn; `None` where nobody knows.
    type Op = Option<i64>;

    fn name(&self) -> &str {
        "tickets"
    }

    fn summary(&self) -> &str {
        "each ticket is drawn once, in order, from 1"
    }

    fn initial(&self) -> i64 {
        0
    }

    fn compile(&self, operation: &Operation) -> Result<Option<Option<i64>>, Misfit> {
        match (&*operation.f, operation.outcome) {
            ("draw", Outcome::Fail) => Ok(None),
            ("draw", Outcome::Info) => Ok(Some(None)),
            ("draw", Outcome::Ok) => match operation.output.as_i64() {
                Some(number) => Ok(Some(Some(number))),
                None => Err(Misfit::completion("`draw` answers with a whole number")),
            },
            _ => Err(Misfit::unknown_f("tickets", operation, "draw")),
        }
    }

    fn step(&self, drawn: &i64, number: &Option<i64>) -> Option<i64> {
        let next = drawn + 1;
        number.is_none_or(|number| number == next).then_some(next)
    }

    fn describe(&self, number: &Option<i64>) -> String {
        number.map_or("drew a ticket".to_owned(), |number| format!("drew ticket {number}"))
    }
}

/// The first two clients draw at the same time, so either may come first.
const RIGHT: &str = r#"
{"index":0,"time":0,"process":0,"type":"invoke","f":"draw","value":null}
{"index":1,"time":1,"process":1,"type":"invoke","f":"draw","value":null}
{"index":2,"time":2,"process":0,"type":"ok","f":"draw","value":2}
{"index":3,"time":3,"process":1,"type":"ok","f":"draw","value":1}"#;

/// One after the other, they got their tickets in the wrong order.
const WRONG: &str = r#"
{"index":0,"time":0,"process":0,"type":"invoke","f":"draw","value":null}
{"index":1,"time":1,"process":0,"type":"ok","f":"draw","value":2}
{"index":2,"time":2,"process":1,"type":"invoke","f":"draw","value":null}
{"index":3,"time":3,"process":1,"type":"ok","f":"draw","value":1}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1) {
        Some(path) => {
            judge(&path, &read_jsonl(std::fs::File::open(&path)?, ReadOptions::default())?)
        }
        None => {
            for (name, text) in [("at once", RIGHT), ("one after the other", WRONG)] {
                judge(name, &read_jsonl(text.as_bytes(), ReadOptions::default())?);
            }
        }
    }
    Ok(())
}

fn judge(name: &str, history: &History) {
    let judgement = Linearizable::new(Tickets).check(history, &Limits::default());
    match judgement.verdict {
        Verdict::Valid(witness) => {
            println!("{name}: valid, for example in this order: {witness:?}")
        }
        Verdict::Invalid(wrong) => println!("{name}: invalid\n  {}", wrong.story.join("\n  ")),
        Verdict::Unknown(why) => println!("{name}: unknown: {why}"),
    }
}
