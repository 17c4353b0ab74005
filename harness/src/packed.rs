//! Histories that are kept compressed (gzip), which everything that reads a history takes as it is.
//!
//! A history is written plain, for only so a harness that is killed leaves whole lines. It is
//! packed when the run is over and judged.

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How a gzip file begins (RFC 1952, 2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The file at `path`, read as what it holds: unpacked, if it is packed.
///
/// # Errors
///
/// When it cannot be opened.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut head)?;
    if head == MAGIC {
        file.seek(SeekFrom::Start(0))?;
        return Ok(Box::new(MultiGzDecoder::new(file)));
    }
    // Not by seeking: it may be a pipe.
    Ok(Box::new(io::Cursor::new(head).chain(file)))
}

/// Where the packed form of a file is.
pub fn packed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

/// The file, or its packed form where only that is there.
pub fn find(path: &Path) -> PathBuf {
    let packed = packed(path);
    if !path.exists() && packed.exists() { packed } else { path.to_owned() }
}

/// Puts the packed form in the place of the file. If that fails the file is as it was.
///
/// # Errors
///
/// When the one cannot be read or the other written.
pub fn pack(path: &Path) -> io::Result<()> {
    let target = packed(path);
    let written = (|| {
        let mut encoder = GzEncoder::new(File::create(&target)?, Compression::fast());
        io::copy(&mut File::open(path)?, &mut encoder)?;
        encoder.finish()?.sync_all()
    })();
    if written.is_err() {
        // It may not have been made at all.
        let _ = fs::remove_file(&target);
        return written;
    }
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_found_and_read_as_it_was() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("history.jsonl");
        let text = "{\"index\":0}\n".repeat(10_000);
        let read = |path: &Path| {
            let mut text = String::new();
            open(path)?.read_to_string(&mut text).map(|_| text)
        };
        for plain in ["", "x", &text] {
            fs::write(&path, plain)?;
            assert_eq!((read(&path)?.as_str(), find(&path)), (plain, path.clone()));
            pack(&path)?;
            assert!(!path.exists());
            assert_eq!((read(&find(&path))?.as_str(), find(&path)), (plain, packed(&path)));
            assert!(fs::metadata(packed(&path))?.len() < 2_000);
        }
        assert!(pack(&path).is_err());
        assert!(!path.exists() && open(&path).is_err());
        Ok(())
    }
}
