//! A layer's decompressed bytes: counted, hashed, and stopped at the limit.

mod gzip;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_oci::Digest;

use super::error::ArchiveError;
use super::read_ahead::{Piece, ReadAhead};
use crate::limits::{Bound, Limits};
use gzip::Gzip;

/// Bytes of compressed content that are read at once.
const BUFFER: usize = 256 << 10;
/// How far back zstd may refer, as a power of two: 8 MiB, which is what RFC 8878 (3.1.1.1.2) asks of
/// decoders. It is memory that the decoder needs, and an archive may ask for gigabytes.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Whether a media type is that of a layer, by the OCI image specification 1.1 ("Layer media types")
/// and Docker's schema 2. Layers that must not be distributed count too. The layer's bytes say how it
/// is compressed: media types are sometimes wrong about that.
pub(crate) fn is_layer(media_type: &str) -> bool {
    let oci = media_type.strip_prefix("application/vnd.oci.image.layer.");
    if let Some(layer) = oci {
        let layer = layer.strip_prefix("nondistributable.").unwrap_or(layer);
        return matches!(layer, "v1.tar" | "v1.tar+gzip" | "v1.tar+zstd");
    }
    let docker = media_type.strip_prefix("application/vnd.docker.image.rootfs.");
    docker.is_some_and(|layer| {
        let layer = layer.strip_prefix("foreign.").unwrap_or(layer);
        matches!(layer, "diff.tar" | "diff.tar.gzip" | "diff.tar.zstd")
    })
}

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Detects the compression by the first bytes. There may be none: an archive without entries.
    ///
    /// # Errors
    /// [`ArchiveError::Compression`] if we have no decoder for it.
    fn detect(bytes: &[u8]) -> Result<Self, ArchiveError> {
        match bytes {
            [0x1f, 0x8b, 0x08, ..] => Ok(Self::Gzip),
            // A frame of data, or a skippable frame (RFC 8878, 3.1).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(ArchiveError::Compression { found: "xz" }),
            // Includes the mark of the first block: a tar may begin with a file named `BZh1`, say.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, ..] => {
                Err(ArchiveError::Compression { found: "bzip2" })
            }
            _ => Ok(Self::None),
        }
    }
}

/// How large one layer may become when it is decompressed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Bytes left of [`Limits::unpacked_bytes`] after earlier layers.
    left: u64,
    /// [`Limits::unpacked_bytes`].
    total: u64,
    /// Bytes that a layer of this size may become, by [`Limits::expansion`].
    expanded: u64,
}

impl Budget {
    /// The budget of a layer of `compressed` bytes, after earlier layers used `unpacked` bytes.
    pub(super) fn new(limits: &Limits, unpacked: u64, compressed: u64) -> Self {
        let expanded = compressed.saturating_mul(limits.expansion);
        Self {
            left: limits.unpacked_bytes.saturating_sub(unpacked),
            total: limits.unpacked_bytes,
            expanded: expanded.max(Limits::EXPANSION_FLOOR),
        }
    }

    /// Checks `count` decompressed bytes, and `holes` bytes of holes in files.
    fn check(&self, count: u64, holes: u64) -> Result<(), ArchiveError> {
        if count.saturating_add(holes) > self.left {
            Err(over(
                "the decompressed image",
                self.total,
                Bound::UnpackedBytes,
            ))
        } else if count > self.expanded {
            Err(over(
                "the decompressed layer, compared with its compressed size,",
                self.expanded,
                Bound::Expansion,
            ))
        } else {
            Ok(())
        }
    }
}

fn over(what: &str, limit: u64, bound: Bound) -> ArchiveError {
    ArchiveError::Limit {
        what: what.into(),
        limit,
        bound,
    }
}

/// Stops an extraction that runs on another thread.
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

/// The bytes of an archive, complete and checked.
pub(crate) enum LayerBytes {
    File(File),
    /// A small one, which was never written to a file.
    Memory(Vec<u8>),
}

type Decoder = Box<dyn Read + Send>;

