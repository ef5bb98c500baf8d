//! The directory above a target, and what is there before anybody takes the target.

use std::fs;
use std::io;
use std::path::Path;

use super::{Occupant, Target};
use crate::directory;
use crate::error::Error;

pub(super) const DIRECTORY_ABOVE: &str = "an existing directory above it";

/// Whether the directory above a target has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Above {
    /// It has to.
    Required,
    /// An installation makes it.
    Made,
}

/// Checks that what is at `directory` may be replaced, without taking it and without writing anything.
///
/// # Errors
/// [`Error::Target`] or [`Error::Mounted`].
pub(crate) fn look(directory: &Path, above: Above) -> Result<(), Error> {
    if above == Above::Made && directory_above(directory)?.is_none() {
        return Ok(());
    }
    let target = Target::new(directory)?;
    match target.occupant()? {
        Occupant::Nobody => Ok(()),
        Occupant::EmptyDirectory | Occupant::Installation => target.refuse_mounts(),
    }
}

/// The directory that a target is in; `None` if it is not there.
///
/// # Errors
/// [`Error::Target`], if it is something else. [`Error::Io`], if nobody knows.
pub(super) fn directory_above(path: &Path) -> Result<Option<&Path>, Error> {
    let parent = directory::above(path);
    match fs::metadata(parent) {
        Ok(found) if found.is_dir() => Ok(Some(parent)),
        Ok(_) => Err(Error::Target {
            path: path.into(),
            expected: DIRECTORY_ABOVE,
            found: "a file",
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("look at", parent)(error)),
    }
}
