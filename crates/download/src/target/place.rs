//! Puts an installation in its place, in one step.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, fsync, renameat_with};
use rustix::io::Errno;

use super::{Occupant, Staging, durable, open_directory};
use crate::error::Error;
use crate::extract::Cancellation;
use crate::options::Durability;

impl Staging {
    /// Puts the new installation in the target's place. What was there before is deleted with the
    /// staging directory.
    ///
    /// # Errors
    /// [`Error::Cancelled`], if it was cancelled before it took the place.
    pub(crate) fn commit(
        &self,
        durability: Durability,
        cancellation: &Cancellation,
    ) -> Result<(), Error> {
        let root = self.root_path();
        match durability {
            Durability::Full => {
                durable::sync_tree(&self.root()?).map_err(Error::io("flush", &root))?;
            }
            Durability::None => {}
        }
        // The disk may have taken long.
        cancellation.check().map_err(|_| Error::Cancelled)?;
        match self.target.occupant()? {
            Occupant::Nobody => {
                rename_new(&root, &self.target.path).map_err(self.not_moved())?;
            }
            Occupant::EmptyDirectory => {
                fs::rename(&root, &self.target.path).map_err(self.not_moved())?;
            }
            Occupant::Installation => {
                // Checked again, because fetching may have taken long.
                self.target.refuse_mounts()?;
                self.exchange(&root)?;
            }
        }
        match durability {
            Durability::Full => self.sync_parent(),
            Durability::None => Ok(()),
        }
    }

    /// Writes to the disk which of the two is at the target.
    pub(super) fn sync_parent(&self) -> Result<(), Error> {
        let parent = open_directory(&self.target.parent);
        parent
            .and_then(fsync)
            .map_err(Error::io("flush", &self.target.parent))
    }

    fn exchange(&self, root: &Path) -> Result<(), Error> {
        match renameat_with(CWD, root, CWD, &self.target.path, RenameFlags::EXCHANGE) {
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => self.exchange_in_two_steps(root),
            result => result.map_err(self.not_moved()),
        }
    }

    /// For file systems that can't exchange two names. If we are killed between the two steps, the
    /// next run finds the old installation in our staging directory and puts it back.
    pub(super) fn exchange_in_two_steps(&self, root: &Path) -> Result<(), Error> {
        fs::rename(&self.target.path, self.old_path()).map_err(self.not_moved())?;
        if let Err(error) = rename_new(root, &self.target.path) {
            self.put_back()?;
            return Err(self.not_moved()(error));
        }
        Ok(())
    }

    pub(super) fn put_back(&self) -> Result<(), Error> {
        let (target, old) = (&self.target.path, self.old_path());
        rename_new(&old, target).map_err(|source| Error::Displaced {
            path: target.clone(),
            kept: old,
            source,
        })
    }
}

/// Renames `from` to `to`, if nothing is at `to`. Some file systems can't check that in one step.
/// There `rename(2)` may replace an empty directory, but nothing else.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => fs::rename(from, to),
        result => Ok(result?),
    }
}
