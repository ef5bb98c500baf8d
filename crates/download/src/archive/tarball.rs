//! Fetching a tarball to the quarantine.

use std::path::Path;

use countersign_oci::{Algorithm, Digest, Digester};
use reqwest::header::HeaderMap;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::Archive;
use crate::error::Error;
use crate::http::{Http, Resource, StreamError, shown};
use crate::limits::Limits;
use crate::source::Tarball;

const BUFFER: usize = 128 << 10;

/// Fetches `tarball` to `path`, and hashes its bytes on the way. After a failure that may pass it is
/// fetched anew from its start. `progress` is told the bytes so far and, where the server says it,
/// of how many.
///
/// # Errors
/// [`Error::Http`]; [`Error::Io`] when the quarantine can't be written to.
pub(crate) async fn fetch(
    http: &Http,
    tarball: &Tarball,
    limits: &Limits,
    path: &Path,
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<Archive, Error> {
    let location = shown(tarball.url());
    let resource = Resource {
        url: tarball.url(),
        name: &location,
    };
    let limit = limits.compressed_bytes;
    let fetched = http.retrying(resource, || async {
        match attempt(http, resource, limit, path, progress).await {
            Err(StreamError::Http(error)) => Err(error),
            Err(StreamError::Sink(error)) => Ok(Err(Error::io("write", path)(error))),
            Ok(fetched) => Ok(Ok(fetched)),
        }
    });
    let (size, digest) = fetched.await??;
    Ok(Archive {
        location,
        path: path.to_owned(),
        size,
        digest,
    })
}

async fn attempt(
    http: &Http,
    resource: Resource<'_>,
    limit: u64,
    path: &Path,
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<(u64, Digest), StreamError> {
    let response = http.get(resource, &HeaderMap::new()).await?;
    let file = File::create(path).await.map_err(StreamError::Sink)?;
    let mut file = BufWriter::with_capacity(BUFFER, file);
    let mut digester = Digester::new(Algorithm::Sha256);
    let mut bytes = 0;
    let size = http
        .stream(response, resource, limit, &mut file, |chunk, size| {
            digester.update(chunk);
            bytes += chunk.len() as u64;
            progress(bytes, size);
        })
        .await?;
    file.flush().await.map_err(StreamError::Sink)?;
    Ok((size, digester.finish()))
}
