//! Directories: what systems say of them in several ways.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, DirEntry, FileType, statat};
use rustix::io::Errno;

/// The directory that `path` is in: the working directory for a bare name.
pub(crate) fn above(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Whether it is the directory itself, or the one above.
pub(crate) fn is_dot(entry: &DirEntry) -> bool {
    matches!(entry.file_name().to_bytes(), b"." | b"..")
}

/// What an entry of `directory` is. Not every file system lists it with the name.
pub(crate) fn file_type(directory: impl AsFd, entry: &DirEntry) -> Result<FileType, Errno> {
    match entry.file_type() {
        FileType::Unknown => {
            let stat = statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(FileType::from_raw_mode(stat.st_mode as _))
        }
        listed => Ok(listed),
    }
}

/// Whether an error of `openat2` says that there is no such call: an older kernel, a filter, or one that knows less
/// of it.
#[cfg(target_os = "linux")]
pub(crate) fn lacks_openat2(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG
    )
}
