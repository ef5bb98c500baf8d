//! Removes what is at the place of a new entry, or what a whiteout names.

use std::hash::BuildHasher;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, statat, unlinkat};
use rustix::io::Errno;

use super::{Directory, Root, children, inode, path_error, write_error};
use crate::extract::RESERVED;
use crate::extract::error::ArchiveError;
use crate::extract::name::EntryPath;
use crate::extract::resolve::open_child;

/// What [`Root::remove`] removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhatToRemove {
    Everything,
    /// What lower layers wrote. What the current layer wrote stays.
    LowerLayers,
    /// What lower layers wrote. It is an error if the current layer wrote something there.
    LowerLayersAlone,
}

impl Root {
    /// Removes what lower layers have at `removed`, if anything, for the whiteout `name`.
    ///
    /// # Errors
    /// [`ArchiveError::OwnWhiteout`], if the current layer wrote something there: containerd and
    /// containers/storage remove it, umoci keeps it.
    pub(in crate::extract) fn whiteout(
        &mut self,
        removed: &EntryPath,
        name: &EntryPath,
    ) -> Result<(), ArchiveError> {
        let Some((path, leaf)) = removed.split() else {
            return Ok(());
        };
        let Some(parent) = self.open_for_whiteout(path, name)? else {
            return Ok(());
        };
        let spellings = &self.spellings;
        spellings.check_reserved(&parent, &self.top, leaf, name)?;
        self.remove(&parent, leaf, WhatToRemove::LowerLayersAlone, name)
    }

    /// Removes what lower layers have in the directory `path`, for the whiteout `name`.
    ///
    /// # Errors
    /// [`ArchiveError::OwnWhiteout`], if the current layer wrote into a directory that only lower layers
    /// have an entry for: readers differ on that.
    pub(in crate::extract) fn opaque_whiteout(
        &mut self,
        path: &[u8],
        name: &EntryPath,
    ) -> Result<(), ArchiveError> {
        let Some(directory) = self.open_for_whiteout(path, name)? else {
            return Ok(());
        };
        self.remove_children(&directory, WhatToRemove::LowerLayers, name)
    }

    /// Opens the directory that a whiteout is for. `None`, if there is none.
    fn open_for_whiteout(
        &mut self,
        path: &[u8],
        entry: &EntryPath,
    ) -> Result<Option<Arc<Directory>>, ArchiveError> {
        match self.open_existing(path) {
            Ok(directory) => Ok(Some(directory)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(path_error(entry, errno)),
        }
    }

    /// Removes `leaf` in `parent`, and everything in it if it is a directory, as far as `what` says.
    /// `entry` is the entry that needs it, for errors.
    pub(super) fn remove(
        &mut self,
        parent: &Directory,
        leaf: &[u8],
        what: WhatToRemove,
        entry: &EntryPath,
    ) -> Result<(), ArchiveError> {
        let error = |errno| write_error(entry.as_bytes(), errno);
        let key = self.hasher.hash_one((parent.inode, leaf));
        let own = || ArchiveError::OwnWhiteout {
            name: entry.display(),
        };
        let stays = what != WhatToRemove::Everything && self.written.contains(&key);
        if stays && what == WhatToRemove::LowerLayersAlone {
            return Err(own());
        }
        if !stays {
            self.no_longer_left_out(parent, leaf);
        }
        let stat = match statat(&parent.handle, leaf, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(error(errno)),
        };
        if parent.inode == self.top.inode && leaf == RESERVED.as_bytes() {
            // It is ours, and not of any layer.
            return Ok(());
        }
        let spelled = self.spellings.check(parent.inode, leaf);
        spelled.map_err(error)?;
        if !stays {
            self.spellings.remove(parent.inode, leaf);
        }
        let kind = FileType::from_raw_mode(stat.st_mode as _);
        if kind != FileType::Directory {
            if kind == FileType::Symlink {
                self.open.clear();
            }
            if stays {
                return Ok(());
            }
            return unlinkat(&parent.handle, leaf, AtFlags::empty()).map_err(error);
        }
        let handle = open_child(&parent.handle, leaf).map_err(error)?;
        let directory = Directory {
            inode: inode(&handle).map_err(error)?,
            handle,
            depth: parent.depth + 1,
        };
        self.remove_children(&directory, what, entry)?;
        if stays {
            return Ok(());
        }
        // What is left of these names, this layer has.
        let left_out = self.left_out.get(&directory.inode);
        if left_out.is_some_and(|names| !names.is_empty()) && what != WhatToRemove::Everything {
            return Err(own());
        }
        self.open.clear();
        match unlinkat(&parent.handle, leaf, AtFlags::REMOVEDIR) {
            Ok(()) => {
                // A new directory may get the same inode.
                self.directories.remove(&directory.inode);
                self.left_out.remove(&directory.inode);
                self.cleared.remove(&directory.inode);
                Ok(())
            }
            Err(Errno::NOTEMPTY | Errno::EXIST) if what == WhatToRemove::LowerLayers => Err(own()),
            Err(errno) => Err(error(errno)),
        }
    }

    fn remove_children(
        &mut self,
        directory: &Directory,
        what: WhatToRemove,
        entry: &EntryPath,
    ) -> Result<(), ArchiveError> {
        let again = what == WhatToRemove::LowerLayers
            && match self.cleared.insert(directory.inode, self.implied) {
                None => false,
                Some(implied) if implied == self.implied => return Ok(()),
                // Readers differ on a directory that no entry is for: one may have been made here since.
                Some(_) => true,
            };
        if let Some(names) = self.left_out.get_mut(&directory.inode) {
            let is_written = |leaf: &Vec<u8>| {
                let key = self.hasher.hash_one((directory.inode, leaf.as_slice()));
                self.written.contains(&key)
            };
            names.retain(|leaf| what != WhatToRemove::Everything && is_written(leaf));
        }
        let children =
            children(&directory.handle).map_err(|errno| write_error(entry.as_bytes(), errno))?;
        for (leaf, _) in children {
            // One entry may remove a million others.
            self.cancellation.check()?;
            if again {
                // An archive could have us look again for each of its entries.
                self.tally.add()?;
            }
            self.remove(directory, &leaf, what, entry)?;
        }
        Ok(())
    }
}
