//! Writes to a layout in a directory.
//!
//! As for reading, each part of a path is opened separately and may not be a link, so that nothing
//! outside of the layout is written to. A file gets its name when it is whole.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, flock, mkdirat, openat, renameat, unlinkat,
};
use rustix::io::Errno;

use super::super::directory::DirectoryLayout;
use super::{Content, Part, marker, not_written};
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Digester};
use crate::error::LayoutError;

/// How many bytes are read at once to check a blob that is there.
const CHUNK: usize = 1 << 20;

pub(super) struct DirectoryDraft {
    /// Also the lock on the directory.
    root: File,
    reading: DirectoryLayout,
}

/// A blob that is being written. If it is dropped before it is kept, what was written is removed.
pub(super) struct OpenFile {
    file: tokio::fs::File,
    /// The same file, to make it last.
    written: File,
    place: Place,
    is_kept: bool,
}

impl OpenFile {
    pub(super) fn file(&mut self) -> &mut tokio::fs::File {
        &mut self.file
    }

    /// Gives the file its name: from now on, the layout has the blob.
    pub(super) fn keep(&mut self) -> Result<(), LayoutError> {
        self.place.rename(&self.written)?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = unlinkat(&self.place.directory, self.place.draft(), AtFlags::empty());
        }
    }
}

/// Where a file is to be.
struct Place {
    directory: File,
    /// The path in the layout.
    name: String,
    leaf: String,
}

impl Place {
    /// Its name until it is whole. Only one run at a time writes to a layout.
    fn draft(&self) -> String {
        format!("{}.part", self.leaf)
    }

    fn create(&self) -> Result<File, LayoutError> {
        let how = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(0o644);
        let file = openat(&self.directory, self.draft(), how | OFlags::CLOEXEC, mode);
        file.map(File::from).map_err(|error| self.failed(error))
    }

    fn rename(&self, file: &File) -> Result<(), LayoutError> {
        file.sync_all().map_err(|error| self.failed(error))?;
        let (directory, draft) = (&self.directory, self.draft());
        renameat(directory, draft, directory, &self.leaf).map_err(|error| self.failed(error))?;
        sync_directory(directory).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl Into<io::Error>) -> LayoutError {
        not_written(self.name.as_str(), error)
    }
}

impl DirectoryDraft {
    /// Opens the directory, which may be missing or empty, and locks it. Returns its `index.json` too.
    pub(super) fn begin(path: &Path) -> Result<(Self, Option<Content>), LayoutError> {
        let is_made = match fs::create_dir(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LayoutError::NoDirectoryAbove);
            }
            Err(error) => return Err(not_written(".", error)),
        };
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root: File = match openat(CWD, path, how, Mode::empty()) {
            Ok(file) => file.into(),
            Err(Errno::NOTDIR) => return Err(LayoutError::NotADirectory),
            Err(source) => return Err(LayoutError::io(".", source)),
        };
        match flock(&root, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LayoutError::Busy),
            Err(source) => return Err(not_written(".", source)),
        }
        let clone = root.try_clone().map_err(|e| LayoutError::io(".", e))?;
        let draft = Self {
            root,
            reading: DirectoryLayout::new(clone),
        };
        if draft.reading.content(Part::Marker)?.is_none() {
            let mut entries = fs::read_dir(path).map_err(|e| LayoutError::io(".", e))?;
            if entries.next().is_some() {
                return Err(LayoutError::NotEmpty);
            }
            if let Err(error) = draft.put(Part::Marker, marker().as_bytes()) {
                if is_made {
                    // It is empty again; where it isn't, it stays.
                    let _ = fs::remove_dir(path);
                }
                return Err(error);
            }
        }
        let listing = draft.reading.content(Part::Index)?;
        Ok((draft, listing))
    }

    /// Writes a small file.
    pub(super) fn put(&self, part: Part<'_>, bytes: &[u8]) -> Result<(), LayoutError> {
        let place = self.place(part)?;
        let mut file = place.create()?;
        let written = file.write_all(bytes).map_err(|e| place.failed(e));
        let put = written.and_then(|()| place.rename(&file));
        if put.is_err() {
            let _ = unlinkat(&place.directory, place.draft(), AtFlags::empty());
        }
        put
    }

    pub(super) fn has(&self, blob: &Descriptor) -> Result<bool, LayoutError> {
        let part = Part::Blob(&blob.digest);
        let Some(mut content) = self.reading.content(part)? else {
            return Ok(false);
        };
        if content.size() != blob.size {
            return Ok(false);
        }
        let mut digester = Digester::new(blob.digest.algorithm());
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = content.read(&mut chunk);
            let read = read.map_err(|source| LayoutError::io(part.name(), source))?;
            match chunk.get(..read) {
                None | Some([]) => break,
                Some(bytes) => digester.update(bytes),
            }
        }
        Ok(digester.finish() == blob.digest)
    }

    pub(super) fn open_blob(&self, digest: &Digest) -> Result<OpenFile, LayoutError> {
        let place = self.place(Part::Blob(digest))?;
        let written = place.create()?;
        let file = written.try_clone().map_err(|error| place.failed(error))?;
        Ok(OpenFile {
            file: tokio::fs::File::from_std(file),
            written,
            place,
            is_kept: false,
        })
    }

    /// The directory of a part, which is made if it is missing.
    fn place(&self, part: Part<'_>) -> Result<Place, LayoutError> {
        let name = part.name();
        let mut steps: Vec<&str> = name.split('/').collect();
        let leaf = steps.pop().unwrap_or_default().to_owned();
        let failed = |error: io::Error| not_written(name.as_str(), error);
        let mut directory = self.root.try_clone().map_err(failed)?;
        for step in steps {
            match mkdirat(&directory, step, Mode::from_raw_mode(0o755)) {
                Ok(()) => sync_directory(&directory).map_err(failed)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(failed(error.into())),
            }
            let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            directory = match openat(&directory, step, how, Mode::empty()) {
                Ok(opened) => opened.into(),
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    return Err(LayoutError::NoFile {
                        part: name.clone(),
                        expected: "a regular file, below directories",
                        found: "a symbolic link, or a file in the place of a directory",
                    });
                }
                Err(error) => return Err(failed(error.into())),
            };
        }
        Ok(Place {
            directory,
            name,
            leaf,
        })
    }
}

/// Makes names last. Some file systems can't sync a directory.
fn sync_directory(directory: &File) -> io::Result<()> {
    match directory.sync_all() {
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        synced => synced,
    }
}
