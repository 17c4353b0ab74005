//! Which files a fault is aimed at, and what it does to their requests.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A choice of files, by path below the disk's root.
///
/// `any`, `wal` (write-ahead logs: in a folder `wal`, or named `*.wal` or `*.log`), `snap`
/// (snapshots and what is kept beside them, as etcd's `snap/db`: in a folder `snap`, or named
/// `*.snap`), or a pattern: `*` is anything but a slash, `**` anything, `?` one character. A
/// pattern without a slash is matched against the last part of the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Files(pub String);

impl Files {
    /// Every file.
    pub fn any() -> Files {
        Files("any".to_owned())
    }

    /// Write-ahead logs.
    pub fn wal() -> Files {
        Files("wal".to_owned())
    }

    /// Snapshots, and the state kept beside them.
    pub fn snap() -> Files {
        Files("snap".to_owned())
    }

    /// Whether `path`, relative to the disk's root and without a leading slash, is one of them.
    pub fn contain(&self, path: &str) -> bool {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let in_folder = |wanted| folders.split('/').any(|part| part == wanted);
        match self.0.as_str() {
            "any" => true,
            "wal" => in_folder("wal") || name.ends_with(".wal") || name.ends_with(".log"),
            "snap" => in_folder("snap") || name.ends_with(".snap"),
            pattern if pattern.contains('/') => matches(pattern.as_bytes(), path.as_bytes()),
            pattern => matches(pattern.as_bytes(), name.as_bytes()),
        }
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Takes time in the product of both lengths: it goes back to the last star only.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // The last `*` and the last `**`: where the pattern goes on, and the text it has swallowed.
    let (mut star, mut stars) = (None::<(usize, usize)>, None::<(usize, usize)>);
    loop {
        match pattern.get(p) {
            Some(b'*') if pattern.get(p + 1) == Some(&b'*') => {
                p += 2;
                (star, stars) = (None, Some((p, t)));
                continue;
            }
            Some(b'*') => {
                p += 1;
                star = Some((p, t));
                continue;
            }
            Some(&wanted)
                if text.get(t).is_some_and(|&c| c == wanted || wanted == b'?' && c != b'/') =>
            {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            None if t == text.len() => return true,
            _ => {}
        }
        if let Some((after, swallowed)) = star
            && text.get(swallowed).is_some_and(|&c| c != b'/')
        {
            star = Some((after, swallowed + 1));
            (p, t) = (after, swallowed + 1);
        } else if let Some((after, swallowed)) = stars
            && swallowed < text.len()
        {
            (star, stars) = (None, Some((after, swallowed + 1)));
            (p, t) = (after, swallowed + 1);
        } else {
            return false;
        }
    }
}

/// The requests that a rule can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reading bytes that the kernel has not cached. A mapping that hits an error gets SIGBUS.
    Read,
    /// Writing bytes, reserving space, changing the size.
    Write,
    /// fsync, fdatasync, and the flush that a write to a file opened with `O_DSYNC` implies.
    Fsync,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It fails with EIO, and changes nothing.
    Fail(Access),
    /// It is answered only after this long, and takes effect only then.
    Delay {
        /// Which requests.
        access: Access,
        /// Milliseconds.
        delay_ms: u64,
    },
    /// An fsync is answered as done, and nothing is made durable by it.
    LieAboutFsync,
    /// A write that needs new space fails with ENOSPC once this much more has been taken up.
    Full {
        /// Bytes that may still be taken up when the fault starts; in whole blocks of 4096.
        bytes_free: u64,
    },
}

impl Effect {
    /// The requests that it is about.
    pub fn access(self) -> Access {
        match self {
            Effect::Fail(access) | Effect::Delay { access, .. } => access,
            Effect::LieAboutFsync => Access::Fsync,
            Effect::Full { .. } => Access::Write,
        }
    }
}

/// A standing order: what happens to requests for `files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Which files.
    pub files: Files,
    /// What happens, and to which requests.
    pub effect: Effect,
}

/// The number of a rule that stands, unique on its disk; see `Disk::inject` and `Disk::lift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleId(pub u64);

#[cfg(test)]
mod tests {
    use super::Files;

    #[test]
    fn patterns_choose_files_by_their_path() {
        let rows = [
            ("any", "x", true),
            ("wal", "member/wal/0-0.wal", true),
            ("wal", "member/wal/0.tmp", true),
            ("wal", "wal", false),
            ("wal", "log/7.log", true),
            ("wal", "member/snap/db", false),
            ("snap", "member/snap/db", true),
            ("snap", "1-2.snap", true),
            ("snap", "member/wal/0-0.wal", false),
            ("db", "member/snap/db", true),
            ("db", "member/snap/db2", false),
            ("*.wal", "member/wal/0-0.wal", true),
            ("member/*.wal", "member/wal/0-0.wal", false),
            ("member/**.wal", "member/wal/0-0.wal", true),
            ("member/*/?-0.wal", "member/wal/0-0.wal", true),
            ("**/db", "member/snap/db", true),
            ("**/s*p/*", "member/snap/db", true),
            ("**/x/**", "member/snap/db", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("", "", true),
            ("*", "", true),
        ];
        for (pattern, path, wanted) in rows {
            let files = Files(pattern.to_owned());
            assert_eq!(files.contain(path), wanted, "{pattern} against {path}");
        }
    }
}
