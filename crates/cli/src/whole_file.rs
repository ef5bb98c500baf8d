//! Files that are written in one step: whoever reads one sees the old content or the new.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Writes beside the file, and moves it there. A link stays one, and the file's mode is kept. What is no file, a
/// pipe or a device, is written to as it is.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = resolved(path)?;
    let metadata = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        metadata => Some(metadata?),
    };
    if metadata.as_ref().is_some_and(|found| !found.is_file()) {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(content);
    }
    let mut file = new_beside(&path)?;
    if let Some(metadata) = metadata {
        file.as_file().set_permissions(metadata.permissions())?;
    }
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// That a file can be written by [`write()`].
pub(crate) fn require_writable(path: &Path) -> io::Result<()> {
    let path = resolved(path)?;
    new_beside(&path).map(drop)
}

/// The file itself where the path is a link to it.
pub(crate) fn resolved(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        path => path,
    }
}

/// A new file in the directory of `path`, removed when it is dropped.
fn new_beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .prefix(".countersign-new")
        // Less the umask, as for any file.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
}
