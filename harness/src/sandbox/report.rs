//! How a new process tells its maker over a pipe how far its set-up came.
//!
//! Five bytes a word: a stage, and the error that it failed with. The last word counts. A pipe
//! that ends without a word belongs to a process that died before it could say anything.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

/// The end that speaks.
pub(super) struct Reporter(File);

/// What was said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// Nothing at all.
    Silence,
    /// All is well.
    Ready,
    /// The stage of this number failed, with this error of the C library.
    Failed(u8, i32),
}

impl Reporter {
    pub fn new(pipe: OwnedFd) -> Reporter {
        Reporter(pipe.into())
    }

    /// All is well so far.
    pub fn ready(&mut self) {
        self.say(0, 0);
    }

    /// This stage, a number above 0, failed.
    pub fn failed(&mut self, stage: u8, error: &io::Error) {
        self.say(stage, error.raw_os_error().unwrap_or(nix::libc::EINVAL));
    }

    fn say(&mut self, stage: u8, errno: i32) {
        let [a, b, c, d] = errno.to_le_bytes();
        // When nobody listens any more there is nobody to tell.
        let _ = self.0.write_all(&[stage, a, b, c, d]);
    }
}

/// Waits until the other end is closed, by its owner or by exec, and tells what was said last.
pub(super) fn listen(pipe: OwnedFd) -> io::Result<Report> {
    let mut words = Vec::new();
    File::from(pipe).read_to_end(&mut words)?;
    Ok(match words.as_chunks::<5>().0.last() {
        None => Report::Silence,
        Some([0, ..]) => Report::Ready,
        Some(&[stage, a, b, c, d]) => Report::Failed(stage, i32::from_le_bytes([a, b, c, d])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let enoent = io::Error::from_raw_os_error(2);
        type Say = fn(&mut Reporter, &io::Error);
        let rows: [(Say, Report); 4] = [
            (|_, _| {}, Report::Silence),
            (|reporter, _| reporter.ready(), Report::Ready),
            (|reporter, error| reporter.failed(3, error), Report::Failed(3, 2)),
            (
                |reporter, error| {
                    reporter.ready();
                    reporter.failed(7, error);
                },
                Report::Failed(7, 2),
            ),
        ];
        for (say, expected) in rows {
            let (reading, writing) = nix::unistd::pipe().unwrap();
            let mut reporter = Reporter::new(writing);
            say(&mut reporter, &enoent);
            drop(reporter);
            assert_eq!(listen(reading).unwrap(), expected);
        }
    }
}
