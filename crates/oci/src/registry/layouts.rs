//! Reads image layouts, with the same documents, checks and limits as for registries.
//!
//! The documents themselves decide which of them is the image and which are referrers, as with
//! registries. These are not the layout's image: what has no name and is listed by an index in the
//! layout, a signature, and a list of signatures with a fallback tag.

use std::collections::HashSet;
use std::io::Read;

use bytes::Bytes;
use serde::de::Error as _;

use super::Registry;
use super::checks::{check_limit, or_wrong_size};
use super::entries::{self, ListError};
use super::referrers::{ReferrerList, listed};
use crate::checked::{Checked, size_mismatch};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::document::Document;
use crate::error::{Error, LayoutError, Result};
use crate::layout::{Content, IMAGE_NAME, Layout, REF_NAME, blocking};
use crate::manifest::ManifestError;
use crate::options::Limits;
use crate::reference::{LayoutPath, Location, PinnedReference, Reference};
use crate::resolved::ResolvedImage;

/// The annotation by which `cosign save` marks signatures and attestations in the format before
/// bundles. They have no subject.
const COSIGN_KIND: &str = "kind";
const COSIGN_SIGNATURES: [&str; 2] = [
    "dev.cosignproject.cosign/sigs",
    "dev.cosignproject.cosign/atts",
];
/// How many bytes of documents are read in all, to find a layout's image or its signatures.
const SURVEY_BYTES: u64 = 64 << 20;

impl Registry {
    /// Reads a layout, on a thread that may block.
    async fn in_layout<T: Send + 'static>(
        &self,
        path: &LayoutPath,
        work: impl FnOnce(LayoutReader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (path, limits) = (path.clone(), self.options().limits.clone());
        let draft = self.shared.draft.clone();
        blocking(move || {
            let layout = match draft {
                Some(draft) if *draft.path() == path => draft.layout()?,
                _ => Layout::open(&path)?,
            };
            work(LayoutReader {
                location: path.clone().into(),
                path,
                layout,
                limits,
                left: SURVEY_BYTES,
            })
        })
        .await
    }

    /// The layout's image.
    pub(super) async fn layout_image(&self, path: &LayoutPath) -> Result<ResolvedImage> {
        self.in_layout(path, |mut reader| {
            let root = reader.root()?;
            reader.left = SURVEY_BYTES;
            reader.document(&root)
        })
        .await
    }

    /// The bytes of a document in a layout, unchecked.
    pub(super) async fn layout_document(
        &self,
        path: &LayoutPath,
        digest: &Digest,
    ) -> Result<Bytes> {
        let digest = digest.clone();
        self.in_layout(path, move |reader| {
            let limit = reader.limits.manifest_bytes;
            let what = reader.location.at(digest.clone()).to_string();
            reader.layout.document(&digest, limit, &what)
        })
        .await
    }

    /// A blob in a layout, with its size and digest checked.
    pub(super) async fn layout_blob(
        &self,
        path: &LayoutPath,
        descriptor: &Descriptor,
    ) -> Result<Bytes> {
        let descriptor = descriptor.clone();
        let checked = self.in_layout(path, move |reader| reader.blob(&descriptor));
        Ok(checked.await?.into_bytes())
    }

    /// A blob in a layout, to be read and checked by the caller. It has the descriptor's size.
    pub(super) async fn layout_content(
        &self,
        path: &LayoutPath,
        descriptor: &Descriptor,
    ) -> Result<Content> {
        let descriptor = descriptor.clone();
        self.in_layout(path, move |reader| {
            let what = reader.location.at(descriptor.digest.clone());
            let content = reader.layout.blob(&descriptor.digest)?;
            if content.size() != descriptor.size {
                return Err(size_mismatch(&descriptor, content.size(), &what));
            }
            Ok(content)
        })
        .await
    }

