//! The image that a run's containers are made of: Ordeal's own binary, the database's, and the
//! shared libraries that either names, each where it lies on this machine. Nothing else, so nothing
//! is pulled.

use super::error::DockerError;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Ordeal's binary in the image.
pub(super) const ORDEAL: &str = "/ordeal/ordeal";
/// Where other programs are in the image, each below it at its path on this machine.
const PROGRAMS: &str = "/ordeal/db";

/// Where a program of this machine lies in the image.
pub(super) fn place(program: &Path) -> PathBuf {
    Path::new(PROGRAMS).join(program.strip_prefix("/").unwrap_or(program))
}

/// Writes the image's one layer, a tar archive, to `archive`, and goes back to its start.
pub(super) fn write(archive: &File, programs: &[PathBuf]) -> Result<(), DockerError> {
    let own = PathBuf::from("/proc/self/exe");
    let mut files = vec![(own.clone(), PathBuf::from(ORDEAL))];
    files.extend(programs.iter().map(|program| (program.clone(), place(program))));
    let mut libraries = BTreeSet::new();
    for program in std::iter::once(&own).chain(programs) {
        let doing = format!("finding the shared libraries of {}", program.display());
        libraries.extend(shared_libraries(program).map_err(DockerError::io(doing))?);
    }
    files.extend(libraries.into_iter().map(|library| (library.clone(), library)));
    let mut tar = tar::Builder::new(archive);
    for (from, to) in files {
        let doing = format!("copying {} into the image", from.display());
        append(&mut tar, &from, &to).map_err(DockerError::io(doing))?;
    }
    let written = tar.into_inner().and_then(|mut archive| archive.rewind());
    written.map_err(DockerError::io("writing the image's archive"))
}

/// Writes a layer with one short file.
pub(super) fn write_short(archive: &File) -> Result<(), DockerError> {
    let mut tar = tar::Builder::new(archive);
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o644);
    let written = tar.append_data(&mut header, "ordeal", io::empty());
    let written = written.and_then(|()| tar.into_inner()).and_then(|mut archive| archive.rewind());
    written.map_err(DockerError::io("writing the image's archive"))
}

/// Adds the file as the same bytes always: with no time and no owner of this machine's.
fn append(tar: &mut tar::Builder<&File>, from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::open(from)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(file.metadata()?.len());
    header.set_mode(0o755);
    let inside = to.strip_prefix("/").unwrap_or(to);
    tar.append_data(&mut header, inside, &mut file)
}

/// The files that the program's loader would load, the loader itself among them; none for a static
/// one. A link is named as the program names it: the file behind it is what is copied.
fn shared_libraries(program: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(loader) = interpreter(program)? else { return Ok(Vec::new()) };
    let real = std::fs::canonicalize(program)?;
    let mut asked = Command::new(&loader);
    asked.arg("--list").arg(&real).stdin(Stdio::null()).stderr(Stdio::null());
    let listed = asked.output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut found = vec![loader];
    for line in listed.lines() {
        // `libc.so.6 => /lib/libc.so.6 (0x…)`; the kernel's own page has no path.
        let path = line.split_once("=>").map_or("", |(_, path)| path.trim());
        let path = path.split(" (").next().unwrap_or_default();
        if path == "not found" {
            let name = line.split_whitespace().next().unwrap_or_default();
            let message = format!("{name}, which it needs, is not on this machine");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        if path.starts_with('/') {
            found.push(path.into());
        }
    }
    Ok(found)
}

/// The loader that an ELF program of 64 bits names (PT_INTERP); none for a static one.
fn interpreter(program: &Path) -> io::Result<Option<PathBuf>> {
    const PT_INTERP: u32 = 3;
    let mut head = Vec::new();
    // The headers of a program lie at its start, and what they name of the loader just after.
    File::open(program)?.take(64 * 1024).read_to_end(&mut head)?;
    let word = |at: usize, bytes: usize| -> Option<u64> {
        let slice = head.get(at..at.checked_add(bytes)?)?;
        Some(slice.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    let read = || -> Option<Option<PathBuf>> {
        // Little-endian, of 64 bits: what Ordeal itself is built for.
        if head.get(..6)? != [0x7f, b'E', b'L', b'F', 2, 1] {
            return None;
        }
        let (table, size, count) = (word(32, 8)?, word(54, 2)?, word(56, 2)?);
        for entry in (0..count).map(|number| (table + number * size) as usize) {
            if word(entry, 4)? as u32 == PT_INTERP {
                let (at, length) = (word(entry + 8, 8)? as usize, word(entry + 32, 8)? as usize);
                let name = head.get(at..at.checked_add(length)?)?;
                let name = std::str::from_utf8(name).ok()?.trim_end_matches('\0');
                return Some(Some(PathBuf::from(name)));
            }
        }
        Some(None)
    };
    let no_elf = || io::Error::new(io::ErrorKind::InvalidData, "it is no program of 64 bits (ELF)");
    read().ok_or_else(no_elf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_names_its_loader_and_libraries_and_a_script_does_not() -> io::Result<()> {
        let own = std::env::current_exe()?;
        match interpreter(&own)? {
            Some(loader) => {
                let found = shared_libraries(&own)?;
                assert!(found.contains(&loader) && found.len() > 1, "{found:?}");
                assert!(found.iter().all(|library| library.is_file()), "{found:?}");
            }
            None => assert!(shared_libraries(&own)?.is_empty()),
        }
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n")?;
        assert!(shared_libraries(&script).is_err_and(|error| error.to_string().contains("ELF")));
        Ok(())
    }

    #[test]
    fn an_image_is_the_same_bytes_each_time() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let program = folder.path().join("db");
        std::fs::copy("/proc/self/exe", &program)?;
        let mut layers = Vec::new();
        for name in ["a.tar", "b.tar"] {
            let path = folder.path().join(name);
            let mut archive =
                File::options().create_new(true).read(true).write(true).open(&path)?;
            write(&archive, std::slice::from_ref(&program))?;
            let mut names = Vec::new();
            for entry in tar::Archive::new(&archive).entries()? {
                names.push(entry?.path()?.display().to_string());
            }
            let db = place(&program).strip_prefix("/")?.display().to_string();
            assert_eq!(names[..2], ["ordeal/ordeal".to_owned(), db]);
            archive.rewind()?;
            layers.push(std::fs::read(&path)?);
        }
        assert!(layers[0] == layers[1]);
        Ok(())
    }
}
