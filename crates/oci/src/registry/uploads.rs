//! Pushes blobs: asks whether the registry has the blob, opens an upload, and sends it in one piece
//! (OCI distribution specification 1.1, "POST then PUT").

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{self, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use super::Registry;
use super::scope::Access;
use crate::checked::check_computed;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Digester};
use crate::error::{Error, Result};
use crate::http::{AttemptError, Body, Request, Upload, location, retrying};
use crate::reference::{PinnedReference, Repository};

/// How many bytes are given to the transport at once.
const PIECE: usize = 64 << 10;
/// How many pieces may be read but not yet sent.
const PIECES: usize = 2;
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

impl Registry {
    /// Pushes bytes as a blob, unless the registry has it. The returned descriptor has the media
    /// type `application/octet-stream`; change it if you know a better one.
    ///
    /// # Errors
    /// About access, network and the registry.
    pub async fn push_blob(&self, repository: &Repository, bytes: Bytes) -> Result<Descriptor> {
        let descriptor = Descriptor::of("application/octet-stream", &bytes);
        let what = repository.at(descriptor.digest.clone());
        if !self.has_blob(repository, &what).await? {
            // A broken upload can't be continued, so each try opens a new one.
            retrying(&self.options().retries, || async {
                let request = self.open_upload(repository, &what).await?;
                renewing(|| {
                    let body = upload_of(bytes.clone());
                    self.send_upload(repository, &request, &descriptor.digest, body)
                })
                .await
            })
            .await?;
        }
        Ok(descriptor)
    }

    /// Streams a large blob of known digest and size, unless the registry has it. `open` returns
    /// the content from its start. It is called again if the connection breaks, or if the registry
    /// asks for a new token.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] and [`Error::DigestMismatch`], if the content is not the announced
    /// one; [`Error::Io`], if it can't be read; others about access, network and the registry.
    pub async fn push_blob_from<Opening, Content>(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        open: impl Fn() -> Opening,
    ) -> Result<()>
    where
        Opening: Future<Output = std::io::Result<Content>>,
        Content: AsyncRead + Send + Unpin,
    {
        let what = repository.at(digest.clone());
        if self.has_blob(repository, &what).await? {
            return Ok(());
        }
        retrying(&self.options().retries, || async {
            let request = self.open_upload(repository, &what).await?;
            renewing(|| self.stream(repository, &request, size, open(), &what)).await
        })
        .await
    }

    /// Sends the content that `opening` returns.
    async fn stream(
        &self,
        repository: &Repository,
        request: &Request,
        size: u64,
        opening: impl Future<Output = std::io::Result<impl AsyncRead + Send + Unpin>>,
        what: &PinnedReference,
    ) -> Result<(), AttemptError> {
        let mut from = opening.await.map_err(|source| Error::Io {
            what: what.to_string(),
            source,
        })?;
        self.relay(repository, request, size, what, async |pieces| {
            pump(&mut from, size, what, &pieces).await
        })
        .await
    }

    /// As [`Self::push_blob_from`], of a blob that the registry is known not to have. `read` gives the pieces, and checks
    /// size and digest before it gives the last one.
    pub(super) async fn push_pieces<Reading>(
        &self,
        what: &PinnedReference,
        repository: &Repository,
        size: u64,
        read: impl Fn(Pieces) -> Reading,
    ) -> Result<()>
    where
        Reading: Future<Output = Result<()>>,
    {
        retrying(&self.options().retries, || async {
            let request = self.open_upload(repository, what).await?;
            renewing(|| self.relay(repository, &request, size, what, &read)).await
        })
        .await
    }

    /// Sends the pieces that `read` gives.
    async fn relay<Reading>(
        &self,
        repository: &Repository,
        request: &Request,
        size: u64,
        what: &PinnedReference,
        read: impl FnOnce(Pieces) -> Reading,
    ) -> Result<(), AttemptError>
    where
        Reading: Future<Output = Result<()>>,
    {
        let (pieces, receiver) = mpsc::channel(PIECES);
        let sent = Arc::new(AtomicU64::new(0));
        let mut receiver = Some(receiver);
        let body = Upload {
            size,
            sent: Arc::clone(&sent),
            open: Box::new(move || {
                let pieces = stream::unfold(receiver.take()?, |mut receiver| async {
                    let piece: Bytes = receiver.recv().await?;
                    Some((Ok::<_, std::io::Error>(piece), receiver))
                });
                Some(reqwest::Body::wrap_stream(pieces))
            }),
        };
        let sending = self.send_upload(repository, request, what.digest(), body);
        let reading = read(Pieces { pieces, sent });
        tokio::pin!(sending, reading);
        tokio::select! {
            // The registry answered before the end, or there is nothing left to read.
            answered = &mut sending => answered,
            read = &mut reading => {
                read?;
                sending.await
            }
        }
    }

