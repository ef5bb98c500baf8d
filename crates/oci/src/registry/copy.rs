//! Copies blobs between repositories, and sets tags.
//!
//! A blob is not sent if the target has it, or if the registry can mount it from another of its
//! repositories (OCI distribution specification 1.1, "Mounting a blob from another repository").
//! Otherwise it is streamed from one registry to the other, without a temporary file, and its
//! digest is checked on the way.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use reqwest::header::{self, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncRead, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;

use super::Registry;
use super::challenge::Access;
use super::manifests::Outgoing;
use crate::descriptor::Descriptor;
use crate::error::{Error, Result};
use crate::http::{Body, Request, retrying};
use crate::layout::LayoutDraft;
use crate::reference::{Location, PinnedReference, Repository};
use crate::resolved::ResolvedImage;

/// How many bytes may be read but not yet sent.
const IN_FLIGHT: usize = 256 << 10;

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
    /// or copied. `progress` gets the number of bytes read so far.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] and [`Error::DigestMismatch`], if the source's content is not the
    /// descriptor's; others about access and network, of both registries.
    pub async fn copy_blob(
        &self,
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
        let failed = Arc::new(Mutex::new(None));
        let open = || {
            let content = Fetched::start(self, source, blob, &progress, &failed);
            std::future::ready(Ok(content))
        };
        let sent = self
            .push_blob_from(target, &blob.digest, blob.size, open)
            .await;
        match sent {
            Ok(()) => Ok(Copied::Sent),
            // If the source failed, return its error: the target only saw that the content ended
            // early.
            Err(error) => {
                let cause = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(cause.unwrap_or_else(|| error.served_as(source.at(blob.digest.clone()))))
            }
        }
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
        if target.has(blob).await? {
            return Ok(Copied::Present);
        }
        let mut open = target.open_blob(blob).await?;
        let fetched = self.fetch_blob(source, blob, open.file(), progress).await;
        match fetched {
            Ok(()) => {
                open.keep().await?;
                Ok(Copied::Sent)
            }
            Err(error) => {
                // Why there is no copy says more than why its rest can't be removed.
                if let Err(error) = open.discard().await {
                    tracing::warn!(digest = %blob.digest, %error, "the rest of a blob can't be removed");
                }
                Err(match (error, source) {
                    // Only what is written to can fail like this.
                    (Error::Io { source, .. }, Location::Registry(_)) => {
                        target.not_written(&blob.digest, source)
                    }
                    (error, _) => error,
                })
            }
        }
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

    /// Sets `tag` to `image`. The manifest must already be in the repository.
    ///
    /// Other clients may move the tag at any time. Call [`Registry::resolve`] to see what the tag
    /// names afterwards.
    ///
    /// # Errors
    /// About access, network and the registry; [`Error::Layout`] for an image in a layout.
    pub async fn tag(&self, image: &ResolvedImage, tag: &str) -> Result<()> {
        let media_type = image.document().media_type();
        let repository = image.reference().location().writable()?;
        let outgoing = Outgoing::of(image, media_type);
        self.put_manifest(repository, tag, &outgoing).await?;
        Ok(())
    }
}

/// A blob that is being read from its source.
struct Fetched {
    pipe: DuplexStream,
    fetching: JoinHandle<()>,
    failed: Arc<Mutex<Option<Error>>>,
}

impl Fetched {
    /// Starts to read. An error is put into `failed`.
    fn start(
        registry: &Registry,
        source: &Location,
        blob: &Descriptor,
        progress: &Arc<dyn Fn(u64) + Send + Sync>,
        failed: &Arc<Mutex<Option<Error>>>,
    ) -> Self {
        let (pipe, mut into) = tokio::io::duplex(IN_FLIGHT);
        let (registry, source, blob) = (registry.clone(), source.clone(), blob.clone());
        let (progress, failure) = (Arc::clone(progress), Arc::clone(failed));
        let fetching = tokio::spawn(async move {
            let fetched = registry
                .fetch_blob(&source, &blob, &mut into, progress.as_ref())
                .await;
            // An `Io` error means that the reader stopped, which is not the source's fault.
            if let Err(error) = fetched
                && !matches!(error, Error::Io { .. })
            {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        });
        Self {
            pipe,
            fetching,
            failed: Arc::clone(failed),
        }
    }
}

impl AsyncRead for Fetched {
    /// Ends when all bytes have come and the digest is right.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.pipe).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        Poll::Ready(match failed.is_some() {
            true => Err(std::io::Error::other("the source failed")),
            false => Ok(()),
        })
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        self.fetching.abort();
    }
}
