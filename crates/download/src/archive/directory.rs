//! Packing a directory of this machine into the quarantine.
//!
//! Whoever may write to the directory may do so while it is read: every name is opened in the
//! handle of the directory that it is in, and no link is followed, so that nothing from outside of
//! the directory is ever packed.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use countersign_oci::{Algorithm, Digest, Digester};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;
use tar::{Builder, EntryType, Header};

use super::Archive;
use crate::error::Error;
use crate::extract::{Cancellation, RESERVED};
use crate::limits::Limits;

const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);
/// Permissions of what has none of its own, or is left out when unpacking.
const UNTOLD: u32 = 0o644;

/// Packs `directory` as a tar archive at `path`: sorted by name, without owners and times, so that
/// the digest changes when the content or its permissions do, and not otherwise. Links are packed
/// as links. An installation's own record is left out.
///
/// # Errors
/// [`Error::NoDirectory`] when there is none; [`Error::Directory`] when it is something else,
/// changes while it is read, holds the quarantine itself, or is over a limit; [`Error::Io`].
pub(crate) fn pack(
    directory: &Path,
    limits: &Limits,
    path: &Path,
    cancellation: Cancellation,
) -> Result<Archive, Error> {
    let top = openat(CWD, directory, READ | OFlags::DIRECTORY, Mode::empty());
    let top = top.map_err(|errno| match errno {
        Errno::NOENT => Error::NoDirectory {
            path: directory.to_owned(),
        },
        Errno::NOTDIR => unfit(directory, "a directory", "something else".into()),
        errno => Error::io("open", directory)(errno),
    })?;
    let file = File::create_new(path).map_err(Error::io("create", path))?;
    let quarantine = path.parent().unwrap_or(path);
    let metadata = quarantine.metadata();
    let metadata = metadata.map_err(Error::io("look at", quarantine))?;
    let sink = Counted {
        sink: BufWriter::new(file),
        digester: Digester::new(Algorithm::Sha256),
        bytes: 0,
        cancellation,
    };
    let mut packing = Packing {
        builder: Builder::new(sink),
        limits,
        directory,
        quarantine: identity(&metadata),
        entries: 0,
    };
    packing.children(&File::from(top), Path::new(""), 0)?;
    let sink = packing.builder.into_inner();
    let finished = sink.and_then(Counted::finish);
    let (digest, size) = finished.map_err(Error::io("write", path))?;
    Ok(Archive {
        location: directory.display().to_string(),
        path: path.to_owned(),
        size,
        digest,
    })
}

struct Packing<'a> {
    builder: Builder<Counted>,
    limits: &'a Limits,
    directory: &'a Path,
    /// The directory that the archive is written to.
    quarantine: (u64, u64),
    entries: u64,
}

/// A name that was found, in the handle of the directory that it is in.
struct Walked<'a> {
    parent: &'a File,
    leaf: &'a CStr,
    /// Below the directory that is packed.
    name: PathBuf,
    /// How many directories it is in.
    depth: u64,
}

