//! Finds and removes staging directories that earlier runs left.

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
    /// Removes staging directories of earlier runs. We hold the lock, so none of these runs is still
    /// at work. If one can't be removed, it only costs space: we install anyway.
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

    /// Puts back the old installation, if a killed run had moved it aside, and removes the rest.
    pub(super) fn clear_leftover(&self, path: &Path) -> io::Result<()> {
        // Only then nobody else can have put anything into it.
        let there = fs::symlink_metadata(path)?;
        if !there.is_dir() || there.uid() != self.owner || there.mode() & 0o022 != 0 {
            let found = "not a directory that this user alone writes to";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, found));
        }
        let old = path.join(OLD);
        if record::read(&old)?.is_ours() && !record::read(&self.path)?.is_ours() {
            // This fails if something that is not ours is at the target by now. Then both are kept.
            fs::rename(&old, &self.path)?;
        }
        remove_tree(path)
    }

    /// Whether this is the name of a staging directory for this target. A target whose name only
    /// begins in the same way is another one.
    fn is_staging(&self, name: &OsStr) -> bool {
        staged(name) == Some(&self.name)
    }
}

/// The name of the target that a staging directory is for. `None`, if `name` is not that of a staging
/// directory.
pub(crate) fn staged(name: &OsStr) -> Option<&OsStr> {
    let name = name.as_bytes().strip_prefix(b".")?;
    let (rest, random) = name.split_at_checked(name.len().checked_sub(RANDOM)?)?;
    let target = rest.strip_suffix(b".countersign-")?;
    (is_random(random) && !target.is_empty()).then(|| OsStr::from_bytes(target))
}

fn is_random(bytes: &[u8]) -> bool {
    bytes.len() == RANDOM && bytes.iter().all(u8::is_ascii_alphanumeric)
}
