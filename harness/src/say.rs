//! What commands print. Whoever reads it may be gone, as after `| head`: nothing ends for that, and
//! the exit status still tells the verdict, which `println!` would turn into a panic.

use std::fmt::Arguments;
use std::io::Write;

/// A line on standard output.
macro_rules! say {
    ($($what:tt)*) => { $crate::say::write(&mut std::io::stdout(), format_args!($($what)*)) };
}

/// A line on standard error.
macro_rules! tell {
    ($($what:tt)*) => { $crate::say::write(&mut std::io::stderr(), format_args!($($what)*)) };
}

/// Writes a line, whole, to whoever still reads.
pub(crate) fn write(to: &mut dyn Write, what: Arguments<'_>) {
    let _ = to.write_all(format!("{what}\n").as_bytes()).and_then(|()| to.flush());
}
