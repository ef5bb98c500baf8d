//! Files that are written in one step: whoever reads one sees the old content or the new.
//!
//! All of it blocks.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::directory;

/// Writes beside the file, and moves it there. A link stays one, and the file's mode is kept. What is no file, a
/// pipe or a device, is written to as it is.
///
/// # Errors
/// The system's; what was there is unchanged then.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut pending = Pending::begin(path)?;
    pending.write_all(content)?;
    pending.end()
}

/// A file that is being written, as by [`write()`]: nothing is at its path before the end. What is given up is removed.
#[derive(Debug)]
pub struct Pending(Place);

#[derive(Debug)]
enum Place {
    Beside { file: NamedTempFile, path: PathBuf },
    There(File),
}

impl Pending {
    /// Begins the file at `path`.
    ///
    /// # Errors
    /// If the directory can't be written to, or what is there can't be looked at.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let path = resolved(path)?;
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            metadata => Some(metadata?),
        };
        if metadata.as_ref().is_some_and(|found| !found.is_file()) {
            let file = fs::OpenOptions::new().write(true).open(path)?;
            return Ok(Self(Place::There(file)));
        }
        let file = new_beside(&path)?;
        if let Some(metadata) = metadata {
            file.as_file().set_permissions(metadata.permissions())?;
        }
        Ok(Self(Place::Beside { file, path }))
    }

    /// Removes the file that is there already, where that would be taken for the new one if this is given up.
    ///
    /// # Errors
    /// The system's.
    pub fn remove_old(&self) -> io::Result<()> {
        match &self.0 {
            Place::There(_) => Ok(()),
            Place::Beside { path, .. } => match fs::remove_file(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            },
        }
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// If it can't be written whole, or moved there.
    pub fn end(self) -> io::Result<()> {
        match self.0 {
            Place::There(_) => Ok(()),
            Place::Beside { file, path } => {
                file.as_file().sync_all()?;
                file.persist(path).map_err(|error| error.error)?;
                Ok(())
            }
        }
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Place::Beside { file, .. } => file.write(bytes),
            Place::There(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Place::Beside { file, .. } => file.flush(),
            Place::There(file) => file.flush(),
        }
    }
}

/// Checks that a file can be written by [`write()`].
///
/// # Errors
/// If its directory can't be written to.
pub fn require_writable(path: &Path) -> io::Result<()> {
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
    tempfile::Builder::new()
        .prefix(".countersign-new")
        // Less the umask, as for any file.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory::above(path))
}