impl Packing<'_> {
    /// What lies in `parent`, which is at `below` in the directory that is packed.
    fn children(&mut self, parent: &File, below: &Path, depth: u64) -> Result<(), Error> {
        self.within("nested directories", depth, self.limits.depth)?;
        let metadata = parent.metadata().map_err(self.io("look at", below))?;
        if identity(&metadata) == self.quarantine {
            let expected = "one that doesn't contain the place to install to";
            return Err(unfit(self.directory, expected, "one that does".into()));
        }
        for leaf in self.leaves(parent, below, depth)? {
            self.entries += 1;
            self.entry(&Walked {
                parent,
                name: below.join(OsStr::from_bytes(leaf.to_bytes())),
                leaf: &leaf,
                depth,
            })?;
        }
        Ok(())
    }

    /// The names in a directory, in their order.
    fn leaves(&self, parent: &File, below: &Path, depth: u64) -> Result<Vec<CString>, Error> {
        let mut leaves = Vec::new();
        for entry in Dir::read_from(parent).map_err(self.io("list", below))? {
            let entry = entry.map_err(self.io("list", below))?;
            let leaf = entry.file_name();
            let record = depth == 0 && leaf.to_bytes() == RESERVED.as_bytes();
            if record || matches!(leaf.to_bytes(), b"." | b"..") {
                continue;
            }
            leaves.push(leaf.to_owned());
            let found = self.entries.saturating_add(leaves.len() as u64);
            self.within("entries", found, self.limits.entries)?;
        }
        leaves.sort();
        Ok(leaves)
    }

    fn entry(&mut self, found: &Walked<'_>) -> Result<(), Error> {
        let stat = statat(found.parent, found.leaf, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(self.misread(found))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.file(found),
            FileType::Directory => self.subdirectory(found),
            FileType::Symlink => self.link(found),
            FileType::BlockDevice => self.empty(found, EntryType::Block, UNTOLD),
            FileType::CharacterDevice => self.empty(found, EntryType::Char, UNTOLD),
            // Sockets have no type of their own; like all of these they are left out when
            // unpacking, which says so.
            _ => self.empty(found, EntryType::Fifo, UNTOLD),
        }
    }

    fn subdirectory(&mut self, found: &Walked<'_>) -> Result<(), Error> {
        let (directory, metadata) = self.open(found, OFlags::DIRECTORY)?;
        self.empty(found, EntryType::Directory, metadata.permissions().mode())?;
        self.children(&directory, &found.name, found.depth + 1)
    }

    fn link(&mut self, found: &Walked<'_>) -> Result<(), Error> {
        let target = readlinkat(found.parent, found.leaf, Vec::new());
        let target = target.map_err(self.misread(found))?;
        let target = OsStr::from_bytes(target.to_bytes());
        let mut header = header(EntryType::Symlink, UNTOLD, 0);
        let written = self.builder.append_link(&mut header, &found.name, target);
        written.map_err(self.io("pack", &found.name))
    }

    fn file(&mut self, found: &Walked<'_>) -> Result<(), Error> {
        // A fifo that took the file's place must not be waited for.
        let (file, metadata) = self.open(found, OFlags::NONBLOCK)?;
        if !metadata.is_file() {
            return Err(self.changed(found));
        }
        let size = metadata.len();
        let written = self.builder.get_ref().bytes;
        let total = written.saturating_add(size);
        self.within("bytes", total, self.limits.compressed_bytes)?;
        let mut header = header(EntryType::Regular, metadata.permissions().mode(), size);
        // A file that grows is cut here; one that shrinks would spoil the archive after it.
        let mut content = file.take(size);
        let appended = self
            .builder
            .append_data(&mut header, &found.name, &mut content);
        appended.map_err(self.io("pack", &found.name))?;
        if content.limit() > 0 {
            return Err(self.changed(found));
        }
        Ok(())
    }

    /// An entry without content.
    fn empty(&mut self, found: &Walked<'_>, kind: EntryType, mode: u32) -> Result<(), Error> {
        let mut header = header(kind, mode, 0);
        let appended = self
            .builder
            .append_data(&mut header, &found.name, io::empty());
        appended.map_err(self.io("pack", &found.name))
    }

    fn open(&self, found: &Walked<'_>, way: OFlags) -> Result<(File, Metadata), Error> {
        let way = way | READ | OFlags::NOFOLLOW;
        let file = openat(found.parent, found.leaf, way, Mode::empty());
        let file = File::from(file.map_err(self.misread(found))?);
        let metadata = file.metadata().map_err(self.io("look at", &found.name))?;
        Ok((file, metadata))
    }

    /// For use with `map_err`: what isn't any more what it was, or can't be read.
    fn misread(&self, found: &Walked<'_>) -> impl FnOnce(Errno) -> Error {
        |errno| match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL => self.changed(found),
            errno => self.io("read", &found.name)(errno),
        }
    }

    fn changed(&self, found: &Walked<'_>) -> Error {
        let changed = format!("a change of {}", found.name.display());
        unfit(
            self.directory,
            "content that nobody changes while it is read",
            changed,
        )
    }

    /// For use with `map_err`.
    fn io<E: Into<io::Error>>(&self, action: &'static str, name: &Path) -> impl FnOnce(E) -> Error {
        Error::io(action, self.directory.join(name))
    }

    fn within(&self, what: &str, found: u64, limit: u64) -> Result<(), Error> {
        if found <= limit {
            return Ok(());
        }
        let expected = "a directory that keeps to the limits";
        let found = format!("more than {limit} {what}");
        Err(unfit(self.directory, expected, found))
    }
}

fn unfit(path: &Path, expected: &'static str, found: String) -> Error {
    Error::Directory {
        path: path.to_owned(),
        expected,
        found,
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode & 0o7777);
    header.set_size(size);
    header
}

/// Device and inode.
fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Counts and hashes what is written through it, until nobody waits for it any more.
struct Counted {
    sink: BufWriter<File>,
    digester: Digester,
    bytes: u64,
    cancellation: Cancellation,
}

impl Counted {
    fn finish(mut self) -> io::Result<(Digest, u64)> {
        self.sink.flush()?;
        Ok((self.digester.finish(), self.bytes))
    }
}

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.cancellation.check().map_err(io::Error::other)?;
        let written = self.sink.write(buffer)?;
        self.digester
            .update(buffer.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
