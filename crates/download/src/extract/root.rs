//! Writes entries below one directory, and nowhere else.
//!
//! First the directory of an entry is opened (see [`super::resolve`]). Then the entry itself is created
//! in it as something new (`O_EXCL`), so that nothing is ever written through a link that is already
//! there. Until [`Root::finish`] only we may enter the directories.

mod finish;
mod link;
mod remove;
mod spelling;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, mkdirat, openat, symlinkat};
use rustix::io::Errno;

use countersign_oci::archive::display;

use super::archive::Metadata;
use super::error::ArchiveError;
use super::name::{EntryPath, split};
use super::resolve::{Resolver, open_child, walk};
use super::stream::Cancellation;
use crate::directory::{file_type, is_dot};
use crate::limits::{Bound, Limits};
use remove::WhatToRemove;
use spelling::{OTHER_SPELLING, Spellings};

use finish::permissions;
pub(super) use finish::{OTHERS_WRITE, finish_file};
pub(super) use link::Linked;
#[cfg(test)]
pub(super) use spelling::Same;

/// How many directories are kept open. Most entries are in the same directory as the one before.
const CACHED_DIRECTORIES: usize = 128;
/// The permissions of directories until [`Root::finish`].
const PRIVATE: Mode = Mode::RWXU;
/// For a directory that the archive has entries in, but no entry for.
const IMPLICIT: Metadata = Metadata {
    mode: 0o755,
    mtime: None,
};

/// The directory that an image is unpacked into.
pub(super) struct Root {
    top: Arc<Directory>,
    resolver: Resolver,
    open: HashMap<Vec<u8>, Arc<Directory>>,
    /// All directories, by inode, with the permissions and times that they get at the end.
    directories: HashMap<u64, Planned>,
    /// What the current layer wrote: hashes of the directory's inode and the name.
    written: HashSet<u64>,
    /// Names of devices and fifos that were left out, and of hard links to them, by the inode of
    /// their directory.
    left_out: HashMap<u64, HashSet<Vec<u8>>>,
    /// Directories, by inode, in which nothing of lower layers is left, with what `implied` was then. Without
    /// them, each of many whiteouts for one directory would have us list it again.
    cleared: HashMap<u64, u64>,
    /// How many directories were made that no entry was for.
    implied: u64,
    hasher: RandomState,
    spellings: Spellings,
    tally: EntryTally,
    depth_limit: u64,
    cancellation: Cancellation,
}

/// An open directory below the root.
struct Directory {
    handle: OwnedFd,
    inode: u64,
    depth: u64,
}

struct Planned {
    metadata: Metadata,
    /// How many directories are above it, up to the root. The path doesn't show that: it may lead
    /// through links.
    depth: u64,
}

/// Counts entries of the archives, and directories that no entry is for.
struct EntryTally {
    count: u64,
    limit: u64,
}

impl EntryTally {
    fn add(&mut self) -> Result<(), ArchiveError> {
        self.count += 1;
        if self.count > self.limit {
            return Err(ArchiveError::Limit {
                what: "the image".into(),
                limit: self.limit,
                bound: Bound::Entries,
            });
        }
        Ok(())
    }
}

impl Root {
    /// `handle` is an empty directory that nobody else writes to.
    pub(super) fn new(
        handle: OwnedFd,
        limits: &Limits,
        cancellation: Cancellation,
    ) -> io::Result<Self> {
        let inode = inode(&handle)?;
        let spellings = Spellings::probe(&handle)?;
        let planned = Planned {
            metadata: IMPLICIT,
            depth: 0,
        };
        Ok(Self {
            top: Arc::new(Directory {
                handle,
                inode,
                depth: 0,
            }),
            resolver: Resolver::best(),
            open: HashMap::new(),
            directories: HashMap::from([(inode, planned)]),
            written: HashSet::new(),
            left_out: HashMap::new(),
            cleared: HashMap::new(),
            implied: 0,
            hasher: RandomState::new(),
            spellings,
            tally: EntryTally {
                count: 0,
                limit: limits.entries,
            },
            depth_limit: limits.depth,
            cancellation,
        })
    }

    /// The directory itself.
    pub(super) fn handle(&self) -> &OwnedFd {
        &self.top.handle
    }

    pub(super) fn check_cancellation(&self) -> Result<(), ArchiveError> {
        self.cancellation.check()
    }

    /// The permissions that the directory with this inode gets at the end.
    pub(super) fn permissions(&self, inode: u64) -> u32 {
        let planned = self.directories.get(&inode);
        planned.map_or(IMPLICIT, |planned| planned.metadata).mode & 0o777 & !OTHERS_WRITE
    }

    /// Behaves like a file system on which these are the same.
    #[cfg(test)]
    pub(super) fn force_spellings(&mut self, same: Same) {
        self.spellings.force(same);
    }

