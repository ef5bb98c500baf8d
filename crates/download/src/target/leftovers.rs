//! Staging directories that earlier runs left: how they are told, and how they are cleared away.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::removal::remove_tree;
use super::{OLD, RANDOM, Target};
use crate::error::Error;
use crate::record;

impl Target {
    /// Removes staging directories of earlier runs. The lock is ours, so none of them is at work.
    /// One that stays costs space and nothing else, so it's no reason not to install.
    pub(super) fn clear_leftovers(&self) -> Result<(), Error> {
        let error = || Error::io("list", &self.parent);
        for entry in fs::read_dir(&self.parent).map_err(error())? {
            let entry = entry.map_err(error())?;
            if !self.is_staging(&entry.file_name()) {
                continue;
            }
            let path = entry.path();
            match self.clear_leftover(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "removed what a killed installation left");
                }
                Err(error) => {
                    tracing::error!(%error, path = %path.display(), "can't remove what an earlier run left: the next one tries again");
                }
            }
        }
        Ok(())
    }

    /// Puts back the old installation, if a killed one had moved it aside, and removes the rest.
    pub(super) fn clear_leftover(&self, path: &Path) -> io::Result<()> {
        // Nobody else can have put anything into such a directory.
        let there = fs::symlink_metadata(path)?;
        if !there.is_dir() || there.uid() != self.owner || there.mode() & 0o022 != 0 {
            let found = "not a directory that this user alone writes to";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, found));
        }
        let old = path.join(OLD);
        if record::is_at(&old) && !record::is_at(&self.path) {
            // Fails where there is something by now that is not ours; then there are two to keep.
            fs::rename(&old, &self.path)?;
        }
        remove_tree(path)
    }

    /// Whether a name is of a staging directory for this target, and not for one whose name merely
    /// begins the same.
    fn is_staging(&self, name: &OsStr) -> bool {
        staged(name) == Some(&self.name)
    }
}

/// The name of the target that a staging directory of this name is for; `None` where it is none.
pub(crate) fn staged(name: &OsStr) -> Option<&OsStr> {
    let name = name.as_bytes().strip_prefix(b".")?;
    let (rest, random) = name.split_at_checked(name.len().checked_sub(RANDOM)?)?;
    let target = rest.strip_suffix(b".countersign-")?;
    (is_random(random) && !target.is_empty()).then(|| OsStr::from_bytes(target))
}

fn is_random(bytes: &[u8]) -> bool {
    bytes.len() == RANDOM && bytes.iter().all(u8::is_ascii_alphanumeric)
}