/// Decompresses an archive. Its first bytes say how.
///
/// # Errors
/// [`ArchiveError::Compression`]; [`ArchiveError::Read`].
pub(super) fn decoder(archive: LayerBytes) -> Result<Decoder, ArchiveError> {
    match archive {
        LayerBytes::File(file) => decompress(BufReader::with_capacity(BUFFER, file)),
        LayerBytes::Memory(bytes) => decompress(Cursor::new(bytes)),
    }
}

fn decompress(mut archive: impl BufRead + Send + 'static) -> Result<Decoder, ArchiveError> {
    Ok(match Compression::detect(archive.fill_buf()?)? {
        Compression::None => Box::new(archive),
        // Both may have several members or frames. Other bytes after the last are an error.
        Compression::Gzip => Box::new(Gzip::new(archive)),
        Compression::Zstd => Box::new(Zstd::new(archive)?),
    })
}

/// Decompresses zstd within a bound on its memory.
struct Zstd<R: BufRead>(zstd::Decoder<'static, R>);

impl<R: BufRead> Zstd<R> {
    fn new(archive: R) -> io::Result<Self> {
        let mut decoder = zstd::Decoder::with_buffer(archive)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Ok(Self(decoder))
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(|error| {
            if is_too_large_a_window(&error) {
                let what =
                    "the window of its zstd compression (see `--long` and `--ultra` of zstd)";
                return io::Error::other(over(what, 1 << ZSTD_WINDOW_LOG, Bound::Fixed));
            }
            error
        })
    }
}

/// The library tells it in words alone.
fn is_too_large_a_window(error: &io::Error) -> bool {
    let code = zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge;
    let words = zstd::zstd_safe::get_error_name((code as usize).wrapping_neg());
    error.to_string() == words
}

/// The decompressed layer.
///
/// If a limit is exceeded, reading returns an [`io::Error`] that holds an [`ArchiveError`].
pub(super) struct LayerStream {
    ahead: ReadAhead,
    /// Bytes that were handed out.
    count: u64,
    /// Bytes of holes in the files of the archive.
    holes: u64,
    budget: Budget,
    cancellation: Cancellation,
}

impl LayerStream {
    pub(super) fn new(ahead: ReadAhead, budget: Budget, cancellation: Cancellation) -> Self {
        Self {
            ahead,
            count: 0,
            holes: 0,
            budget,
            cancellation,
        }
    }

    /// Counts `bytes` of holes: they are in the unpacked files, but not in the archive.
    ///
    /// # Errors
    /// [`ArchiveError::Limit`].
    pub(super) fn add_holes(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.holes = self.holes.saturating_add(bytes);
        self.budget.check(self.count, self.holes)
    }

    /// The next buffered bytes, at most `most`, as what another thread may hold.
    pub(super) fn piece(&mut self, most: u64) -> Piece {
        self.ahead.piece(most)
    }

    /// Reads the rest of the layer. Returns the layer's digest and its length in bytes, including the
    /// holes in its files.
    pub(super) fn finish(mut self) -> Result<(Digest, u64), ArchiveError> {
        loop {
            let rest = self.fill_buf()?.len();
            if rest == 0 {
                break;
            }
            self.consume(rest);
        }
        let bytes = self.count.saturating_add(self.holes);
        let digest = self.ahead.digest().cloned();
        // There is one at the end, which was reached.
        let digest = digest.ok_or(ArchiveError::Cancelled)?;
        Ok((digest, bytes))
    }
}

impl Read for LayerStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for LayerStream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ahead.buffered().is_empty() {
            self.cancellation.check().map_err(io::Error::other)?;
            self.count += self.ahead.wait()? as u64;
            let checked = self.budget.check(self.count, self.holes);
            checked.map_err(io::Error::other)?;
        }
        Ok(self.ahead.buffered())
    }

    fn consume(&mut self, count: usize) {
        self.ahead.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_known_by_their_media_types() {
        for media_type in [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.diff.tar.zstd",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ] {
            assert!(is_layer(media_type), "{media_type}");
        }
        for media_type in [
            "application/vnd.oci.image.layer.v1.tar+xz",
            "application/vnd.oci.image.layer.v2.tar",
            "application/vnd.oci.image.config.v1+json",
            "application/octet-stream",
            "",
        ] {
            assert!(!is_layer(media_type), "{media_type}");
        }
    }
}
