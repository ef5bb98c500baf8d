//! A layer's decompressed bytes: counted, hashed, and cut off at the budget.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_oci::{Algorithm, Digest, Digester};

use super::error::ArchiveError;
use crate::limits::Limits;

const BUFFER: usize = 128 << 10;

/// How a layer is compressed, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the media types of the OCI image specification 1.1 ("Layer media types") and of Docker's
    /// schema 2. Layers that are not to be distributed, and types unknown, have none.
    pub(crate) fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.docker.image.rootfs.diff.tar" => Some(Self::None),
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Some(Self::Gzip),
            "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// What one layer may still become when it is decompressed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Bytes that are left of [`Limits::unpacked_bytes`].
    left: u64,
    /// [`Limits::unpacked_bytes`].
    total: u64,
    /// Bytes that a layer of this size may become, by [`Limits::expansion`].
    expanded: u64,
}

impl Budget {
    /// For a layer of `compressed` bytes, after others that became `unpacked` bytes.
    pub(super) fn new(limits: &Limits, unpacked: u64, compressed: u64) -> Self {
        let expanded = compressed.saturating_mul(limits.expansion);
        Self {
            left: limits.unpacked_bytes.saturating_sub(unpacked),
            total: limits.unpacked_bytes,
            expanded: expanded.max(Limits::EXPANSION_FLOOR),
        }
    }

    fn check(&self, count: u64) -> Result<(), ArchiveError> {
        let over = |what: &str, limit| ArchiveError::Limit {
            what: what.into(),
            limit,
            unit: "bytes",
        };
        if count > self.left {
            Err(over("the decompressed image", self.total))
        } else if count > self.expanded {
            Err(over(
                "the decompressed layer, by its compressed size,",
                self.expanded,
            ))
        } else {
            Ok(())
        }
    }
}

/// Given to whoever may want to stop an extraction that runs on another thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    pub(crate) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// [`ArchiveError::Cancelled`] once it was cancelled.
    pub(crate) fn check(&self) -> Result<(), ArchiveError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(ArchiveError::Cancelled);
        }
        Ok(())
    }
}

type Decoder = Box<dyn Read + Send>;

/// The decompressed layer.
///
/// Errors of the bounds come as [`io::Error`]s that hold an [`ArchiveError`].
pub(super) struct LayerStream(BufReader<Metered<Decoder>>);

impl LayerStream {
    pub(super) fn new(
        layer: File,
        compression: Compression,
        budget: Budget,
        diff_id: Algorithm,
        cancellation: Cancellation,
    ) -> Result<Self, ArchiveError> {
        let layer = BufReader::with_capacity(BUFFER, layer);
        let decoder: Decoder = match compression {
            Compression::None => Box::new(layer),
            // Both may come in several members or frames; rubbish after the last is an error.
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(layer)),
            Compression::Zstd => Box::new(zstd::Decoder::with_buffer(layer)?),
        };
        let metered = Metered {
            inner: decoder,
            digester: Digester::new(diff_id),
            count: 0,
            budget,
            cancellation,
        };
        Ok(Self(BufReader::with_capacity(BUFFER, metered)))
    }

    /// The digest of the whole layer and its length, once everything was read.
    pub(super) fn finish(mut self) -> Result<(Digest, u64), ArchiveError> {
        io::copy(&mut self.0, &mut io::sink())?;
        let metered = self.0.into_inner();
        Ok((metered.digester.finish(), metered.count))
    }
}

impl Read for LayerStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl BufRead for LayerStream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

struct Metered<R> {
    inner: R,
    digester: Digester,
    count: u64,
    budget: Budget,
    cancellation: Cancellation,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.cancellation.check().map_err(io::Error::other)?;
        let read = self.inner.read(into)?;
        self.digester.update(into.get(..read).unwrap_or_default());
        self.count += read as u64;
        self.budget.check(self.count).map_err(io::Error::other)?;
        Ok(read)
    }
}
