//! Reading image layouts in the place of registries: the same documents, checks and bounds.
//!
//! Which of the documents in `index.json` is the image and which are its referrers is judged by the
//! documents, as it is for registries. What an index of the layout lists, a signature, or a list of
//! signatures that stands there by its tag, is not what the layout is for.

use std::collections::HashSet;
use std::io::Read;

use bytes::Bytes;

use super::Registry;
use super::checks::{check_content, check_limit, size_mismatch};
use super::entries::{self, Fault};
use super::referrers::{List, listed};
use crate::descriptor::{Descriptor, is_document};
use crate::digest::Digest;
use crate::document::Document;
use crate::error::{Error, LayoutError, Result};
use crate::layout::{Content, Layout};
use crate::options::Limits;
use crate::reference::{LayoutPath, Location, PinnedReference};
use crate::resolved::ResolvedImage;

/// Where an entry of `index.json` says what it is called (OCI image specification, "Pre-Defined
/// Annotation Keys").
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Where `cosign save` says that an entry holds signatures or attestations of the kind before
/// bundles, which have no subject.
const COSIGN_KIND: &str = "kind";
const COSIGN_SIGNATURES: [&str; 2] = [
    "dev.cosignproject.cosign/sigs",
    "dev.cosignproject.cosign/atts",
];
/// Bytes of the documents, in all, that are read to learn what a layout is for or what its
/// signatures are.
const SURVEY_BYTES: u64 = 64 << 20;

