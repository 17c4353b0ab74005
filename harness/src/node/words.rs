//! From what a user of etcd writes to what the parser of the command line takes.
//!
//! As in etcd a flag has one dash or two, counts as it comes last, and may stand in the environment
//! as `ETCD_` and its name in capitals, where the command line comes before. With `--config-file`
//! the file alone counts.

use clap::{Args, Command};

use super::NodeArgs;
use super::file;
use super::foreign::Foreign;

/// The flag that may be given more than once, and is none of etcd's.
const BUG: &str = "bug";

const CONFIG_FILE: &str = "config-file";

/// The words, and what is to be said of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// For the parser.
    pub words: Vec<String>,
    /// Lines for the log.
    pub notes: Vec<String>,
}

/// A flag and its value, if it has one.
type Flag = (String, Option<String>);

/// Translates the words behind `node`.
///
/// # Errors
/// One sentence that names the flag, or the file and the place in it.
pub fn translate(
    words: impl IntoIterator<Item = String>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Words, String> {
    let known = Known::new();
    let (mut flags, words) = known.given(words)?;
    let mut translated = Words { words, notes: Vec::new() };
    let from_environment = |name: &str| {
        let variable = format!("ETCD_{}", name.to_uppercase().replace('-', "_"));
        environment(&variable).filter(|value| !value.is_empty())
    };
    let file =
        flags.iter().find(|(name, _)| name == CONFIG_FILE).and_then(|(_, path)| path.clone());
    let file = file.filter(|path| !path.is_empty()).or_else(|| from_environment(CONFIG_FILE));
    flags.retain(|(name, _)| name == BUG || file.is_none() && name != CONFIG_FILE);
    if let Some(path) = file {
        known.add_file(&path, &mut flags, &mut translated.notes)?;
    } else {
        for name in known.names().filter(|name| ![BUG, CONFIG_FILE].contains(name)) {
            if !flags.iter().any(|(given, _)| given == name)
                && let Some(value) = from_environment(name)
            {
                add(&mut flags, name, Some(value));
            }
        }
    }
    for (name, value) in flags {
        translated.take(&name, value)?;
    }
    Ok(translated)
}

/// Adds a flag in place of one of its name that came before.
fn add(flags: &mut Vec<Flag>, name: &str, value: Option<String>) {
    if name != BUG {
        flags.retain(|(given, _)| given != name);
    }
    flags.push((name.to_owned(), value));
}

impl Words {
    fn take(&mut self, name: &str, value: Option<String>) -> Result<(), String> {
        match (Foreign::of(name), value) {
            (Some(foreign), value) => {
                let said = foreign.judge(value.as_deref().unwrap_or("true"))?;
                self.notes.extend(said);
            }
            (None, Some(value)) => self.words.push(format!("--{name}={value}")),
            (None, None) => self.words.push(format!("--{name}")),
        }
        Ok(())
    }
}

/// The flags that there are, those of etcd's that do nothing among them.
struct Known {
    acting: Vec<(String, bool)>,
}

impl Known {
    fn new() -> Known {
        let command = NodeArgs::augment_args(Command::new("node"));
        let flags = command.get_arguments().filter_map(|flag| {
            // A switch takes its value behind an equals sign alone.
            let switch = flag.is_require_equals_set();
            Some((flag.get_long()?.to_owned(), switch))
        });
        Known { acting: flags.chain([(CONFIG_FILE.to_owned(), false)]).collect() }
    }

    /// The flags that are given, and what is none that is known: the parser knows what to say.
    fn given(
        &self,
        words: impl IntoIterator<Item = String>,
    ) -> Result<(Vec<Flag>, Vec<String>), String> {
        let (mut flags, mut others) = (Vec::new(), Vec::new());
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            let (name, mut value) = match flag.and_then(|flag| flag.split_once('=')) {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag.unwrap_or_default(), None),
            };
            match self.is_switch(name) {
                None if name == "help" => others.push("--help".into()),
                None => others.push(word),
                Some(switch) => {
                    if !switch && value.is_none() {
                        let next = words.next();
                        value = Some(next.ok_or_else(|| format!("--{name} wants a value"))?);
                    }
                    add(&mut flags, name, value);
                }
            }
        }
        Ok((flags, others))
    }

    fn add_file(
        &self,
        path: &str,
        flags: &mut Vec<Flag>,
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        for (name, value) in file::read(path)? {
            match self.is_switch(&name) {
                Some(_) => add(flags, &name, Some(value)),
                None => notes.push(format!("--config-file {path}: {name} is no flag of etcd's")),
            }
        }
        notes.push(format!("--config-file {path} alone counts, as in etcd"));
        Ok(())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let acting = self.acting.iter().map(|(name, _)| name.as_str());
        acting.chain(super::foreign::FLAGS.iter().map(|flag| flag.name))
    }

    /// Whether a flag may stand without a value; nothing if there is no such flag.
    fn is_switch(&self, name: &str) -> Option<bool> {
        let acting = self.acting.iter().find(|(known, _)| known == name);
        acting.map(|(_, switch)| *switch).or_else(|| Foreign::of(name).map(|flag| flag.switch))
    }
}
