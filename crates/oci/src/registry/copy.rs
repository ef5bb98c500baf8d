//! Copying between repositories, and moving tags.
//!
//! A blob is not sent where it is there already, or where the registry can mount it from a repository
//! of its own (OCI distribution specification 1.1, "Mounting a blob from another repository"). What is
//! sent flows from one registry to the other without a file in between, and is checked against its
//! digest on the way.

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
use crate::reference::{Location, PinnedReference, Repository};
use crate::resolved::ResolvedImage;

/// Bytes that were read from one registry, and not yet sent to the other.
const IN_FLIGHT: usize = 256 << 10;

/// How a blob came to be in the target repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// It was there before.
    Present,
    /// The registry took it from another repository of its own.
    Mounted,
    /// It was sent.
    Sent,
}

impl Registry {
    /// Sees to it that `target` has a blob of `source`: it is there, or mounted, or copied.
    /// `progress` is told how many bytes of it were read so far.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] and [`Error::DigestMismatch`] if the source has other content than the
    /// descriptor's; the others about access, transport and the two registries.
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
            // The cause lies with the source, and the target saw only that nothing more came.
            Err(error) => {
                let cause = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
                Err(cause.unwrap_or_else(|| of_source(error, source, blob)))
            }
        }
    }

    /// Asks the registry to take a blob from another repository of its own. `false` where it doesn't:
    /// registries may refuse it for any reason, and answer with an upload to be made instead.
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
        let asked = retrying(&self.options().retries, || async {
            let answer = self
                .ask(&request, target, Access::Push, Body::Empty)
                .await?;
            Ok(answer.success().await?.status() == StatusCode::CREATED)
        })
        .await;
        match asked {
            Ok(mounted) => Ok(mounted),
            // A login that may write here and not read there, or a registry that knows no mounting.
            Err(Error::Unauthorized { .. } | Error::Status { .. } | Error::NotFound { .. }) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes `tag` name `image`, whose manifest is in its repository already.
    ///
    /// Another writer may move the tag at any time, and a registry may say what it likes:
    /// [`Registry::resolve`] tells what the tag names afterwards.
    ///
    /// # Errors
    /// About access, transport and the registry; [`Error::Layout`] for an image of a layout.
    pub async fn tag(&self, image: &ResolvedImage, tag: &str) -> Result<()> {
        let media_type = image.document().media_type();
        let repository = image.reference().location().writable()?;
        let outgoing = Outgoing::of(image, media_type);
        self.put_manifest(repository, tag, &outgoing).await?;
        Ok(())
    }
}

/// An error about content names who served it.
fn of_source(error: Error, source: &Location, blob: &Descriptor) -> Error {
    let what = Box::new(source.at(blob.digest.clone()));
    match error {
        Error::DigestMismatch { found, .. } => Error::DigestMismatch { what, found },
        Error::SizeMismatch {
            expected, found, ..
        } => Error::SizeMismatch {
            what,
            expected,
            found,
        },
        other => other,
    }
}

/// A blob as it comes from its registry.
struct Fetched {
    pipe: DuplexStream,
    fetching: JoinHandle<()>,
    failed: Arc<Mutex<Option<Error>>>,
}

impl Fetched {
    /// Begins to fetch. What goes wrong is put into `failed`.
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
            // A reader that went away is no fault of the source.
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
    /// Ends when everything was fetched and found to be what its digest says.
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