    pub(super) async fn has_blob(
        &self,
        repository: &Repository,
        what: &PinnedReference,
    ) -> Result<bool> {
        let url = self.url(repository, &format!("blobs/{}", what.digest()))?;
        let request = Request::new(Method::HEAD, url, what.to_string());
        retrying(&self.options().retries, || async {
            let answer = self
                .ask(&request, repository, Access::Push, Body::Empty)
                .await?;
            match answer.status() {
                StatusCode::NOT_FOUND => Ok(false),
                _ => answer.success().await.map(|_| true),
            }
        })
        .await
    }

    /// The URL to send the blob to. It may be storage on another host.
    async fn open_upload(
        &self,
        repository: &Repository,
        what: &PinnedReference,
    ) -> Result<Request, AttemptError> {
        let url = self.url(repository, "blobs/uploads/")?;
        let request = Request::new(Method::POST, url, what.to_string())
            .header(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        let answer = self
            .ask(&request, repository, Access::Push, Body::Empty)
            .await?
            .success()
            .await?;
        let target = location(answer.url(), answer.headers())
            .ok_or_else(|| answer.unlike("a Location to upload to", "none that is a URL"))?;
        Ok(Request::new(Method::PUT, target, what.to_string())
            .named_by(answer.url())
            .header(header::CONTENT_TYPE, OCTETS))
    }

    async fn send_upload(
        &self,
        repository: &Repository,
        request: &Request,
        digest: &Digest,
        body: Upload,
    ) -> Result<(), AttemptError> {
        let mut request = request.clone();
        request
            .url
            .query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let answer = self
            .ask(&request, repository, Access::Push, Body::Upload(body))
            .await?;
        answer.success().await.map(|_| ())
    }
}

/// Sends the request once more, at once, if its token had expired: by then there is a new one.
async fn renewing<Sending>(send: impl Fn() -> Sending) -> Result<(), AttemptError>
where
    Sending: Future<Output = Result<(), AttemptError>>,
{
    match send().await {
        Err(failure) if failure.has_new_login() => send().await,
        sent => sent,
    }
}

fn upload_of(bytes: Bytes) -> Upload {
    let size = bytes.len() as u64;
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let open = move || {
        counter.store(0, Ordering::Relaxed);
        let counter = Arc::clone(&counter);
        let pieces = stream::unfold(bytes.clone(), move |mut rest| {
            let counter = Arc::clone(&counter);
            async move {
                let piece = rest.split_to(rest.len().min(PIECE));
                if piece.is_empty() {
                    return None;
                }
                counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Some((Ok::<_, std::io::Error>(piece), rest))
            }
        });
        Some(reqwest::Body::wrap_stream(pieces))
    };
    Upload {
        size,
        sent,
        open: Box::new(open),
    }
}

/// Takes the pieces of an upload. It ends when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Pieces {
    pieces: mpsc::Sender<Bytes>,
    sent: Arc<AtomicU64>,
}

impl Pieces {
    /// Gives the next piece, when the transport has room for it. `false` if the transport stopped reading: its own
    /// error says why.
    pub(super) async fn give(&self, piece: Bytes) -> bool {
        let bytes = piece.len() as u64;
        let given = self.pieces.send(piece).await.is_ok();
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        given
    }

    /// Whether the transport stopped reading.
    pub(super) fn has_ended(&self) -> bool {
        self.pieces.is_closed()
    }
}

/// Reads `from` to its end, passes the bytes on, and checks size and digest.
async fn pump(
    from: &mut (dyn AsyncRead + Send + Unpin),
    size: u64,
    what: &PinnedReference,
    pieces: &Pieces,
) -> Result<()> {
    let size_mismatch = |found| Error::SizeMismatch {
        what: Box::new(what.clone()),
        expected: size,
        found,
    };
    let mut digester = Digester::new(what.digest().algorithm());
    let mut read = 0_u64;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let mut bounded = (&mut *from).take(PIECE as u64);
        let count = bounded.read_to_end(&mut piece).await;
        let count = count.map_err(|source| Error::Io {
            what: what.to_string(),
            source,
        })?;
        if count == 0 {
            break;
        }
        read = read.saturating_add(count as u64);
        if read > size {
            return Err(size_mismatch(size.saturating_add(1)));
        }
        digester.update(&piece);
        if read == size {
            // The registry would refuse it too, but our error is clearer.
            check_computed(digester.clone().finish(), what)?;
        }
        if !pieces.give(piece.into()).await {
            return Ok(());
        }
    }
    match (read < size, size) {
        (true, _) => Err(size_mismatch(read)),
        (false, 0) => check_computed(digester.finish(), what),
        (false, _) => Ok(()),
    }
}
