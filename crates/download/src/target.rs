//! The place that an image is installed to.
//!
//! An installation is made in a staging directory beside the target. One `rename(2)` then puts it in
//! the target's place. So there is a complete installation at the target, the old one or the new
//! one, even after a crash. The exception is a file system that needs two renames, and a crash between
//! them: then the next run puts the old one back. A lock file beside the target keeps two installations
//! apart. Whoever holds it removes what a killed installation left. Other users may be able to create
//! files beside the target. Something that only looks like a leftover is not followed, not installed and
//! not removed.

mod above;
mod durable;
mod leftovers;
mod mounts;
mod place;
mod removal;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open, openat, rename};
use rustix::io::Errno;
use rustix::process::geteuid;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::error::Error;
use crate::file_lock::FileLock;
use crate::options::Unrecorded;
use crate::record;
use above::{DIRECTORY_ABOVE, directory_above};
use removal::Removal;

pub(crate) use above::{Above, look};
pub(crate) use leftovers::staged;

/// Random characters at the end of a staging directory's name.
const RANDOM: usize = 8;
/// In the staging directory: the new installation.
const ROOT: &str = "root";
/// In the staging directory: blobs that were fetched but not yet unpacked.
const QUARANTINE: &str = "blobs";
/// In the staging directory: the old installation, if the file system can't exchange two names in one
/// step.
const OLD: &str = "old";
/// In the staging directory: an installation that is being removed. It is never put back.
const REMOVED: &str = "removed";
const REPLACEABLE: &str = "nothing, an empty directory or an earlier installation";

/// The lock of a target. Nobody else installs to the target while this value lives.
pub(crate) struct Held {
    target: Arc<Target>,
    _lock: FileLock,
    /// How many claims there are.
    claims: Arc<watch::Sender<usize>>,
}

/// Holds a target for a staging directory that is made, is there, or is being removed.
pub(crate) struct Claim {
    held: Arc<Held>,
    // Dropped last: whoever was told of its end holds the target alone.
    _notice: Notice,
}

/// Counts a claim, until it is dropped.
struct Notice(Arc<watch::Sender<usize>>);

impl Drop for Notice {
    fn drop(&mut self) {
        self.0.send_modify(|claims| *claims -= 1);
    }
}

/// A staging directory beside a target that is held.
///
/// Dropping it removes the directory and everything in it, then gives up the target. An old
/// installation that could not be put back is kept. That may be gigabytes: in asynchronous code a thread that may block
/// removes them, and [`Held::unclaimed`] waits for it.
pub(crate) struct Staging {
    path: PathBuf,
    target: Arc<Target>,
    /// Taken when it is dropped.
    claim: Option<Claim>,
}

struct Target {
    path: PathBuf,
    parent: PathBuf,
    name: OsString,
    /// Only leftovers of this user are removed.
    owner: u32,
}

/// What is at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occupant {
    Nobody,
    EmptyDirectory,
    Installation,
}

impl Held {
    /// Takes the lock of `directory` and removes what killed installations left beside it.
    ///
    /// # Errors
    /// [`Error::Busy`] at once, if another run holds it; [`Error::Target`], if there is no directory
    /// above it.
    pub(crate) fn take(directory: &Path) -> Result<Self, Error> {
        let target = Target::new(directory)?;
        let path = target.lock_path();
        let lock = FileLock::try_take(&path).map_err(Error::io("lock", &path))?;
        let lock = lock.ok_or_else(|| Error::Busy {
            path: target.path.clone(),
        })?;
        target.clear_leftovers()?;
        Ok(Self {
            target: Arc::new(target),
            _lock: lock,
            claims: Arc::default(),
        })
    }

    /// For a staging directory.
    pub(crate) fn claim(self: &Arc<Self>) -> Claim {
        self.claims.send_modify(|claims| *claims += 1);
        Claim {
            held: Arc::clone(self),
            _notice: Notice(Arc::clone(&self.claims)),
        }
    }

    /// Waits until no staging directory is left, and none is being made.
    pub(crate) async fn unclaimed(&self) {
        // It ends with an error only when there is nobody left to count.
        let _ = self
            .claims
            .subscribe()
            .wait_for(|claims| *claims == 0)
            .await;
    }