    /// What a layout lists by a name, in its order, without signatures. One that has several names is there several
    /// times. No document is read: what is damaged, or missing, is told to who asks for it, and spoils nothing else.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub async fn layout_images(&self, path: &LayoutPath) -> Result<Vec<LayoutImage>> {
        self.in_layout(path, |reader| {
            let entries = reader.entries()?.into_iter();
            let named = entries.filter(|entry| is_named(entry) && !holds_signatures(entry));
            Ok(named.map(LayoutImage::of).collect())
        })
        .await
    }

    /// What a layout lists by the whole name of an image.
    pub(super) async fn layout_named(
        &self,
        path: &LayoutPath,
        name: &Reference,
    ) -> Result<ResolvedImage> {
        let name = name.without_digest();
        self.in_layout(path, move |mut reader| {
            let entries = reader.entries()?.into_iter();
            let mut images = entries.map(LayoutImage::of);
            match images.find(|image| image.name.as_ref() == Some(&name)) {
                Some(image) => reader.document(&image.descriptor),
                None => {
                    let name = name.to_string();
                    Err(reader.layout.failure(LayoutError::NoName { name }))
                }
            }
        })
        .await
    }

    /// What a layout lists at a tag.
    ///
    /// # Errors
    /// [`Error::Layout`]; others about the document.
    pub async fn layout_tagged(&self, path: &LayoutPath, tag: &str) -> Result<ResolvedImage> {
        let tag = tag.to_owned();
        self.in_layout(path, move |mut reader| {
            let entries = reader.entries()?;
            match entries.iter().find(|entry| tag_of(entry) == Some(&tag)) {
                Some(entry) => reader.document(entry),
                None => Err(reader.layout.failure(LayoutError::NoName { name: tag })),
            }
        })
        .await
    }

    /// The referrers of the subject in a layout.
    pub(super) async fn layout_referrers(
        &self,
        path: &LayoutPath,
        subject: &PinnedReference,
    ) -> Result<Vec<Descriptor>> {
        let subject = subject.clone();
        self.in_layout(path, move |mut reader| reader.referrers(&subject))
            .await
    }
}

/// An image that a layout lists by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutImage {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// The image's whole name, if the layout says one. Nothing proves it.
    pub name: Option<Reference>,
    /// The tag, if the layout says one. Nothing proves it.
    pub tag: Option<String>,
}

impl LayoutImage {
    fn of(descriptor: Descriptor) -> Self {
        let named = |annotation| descriptor.annotations.get(annotation);
        let whole = |text: &String| {
            let has_host = text.contains('/');
            text.parse().ok().filter(|_| has_host)
        };
        let name = named(IMAGE_NAME).or(named(REF_NAME)).and_then(whole);
        let tag = tag_of(&descriptor).map(str::to_owned);
        Self {
            name,
            tag,
            descriptor,
        }
    }
}

/// A layout whose documents are being read.
struct LayoutReader {
    path: LayoutPath,
    location: Location,
    layout: Layout,
    limits: Limits,
    /// Bytes of documents that may still be read.
    left: u64,
}

impl LayoutReader {
    /// The entries of `index.json` that are documents. One without a digest is refused: of other programs, some refuse the
    /// layout, and some pass it over.
    fn entries(&self) -> Result<Vec<Descriptor>> {
        let bytes = self.layout.index(self.limits.manifest_bytes)?;
        let limit = self.limits.layout_entries;
        let listed = entries::read(&bytes, limit).map_err(|error| match error {
            ListError::Form(source) => self.layout.failure(LayoutError::Index(source)),
            ListError::TooMany(limit) => Error::Limit {
                what: format!("index.json of {}", self.path),
                limit: limit as u64,
                unit: "entries",
            },
        })?;
        if let Some(found) = listed.malformed {
            let wrong = format!("expected a digest in each entry of `manifests`, found `{found}`");
            let source = ManifestError::Json(serde_json::Error::custom(wrong));
            return Err(self.layout.failure(LayoutError::Index(source)));
        }
        Ok(listed
            .descriptors
            .into_iter()
            .filter(Descriptor::is_document)
            .collect())
    }

