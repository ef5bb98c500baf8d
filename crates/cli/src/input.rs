//! Files that the command line names, and files that these name.
//!
//! Whatever can't be read is an error that names the file; nothing is ever taken for empty, and nothing is read in part.

use std::fs::File;
use std::io::{self, BufRead, Read as _};
use std::path::Path;

use crate::failure::Failure;

/// Bytes of a text file. The longest gallery that is known has half a MiB.
const TEXT_MAX: u64 = 64 << 20;

/// Bytes of a line of a file that is read line by line.
const LINE_MAX: u64 = 64 << 20;

/// A text file named on the command line. `what` says in errors which one it is.
pub(crate) fn read_text(path: &Path, what: &str) -> Result<String, Failure> {
    text_of(File::open(path), TEXT_MAX).map_err(|error| Failure::unreadable(path, what, error))
}

/// A file of at most `most` bytes that is named on the command line.
pub(crate) fn read_bytes(path: &Path, what: &str, most: u64) -> Result<Vec<u8>, Failure> {
    bytes_of(File::open(path), most).map_err(|error| Failure::unreadable(path, what, error))
}

/// Whether both paths lead to one file. They don't if there is none.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// All that is in a file that was opened.
///
/// # Errors
/// If it was not opened, or can't be read, or has more than `most` bytes.
pub(crate) fn bytes_of(file: io::Result<File>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than there may be, so that what is too long is seen to be.
    file?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(read) if read <= most => Ok(bytes),
        Ok(_) | Err(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("expected at most {most} bytes, found more"),
        )),
    }
}

/// As [`bytes_of`], of a file that has to be UTF-8.
pub(crate) fn text_of(file: io::Result<File>, most: u64) -> io::Result<String> {
    String::from_utf8(bytes_of(file, most)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let detail = format!("expected text in UTF-8, found another byte at {at}");
        io::Error::new(io::ErrorKind::InvalidData, detail)
    })
}

/// Reads the next line, with its end, into `line`, and returns how many bytes it has. None are left at the end.
///
/// # Errors
/// If it can't be read, is not UTF-8, or has more than [`LINE_MAX`] bytes.
pub(crate) fn next_line(from: &mut impl BufRead, line: &mut String) -> io::Result<usize> {
    line.clear();
    let read = from.take(LINE_MAX).read_line(line)?;
    if line.ends_with('\n') || (read as u64) < LINE_MAX {
        Ok(read)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("expected lines of less than {LINE_MAX} bytes, found a longer one"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_is_refused() {
        let mut line = String::new();
        let mut from = io::BufReader::new(&b"one\ntwo"[..]);
        for expected in ["one\n", "two", ""] {
            let read = next_line(&mut from, &mut line).unwrap();
            assert_eq!((read, line.as_str()), (expected.len(), expected));
        }
        let mut endless = io::BufReader::with_capacity(1 << 20, io::repeat(b'a'));
        let error = next_line(&mut endless, &mut line).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "four").unwrap();
        assert_eq!(text_of(File::open(&path), 4).unwrap(), "four");
        let error = text_of(File::open(&path), 3).unwrap_err();
        assert_eq!(error.to_string(), "expected at most 3 bytes, found more");
        std::fs::write(&path, b"abc\xff").unwrap();
        assert_eq!(bytes_of(File::open(&path), 4).unwrap(), b"abc\xff");
        let error = text_of(File::open(&path), 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected text in UTF-8, found another byte at 3"
        );
        // A file without end is no reason to use all memory.
        let error = bytes_of(File::open("/dev/zero"), 1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
