//! A layout that is being written.
//!
//! Blobs are written first, each under the name of its digest. What `index.json` lists is written
//! last, by renaming one file: until then, readers find the layout as it was. A client made by
//! [`Registry::seeing`](crate::Registry::seeing) reads the draft, so that it can be verified before.
//!
//! A directory keeps what is in it. Its blobs stay when a run fails, so that the next one goes on. An
//! archive is always a new file.

mod archive;
mod directory;
mod listing;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{Mutex as Lock, MutexGuard, OwnedMutexGuard};

use super::blocking::blocking;
use super::{Content, Layout, Part, failure, too_long};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, LayoutError, Result};
use crate::lock::{KeyedLocks, lock};
use crate::reference::{LayoutPath, Reference};
use crate::resolved::ResolvedImage;

pub(super) use archive::ArchiveDraft;
use archive::OpenMember;
use directory::{DirectoryDraft, OpenFile};
use listing::Listing;

/// The largest `index.json` that is written, in bytes: what a reader takes.
const INDEX_BYTES: u64 = 4 << 20;

/// A layout that is being written. Clones write the same layout. One run at a time writes to a
/// layout: the path is locked.
#[derive(Clone)]
pub struct LayoutDraft {
    shared: Arc<Shared>,
}

struct Shared {
    path: LayoutPath,
    store: DraftFiles,
    listing: Mutex<Listing>,
    /// What `index.json` will list, for those who read the draft.
    staged: Mutex<Bytes>,
    /// Who changes the listing.
    turn: Lock<()>,
    /// Who writes a blob, by its digest.
    writers: KeyedLocks<Digest>,
}

/// The turn of one image to be listed. It ends when this is dropped, and entries that were not accepted by then are
/// forgotten. [`Self::stage`] and [`Self::accept`] are of all entries, so only one turn at a time adds any.
#[must_use = "dropping it ends the turn"]
#[derive(Debug)]
pub struct LayoutTurn<'a> {
    draft: &'a LayoutDraft,
    _turn: MutexGuard<'a, ()>,
}

enum DraftFiles {
    Directory(DirectoryDraft),
    Archive(Arc<ArchiveDraft>),
}