impl Registry {
    /// Reads a layout on a thread that may block.
    async fn in_layout<T: Send + 'static>(
        &self,
        path: &LayoutPath,
        work: impl FnOnce(Survey) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (path, limits) = (path.clone(), self.options().limits.clone());
        blocking(move || {
            let layout = Layout::open(&path)?;
            work(Survey {
                location: path.clone().into(),
                path,
                layout,
                limits,
                left: SURVEY_BYTES,
            })
        })
        .await
    }

    /// The image that a layout is for.
    pub(super) async fn layout_image(&self, path: &LayoutPath) -> Result<ResolvedImage> {
        self.in_layout(path, |mut layout| {
            let root = layout.root()?;
            layout.left = SURVEY_BYTES;
            layout.document(&root)
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
        self.in_layout(path, move |survey| {
            let limit = survey.limits.manifest_bytes;
            let what = survey.location.at(digest.clone()).to_string();
            survey.layout.document(&digest, limit, &what)
        })
        .await
    }

    /// A blob in a layout, size and digest checked.
    pub(super) async fn layout_blob(
        &self,
        path: &LayoutPath,
        descriptor: &Descriptor,
    ) -> Result<Bytes> {
        let descriptor = descriptor.clone();
        self.in_layout(path, move |survey| survey.blob(&descriptor))
            .await
    }

    /// What lies in a layout as a blob, of the size that the descriptor says, to be read and checked.
    pub(super) async fn layout_content(
        &self,
        path: &LayoutPath,
        descriptor: &Descriptor,
    ) -> Result<Content> {
        let descriptor = descriptor.clone();
        self.in_layout(path, move |survey| {
            let what = survey.location.at(descriptor.digest.clone());
            let content = survey.layout.blob(&descriptor.digest)?;
            if content.size() != descriptor.size {
                return Err(size_mismatch(&descriptor, content.size(), &what));
            }
            Ok(content)
        })
        .await
    }

    /// What in a layout refers to the subject.
    pub(super) async fn layout_referrers(
        &self,
        path: &LayoutPath,
        subject: &PinnedReference,
    ) -> Result<Vec<Descriptor>> {
        let subject = subject.clone();
        self.in_layout(path, move |mut survey| survey.referrers(&subject))
            .await
    }
}

/// A layout whose documents are being looked at.
struct Survey {
    path: LayoutPath,
    location: Location,
    layout: Layout,
    limits: Limits,
    /// Bytes of documents that may still be read.
    left: u64,
}

impl Survey {
    /// The entries of `index.json` that are documents.
    fn entries(&self) -> Result<Vec<Descriptor>> {
        let bytes = self.layout.index(self.limits.manifest_bytes)?;
        let limit = self.limits.layout_entries;
        let listed = entries::read(&bytes, limit).map_err(|fault| match fault {
            Fault::Form(source) => self.layout.failure(LayoutError::Index(source)),
            Fault::TooMany(limit) => Error::Limit {
                what: format!("index.json of {}", self.path),
                limit: limit as u64,
                unit: "entries",
            },
        })?;
        Ok(listed.descriptors.into_iter().filter(is_document).collect())
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
        let bytes = self.blob(descriptor)?;
        ResolvedImage::checked(reference, bytes, Some(&descriptor.media_type))
            .map_err(|source| Error::Manifest { what, source })
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Bytes> {
        let what = self.location.at(descriptor.digest.clone());
        let limit = descriptor.size;
        let read = self
            .layout
            .document(&descriptor.digest, limit, &what.to_string());
        let bytes = match read {
            // More than the descriptor says is a lie about the size, not a large blob.
            Err(Error::Limit { .. }) => {
                return Err(size_mismatch(descriptor, limit.saturating_add(1), &what));
            }
            other => other?,
        };
        check_content(&bytes, descriptor, &what)?;
        Ok(bytes)
    }

    /// The one image that the layout is for.
    fn root(&mut self) -> Result<Descriptor> {
        let mut seen = HashSet::new();
        let entries = self.entries()?.into_iter();
        let entries: Vec<Descriptor> = entries
            .filter(|entry| !holds_signatures(entry))
            .filter(|entry| seen.insert(entry.digest.clone()))
            .collect();
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

    /// Those of the entries that are images, and no index among them lists.
    fn roots(&mut self, entries: Vec<Descriptor>) -> Result<Vec<Descriptor>> {
        let (mut roots, mut below) = (Vec::new(), HashSet::new());
        for entry in entries {
            let (subject, artifact_type) = match self.document(&entry)?.document() {
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
        roots.retain(|root| !below.contains(&root.digest));
        Ok(roots)
    }

    /// The entries that refer to `subject`, and what the index lists that stands in for its
    /// referrers list. An entry that can't be read may be one that does: whoever asks for it then
    /// is told what is wrong with it.
    fn referrers(&mut self, subject: &PinnedReference) -> Result<Vec<Descriptor>> {
        let mut list = List::new(subject, self.limits.referrers);
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

/// The tag of an entry: its name, or the end of one that is a whole reference.
fn tag_of(entry: &Descriptor) -> Option<&str> {
    let name = entry.annotations.get(REF_NAME)?;
    name.rsplit(':').next()
}

/// Whether an entry is called as lists of referrers and cosign's older signatures are.
fn holds_signatures(entry: &Descriptor) -> bool {
    let kind = entry.annotations.get(COSIGN_KIND);
    if kind.is_some_and(|kind| COSIGN_SIGNATURES.contains(&kind.as_str())) {
        return true;
    }
    let Some(tag) = tag_of(entry) else {
        return false;
    };
    let tag = [".sig", ".att", ".sbom"]
        .iter()
        .find_map(|end| tag.strip_suffix(end))
        .unwrap_or(tag);
    let hex = tag
        .strip_prefix("sha256-")
        .or_else(|| tag.strip_prefix("sha512-"));
    hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// What a person calls an entry.
fn called(entry: &Descriptor) -> String {
    match entry.annotations.get(REF_NAME) {
        Some(name) => crate::excerpt::excerpt(name),
        None => entry.digest.to_string(),
    }
}

/// Bytes that are read from a layout at once.
const CHUNK: u64 = 1 << 20;

/// The next bytes of `content`, and what is behind them; none at its end.
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

/// Runs `work` on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => Err(Error::Io {
                what: "an image layout".into(),
                source: std::io::Error::other(cancelled),
            }),
        },
    }
}