    /// Checks that what is at the target may be replaced, and that the system allows it. This is done
    /// before anything is fetched.
    ///
    /// # Errors
    /// [`Error::Target`], [`Error::Immovable`] or [`Error::Mounted`].
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.target.occupant()? {
            Occupant::Nobody => Ok(()),
            Occupant::EmptyDirectory | Occupant::Installation => {
                self.target.refuse_mounts()?;
                self.target.movable()
            }
        }
    }

    /// Removes the staging directory that a killed run left at `path`.
    pub(crate) fn clear(&self, path: &Path) -> Result<(), Error> {
        let cleared = self.target.clear_leftover(path);
        cleared.map_err(Error::io("remove", path))
    }
}

impl Claim {
    /// Makes the staging directory.
    pub(crate) fn stage(self) -> Result<Staging, Error> {
        let staging = self.held.target.directory_beside()?;
        let staging = Staging {
            path: staging.keep(),
            target: Arc::clone(&self.held.target),
            claim: Some(self),
        };
        for directory in [staging.root_path(), staging.path.join(QUARANTINE)] {
            fs::create_dir(&directory).map_err(Error::io("make the directory", &directory))?;
        }
        Ok(staging)
    }
}

impl Staging {
    /// The directory that is installed to.
    pub(crate) fn target(&self) -> &Path {
        &self.target.path
    }

    /// Moves what is at the target into the staging directory, in one step. It is deleted with the
    /// staging directory. Something without our record is moved only if `unrecorded` allows it.
    ///
    /// # Errors
    /// [`Error::Target`], if there is no installation; [`Error::Immovable`]; [`Error::Mounted`].
    pub(crate) fn take_away(&self, unrecorded: Unrecorded) -> Result<(), Error> {
        let path = &self.target.path;
        if unrecorded == Unrecorded::Refuse && self.target.occupant()? != Occupant::Installation {
            return Err(Error::Target {
                path: path.clone(),
                expected: "an installation",
                found: "none",
            });
        }
        self.target.refuse_mounts()?;
        fs::rename(path, self.path.join(REMOVED)).map_err(|source| Error::Immovable {
            path: path.clone(),
            source,
        })?;
        self.sync_parent()
    }

    /// The directory to unpack into.
    pub(crate) fn root(&self) -> Result<OwnedFd, Error> {
        let path = self.root_path();
        open_directory(&path).map_err(Error::io("open", path))
    }

    /// The path of the blob with this number in the quarantine.
    pub(crate) fn blob_path(&self, number: usize) -> PathBuf {
        self.path.join(QUARANTINE).join(number.to_string())
    }

    /// Writes a file beside the record of the new installation. The first one makes the directory.
    pub(crate) fn write_beside_record<T>(
        &self,
        name: &str,
        write: impl FnOnce(&mut fs::File) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let path = record::path(&self.root_path()).with_file_name(name);
        let directory = path.parent().unwrap_or(&path);
        let file = match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => create_in(directory, name),
        };
        let mut file = file.map_err(Error::io("make", &path))?;
        let written = write(&mut file)?;
        // The umask must not change it.
        let readable = file.set_permissions(fs::Permissions::from_mode(0o644));
        readable.map_err(Error::io("write", &path))?;
        Ok(written)
    }

    /// Writes the record into the new installation.
    pub(crate) fn write_record(&self, json: &[u8]) -> Result<(), Error> {
        self.write_beside_record(record::FILE, |file| {
            file.write_all(json)
                .map_err(Error::io("write", self.record_path()))
        })
    }

    /// Where the record of the new installation is.
    pub(crate) fn record_path(&self) -> PathBuf {
        record::path(&self.root_path())
    }

    /// For use with `map_err`.
    fn not_moved<E: Into<io::Error>>(&self) -> impl FnOnce(E) -> Error {
        Error::io("move the installation to", &self.target.path)
    }

    fn old_path(&self) -> PathBuf {
        self.path.join(OLD)
    }

    fn root_path(&self) -> PathBuf {
        self.path.join(ROOT)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let removal = Removal::of(std::mem::take(&mut self.path), self.claim.take());
        match Handle::try_current() {
            // Where the runtime has ended, it is dropped at once.
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(removal))),
            Err(_) => drop(removal),
        }
    }
}

