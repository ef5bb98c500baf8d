//! Copies blobs between repositories, and sets tags.
//!
//! A blob is not sent if the target has it, or if the registry can mount it from another of its
//! repositories (OCI distribution specification 1.1, "Mounting a blob from another repository").
//! Otherwise it is streamed from one registry to the other, without a temporary file, and its
//! digest is checked on the way.

use std::sync::Arc;

use reqwest::header::{self, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::task::JoinSet;

use super::Registry;
use super::blobs::BlobSink;
use super::scope::Access;
use super::uploads::Pieces;
use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::http::{Body, Request, retrying};
use crate::layout::LayoutDraft;
use crate::reference::{Location, PinnedReference, Repository};

/// How a blob came into the target repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// The target already had it.
    Present,
    /// The registry mounted it from another of its repositories.
    Mounted,
    /// It was copied.
    Sent,
}

impl Registry {
    /// Makes sure that `target` has a blob of `source`: it has it already, or the blob is mounted
    /// or copied. `reader` reads what is copied: where it may ask is no limit to what this client
    /// writes to. `progress` gets the number of bytes read so far.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] and [`Error::DigestMismatch`], if the source's content is not the
    /// descriptor's; others about access and network, of both registries.
    pub async fn copy_blob(
        &self,
        reader: &Self,
        source: &Location,
        target: &Repository,
        blob: &Descriptor,
        progress: Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Result<Copied> {
        let what = target.at(blob.digest.clone());
        if source == what.location() || self.has_blob(target, &what).await? {
            return Ok(Copied::Present);
        }
        match source {
            Location::Registry(from) if from.api_host() == target.api_host() => {
                if self.mount(from, target, &what).await? {
                    return Ok(Copied::Mounted);
                }
            }
            Location::Registry(_) | Location::Layout(_) => {}
        }
        self.push_pieces(&what, target, blob.size, |pieces| {
            let fetched = Fetched::start(reader, source, blob, &progress, pieces);
            fetched.end(what.to_string())
        })
        .await?;
        Ok(Copied::Sent)
    }

    /// Makes sure that a layout has a blob of `source`: it has it already, or the blob is copied.
    /// `progress` gets the number of bytes read so far.
    ///
    /// # Errors
    /// As for [`Self::copy_blob`]; [`Error::Layout`], if the layout can't be written.
    pub async fn copy_blob_to_layout(
        &self,
        source: &Location,
        target: &LayoutDraft,
        blob: &Descriptor,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Copied> {
        let writing = target.writing(&blob.digest).await;
        if target.has(blob).await? {
            return Ok(Copied::Present);
        }
        let mut open = target.open_blob(blob, writing).await?;
        let fetched = self.fetch_blob(source, blob, open.file(), progress).await;
        fetched.map_err(|error| match (error, source) {
            // Only what is written to can fail like this.
            (Error::Io { source, .. }, Location::Registry(_)) => {
                target.not_written(&blob.digest, source)
            }
            (error, _) => error,
        })?;
        open.keep().await?;
        Ok(Copied::Sent)
    }

    /// Asks the registry to mount a blob from another of its repositories. `false` if it doesn't: a
    /// registry may refuse for any reason, and open an upload instead.
    async fn mount(
        &self,
        source: &Repository,
        target: &Repository,
        what: &PinnedReference,
    ) -> Result<bool> {
        let mut url = self.url(target, "blobs/uploads/")?;
        url.query_pairs_mut()
            .append_pair("mount", &what.digest().to_string())
            .append_pair("from", source.path());
        let request = Request::new(Method::POST, url, what.to_string())
            .header(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        let asked: Result<bool> = retrying(&self.options().retries, || async {
            let answer = self
                .ask(&request, target, Access::Push, Body::Empty)
                .await?;
            Ok(answer.success().await?.status() == StatusCode::CREATED)
        })
        .await;
        match asked {
            Ok(mounted) => Ok(mounted),
            // The login may not read the other repository, or the registry can't mount.
            Err(error) if error.is_refused_request() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A blob that is being read from its source, on a thread that is not the upload's.
struct Fetched {
    fetching: JoinSet<Result<()>>,
    /// The upload must not end before it is known why.
    _pieces: Pieces,
}

impl Fetched {
    fn start(
        registry: &Registry,
        source: &Location,
        blob: &Descriptor,
        progress: &Arc<dyn Fn(u64) + Send + Sync>,
        pieces: Pieces,
    ) -> Self {
        let (registry, source, blob) = (registry.clone(), source.clone(), blob.clone());
        let progress = Arc::clone(progress);
        let (mut fetching, kept, upload) = (JoinSet::new(), pieces.clone(), pieces.clone());
        fetching.spawn(async move {
            let fetched = registry
                .fetch_blob_into(&source, &blob, BlobSink::Upload(pieces), progress.as_ref())
                .await;
            match fetched {
                // The upload stopped taking pieces. Its own error says why.
                Err(Error::Io { .. }) if upload.has_ended() => Ok(()),
                fetched => fetched,
            }
        });
        Self {
            fetching,
            _pieces: kept,
        }
    }

    /// Waits for the end. Whoever stops waiting ends it.
    async fn end(mut self, what: String) -> Result<()> {
        match self.fetching.join_next().await {
            Some(Ok(fetched)) => fetched,
            Some(Err(error)) => Err(Error::Io {
                what,
                source: std::io::Error::other(error),
            }),
            None => Ok(()),
        }
    }
}
