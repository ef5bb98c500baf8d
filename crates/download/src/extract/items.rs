//! Lists what was written, for the inventory.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use countersign_oci::Digest;
use rustix::fs::{AtFlags, FileType, readlinkat, statat};

use super::RESERVED;
use super::error::ArchiveError;
use super::resolve::open_child;
use super::root::{Root, children, inode, write_error};
use crate::inventory::{Item, ItemKind};

/// A function that takes items in the order of their names, a directory before what is in it.
type Add<'a> = &'a mut dyn FnMut(Item) -> Result<(), ArchiveError>;

impl Root {
    /// Lists everything below the root, with the permissions that [`Root::finish`] gives. `digests` has
    /// the digest of each file's content, by inode.
    pub(super) fn items(
        &self,
        digests: &HashMap<u64, Digest>,
        add: Add<'_>,
    ) -> Result<(), ArchiveError> {
        self.items_in(self.handle(), b"", digests, add)
    }

    fn items_in(
        &self,
        handle: &OwnedFd,
        above: &[u8],
        digests: &HashMap<u64, Digest>,
        add: Add<'_>,
    ) -> Result<(), ArchiveError> {
        self.check_cancellation()?;
        let mut names = children(handle).map_err(|errno| write_error(above, errno))?;
        names.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (leaf, kind) in names {
            let path = match above {
                b"" if leaf == RESERVED.as_bytes() => continue,
                b"" => leaf.clone(),
                above => [above, b"/", &leaf].concat(),
            };
            let error = |errno| write_error(&path, errno);
            if kind == FileType::Directory {
                let child = open_child(handle, &leaf).map_err(error)?;
                let mode = self.permissions(inode(&child).map_err(error)?);
                add(Item {
                    path: path.clone(),
                    kind: ItemKind::Directory { mode },
                })?;
                self.items_in(&child, &path, digests, add)?;
                continue;
            }
            let kind = if kind == FileType::Symlink {
                let target = readlinkat(handle, &leaf, Vec::new()).map_err(error)?;
                ItemKind::Link {
                    target: target.into_bytes(),
                }
            } else {
                let stat = statat(handle, &leaf, AtFlags::SYMLINK_NOFOLLOW).map_err(error)?;
                // We made no other files than those that were hashed.
                let digest = digests.get(&stat.st_ino);
                let digest = digest.ok_or_else(|| error(rustix::io::Errno::STALE))?;
                ItemKind::File {
                    mode: stat.st_mode & 0o7777,
                    size: u64::try_from(stat.st_size).unwrap_or_default(),
                    digest: digest.clone(),
                }
            };
            add(Item { path, kind })?;
        }
        Ok(())
    }
}
