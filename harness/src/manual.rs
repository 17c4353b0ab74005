//! `ordeal completions` and `ordeal man`: what shells and `man` know of the command line, made from
//! its own definition, so that neither can tell of an option that is not there.

use crate::status;
use clap::{Args, Command};
use clap_complete::Shell;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Whose completions.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Where to.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder, which is made if it is not there: `man -l DIR/ordeal.1` reads the first page
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: PathBuf,
}

/// Prints what the shell is to read; gives the exit status.
pub fn completions(args: &CompletionsArgs, mut definition: Command) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut definition, "ordeal", &mut text);
    // A reader that has gone away has read enough.
    let _ = std::io::stdout().write_all(&text);
    status::VALID
}

/// Writes a page for `ordeal` and one for each of its commands; gives the exit status.
pub fn man(args: &ManArgs, definition: Command) -> u8 {
    match write_pages(&args.folder, definition) {
        Ok(()) => status::VALID,
        Err(error) => {
            tell!("ordeal man: cannot write to {}: {error}", args.folder.display());
            status::UNAVAILABLE
        }
    }
}

fn write_pages(folder: &Path, definition: Command) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(definition, folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser, ValueEnum};

    /// A little of what Ordeal's own is like.
    #[derive(Parser)]
    #[command(name = "ordeal", version = "9.9.9 (0123)")]
    enum Cli {
        /// One test
        Run(Box<crate::run::RunArgs>),
        /// Judges
        Check(crate::check::CheckArgs),
    }

    #[test]
    fn each_shell_completes_commands_and_options() {
        for shell in Shell::value_variants() {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "ordeal", &mut text);
            let text = String::from_utf8_lossy(&text);
            for word in ["run", "check", "time-limit", "nemesis"] {
                assert!(text.contains(word), "{shell}: no {word}");
            }
        }
    }

    #[test]
    fn each_command_has_a_page_that_tells_of_its_options() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let man = folder.path().join("man1");
        write_pages(&man, Cli::command())?;
        let page = |name: &str| std::fs::read_to_string(man.join(name));
        assert!(page("ordeal.1")?.contains("9.9.9"));
        assert!(page("ordeal-run.1")?.contains("\\-\\-time\\-limit"), "{}", page("ordeal-run.1")?);
        assert!(page("ordeal-check.1")?.contains("\\-\\-model"));
        Ok(())
    }
}
