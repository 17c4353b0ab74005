//! What the examples that measure share: clusters of processes on loopback, started and measured.

pub mod processes;

use std::path::PathBuf;

/// Any failure of an example, as one sentence.
pub type Failure = Box<dyn std::error::Error>;

/// The value behind a flag of the command line, if the flag is there.
///
/// # Errors
/// If the flag stands last, without a value, or the value does not parse.
pub fn flag<T: std::str::FromStr>(name: &str) -> Result<Option<T>, Failure> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    if !std::env::args().any(|argument| argument == name) {
        return Ok(None);
    }
    let value = arguments.next().ok_or_else(|| format!("{name} wants a value"))?;
    value.parse().map(Some).map_err(|_| format!("{name}: {value} makes no sense").into())
}

/// The `ordeal` that `--ordeal` names, or the one that was built beside this example.
///
/// # Errors
/// If there is none.
pub fn ordeal() -> Result<PathBuf, Failure> {
    let path = match flag("--ordeal")? {
        Some(path) => path,
        None => {
            let own = std::env::current_exe()?;
            let folder = own.parent().and_then(|examples| examples.parent());
            folder.ok_or("this example lies in no folder")?.join("ordeal")
        }
    };
    if !path.is_file() {
        let path = path.display();
        return Err(format!("no {path}: build it, or name another by --ordeal PATH").into());
    }
    Ok(path)
}
