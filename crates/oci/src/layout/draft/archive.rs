//! Writes a layout in a tar archive.
//!
//! The size of each blob is known, so each gets its place in the archive when it is opened, and several are written at
//! once. Until a blob is whole, its place has a name that no reader of layouts looks for. `index.json` is the last member:
//! it is written with the end of the archive, when nothing comes behind it any more.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::fs::{
    CWD, FlockOperation, OFlags, RenameFlags, flock, link, lstat, rename, renameat_with, unlink,
};
use rustix::io::Errno;
use tar::{EntryType, Header};

use super::{Content, Part, marker, not_written};
use crate::archive::BLOCK;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::LayoutError;
use crate::lock::lock;

/// The longest name that a header has room for, in bytes.
const NAME_BYTES: usize = 100;
/// An archive ends with two blocks of zeros.
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// Where the last blob ends at most, in bytes: an offset in a file is a signed number of 64 bits, and `index.json`
/// comes behind it.
const FILE_BYTES_MAX: u64 = (1 << 63) - (1 << 32);

#[derive(Debug)]
pub(in crate::layout) struct ArchiveDraft {
    path: PathBuf,
    /// The archive until it is whole.
    part: PathBuf,
    /// Also the lock on it.
    file: File,
    members: Mutex<Members>,
}

#[derive(Debug)]
struct Members {
    /// Where the next member begins.
    end: u64,
    /// Where the content of each whole blob is: its offset and its size.
    whole: HashMap<Digest, (u64, u64)>,
    /// A member that may have a blob's name and half a header. It can't be taken away.
    spoilt: Option<String>,
    published: bool,
}

/// A blob that is being written. If it is dropped before it is kept, no reader finds it.
pub(super) struct OpenMember {
    draft: Arc<ArchiveDraft>,
    file: tokio::fs::File,
    digest: Digest,
    place: Reserved,
}

impl OpenMember {
    pub(super) fn file(&mut self) -> &mut tokio::fs::File {
        &mut self.file
    }

    /// From now on, the archive has the blob.
    pub(super) fn keep(&self) -> Result<(), LayoutError> {
        self.draft.keep(&self.digest, self.place)
    }
}

impl ArchiveDraft {
    pub(super) fn begin(path: &Path) -> Result<Self, LayoutError> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        if path.symlink_metadata().is_ok() {
            return Err(LayoutError::Exists);
        }
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .custom_flags(flags)
            .open(&part)
            .map_err(|error| not_written(".", error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LayoutError::Busy),
            Err(source) => return Err(not_written(".", source)),
        }
        // Another run may have ended between: then what is open is its archive, or has no name any more.
        let opened = file.metadata().map_err(|error| not_written(".", error))?;
        let is_named = part
            .symlink_metadata()
            .is_ok_and(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino()));
        if path.symlink_metadata().is_ok() {
            if is_named {
                let _ = fs::remove_file(&part);
            }
            return Err(LayoutError::Exists);
        }
        if !is_named {
            return Err(LayoutError::Busy);
        }
        file.set_len(0).map_err(|error| not_written(".", error))?;
        let draft = Self {
            path: path.to_owned(),
            part,
            file,
            members: Mutex::new(Members {
                end: 0,
                whole: HashMap::new(),
                spoilt: None,
                published: false,
            }),
        };
        let marker = member(&Part::Marker.name(), marker().as_bytes());
        draft.write(&Part::Marker.name(), &marker, 0)?;
        draft.members().end = marker.len() as u64;
        Ok(draft)
    }

    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.members().whole.contains_key(digest)
    }

    /// Where the bytes of a blob are; `None` for what is not whole, and for all else.
    pub(in crate::layout) fn content(
        &self,
        part: Part<'_>,
    ) -> Result<Option<Content>, LayoutError> {
        let Part::Blob(digest) = part else {
            return Ok(None);
        };
        let Some((offset, size)) = self.members().whole.get(digest).copied() else {
            return Ok(None);
        };
        let file = self.file.try_clone();
        let file = file.map_err(|source| LayoutError::io(part.name(), source))?;
        Ok(Some(Content { file, offset, size }))
    }

    pub(super) fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), LayoutError> {
        if self.has(digest) {
            return Ok(());
        }
        let place = self.reserve(digest, bytes.len() as u64)?;
        self.write(&Part::Blob(digest).name(), bytes, place.content)?;
        self.keep(digest, place)
    }

    pub(super) fn open_blob(
        self: &Arc<Self>,
        blob: &Descriptor,
    ) -> Result<OpenMember, LayoutError> {
        let place = self.reserve(&blob.digest, blob.size)?;
        let failed = |error: io::Error| not_written(Part::Blob(&blob.digest).name(), error);
        // A file of its own, with a position of its own.
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        let file = options.write(true).custom_flags(flags).open(&self.part);
        let mut file = file.map_err(failed)?;
        file.seek(SeekFrom::Start(place.content)).map_err(failed)?;
        Ok(OpenMember {
            draft: Arc::clone(self),
            file: tokio::fs::File::from_std(file),
            digest: blob.digest.clone(),
            place,
        })
    }

    /// Writes `index.json` and the end behind all members, and makes the draft the archive.
    pub(super) fn publish(&self, index: &[u8]) -> Result<(), LayoutError> {
        let failed = |error: io::Error| not_written(".", error);
        let mut members = self.members();
        members.is_open()?;
        let name = Part::Index.name();
        let mut bytes = member(&name, index);
        bytes.extend(END);
        self.write(&name, &bytes, members.end)?;
        let end = members.end.saturating_add(bytes.len() as u64);
        self.file.set_len(end).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        rename_new(&self.part, &self.path)?;
        members.published = true;
        if let Some(directory) = self.path.parent() {
            // Its name lasts, where the file system can promise that.
            let _ = File::open(directory).and_then(|directory| directory.sync_all());
        }
        Ok(())
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        lock(&self.members)
    }

    /// Keeps room for a blob, under a name that no reader of layouts looks for.
    fn reserve(&self, digest: &Digest, size: u64) -> Result<Reserved, LayoutError> {
        let name = Part::Blob(digest).name();
        let long = headers(&name, size).len();
        let mut members = self.members();
        members.is_open()?;
        let start = members.end;
        let content = size.checked_next_multiple_of(BLOCK as u64);
        let end = content
            .and_then(|content| content.checked_add(long as u64))
            .and_then(|member| member.checked_add(start));
        // A descriptor may name any size. What no file can hold would leave no place for others.
        let end = end.filter(|end| *end <= FILE_BYTES_MAX);
        let end = end.ok_or_else(|| not_written(name.as_str(), Errno::FBIG))?;
        let unnamed = format!("not-copied/{start}");
        let mut bytes = headers(&unnamed, size);
        // There has to be room for the headers of the blob's name, which may be longer.
        if let Some(more) = long.checked_sub(bytes.len()).filter(|more| *more > 0) {
            let mut filler = vec![0; more - BLOCK];
            filler.splice(..0, headers(&unnamed, filler.len() as u64));
            filler.extend(bytes);
            bytes = filler;
        }
        // A descriptor may name more than this file system can hold, and others come behind it.
        let grown = self.file.set_len(end);
        grown.map_err(|error| not_written(name.as_str(), error))?;
        self.write(&name, &bytes, start)?;
        members.end = end;
        Ok(Reserved {
            start,
            content: start + long as u64,
            size,
        })
    }

    /// Gives what is at a place the name of its blob.
    fn keep(&self, digest: &Digest, place: Reserved) -> Result<(), LayoutError> {
        let name = Part::Blob(digest).name();
        let mut members = self.members();
        members.is_open()?;
        // Two members of one name would make the archive unreadable.
        if members.whole.contains_key(digest) {
            return Ok(());
        }
        let named = self.write(&name, &headers(&name, place.size), place.start);
        match &named {
            Ok(()) => {
                let content = (place.content, place.size);
                members.whole.insert(digest.clone(), content);
            }
            Err(_) => members.spoilt = Some(name),
        }
        named
    }

    fn write(&self, name: &str, bytes: &[u8], offset: u64) -> Result<(), LayoutError> {
        let written = self.file.write_all_at(bytes, offset);
        written.map_err(|error| not_written(name, error))
    }
}

