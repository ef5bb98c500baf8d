//! Packing a directory of this machine into the quarantine.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use countersign_oci::{Algorithm, Digest, Digester};
use rustix::fs::{CWD, Mode, OFlags, openat};
use tar::{Builder, EntryType, Header};

use super::Archive;
use crate::error::Error;
use crate::extract::{Compression, RESERVED};
use crate::limits::Limits;

/// Packs `directory` as a tar archive at `path`: sorted by name, without owners and times, so that
/// the digest changes when the content or its permissions do, and not otherwise. Links are packed
/// as links. An installation's own record is left out.
///
/// # Errors
/// [`Error::Directory`] when it is none, changes while it is read, or is over a limit;
/// [`Error::Io`].
pub(crate) fn pack(directory: &Path, limits: &Limits, path: &Path) -> Result<Archive, Error> {
    let metadata = fs::metadata(directory).map_err(Error::io("read", directory))?;
    if !metadata.is_dir() {
        return Err(unfit(directory, "a directory", "something else".into()));
    }
    let file = File::create_new(path).map_err(Error::io("create", path))?;
    let sink = Counted {
        sink: BufWriter::new(file),
        digester: Digester::new(Algorithm::Sha256),
        bytes: 0,
    };
    let mut packing = Packing {
        builder: Builder::new(sink),
        limits,
        directory,
        path,
        entries: 0,
    };
    packing.children(Path::new(""), 0)?;
    let write = Error::io("write", path);
    let sink = packing.builder.into_inner();
    let (digest, size) = sink.and_then(Counted::finish).map_err(write)?;
    Ok(Archive {
        location: directory.display().to_string(),
        path: path.to_owned(),
        size,
        compression: Compression::None,
        digest,
        expected: None,
    })
}

struct Packing<'a> {
    builder: Builder<Counted>,
    limits: &'a Limits,
    directory: &'a Path,
    path: &'a Path,
    entries: u64,
}

impl Packing<'_> {
    /// What lies in `below`, a path below the directory that is packed.
    fn children(&mut self, below: &Path, depth: u64) -> Result<(), Error> {
        self.within("nested directories", depth, self.limits.depth)?;
        let at = self.directory.join(below);
        let read = || Error::io("list", &at);
        let mut names = Vec::new();
        for entry in fs::read_dir(&at).map_err(read())? {
            names.push(entry.map_err(read())?.file_name());
            let found = self.entries.saturating_add(names.len() as u64);
            self.within("entries", found, self.limits.entries)?;
        }
        names.sort();
        for name in names {
            if depth == 0 && name == OsStr::new(RESERVED) {
                continue;
            }
            self.entries += 1;
            self.entry(&below.join(name), depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, name: &Path, depth: u64) -> Result<(), Error> {
        let at = self.directory.join(name);
        let metadata = fs::symlink_metadata(&at).map_err(Error::io("read", &at))?;
        let mut header = Header::new_gnu();
        header.set_entry_type(entry_type(&metadata));
        header.set_mode(metadata.permissions().mode() & 0o7777);
        header.set_size(0);
        if metadata.is_file() {
            return self.file(&mut header, name, &at);
        }
        let written = if metadata.is_symlink() {
            let target = fs::read_link(&at).map_err(Error::io("read", &at))?;
            self.builder.append_link(&mut header, name, target)
        } else {
            self.builder.append_data(&mut header, name, io::empty())
        };
        written.map_err(Error::io("write", self.path))?;
        if metadata.is_dir() {
            return self.children(name, depth + 1);
        }
        Ok(())
    }

    fn file(&mut self, header: &mut Header, name: &Path, at: &Path) -> Result<(), Error> {
        // Whoever may write to the directory could have put a link or a fifo here since.
        let way = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = openat(CWD, at, way, Mode::empty()).map_err(Error::io("open", at))?;
        let file = File::from(file);
        let metadata = file.metadata().map_err(Error::io("read", at))?;
        let changed = || {
            let found = format!("a change of {} while it was read", at.display());
            unfit(self.directory, "files that stay as they are", found)
        };
        if !metadata.is_file() {
            return Err(changed());
        }
        let size = metadata.len();
        let written = self.builder.get_ref().bytes;
        let total = written.saturating_add(size);
        self.within("bytes", total, self.limits.compressed_bytes)?;
        header.set_size(size);
        // A file that grows is cut here; one that shrinks would spoil the archive after it.
        let mut content = file.take(size);
        let appended = self.builder.append_data(header, name, &mut content);
        appended.map_err(Error::io("write", self.path))?;
        if content.limit() > 0 {
            return Err(changed());
        }
        Ok(())
    }

    fn within(&self, what: &str, found: u64, limit: u64) -> Result<(), Error> {
        if found <= limit {
            return Ok(());
        }
        let found = format!("{found} {what} or more, over the limit of {limit}");
        Err(unfit(self.directory, "a directory within limits", found))
    }
}

fn unfit(path: &Path, expected: &'static str, found: String) -> Error {
    Error::Directory {
        path: path.to_owned(),
        expected,
        found,
    }
}

fn entry_type(metadata: &Metadata) -> EntryType {
    let kind = metadata.file_type();
    if kind.is_dir() {
        EntryType::Directory
    } else if kind.is_symlink() {
        EntryType::Symlink
    } else if kind.is_file() {
        EntryType::Regular
    } else if kind.is_block_device() {
        EntryType::Block
    } else if kind.is_char_device() {
        EntryType::Char
    } else {
        // Sockets have no type of their own; like all of these they are left out when unpacking,
        // which says so.
        EntryType::Fifo
    }
}

/// Counts and hashes what is written through it.
struct Counted {
    sink: BufWriter<File>,
    digester: Digester,
    bytes: u64,
}

impl Counted {
    fn finish(mut self) -> io::Result<(Digest, u64)> {
        self.sink.flush()?;
        Ok((self.digester.finish(), self.bytes))
    }
}

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
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
