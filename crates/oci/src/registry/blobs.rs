//! Reads blobs: small ones into memory, large ones as a stream. A stream continues after a broken
//! connection.
//!
//! No more bytes are read or written than the descriptor says. The digest is only known at the end,
//! so use what was written only if [`Registry::fetch_blob`] returned `Ok`.

use bytes::Bytes;
use reqwest::header::{self, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::Registry;
use super::checks::{check_limit, or_wrong_size};
use super::layouts;
use super::scope::Access;
use super::uploads::Pieces;
use crate::checked::{Checked, check_computed, size_mismatch};
use crate::descriptor::Descriptor;
use crate::digest::Digester;
use crate::error::{Error, Result};
use crate::http::{Answer, AttemptError, Body, Pace, Request, pauses, retrying, too_slow};
use crate::layout::Content;
use crate::reference::{Location, PinnedReference, Repository};

/// After this many bytes, the count of tries starts again. A server that sends fewer bytes each
/// time runs out of tries.
const WORTH_ANOTHER_ROUND: u64 = 1 << 20;

impl Registry {
    /// Reads a small blob into memory, at most `limit` bytes, and checks its size and digest.
    ///
    /// # Errors
    /// [`Error::Limit`], before any request, if the descriptor's size is over `limit`;
    /// [`Error::SizeMismatch`] and [`Error::DigestMismatch`], if the content is not the
    /// descriptor's; others as for manifests.
    pub async fn blob(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Bytes> {
        let what = location.at(descriptor.digest.clone());
        check_limit(descriptor, limit, &what)?;
        match self.place(location) {
            Location::Registry(repository) => self.small_blob(&repository, descriptor, &what).await,
            Location::Layout(layout) => self.layout_blob(&layout, descriptor).await,
        }
    }

    async fn small_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        what: &PinnedReference,
    ) -> Result<Bytes> {
        let url = self.url(repository, &format!("blobs/{}", descriptor.digest))?;
        let request = Request::new(Method::GET, url, what.to_string());
        let bytes = retrying(&self.options().retries, || async {
            let answer = self
                .ask(&request, repository, Access::Pull, Body::Empty)
                .await?
                .success()
                .await?;
            if let Some(found) = answer.content_length()
                && found != descriptor.size
            {
                return Err(AttemptError::from(size_mismatch(descriptor, found, what)));
            }
            let read = answer.bytes(descriptor.size).await;
            read.map_err(|failure| failure.map(|error| or_wrong_size(error, descriptor, what)))
        })
        .await?;
        Ok(Checked::by_descriptor(bytes, descriptor, what.clone())?.into_bytes())
    }

    /// Streams a blob into `into`, and continues after broken connections. The size is checked
    /// while bytes arrive, the digest at the end. `progress` gets the number of bytes written so
    /// far.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] and [`Error::DigestMismatch`], if the content is not the
    /// descriptor's; [`Error::Io`], if `into` fails; others as for manifests. After an error, throw
    /// away what was written.
    pub async fn fetch_blob(
        &self,
        location: &Location,
        descriptor: &Descriptor,
        into: &mut (dyn AsyncWrite + Send + Unpin),
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<()> {
        self.fetch_blob_into(location, descriptor, BlobSink::Writer(into), progress)
            .await
    }

    /// As [`Self::fetch_blob`].
    pub(super) async fn fetch_blob_into<'a>(
        &self,
        location: &Location,
        descriptor: &'a Descriptor,
        into: BlobSink<'a>,
        progress: &'a (dyn Fn(u64) + Send + Sync),
    ) -> Result<()> {
        let mut transfer = Transfer {
            descriptor,
            what: location.at(descriptor.digest.clone()),
            into,
            progress,
            digester: Digester::new(descriptor.digest.algorithm()),
            written: 0,
            pace: Pace::new(&self.options().timeouts),
            version: None,
        };
        match self.place(location) {
            Location::Registry(repository) => self.stream_into(&mut transfer, &repository).await?,
            Location::Layout(layout) => {
                let content = self.layout_content(&layout, descriptor).await?;
                transfer.copy(content).await?;
            }
        }
        transfer.finish().await
    }

    /// Sends requests until all bytes are written.
    async fn stream_into(
        &self,
        transfer: &mut Transfer<'_>,
        repository: &Repository,
    ) -> Result<()> {
        let retries = &self.options().retries;
        let mut schedule = pauses(retries);
        let mut counted_from = 0;
        while let Err(failure) = self.go_on(repository, transfer).await {
            if transfer.written == transfer.descriptor.size && failure.may_pass() {
                // The connection broke after the last byte.
                break;
            }
            if transfer.written - counted_from >= WORTH_ANOTHER_ROUND {
                counted_from = transfer.written;
                schedule = pauses(retries);
            }
            let Some(pause) = failure.pause(schedule.next(), retries) else {
                return Err(failure.error);
            };
            tracing::debug!(error = %failure.error, ?pause, written = transfer.written, "resuming");
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Sends one request, for the bytes that are still missing.
    async fn go_on(
        &self,
        repository: &Repository,
        transfer: &mut Transfer<'_>,
    ) -> Result<(), AttemptError> {
        let url = self.url(repository, &format!("blobs/{}", transfer.descriptor.digest))?;
        let mut request = Request::new(Method::GET, url, transfer.what.to_string());
        if transfer.written > 0 {
            request = request.header(header::RANGE, range_from(transfer.written));
            if let Some(version) = &transfer.version {
                request = request.header(header::IF_RANGE, version.clone());
            }
        }
        let asked = Instant::now();
        let answer = self.ask(&request, repository, Access::Pull, Body::Empty);
        let answer = answer.await;
        // A blob whose connections break again and again is too slow as well.
        transfer
            .pace
            .waits(asked.elapsed())
            .map_err(|slow| too_slow(&request.url, slow))?;
        transfer.take(answer?).await
    }
}

/// Where the bytes of a blob go.
pub(super) enum BlobSink<'a> {
    Writer(&'a mut (dyn AsyncWrite + Send + Unpin)),
    /// An upload. The last piece is given when size and digest are right, so that nothing wrong is ever whole there.
    Upload(Pieces),
}

/// A blob that is being read.
struct Transfer<'a> {
    descriptor: &'a Descriptor,
    what: PinnedReference,
    into: BlobSink<'a>,
    progress: &'a (dyn Fn(u64) + Send + Sync),
    digester: Digester,
    written: u64,
    /// The speed over all tries together.
    pace: Pace,
    /// The `ETag` of the first answer: later pieces must be of the same version.
    version: Option<HeaderValue>,
}

impl Transfer<'_> {
    /// Writes the bytes of an answer that are new.
    async fn take(&mut self, answer: Answer) -> Result<(), AttemptError> {
        let mut answer = self.judge(answer).await?;
        self.pace.restart();
        // A server without range requests sends the blob from the start. We skip what we have; the
        // digest at the end shows whether it was the same.
        let mut skip = match answer.status() {
            StatusCode::PARTIAL_CONTENT => 0,
            _ => self.written,
        };
        while let Some(chunk) = answer.chunk(&mut self.pace).await? {
            let skipped = usize::try_from(skip).map_or(chunk.len(), |skip| skip.min(chunk.len()));
            skip -= skipped as u64;
            self.write(chunk.slice(skipped..)).await?;
        }
        if self.written < self.descriptor.size {
            return Err(AttemptError::passing(self.size_mismatch(self.written)));
        }
        Ok(())
    }

    /// Writes a blob from a layout.
    async fn copy(&mut self, mut content: Content) -> Result<()> {
        loop {
            let (rest, chunk) = layouts::chunk(content, &self.what.to_string()).await?;
            if chunk.is_empty() {
                break;
            }
            self.write(chunk.into()).await?;
            content = rest;
        }
        if self.written < self.descriptor.size {
            return Err(self.size_mismatch(self.written));
        }
        Ok(())
    }

    /// Checks that the answer is the blob, or the rest of it.
    async fn judge(&mut self, answer: Answer) -> Result<Answer, AttemptError> {
        let size = self.descriptor.size;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let expected = format!("bytes {}-{}/{size}", self.written, size.saturating_sub(1));
                let found = answer.header(&header::CONTENT_RANGE).unwrap_or("none");
                if self.written > 0 && found == expected {
                    return Ok(answer);
                }
                let expected = format!("the Content-Range `{expected}`");
                Err(answer.unlike(&expected, format!("`{found}`")).into())
            }
            StatusCode::RANGE_NOT_SATISFIABLE => Err(self.size_mismatch(self.written).into()),
            _ => {
                let answer = answer.success().await?;
                if let Some(found) = answer.content_length()
                    && found != size
                {
                    return Err(self.size_mismatch(found).into());
                }
                if self.version.is_none() {
                    self.version = strong_etag(&answer);
                }
                Ok(answer)
            }
        }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        let written = self.written.saturating_add(bytes.len() as u64);
        if written > self.descriptor.size {
            return Err(self.size_mismatch(self.descriptor.size.saturating_add(1)));
        }
        self.digester.update(&bytes);
        match &mut self.into {
            BlobSink::Writer(writer) => writer
                .write_all(&bytes)
                .await
                .map_err(|source| self.unwritten(source))?,
            BlobSink::Upload(pieces) => {
                if written == self.descriptor.size {
                    check_computed(self.digester.clone().finish(), &self.what)?;
                }
                if !pieces.give(bytes).await {
                    return Err(self.unwritten(std::io::ErrorKind::BrokenPipe.into()));
                }
            }
        }
        self.written = written;
        (self.progress)(written);
        Ok(())
    }

    async fn finish(mut self) -> Result<()> {
        check_computed(self.digester.clone().finish(), &self.what)?;
        match &mut self.into {
            BlobSink::Writer(writer) => writer
                .flush()
                .await
                .map_err(|source| self.unwritten(source)),
            BlobSink::Upload(_) => Ok(()),
        }
    }

    fn unwritten(&self, source: std::io::Error) -> Error {
        Error::Io {
            what: self.what.to_string(),
            source,
        }
    }

    fn size_mismatch(&self, found: u64) -> Error {
        size_mismatch(self.descriptor, found, &self.what)
    }
}

/// The `Range` header for all bytes from `start` (RFC 9110, section 14.2).
fn range_from(start: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("bytes={start}-"))
        .unwrap_or_else(|_| HeaderValue::from_static("bytes=0-"))
}

/// The `ETag`, unless it is weak. `If-Range` allows only strong ones (RFC 9110, section 13.1.5).
fn strong_etag(answer: &Answer) -> Option<HeaderValue> {
    let value = answer.headers().get(header::ETAG)?;
    (!value.as_bytes().starts_with(b"W/")).then(|| value.clone())
}
