//! Hard links.

use rustix::fs::{AtFlags, FileType, linkat, statat};
use rustix::io::Errno;

use super::{Directory, Root, write_error};
use crate::extract::error::ArchiveError;
use crate::extract::name::EntryName;

/// The result of making a hard link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::extract) enum Linked {
    Made,
    /// Its target is a device or fifo, which was left out.
    LeftOut,
}

impl Root {
    /// Creates a second name for a file or symbolic link that is in the root already. A link to
    /// something that was left out is left out as well.
    pub(in crate::extract) fn hardlink(
        &mut self,
        name: &EntryName,
        target: &EntryName,
    ) -> Result<Linked, ArchiveError> {
        let refused = |found| ArchiveError::HardLink {
            name: name.display(),
            target: target.display(),
            found,
        };
        let missing = || refused("is not in the image");
        let (path, target_leaf) = target.split().ok_or_else(|| refused("is a directory"))?;
        let source = match self.open_existing(path) {
            Ok(directory) => directory,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(missing()),
            Err(errno) => return Err(write_error(name.as_bytes(), errno)),
        };
        match statat(&source.handle, target_leaf, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode as _) {
                FileType::RegularFile | FileType::Symlink => {}
                _ => return Err(refused("is a directory")),
            },
            Err(Errno::NOENT) if self.is_left_out(&source, target_leaf) => {
                self.leave_out(name)?;
                return Ok(Linked::LeftOut);
            }
            Err(Errno::NOENT) => return Err(missing()),
            Err(errno) => return Err(write_error(name.as_bytes(), errno)),
        }
        self.create(name, "hard link", |parent, leaf| {
            if parent.inode == source.inode && leaf == target_leaf {
                return Err(Errno::LOOP);
            }
            let flags = AtFlags::empty();
            linkat(&source.handle, target_leaf, &parent.handle, leaf, flags)
        })
        .map_err(|error| match error {
            ArchiveError::Write { source, .. }
                if Errno::from_io_error(&source) == Some(Errno::LOOP) =>
            {
                refused("is the link itself")
            }
            other => other,
        })?;
        Ok(Linked::Made)
    }

    fn is_left_out(&self, directory: &Directory, leaf: &[u8]) -> bool {
        let names = self.left_out.get(&directory.inode);
        names.is_some_and(|names| names.contains(leaf))
    }
}
