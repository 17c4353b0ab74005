//! The exit statuses that scripts and CI jobs rely on.

/// A violation was not found, and something was proved.
pub const VALID: u8 = 0;
/// A violation was found.
pub const INVALID: u8 = 1;
/// Nothing is proved either way; the reason is printed.
pub const UNKNOWN: u8 = 2;
/// The command line, a plan or an input file is wrong (`EX_USAGE` of sysexits.h).
pub const USAGE: u8 = 64;
/// The environment cannot do what was asked (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// Ordeal itself failed (`EX_SOFTWARE`).
pub const SOFTWARE: u8 = 70;
/// Interrupted: the cluster is gone, what was recorded is kept and checked.
pub const INTERRUPTED: u8 = 130;
