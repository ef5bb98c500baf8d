//! Hard links.

use std::fs::File;
use std::io;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, linkat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::{Directory, Root, finish_file, write_error};
use crate::extract::archive::Metadata;
use crate::extract::error::ArchiveError;
use crate::extract::name::EntryPath;
use crate::extract::writers::Digests;

/// The result of making a hard link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::extract) enum Linked {
    Made,
    /// Its target is a device or fifo, which was left out.
    LeftOut,
    /// The file system makes no hard links, or no more of them to this file. A copy is needed.
    Unsupported,
}

impl Root {
    /// Creates a second name for a file or symbolic link that is in the root already. A link to
    /// something that was left out is left out as well.
    pub(in crate::extract) fn hardlink(
        &mut self,
        name: &EntryPath,
        target: &EntryPath,
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
                _ if self.spellings.check(source.inode, target_leaf).is_err() => {
                    return Err(missing());
                }
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
        let made = self.create(name, "hard link", |parent, leaf| {
            if parent.inode == source.inode && leaf == target_leaf {
                return Err(Errno::LOOP);
            }
            let flags = AtFlags::empty();
            linkat(&source.handle, target_leaf, &parent.handle, leaf, flags)
        });
        let errno = match &made {
            Err(ArchiveError::Write { source, .. }) => Errno::from_io_error(source),
            _ => None,
        };
        match errno {
            Some(Errno::LOOP) => Err(refused("is the link itself")),
            // link(2): EPERM, or EOPNOTSUPP, where there are none; EMLINK where there are too many.
            Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                Ok(Linked::Unsupported)
            }
            _ => made.map(|()| Linked::Made),
        }
    }

    /// Copies what a hard link should have led to, whose content is written. `count` is told its bytes before, and
    /// may refuse them. `digests` gets the copy's.
    pub(in crate::extract) fn copy(
        &mut self,
        name: &EntryPath,
        target: &EntryPath,
        digests: &Digests,
        count: impl FnOnce(u64) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let error = |errno: Errno| write_error(name.as_bytes(), errno);
        let (path, leaf) = target.split().ok_or_else(|| error(Errno::ISDIR))?;
        let source = self.open_existing(path).map_err(error)?;
        let stat = statat(&source.handle, leaf, AtFlags::SYMLINK_NOFOLLOW).map_err(error)?;
        count(stat.st_size.try_into().unwrap_or(0))?;
        if FileType::from_raw_mode(stat.st_mode as _) == FileType::Symlink {
            let target = readlinkat(&source.handle, leaf, Vec::new()).map_err(error)?;
            return self.symlink(name, target.as_bytes());
        }
        let mut content = open_to_read(&source, leaf, stat.st_mode).map_err(error)?;
        let metadata = Metadata {
            mode: stat.st_mode,
            mtime: Some((stat.st_mtime, stat.st_mtime_nsec.try_into().unwrap_or(0))),
        };
        let mut copy = self.file(name, metadata)?;
        io::copy(&mut content, &mut copy).map_err(|source| ArchiveError::Write {
            name: name.display(),
            source,
        })?;
        let inode = finish_file(&copy, name, metadata)?;
        let mut digests = digests.lock();
        if let Some(digest) = digests.get(&stat.st_ino).cloned() {
            digests.insert(inode, digest);
        }
        Ok(())
    }

    pub(super) fn is_left_out(&self, directory: &Directory, leaf: &[u8]) -> bool {
        let names = self.left_out.get(&directory.inode);
        names.is_some_and(|names| names.contains(leaf))
    }
}

/// Opens a file of ours, even one that its owner may not read.
fn open_to_read(directory: &Directory, leaf: &[u8], mode: u32) -> Result<File, Errno> {
    let open = || {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&directory.handle, leaf, flags, Mode::empty()).map(File::from)
    };
    if mode & 0o400 != 0 {
        return open();
    }
    let set = |mode| {
        let mode = Mode::from_raw_mode(mode);
        chmodat(&directory.handle, leaf, mode, AtFlags::empty())
    };
    set(mode | 0o400)?;
    let opened = open();
    set(mode)?;
    opened
}