    /// Begins a new layer. Everything that is there now belongs to lower layers.
    pub(super) fn next_layer(&mut self) {
        self.written.clear();
        self.cleared.clear();
    }

    /// Counts an entry of an archive.
    pub(super) fn count_entry(&mut self) -> Result<(), ArchiveError> {
        self.tally.add()
    }

    /// Creates a directory, or keeps the one that is there. Anything else there is removed.
    pub(super) fn directory(
        &mut self,
        name: &EntryPath,
        metadata: Metadata,
    ) -> Result<(), ArchiveError> {
        if name.split().is_none() {
            self.plan(self.top.inode, metadata, 0);
            return Ok(());
        }
        let error = |errno| write_error(name.as_bytes(), errno);
        let (parent, leaf) = self.place(name, "directory")?;
        let child = match open_child(&parent.handle, leaf) {
            Ok(child) => {
                let spelled = self.spellings.check(parent.inode, leaf);
                spelled.map_err(error)?;
                child
            }
            Err(Errno::NOENT) => self.make_directory(&parent, leaf).map_err(error)?,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                self.remove(&parent, leaf, WhatToRemove::Everything, name)?;
                self.make_directory(&parent, leaf).map_err(error)?
            }
            Err(errno) => return Err(error(errno)),
        };
        let depth = self.deeper(&parent, name)?;
        let inode = inode(&child).map_err(error)?;
        self.plan(inode, metadata, depth);
        self.note_written(&parent, leaf);
        Ok(())
    }

    /// Creates a file, and removes what was there before. The caller writes the content, then calls
    /// [`finish_file`]. Until [`Root::finish`] nobody else can reach it, so it may have its permissions at once.
    pub(super) fn file(
        &mut self,
        name: &EntryPath,
        metadata: Metadata,
    ) -> Result<File, ArchiveError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        // Some network file systems let only those write who may write by the permissions.
        let mode = permissions(metadata) | Mode::WUSR;
        let handle = self.create(name, "file", |parent, leaf| {
            openat(&parent.handle, leaf, flags | OFlags::CLOEXEC, mode)
        })?;
        Ok(handle.into())
    }

    /// Creates a symbolic link with `target` as it is.
    pub(super) fn symlink(&mut self, name: &EntryPath, target: &[u8]) -> Result<(), ArchiveError> {
        self.create(name, "symbolic link", |parent, leaf| {
            let made = symlinkat(target, &parent.handle, leaf);
            // symlink(2): the file system has no symbolic links. Without permission it is EACCES.
            made.map_err(|errno| match errno {
                Errno::PERM => Errno::OPNOTSUPP,
                errno => errno,
            })
        })
    }

    /// Removes what is at the place of a device or fifo, which we don't make.
    pub(super) fn leave_out(&mut self, name: &EntryPath) -> Result<(), ArchiveError> {
        let (parent, leaf) = self.place(name, "device")?;
        self.remove(&parent, leaf, WhatToRemove::Everything, name)?;
        self.note_written(&parent, leaf);
        let names = self.left_out.entry(parent.inode).or_default();
        names.insert(leaf.to_vec());
        Ok(())
    }

    /// Runs `make` for the entry's last component, after removing what is in its place.
    fn create<T>(
        &mut self,
        name: &EntryPath,
        kind: &'static str,
        make: impl Fn(&Directory, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, ArchiveError> {
        let (parent, leaf) = self.place(name, kind)?;
        let error = |errno| write_error(name.as_bytes(), errno);
        let made = match make(&parent, leaf) {
            Err(Errno::EXIST) => {
                self.remove(&parent, leaf, WhatToRemove::Everything, name)?;
                make(&parent, leaf)
            }
            result => result,
        };
        let made = made.map_err(error)?;
        self.spellings.make(parent.inode, leaf);
        self.note_written(&parent, leaf);
        Ok(made)
    }

    /// Opens the directory of an entry. Returns it and the entry's name in it.
    fn place<'n>(
        &mut self,
        name: &'n EntryPath,
        kind: &'static str,
    ) -> Result<(Arc<Directory>, &'n [u8]), ArchiveError> {
        let (path, leaf) = name.split().ok_or_else(|| ArchiveError::Name {
            name: "/".into(),
            kind,
        })?;
        let parent = self.open_directory(path, name)?;
        let spellings = &self.spellings;
        spellings.check_reserved(&parent, &self.top, leaf, name)?;
        Ok((parent, leaf))
    }

    /// Opens the directory `path` for `entry`. Missing directories are made.
    fn open_directory(
        &mut self,
        path: &[u8],
        entry: &EntryPath,
    ) -> Result<Arc<Directory>, ArchiveError> {
        match self.open_existing(path) {
            Ok(directory) => return Ok(directory),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(path_error(entry, errno)),
        }
        let (above, leaf) = split(path);
        let parent = self.open_directory(above, entry)?;
        let spellings = &self.spellings;
        spellings.check_reserved(&parent, &self.top, leaf, entry)?;
        if self.is_left_out(&parent, leaf) {
            return Err(path_error(entry, Errno::NOTDIR));
        }
        let depth = self.deeper(&parent, entry)?;
        self.tally.add()?;
        let handle = match self.make_directory(&parent, leaf) {
            Ok(handle) => handle,
            // Something is there, but it can't be opened: a link without a target.
            Err(Errno::EXIST) => return Err(path_error(entry, Errno::LOOP)),
            Err(errno) => return Err(write_error(path, errno)),
        };
        let inode = inode(&handle).map_err(|errno| write_error(path, errno))?;
        self.plan(inode, IMPLICIT, depth);
        self.implied += 1;
        Ok(self.keep(
            path,
            Directory {
                handle,
                inode,
                depth,
            },
        ))
    }

    fn open_existing(&mut self, path: &[u8]) -> Result<Arc<Directory>, Errno> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.top));
        }
        if let Some(directory) = self.open.get(path) {
            return Ok(Arc::clone(directory));
        }
        let handle = self.resolve(path)?;
        let inode = inode(&handle)?;
        // We made all directories, so it is planned. If it were not, nothing could be put below it.
        let planned = self.directories.get(&inode);
        let depth = planned.map_or(self.depth_limit, |planned| planned.depth);
        Ok(self.keep(
            path,
            Directory {
                handle,
                inode,
                depth,
            },
        ))
    }

    fn resolve(&mut self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let (top, spellings) = (self.top.handle.as_fd(), &self.spellings);
        if spellings.matter() {
            return walk(top, path, |directory, leaf| {
                spellings.check_in(directory, leaf)
            });
        }
        self.resolver.open(top, path)
    }

    fn make_directory(&mut self, parent: &Directory, leaf: &[u8]) -> Result<OwnedFd, Errno> {
        mkdirat(&parent.handle, leaf, PRIVATE)?;
        self.spellings.make(parent.inode, leaf);
        open_child(&parent.handle, leaf)
    }

    fn keep(&mut self, path: &[u8], directory: Directory) -> Arc<Directory> {
        if self.open.len() >= CACHED_DIRECTORIES {
            self.open.clear();
        }
        let directory = Arc::new(directory);
        self.open.insert(path.to_vec(), Arc::clone(&directory));
        directory
    }

    fn plan(&mut self, inode: u64, metadata: Metadata, depth: u64) {
        self.directories.insert(inode, Planned { metadata, depth });
    }

    /// The depth of a new directory in `parent`, within the limit. A limit on names alone is not enough:
    /// names can go through links to deep directories.
    fn deeper(&self, parent: &Directory, entry: &EntryPath) -> Result<u64, ArchiveError> {
        if parent.depth >= self.depth_limit {
            return Err(ArchiveError::Limit {
                what: format!("the depth of `{}`", entry.display()),
                limit: self.depth_limit,
                bound: Bound::Depth,
            });
        }
        Ok(parent.depth + 1)
    }

    fn note_written(&mut self, parent: &Directory, leaf: &[u8]) {
        let key = self.hasher.hash_one((parent.inode, leaf));
        self.written.insert(key);
        self.no_longer_left_out(parent, leaf);
    }

    fn no_longer_left_out(&mut self, parent: &Directory, leaf: &[u8]) {
        if let Some(names) = self.left_out.get_mut(&parent.inode) {
            names.remove(leaf);
        }
    }
}

/// The names and types of everything in a directory. Read completely first, because callers change the
/// directory.
pub(super) fn children(directory: &OwnedFd) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
    let mut children = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !is_dot(&entry) {
            let name = entry.file_name().to_bytes().to_vec();
            children.push((name, file_type(directory, &entry)?));
        }
    }
    Ok(children)
}

pub(super) fn inode(handle: &OwnedFd) -> Result<u64, Errno> {
    Ok(fstat(handle)?.st_ino as _)
}

pub(super) fn write_error(path: &[u8], errno: Errno) -> ArchiveError {
    let name = display(path);
    match errno {
        OTHER_SPELLING => ArchiveError::Spelling { name },
        errno => ArchiveError::Write {
            name,
            source: errno.into(),
        },
    }
}

/// An error of opening the directory of `entry`.
fn path_error(entry: &EntryPath, errno: Errno) -> ArchiveError {
    let name = entry.display();
    match errno {
        Errno::LOOP => ArchiveError::DanglingLink { name },
        Errno::NOTDIR => ArchiveError::NotADirectory { name },
        errno => write_error(entry.as_bytes(), errno),
    }
}