impl Target {
    fn new(path: &Path) -> Result<Self, Error> {
        let name = path.file_name().ok_or_else(|| Error::Target {
            path: path.into(),
            expected: "a path that ends in a name",
            found: "one that doesn't",
        })?;
        let parent = directory_above(path)?.ok_or_else(|| Error::Target {
            path: path.into(),
            expected: DIRECTORY_ABOVE,
            found: "none",
        })?;
        Ok(Self {
            // Without a trailing slash: with one, `rename` would follow a symbolic link.
            path: parent.join(name),
            parent: parent.into(),
            name: name.into(),
            owner: geteuid().as_raw(),
        })
    }

    /// What is at the target.
    ///
    /// # Errors
    /// [`Error::Target`], if we may not replace it.
    fn occupant(&self) -> Result<Occupant, Error> {
        let refused = |found| Error::Target {
            path: self.path.clone(),
            expected: REPLACEABLE,
            found,
        };
        let metadata = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Occupant::Nobody),
            Err(error) => return Err(Error::io("look at", &self.path)(error)),
        };
        if metadata.is_symlink() {
            return Err(refused("a symbolic link"));
        }
        if !metadata.is_dir() {
            return Err(refused(if metadata.is_file() {
                "a file"
            } else {
                "something that is not a directory"
            }));
        }
        let mut entries = fs::read_dir(&self.path).map_err(Error::io("list", &self.path))?;
        if entries.next().is_none() {
            return Ok(Occupant::EmptyDirectory);
        }
        let record = record::read(&self.path);
        let record = record.map_err(Error::io("read the record in", &self.path))?;
        if record.is_ours() {
            return Ok(Occupant::Installation);
        }
        Err(refused(match record {
            record::FoundRecord::Unrecognised { .. } => {
                "a directory with a record that can't be read: it is damaged, or not ours"
            }
            _ => "a directory with files that are not ours",
        }))
    }

    /// Refuses a target with something mounted inside, because the mount would move with it.
    fn refuse_mounts(&self) -> Result<(), Error> {
        let found = mounts::mounted_below(&self.parent, Path::new(&self.name));
        match found.map_err(Error::io("look at", &self.parent))? {
            None => Ok(()),
            Some(mount) => Err(Error::Mounted {
                path: self.path.clone(),
                mount,
            }),
        }
    }

    /// Checks that the directory at the target can be moved. These can't: a mount point, another
    /// user's directory in a sticky directory, a directory of a lower layer of an overlay.
    ///
    /// We ask the system to rename it onto a directory that is not empty, which is never possible.
    /// The system checks that last. So if it says that the directory is not empty, the target can be
    /// moved. Any other error says why it can't.
    fn movable(&self) -> Result<(), Error> {
        let probe = self.directory_beside()?;
        let taken = probe.path().join("taken");
        fs::create_dir_all(taken.join("full")).map_err(Error::io("make the directory", &taken))?;
        match rename(&self.path, &taken) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(errno) => Err(Error::Immovable {
                path: self.path.clone(),
                source: errno.into(),
            }),
            // POSIX does not allow this. The target can be moved, so move it back.
            Ok(()) => place::rename_new(&taken, &self.path).map_err(|source| Error::Displaced {
                path: self.path.clone(),
                kept: probe.keep().join("taken"),
                source,
            }),
        }
    }

    /// A new directory beside the target, for this user alone. A run that is killed leaves it to the next one.
    fn directory_beside(&self) -> Result<tempfile::TempDir, Error> {
        tempfile::Builder::new()
            .prefix(&self.staging_prefix())
            .rand_bytes(RANDOM)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&self.parent)
            .map_err(Error::io("make a directory in", &self.parent))
    }

    fn staging_prefix(&self) -> OsString {
        self.beside("-")
    }

    fn lock_path(&self) -> PathBuf {
        self.parent.join(self.beside(".lock"))
    }

    /// `.NAME.countersign` and an ending.
    fn beside(&self, ending: &str) -> OsString {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(".countersign");
        name.push(ending);
        name
    }
}

fn open_directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Creates a file in a directory that is no link.
fn create_in(directory: &Path, name: &str) -> io::Result<fs::File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open(directory, flags, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let mode = Mode::RUSR | Mode::WUSR;
    Ok(openat(&directory, name, flags | OFlags::CLOEXEC, mode)?.into())
}

#[cfg(test)]
mod tests;
