//! `ordeal check`: judges histories that are already there, from any tool.

mod input;
mod output;

use crate::{duration, nearest, status};
use clap::{Args, ValueEnum};
use input::{Input, InputError};
use ordeal_checker::linear::{Algorithm, MisfitAt};
use ordeal_checker::{Checker, Judgement, Limits, Verdict, registry};
use ordeal_history::History;
use ordeal_history::formats::Format;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Which histories, and how they are judged.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Histories; `-` is standard input, a folder is every history in it
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What the histories are held against: a model, or a checker by its name in `ordeal list`
    /// [default: the model whose operations they have]
    #[arg(long, value_parser = parse_model)]
    model: Option<String>,
    /// How the files are written [default: from how they begin]
    #[arg(long, value_parser = parse_format)]
    format: Option<Format>,
    /// One JSON object a file, and nothing else, on standard output
    #[arg(long)]
    json: bool,
    /// Forgive a last line that was cut
    #[arg(long)]
    partial: bool,
    /// How linearizability is decided
    #[arg(long, value_enum, default_value_t = AlgorithmName::Auto)]
    algorithm: AlgorithmName,
    /// Give up on a file after this time, as `unknown`, such as 30s [default: never]
    #[arg(long, value_name = "DUR", value_parser = duration::parse)]
    time_limit: Option<Duration>,
    /// Give up on a file when checking it would hold this many MiB, as `unknown`
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    memory_limit: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AlgorithmName {
    /// The one that suits the history
    Auto,
    /// The near-linear algorithm for registers whose written values are all different
    Blocks,
    /// One pass over a register's history that keeps the configurations of the present alone
    Layers,
    /// The general search
    Search,
}

fn parse_model(name: &str) -> Result<String, String> {
    let names = registry::names();
    if names.iter().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    Err(format!("there is no model or checker `{name}`{}", nearest::instead(name, &known)))
}

fn parse_format(name: &str) -> Result<Format, String> {
    Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
        let known: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
        format!("there is no format `{name}`{}", nearest::instead(name, &known))
    })
}

/// Why a file could not be judged.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("{place}: {message}")]
    Misfit { place: String, message: String },
    #[error("{place}: no model has an operation `{f}`; choose one with --model")]
    NoModel { place: String, f: String },
}

/// A file that was judged, and how long that took.
struct Judged {
    file: String,
    history: History,
    judgement: Judgement,
    read: Duration,
    check: Duration,
}

/// Judges the histories, one line (or JSON object) each; gives the exit status: that of the worst
/// verdict, or 64 when any of them could not be read.
pub fn run(args: CheckArgs) -> u8 {
    let mut worst = status::VALID;
    let mut inputs = args.files.iter().flat_map(|file| Input::find(file)).peekable();
    while let Some(input) = inputs.next() {
        let judged = input.map_err(CheckError::from).and_then(|input| judge(&input, &args));
        let status = match judged {
            Ok(judged) => {
                let text = if args.json { output::json(&judged) } else { output::text(&judged) };
                say!("{text}");
                let status = status_of(&judged.judgement.verdict);
                if inputs.peek().is_none() {
                    // The process ends next: nobody needs a large history to be taken apart before.
                    std::mem::forget(judged);
                }
                status
            }
            Err(error) => {
                tell!("ordeal check: {error}");
                status::USAGE
            }
        };
        worst = worse(worst, status);
    }
    worst
}

fn status_of(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Valid(_) => status::VALID,
        Verdict::Invalid(_) => status::INVALID,
        Verdict::Unknown(_) => status::UNKNOWN,
    }
}

/// Wrong input hides every verdict; then invalid, unknown, valid.
fn worse(a: u8, b: u8) -> u8 {
    let order = [status::USAGE, status::INVALID, status::UNKNOWN];
    order.into_iter().find(|status| [a, b].contains(status)).unwrap_or(status::VALID)
}

fn judge(input: &Input, args: &CheckArgs) -> Result<Judged, CheckError> {
    let start = Instant::now();
    let history = input.read(args.format, args.partial)?;
    let read = start.elapsed();
    let start = Instant::now();
    let algorithm = match args.algorithm {
        AlgorithmName::Auto => Algorithm::Auto,
        AlgorithmName::Blocks => Algorithm::Blocks,
        AlgorithmName::Layers => Algorithm::Layers,
        AlgorithmName::Search => Algorithm::Search,
    };
    let limits = Limits {
        time: args.time_limit,
        memory_bytes: args.memory_limit.saturating_mul(1 << 20),
        ..Limits::default()
    };
    let checker = choose(input, &history, args, algorithm)?;
    let judgement = checker.check(&history, &limits);
    if let Verdict::Unknown(_) = judgement.verdict
        && let Some(MisfitAt { event, message }) = checker.misfit(&history)
    {
        let place = input.place(event, args.format);
        return Err(CheckError::Misfit { place, message });
    }
    let check = start.elapsed();
    Ok(Judged { file: input.name.clone(), history, judgement, read, check })
}

fn choose(
    input: &Input,
    history: &History,
    args: &CheckArgs,
    algorithm: Algorithm,
) -> Result<Box<dyn Checker>, CheckError> {
    let checker = match &args.model {
        Some(name) => registry::asked(name, algorithm),
        None => registry::detect(history).map(|model| model.checker(algorithm)),
    };
    checker.ok_or_else(|| {
        let first = history.operations.first();
        let (event, f) = first.map_or((0, ""), |operation| (operation.invoke, &*operation.f));
        CheckError::NoModel { place: input.place(event, args.format), f: f.to_owned() }
    })
}
