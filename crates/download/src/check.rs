//! Compares an installation with its inventory, on all cores.

mod walk;

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::blocking::blocking;
use crate::error::Error;
use crate::file_lock::is_same;
use crate::inventory::{self, InventoryDigest, Item, ItemKind, Unusable};
use crate::record::{self, FoundRecord};
use walk::{Now, Present, buffer, digest, walk};

/// Threads at most.
const THREADS: usize = 64;
/// How often an installation is looked at that is replaced meanwhile.
const ATTEMPTS: usize = 3;

/// What became of an installation since it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// Every file, directory and link is as it was unpacked, and there are no others.
    Intact {
        /// Files that were read.
        files: u64,
        /// Bytes of their content.
        bytes: u64,
    },
    /// Something is not.
    Changed {
        /// What, sorted by path. Never empty.
        differences: Vec<Difference>,
    },
    /// Its record is from before there were inventories: nothing says what it was.
    NoInventory,
}

/// Something that is not as it was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Difference {
    /// Its path, below the installation's directory.
    pub path: PathBuf,
    /// What is other.
    pub change: Change,
}

/// How something differs from what was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It was not unpacked. If it is a directory, all below it was added too.
    Added,
    /// It is no longer there. If it was a directory, all below it is gone too.
    Removed,
    /// A file has other content.
    Content,
    /// A file or directory has other permissions.
    Permissions,
    /// A symbolic link leads elsewhere.
    Target,
    /// It is of another kind: a link where a file was, for example.
    Kind,
    /// It can't be read, so nobody knows.
    Unreadable,
}

/// Compares the installation at `directory` with the inventory that was made when it was unpacked: content of
/// files, permissions, and targets of links. It changes nothing, and takes no lock.
///
/// It finds damage. It can't find what somebody did who wrote a new record and inventory too.
///
/// # Errors
/// [`Error::NoRecord`]; [`Error::UnreadableRecord`]; [`Error::LaterRecord`]; [`Error::Inventory`];
/// [`Error::Busy`], if it was replaced again and again meanwhile; [`Error::Io`].
pub async fn check(directory: &Path) -> Result<CheckResult, Error> {
    let directory = directory.to_owned();
    blocking(move || check_now(&directory)).await
}

fn check_now(directory: &Path) -> Result<CheckResult, Error> {
    for _ in 0..ATTEMPTS {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, directory, flags, Mode::empty());
        let root = match root {
            Err(Errno::NOENT | Errno::NOTDIR) => {
                let path = directory.to_owned();
                return Err(Error::NoRecord { path });
            }
            root => File::from(root.map_err(Error::io("open", directory))?),
        };
        let looked_at = root.metadata().map_err(Error::io("look at", directory))?;
        let result = check_once(directory, &root.into());
        // What was replaced meanwhile was looked at while it was deleted.
        let now = fs::metadata(directory).map_err(Error::io("look at", directory))?;
        if is_same(&now, &looked_at) {
            return result;
        }
    }
    Err(Error::Busy {
        path: directory.to_owned(),
    })
}

fn check_once(directory: &Path, root: &OwnedFd) -> Result<CheckResult, Error> {
    let path = || directory.to_owned();
    let found = record::read_in(root).map_err(Error::io("read the record in", directory))?;
    let recorded = match found {
        FoundRecord::Read(recorded) => recorded,
        FoundRecord::None => return Err(Error::NoRecord { path: path() }),
        FoundRecord::Damaged { why } | FoundRecord::Unrecognised { why } => {
            return Err(Error::UnreadableRecord { path: path(), why });
        }
        FoundRecord::Later { version } => {
            return Err(Error::LaterRecord {
                path: path(),
                found: version,
            });
        }
    };
    let Some(named) = &recorded.inventory else {
        return Ok(CheckResult::NoInventory);
    };
    let items = items(root, named).map_err(|error| match error {
        Unusable::Damaged { expected, found } => Error::Inventory {
            path: path(),
            expected,
            found,
        },
        Unusable::Unread(error) => Error::io("read the inventory in", directory)(error),
    })?;
    let found = walk(root, &items).map_err(Error::io("list", directory))?;
    let mut differences = compare(root, &items, &found);
    differences.extend(
        found
            .added
            .iter()
            .map(|path| difference(path, Change::Added)),
    );
    if differences.is_empty() {
        let sizes = items.iter().filter_map(|item| match &item.kind {
            ItemKind::File { size, .. } => Some(*size),
            ItemKind::Directory { .. } | ItemKind::Link { .. } => None,
        });
        let (files, bytes) = sizes.fold((0, 0u64), |(files, bytes), size| {
            (files + 1, bytes.saturating_add(size))
        });
        return Ok(CheckResult::Intact { files, bytes });
    }
    differences.sort();
    Ok(CheckResult::Changed { differences })
}

fn items(root: &OwnedFd, named: &InventoryDigest) -> Result<Vec<Item>, Unusable> {
    let file = record::open_file(root, inventory::FILE);
    let file = file.map_err(|error| {
        if record::is_none(&error) {
            Unusable::damaged(inventory::FILE, error.to_string())
        } else {
            Unusable::Unread(error)
        }
    })?;
    inventory::read(file, named)
}

/// What became of each item. Files are read by as many threads as there are cores.
fn compare(root: &OwnedFd, items: &[Item], found: &Present<'_>) -> Vec<Difference> {
    let differences = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut buffer = buffer();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(change) = change(root, item, found, &mut buffer) {
                let mut all = differences.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(difference(&item.path, change));
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 1..cores.min(THREADS) {
            // If the system has no more threads, fewer do.
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    differences
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

fn change(root: &OwnedFd, item: &Item, found: &Present<'_>, buffer: &mut [u8]) -> Option<Change> {
    let Some(now) = found.now.get(item.path.as_slice()) else {
        // What is below a directory that is gone, or that is something else now, is gone with it.
        return is_seen(item, found).then_some(Change::Removed);
    };
    let permissions = |then: u32, now: u32| (then != now).then_some(Change::Permissions);
    match (&item.kind, now) {
        (ItemKind::Directory { mode: then }, Now::Directory { mode }) => permissions(*then, *mode),
        (ItemKind::Link { target: then }, Now::Link { target }) => {
            (then != target).then_some(Change::Target)
        }
        (
            ItemKind::File {
                mode: then,
                size: before,
                digest: expected,
            },
            Now::File { mode, size },
        ) => {
            if before != size {
                return Some(Change::Content);
            }
            match digest(root, &item.path, buffer) {
                Err(_) => Some(Change::Unreadable),
                Ok(found) if found != *expected => Some(Change::Content),
                Ok(_) => permissions(*then, *mode),
            }
        }
        (_, Now::Unknown) => Some(Change::Unreadable),
        (ItemKind::Directory { .. } | ItemKind::Link { .. } | ItemKind::File { .. }, _) => {
            Some(Change::Kind)
        }
    }
}

/// Whether the directory of an item was listed.
fn is_seen(item: &Item, found: &Present<'_>) -> bool {
    match item.path.iter().rposition(|&byte| byte == b'/') {
        None => true,
        Some(at) => {
            let above = item.path.get(..at).unwrap_or_default();
            matches!(found.now.get(above), Some(Now::Directory { .. }))
        }
    }
}

fn difference(path: &[u8], change: Change) -> Difference {
    Difference {
        path: Path::new(std::ffi::OsStr::from_bytes(path)).to_owned(),
        change,
    }
}
