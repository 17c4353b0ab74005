//! The files: which there are, how they are written, and what is in them.

use crate::packed;
use ordeal_history::formats::{self, Format};
use ordeal_history::{History, ReadError, ReadOptions, read_jsonl};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes from which the format is told.
const HEAD_BYTES: u64 = 1 << 20;

/// Why there is no history. Each names the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("{file}: {error}")]
    Io { file: String, error: io::Error },
    #[error("{file}: {error}")]
    Malformed { file: String, error: ordeal_history::Malformed },
    #[error("{file}: there is no history in this folder")]
    Empty { file: String },
}

/// One history that is to be judged.
pub(super) struct Input {
    /// As the command line names it.
    pub(super) name: String,
    source: Source,
}

enum Source {
    File(PathBuf),
    /// Standard input, which can be read only once.
    Bytes(Vec<u8>),
}

impl Input {
    /// The histories that an argument names.
    pub(super) fn find(argument: &Path) -> Vec<Result<Input, InputError>> {
        let name = argument.display().to_string();
        if argument == Path::new("-") {
            let mut bytes = Vec::new();
            return vec![match io::stdin().lock().read_to_end(&mut bytes) {
                Ok(_) => Ok(Input { name, source: Source::Bytes(bytes) }),
                Err(error) => Err(InputError::Io { file: name, error }),
            }];
        }
        if !argument.is_dir() {
            return vec![Ok(Input { name, source: Source::File(argument.to_owned()) })];
        }
        let mut files = Vec::new();
        if let Err(error) = walk(argument, &mut files) {
            return vec![Err(InputError::Io { file: name, error })];
        }
        if files.is_empty() {
            return vec![Err(InputError::Empty { file: name })];
        }
        files
            .into_iter()
            .map(|path| Ok(Input { name: path.display().to_string(), source: Source::File(path) }))
            .collect()
    }

    /// Reads it in `format`, or in the one that it looks like.
    pub(super) fn read(
        &self,
        format: Option<Format>,
        partial: bool,
    ) -> Result<History, InputError> {
        let options = ReadOptions { partial };
        let read = match &self.source {
            Source::Bytes(bytes) => {
                formats::read(bytes, format.unwrap_or_else(|| formats::detect(bytes)), options)
            }
            Source::File(path) => read_file(path, format, options),
        };
        read.map_err(|error| match error {
            ReadError::Io(error) => InputError::Io { file: self.name.clone(), error },
            ReadError::Malformed(error) => InputError::Malformed { file: self.name.clone(), error },
        })
    }

    /// The place of an event, for a message: file, line and column.
    pub(super) fn place(&self, event: u64, format: Option<Format>) -> String {
        let bytes = match &self.source {
            Source::Bytes(bytes) => Cow::Borrowed(bytes),
            Source::File(path) => Cow::Owned(contents(path).unwrap_or_default()),
        };
        let format = format.unwrap_or_else(|| formats::detect(&bytes));
        match formats::place(&bytes, format, event) {
            Some((line, column)) => {
                format!("{}: line {line}, column {column} (event {event})", self.name)
            }
            // The file changed after it was read.
            None => format!("{}: event {event}", self.name),
        }
    }
}

/// The file as a whole, unpacked.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    packed::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_file(
    path: &Path,
    format: Option<Format>,
    options: ReadOptions,
) -> Result<History, ReadError> {
    let mut file = packed::open(path)?;
    let mut head = Vec::new();
    (&mut file).take(HEAD_BYTES).read_to_end(&mut head)?;
    match format.unwrap_or_else(|| formats::detect(&head)) {
        Format::JsonLines => read_jsonl(io::Cursor::new(head).chain(file), options),
        format => {
            file.read_to_end(&mut head)?;
            formats::read(&head, format, options)
        }
    }
}

/// The histories in a folder and below it, in the order of their names; links to folders are not
/// followed, for `latest` is one.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in &entries {
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&path, found)?;
        } else if path.is_file() && is_history(&path)? {
            found.push(path);
        }
    }
    Ok(())
}

fn is_history(path: &Path) -> io::Result<bool> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    if path.ends_with("history.jsonl.gz") {
        return Ok(true);
    }
    match extension {
        // The part of a history that stands whole beside it.
        Some("jsonl") => Ok(!path.ends_with("counterexample.jsonl")
            || !packed::find(&path.with_file_name("history.jsonl")).exists()),
        Some("edn") => Ok(true),
        Some("json" | "log" | "txt") => {
            let mut head = Vec::new();
            File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
            Ok(match formats::detect(&head) {
                Format::JepsenJson => extension == Some("json"),
                Format::PorcupineJepsenLog | Format::PorcupineKvLog => extension != Some("json"),
                Format::JsonLines | Format::JepsenEdn => false,
            })
        }
        _ => Ok(false),
    }
}
