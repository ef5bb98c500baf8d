//! Writes a layout in a tar archive.
//!
//! The size of each blob is known, so each gets its place in the archive when it is opened, and several
//! are written at once. `index.json` is the last member.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{
    CWD, FlockOperation, OFlags, RenameFlags, flock, link, lstat, rename, renameat_with, unlink,
};
use rustix::io::Errno;
use tar::{EntryType, Header};

use super::{Part, marker, not_written};
use crate::archive::BLOCK;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::LayoutError;

/// The longest name that a header has room for, in bytes.
const NAME_BYTES: usize = 100;
/// An archive ends with two blocks of zeros.
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// Where the last blob ends at most, in bytes: an offset in a file is a signed number of 64 bits, and `index.json`
/// comes behind it.
const FILE_BYTES_MAX: u64 = (1 << 63) - (1 << 32);

pub(super) struct ArchiveDraft {
    path: PathBuf,
    /// The archive until it is whole.
    part: PathBuf,
    /// Also the lock on it.
    file: File,
    members: Mutex<Members>,
}

struct Members {
    /// Where the next member begins.
    end: u64,
    whole: HashSet<Digest>,
    /// A member that has a blob's name and not the blob. It can't be taken away.
    spoilt: Option<String>,
    published: bool,
}

/// A blob that is being written.
pub(super) struct OpenMember {
    draft: Arc<ArchiveDraft>,
    file: tokio::fs::File,
    digest: Digest,
    /// Where its first header is.
    start: u64,
    size: u64,
}

impl OpenMember {
    pub(super) fn file(&mut self) -> &mut tokio::fs::File {
        &mut self.file
    }

    /// From now on, the archive has the blob.
    pub(super) fn keep(self) {
        self.draft.members().whole.insert(self.digest);
    }

    /// Leaves the place of a blob under a name that no reader of layouts looks for.
    pub(super) fn discard(self) -> Result<(), LayoutError> {
        let name = format!("not-copied/{}", self.start);
        let long = headers(&Part::Blob(&self.digest).name(), self.size).len();
        let mut headers = headers(&name, self.size);
        // The place is as long as it was: another header follows its long name, which is not there now.
        if headers.len() < long {
            let mut filler = self::headers(&name, (long - headers.len() - BLOCK) as u64);
            filler.resize(long - headers.len(), 0);
            filler.extend(headers);
            headers = filler;
        }
        let written = self.draft.write(&name, &headers, self.start);
        if written.is_err() {
            self.draft.members().spoilt = Some(Part::Blob(&self.digest).name());
        }
        written
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
        // Another run may have ended between: then what is open is its archive.
        if path.symlink_metadata().is_ok() {
            return Err(LayoutError::Exists);
        }
        file.set_len(0).map_err(|error| not_written(".", error))?;
        let draft = Self {
            path: path.to_owned(),
            part,
            file,
            members: Mutex::new(Members {
                end: 0,
                whole: HashSet::new(),
                spoilt: None,
                published: false,
            }),
        };
        let marker = marker();
        let place = draft.reserve(&Part::Marker.name(), marker.len() as u64)?;
        draft.write(&Part::Marker.name(), marker.as_bytes(), place.content)?;
        Ok(draft)
    }

    /// Where the archive is until it is whole.
    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.members().whole.contains(digest)
    }

    pub(super) fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), LayoutError> {
        if self.has(digest) {
            return Ok(());
        }
        let name = Part::Blob(digest).name();
        let place = self.reserve(&name, bytes.len() as u64)?;
        self.write(&name, bytes, place.content)?;
        self.members().whole.insert(digest.clone());
        Ok(())
    }

    pub(super) fn open_blob(
        self: &Arc<Self>,
        blob: &Descriptor,
    ) -> Result<OpenMember, LayoutError> {
        let name = Part::Blob(&blob.digest).name();
        let place = self.reserve(&name, blob.size)?;
        let failed = |error: io::Error| not_written(name.as_str(), error);
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
            start: place.start,
            size: blob.size,
        })
    }

    /// Writes `index.json` and the end behind all members. The next member overwrites them.
    pub(super) fn stage(&self, index: &[u8]) -> Result<(), LayoutError> {
        self.is_sound()?;
        let name = Part::Index.name();
        let start = self.members().end;
        let mut bytes = headers(&name, index.len() as u64);
        bytes.extend(index);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes.extend(END);
        let end = start.checked_add(bytes.len() as u64);
        let end = end.ok_or_else(|| not_written(name.as_str(), Errno::FBIG))?;
        self.write(&name, &bytes, start)?;
        let cut = self.file.set_len(end);
        cut.map_err(|error| not_written(name, error))
    }

    /// Makes the draft the archive.
    pub(super) fn publish(&self) -> Result<(), LayoutError> {
        self.is_sound()?;
        let failed = |error: io::Error| not_written(".", error);
        self.file.sync_all().map_err(failed)?;
        rename_new(&self.part, &self.path)?;
        self.members().published = true;
        if let Some(directory) = self.path.parent() {
            // Its name lasts, where the file system can promise that.
            let _ = File::open(directory).and_then(|directory| directory.sync_all());
        }
        Ok(())
    }

    /// Fails if a blob's name stands over other bytes.
    fn is_sound(&self) -> Result<(), LayoutError> {
        match &self.members().spoilt {
            None => Ok(()),
            Some(name) => {
                let why = "what was written of it could not be taken back";
                Err(not_written(name.as_str(), io::Error::other(why)))
            }
        }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the header of a member, and keeps room for its content.
    fn reserve(&self, name: &str, size: u64) -> Result<Reserved, LayoutError> {
        let headers = headers(name, size);
        let start = {
            let mut members = self.members();
            let start = members.end;
            let content = size.checked_next_multiple_of(BLOCK as u64);
            let end = content
                .and_then(|content| content.checked_add(headers.len() as u64))
                .and_then(|member| member.checked_add(start));
            // A descriptor may name any size. What no file can hold would leave no place for others.
            let end = end.filter(|end| *end <= FILE_BYTES_MAX);
            members.end = end.ok_or_else(|| not_written(name, Errno::FBIG))?;
            start
        };
        self.write(name, &headers, start)?;
        Ok(Reserved {
            start,
            content: start + headers.len() as u64,
        })
    }

    fn write(&self, name: &str, bytes: &[u8], offset: u64) -> Result<(), LayoutError> {
        let written = self.file.write_all_at(bytes, offset);
        written.map_err(|error| not_written(name, error))
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

/// Where a member is.
struct Reserved {
    start: u64,
    /// Where its content begins.
    content: u64,
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