    fn document(&mut self, descriptor: &Descriptor) -> Result<ResolvedImage> {
        let reference = self.location.at(descriptor.digest.clone());
        check_limit(descriptor, self.limits.manifest_bytes, &reference)?;
        let what = reference.to_string();
        self.left = self
            .left
            .checked_sub(descriptor.size)
            .ok_or_else(|| Error::Limit {
                what: format!("what index.json of {} lists, in all,", self.path),
                limit: SURVEY_BYTES,
                unit: "bytes",
            })?;
        let checked = self.blob(descriptor)?;
        ResolvedImage::parse(checked, Some(&descriptor.media_type))
            .map_err(|source| Error::Manifest { what, source })
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Checked> {
        let what = self.location.at(descriptor.digest.clone());
        let limit = descriptor.size;
        let bytes = self
            .layout
            .document(&descriptor.digest, limit, &what.to_string())
            .map_err(|error| or_wrong_size(error, descriptor, &what))?;
        Checked::by_descriptor(bytes, descriptor, what)
    }

    /// The layout's only image.
    fn root(&mut self) -> Result<Descriptor> {
        let mut entries = self.entries()?;
        entries.retain(|entry| !holds_signatures(entry));
        let of_named = entries.iter().filter(|entry| is_named(entry));
        let named: HashSet<Digest> = of_named.map(|entry| entry.digest.clone()).collect();
        let mut seen = HashSet::new();
        entries.retain(|entry| {
            (is_named(entry) || !named.contains(&entry.digest)) && seen.insert(entry.digest.clone())
        });
        let mut roots = match <[Descriptor; 1]>::try_from(entries) {
            Ok([only]) => return Ok(only),
            Err(several) => self.roots(several)?,
        };
        match (roots.pop(), roots.is_empty()) {
            (Some(root), true) => Ok(root),
            (None, _) => Err(self.layout.failure(LayoutError::NoImage)),
            (Some(last), false) => {
                let found = roots.iter().chain([&last]).map(called).collect();
                Err(self.layout.failure(LayoutError::SeveralImages { found }))
            }
        }
    }

    /// The entries that are images. What an index among the entries lists is part of it, unless it has a name of its
    /// own: by this it was put there as an image.
    fn roots(&mut self, entries: Vec<Descriptor>) -> Result<Vec<Descriptor>> {
        let (mut roots, mut below) = (Vec::new(), HashSet::new());
        for entry in entries {
            let image = self.document(&entry)?;
            let (subject, artifact_type) = match image.document() {
                Document::Manifest(manifest) => {
                    (manifest.subject.clone(), manifest.artifact_type.clone())
                }
                Document::Index(index) => {
                    below.extend(index.manifests.iter().map(|child| child.digest.clone()));
                    (index.subject.clone(), index.artifact_type.clone())
                }
            };
            if subject.is_none() && artifact_type.is_none() {
                roots.push(entry);
            }
        }
        roots.retain(|root| is_named(root) || !below.contains(&root.digest));
        Ok(roots)
    }

    /// The entries that refer to `subject`, and the list at its fallback tag. An entry that can't
    /// be read may be a referrer too, so it is included: fetching it returns the error.
    fn referrers(&mut self, subject: &PinnedReference) -> Result<Vec<Descriptor>> {
        let mut list = ReferrerList::new(subject, self.limits.referrers);
        let tag = subject.digest().referrers_tag();
        for entry in self.entries()? {
            if entry.digest == *subject.digest() {
                continue;
            }
            if tag_of(&entry) == Some(&tag) {
                let image = self.document(&entry)?;
                list.read(image.bytes())?;
                continue;
            }
            match self.document(&entry) {
                Ok(image) => {
                    let refers_to = image.document().subject().map(|subject| &subject.digest);
                    if refers_to == Some(subject.digest()) {
                        list.push(listed(&image))?;
                    }
                }
                Err(error @ Error::Limit { .. }) => return Err(error),
                Err(error) => {
                    tracing::debug!(entry = %entry.digest, %error, "can't be read");
                    list.push(entry)?;
                }
            }
        }
        Ok(list.into_descriptors())
    }
}

/// The tag of an entry: its name, or the last part of a name that is a whole reference.
fn tag_of(entry: &Descriptor) -> Option<&str> {
    let name = entry.annotations.get(REF_NAME)?;
    name.rsplit(':').next()
}

/// Whether an entry has a name: a tag, or that of a whole image.
fn is_named(entry: &Descriptor) -> bool {
    let names = [IMAGE_NAME, REF_NAME];
    names
        .iter()
        .any(|name| entry.annotations.contains_key(*name))
}

/// Whether an entry's name is like that of a list of referrers, or of a signature in cosign's old
/// format.
fn holds_signatures(entry: &Descriptor) -> bool {
    let kind = entry.annotations.get(COSIGN_KIND);
    if kind.is_some_and(|kind| COSIGN_SIGNATURES.contains(&kind.as_str())) {
        return true;
    }
    tag_of(entry).is_some_and(Digest::is_made_into)
}

/// An entry's name for people.
fn called(entry: &Descriptor) -> String {
    let names = [IMAGE_NAME, REF_NAME];
    match names.iter().find_map(|name| entry.annotations.get(*name)) {
        Some(name) => format!("{} ({})", crate::excerpt::excerpt(name), entry.digest),
        None => entry.digest.to_string(),
    }
}

/// How many bytes of a layout are read at once.
const CHUNK: u64 = 1 << 20;

/// The next bytes of `content`, and the rest. No bytes at the end.
pub(super) async fn chunk(mut content: Content, what: &str) -> Result<(Content, Vec<u8>)> {
    let what = what.to_owned();
    blocking(move || {
        let mut bytes = Vec::new();
        let read = content.by_ref().take(CHUNK).read_to_end(&mut bytes);
        read.map_err(|source| Error::Io { what, source })?;
        Ok((content, bytes))
    })
    .await
}