/// What `index.json` says of an entry besides its descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedAs<'a> {
    /// Nothing: it is found by its digest, or by what it refers to.
    Unnamed,
    /// By a tag, as cosign's older forms are found.
    Tag(&'a str),
    /// By the name of an image. The entry that had the name before loses it, as a tag moves.
    Image(&'a Reference),
}

/// A blob that is being written. It knows the draft that it is a part of.
pub(crate) struct OpenBlob {
    path: LayoutPath,
    place: OpenPlace,
    /// The last to be dropped: whoever writes this blob next begins when nothing of it is left.
    _writing: OwnedMutexGuard<()>,
}

enum OpenPlace {
    File(OpenFile),
    Member(OpenMember),
}

impl LayoutDraft {
    /// Whether a draft of this path is an archive, which is made anew; else it is a directory, which keeps the blobs that
    /// are whole.
    #[must_use]
    pub fn makes_archive(path: &LayoutPath) -> bool {
        let is_named_so = path.as_path().extension().is_some_and(|end| end == "tar");
        is_named_so && !path.as_path().is_dir()
    }

    /// Opens a layout to write to it. A path that ends in `.tar` is an archive, and must not exist.
    /// Any other is a directory: a layout, an empty directory, or missing.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub async fn begin(path: &LayoutPath) -> Result<Self> {
        let path = path.clone();
        blocking(move || {
            let (store, listing) =
                DraftFiles::begin(&path).map_err(|source| failure(&path, source))?;
            let what = || format!("index.json of {path}");
            let listing = match listing {
                Some(content) if content.size() > INDEX_BYTES => {
                    return Err(too_long(what(), INDEX_BYTES));
                }
                Some(content) => content.bytes(INDEX_BYTES).map_err(|source| {
                    let part = Part::Index.name();
                    failure(&path, LayoutError::io(part, source))
                })?,
                None => Vec::new(),
            };
            let listing = Listing::read(&listing)
                .map_err(|source| failure(&path, LayoutError::Index(source)))?;
            Ok(Self {
                shared: Arc::new(Shared {
                    path,
                    store,
                    staged: Mutex::new(listing.bytes().into()),
                    listing: Mutex::new(listing),
                    turn: Lock::new(()),
                    writers: KeyedLocks::default(),
                }),
            })
        })
        .await
    }

    /// The path of the layout.
    pub fn path(&self) -> &LayoutPath {
        &self.shared.path
    }

    /// Waits until no other image is being listed. Blobs can be written without: of several images at the same time.
    pub async fn turn(&self) -> LayoutTurn<'_> {
        LayoutTurn {
            draft: self,
            _turn: self.shared.turn.lock().await,
        }
    }

    /// Writes a small blob.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub async fn put(&self, digest: &Digest, bytes: Bytes) -> Result<()> {
        let writing = self.writing(digest).await;
        let digest = digest.clone();
        self.work(move |store| {
            // Whoever waits for this may give up. The blob is written all the same, and by nobody else meanwhile.
            let _writing = writing;
            match store {
                DraftFiles::Directory(directory) => directory.put(Part::Blob(&digest), &bytes),
                DraftFiles::Archive(archive) => archive.put(&digest, &bytes),
            }
        })
        .await
    }

    /// Writes a manifest or an index.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub async fn put_document(&self, image: &ResolvedImage) -> Result<()> {
        self.put(image.digest(), image.bytes().clone()).await
    }

    /// The digest that is listed at a tag of cosign's older forms.
    pub fn listed_at(&self, tag: &str) -> Option<Digest> {
        self.listing().at(tag)
    }

    /// Ends writing. An archive appears now, with all that was accepted. It waits for the turn of whoever has it.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub async fn finish(&self) -> Result<()> {
        let turn = self.turn().await;
        turn.stage()?;
        let index = self.staged().clone();
        self.work(move |store| match store {
            DraftFiles::Directory(_) => Ok(()),
            DraftFiles::Archive(archive) => archive.publish(&index),
        })
        .await
    }

    /// Waits until nobody else writes this blob: a file has one name until it is whole.
    pub(crate) async fn writing(&self, digest: &Digest) -> OwnedMutexGuard<()> {
        self.shared.writers.turn(digest.clone()).await
    }

    /// Whether the layout has this blob, whole and unchanged.
    pub(crate) async fn has(&self, blob: &Descriptor) -> Result<bool> {
        let blob = blob.clone();
        self.work(move |store| match store {
            DraftFiles::Directory(directory) => directory.has(&blob),
            DraftFiles::Archive(archive) => Ok(archive.has(&blob.digest)),
        })
        .await
    }

    /// Opens a blob to write it. It counts when [`OpenBlob::keep`] is called. If it is dropped before, nothing of it is
    /// left. `writing` is what [`Self::writing`] gave.
    pub(crate) async fn open_blob(
        &self,
        blob: &Descriptor,
        writing: OwnedMutexGuard<()>,
    ) -> Result<OpenBlob> {
        let (blob, path) = (blob.clone(), self.shared.path.clone());
        self.work(move |store| {
            let place = match store {
                DraftFiles::Directory(directory) => {
                    OpenPlace::File(directory.open_blob(&blob.digest)?)
                }
                DraftFiles::Archive(archive) => OpenPlace::Member(archive.open_blob(&blob)?),
            };
            Ok(OpenBlob {
                path,
                place,
                _writing: writing,
            })
        })
        .await
    }

    /// An error about writing `digest`.
    pub(crate) fn not_written(&self, digest: &Digest, source: io::Error) -> Error {
        let part = Part::Blob(digest).name();
        failure(&self.shared.path, LayoutError::Write { part, source })
    }

    /// Opens the draft to read it. Reading blocks the thread.
    pub(crate) fn layout(&self) -> Result<Layout> {
        let (path, staged) = (&self.shared.path, self.staged().clone());
        match &self.shared.store {
            DraftFiles::Directory(_) => Ok(Layout::open(path)?.with_staged(staged)),
            DraftFiles::Archive(archive) => Ok(Layout::of_draft(path, archive, staged)),
        }
    }

    fn staged(&self) -> std::sync::MutexGuard<'_, Bytes> {
        lock(&self.shared.staged)
    }

    fn listing(&self) -> std::sync::MutexGuard<'_, Listing> {
        lock(&self.shared.listing)
    }

    /// Works on the files, on a thread that may block.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DraftFiles) -> Result<T, LayoutError> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let worked = work(&shared.store);
            worked.map_err(|source| failure(&shared.path, source))
        })
        .await
    }
}