impl Members {
    /// Fails where nothing may be added any more.
    fn is_open(&self) -> Result<(), LayoutError> {
        let why = match (&self.spoilt, self.published) {
            (Some(_), _) => "what was written of it could not be taken back",
            (None, true) => "the archive is finished",
            (None, false) => return Ok(()),
        };
        let part = self.spoilt.as_deref().unwrap_or(".");
        Err(not_written(part, io::Error::other(why)))
    }
}

impl Drop for ArchiveDraft {
    /// A part of an archive is of no use to the next run.
    fn drop(&mut self) {
        if !self.members().published {
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Gives the file at `from` the name `to`, if nothing has it. Where the file system can't do that in one step, the file
/// gets `to` as a second name, which replaces nothing either. Where it has no hard links (FAT, some network file systems),
/// we look first, and then rename: what somebody puts there between the two is replaced.
fn rename_new(from: &Path, to: &Path) -> Result<(), LayoutError> {
    let renamed = match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {
            rename_by_link(|from, to| link(from, to), from, to)
        }
        renamed => renamed,
    };
    renamed.map_err(|errno| match errno {
        Errno::EXIST => LayoutError::Exists,
        other => not_written(".", other),
    })
}

/// By a second name, if `link` can give it one.
fn rename_by_link(
    link: impl Fn(&Path, &Path) -> Result<(), Errno>,
    from: &Path,
    to: &Path,
) -> Result<(), Errno> {
    match link(from, to) {
        // link(2) says EPERM where there are no hard links. Network file systems say what they like.
        Err(Errno::PERM | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => match lstat(to) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => rename(from, to),
            Err(errno) => Err(errno),
        },
        linked => linked.and_then(|()| unlink(from)),
    }
}

/// Room for a blob.
#[derive(Clone, Copy)]
struct Reserved {
    /// Where its first header is.
    start: u64,
    /// Where its content begins.
    content: u64,
    size: u64,
}

/// A whole member.
fn member(name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = headers(name, content.len() as u64);
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// The header of a file, with another before it if the name is long.
fn headers(name: &str, size: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BLOCK);
    if name.len() > NAME_BYTES {
        let mut long = name.as_bytes().to_vec();
        long.push(0);
        bytes.extend(header(
            "././@LongLink",
            long.len() as u64,
            EntryType::GNULongName,
        ));
        bytes.extend(&long);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    bytes.extend(header(name, size, EntryType::Regular));
    bytes
}

fn header(name: &str, size: u64, kind: EntryType) -> [u8; BLOCK] {
    let mut header = Header::new_gnu();
    // A name that is too long was written before.
    let field = header.as_gnu_mut().map(|header| &mut header.name);
    for (place, byte) in field.into_iter().flatten().zip(name.bytes()) {
        *place = byte;
    }
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    *header.as_bytes()
}

#[cfg(test)]
mod tests;