impl LayoutTurn<'_> {
    /// The layout that is being written.
    pub fn draft(&self) -> &LayoutDraft {
        self.draft
    }

    /// Adds an entry to what `index.json` will list. `media_type` is what the image was found by.
    pub fn list(&self, image: &ResolvedImage, media_type: &str, listed_as: ListedAs<'_>) {
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            artifact_type: image.document().artifact_type().map(str::to_owned),
            ..image.descriptor()
        };
        let mut listing = self.draft.listing();
        listing.add(&descriptor, listed_as);
    }

    /// Shows those who read the draft what `index.json` will list.
    ///
    /// # Errors
    /// [`Error::Limit`], if it gets too long to be read.
    pub fn stage(&self) -> Result<()> {
        let bytes = Bytes::from(self.draft.listing().bytes());
        if bytes.len() as u64 > INDEX_BYTES {
            let what = format!("index.json of {}", self.draft.shared.path);
            return Err(too_long(what, INDEX_BYTES));
        }
        *self.draft.staged() = bytes;
        Ok(())
    }

    /// Keeps what was staged. A directory lists it from now on; an archive appears with
    /// [`LayoutDraft::finish`].
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub async fn accept(&self) -> Result<()> {
        let staged = self.draft.staged().clone();
        self.draft
            .work(move |store| match store {
                DraftFiles::Directory(directory) => directory.put(Part::Index, &staged),
                DraftFiles::Archive(_) => Ok(()),
            })
            .await?;
        self.draft.listing().accept();
        Ok(())
    }
}

impl Drop for LayoutTurn<'_> {
    fn drop(&mut self) {
        let mut listing = self.draft.listing();
        if listing.forget() {
            // What was staged and not accepted is not shown to the next turn either.
            *self.draft.staged() = Bytes::from(listing.bytes());
        }
    }
}

impl DraftFiles {
    /// The store, and its `index.json` if it has one.
    fn begin(path: &LayoutPath) -> Result<(Self, Option<Content>), LayoutError> {
        if LayoutDraft::makes_archive(path) {
            let archive = ArchiveDraft::begin(path.as_path())?;
            return Ok((Self::Archive(Arc::new(archive)), None));
        }
        let (directory, listing) = DirectoryDraft::begin(path.as_path())?;
        Ok((Self::Directory(directory), listing))
    }
}

impl OpenBlob {
    /// The file, at the place of the blob's first byte.
    pub(crate) fn file(&mut self) -> &mut tokio::fs::File {
        match &mut self.place {
            OpenPlace::File(file) => file.file(),
            OpenPlace::Member(member) => member.file(),
        }
    }

    /// Makes it a part of the draft.
    pub(crate) async fn keep(self) -> Result<()> {
        let mut open = self;
        blocking(move || {
            let kept = match &mut open.place {
                OpenPlace::File(file) => file.keep(),
                OpenPlace::Member(member) => member.keep(),
            };
            kept.map_err(|source| failure(&open.path, source))
        })
        .await
    }
}

impl fmt::Debug for LayoutDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayoutDraft")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

/// An error about writing `part`.
fn not_written(part: impl Into<String>, source: impl Into<io::Error>) -> LayoutError {
    LayoutError::Write {
        part: part.into(),
        source: source.into(),
    }
}

/// The content of `oci-layout`.
fn marker() -> String {
    format!(r#"{{"imageLayoutVersion":"{}"}}"#, super::VERSION)
}
