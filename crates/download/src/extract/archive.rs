//! Reads tar archives: V7 and ustar, with the GNU and PAX extensions that builders of images use.
//!
//! Archives are read as umoci, containers/storage and containerd read them. All three use Go's
//! archive/tar:
//! - Of two extension headers of one kind, the last one counts.
//! - A name in a GNU header has priority over a name in a PAX header.
//! - A size in a PAX header has priority over the size in the entry's header.
//! - Two blocks of zeros end the archive. What follows them is not part of it.
//!
//! We refuse what one of the three refuses, and what no writer makes. The bounds are our own.

mod content;
mod holes;

use std::io::{self, BufRead, Read};

use countersign_oci::archive::{self, Header, HeaderError, PaxRecords, long_name};

use super::error::ArchiveError;
use super::name::EntryPath;
use super::sparse::SparseMap;
use crate::limits::{Bound, Limits};

const BLOCK: u64 = archive::BLOCK as u64;
/// The maximum size of a PAX header. An extended attribute may have 64 KiB, and images have only a few.
const PAX_BYTES: u64 = 1 << 20;

/// One entry, with its extension headers applied.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: EntryPath,
    pub(super) kind: Kind,
    pub(super) metadata: Metadata,
    /// Whether the archive has extended attributes for it.
    pub(super) xattrs: bool,
}

/// Permissions and time of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Permission bits, with set-user-id, set-group-id and the sticky bit.
    pub(super) mode: u32,
    /// Seconds since the epoch, and nanoseconds of that second. `None`, if the archive gives no time.
    pub(super) mtime: Option<(i64, u32)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File {
        /// Where the data goes, in a file with holes.
        map: Option<SparseMap>,
    },
    Directory,
    /// The target is kept as written. It is never followed out of the image.
    Symlink {
        target: Vec<u8>,
    },
    Hardlink {
        target: EntryPath,
    },
    /// Character and block devices, and fifos.
    Special,
}

/// How an archive may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Only with blocks of zeros, as POSIX requires (pax, "ustar Interchange Format"). Without them we
    /// don't know whether the archive is complete.
    Marked,
    /// Also without blocks of zeros. A digest shows that the archive is complete.
    Anywhere,
}

/// An archive, read once from front to back.
pub(super) struct TarReader<'a, R> {
    stream: R,
    end: End,
    limits: &'a Limits,
    /// Bytes of the current entry's content that were not read yet.
    content: u64,
    /// Bytes between the current entry's content and the next header.
    padding: u64,
}

impl<'a, R: BufRead> TarReader<'a, R> {
    pub(super) fn new(stream: R, end: End, limits: &'a Limits) -> Self {
        Self {
            stream,
            end,
            limits,
            content: 0,
            padding: 0,
        }
    }

    /// The stream itself.
    pub(super) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The stream, after the bytes that were read.
    pub(super) fn into_inner(self) -> R {
        self.stream
    }

    /// Bytes of a long name, with the zero that ends it.
    fn longest_name(&self) -> u64 {
        self.limits.path_bytes.saturating_add(1)
    }

    /// The next entry, or `None` at the archive's end. The unread rest of the current entry is skipped.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else {
                if self.end == End::Marked && !extensions.is_empty() {
                    return Err(ArchiveError::Truncated {
                        what: "the entry after an extension header",
                        expected: BLOCK,
                    });
                }
                return Ok(None);
            };
            let size = header.size()?;
            match header.flag() {
                b'L' => {
                    let body = self.extension("a long name", size, self.longest_name())?;
                    extensions.long_name = long_name(&body);
                }
                b'K' => {
                    let body = self.extension("a long link", size, self.longest_name())?;
                    extensions.long_link = long_name(&body);
                }
                b'x' => {
                    let body = self.extension("a PAX header", size, PAX_BYTES)?;
                    extensions.pax = Some(PaxRecords::parse(&body)?);
                }
                b'g' => {
                    // Go's reader then ignores the headers before it. The standard doesn't.
                    if !extensions.is_empty() {
                        let found = "a global PAX header".into();
                        return Err(malformed_extension(
                            "an entry after an extension header",
                            found,
                        ));
                    }
                    let body = self.extension("a PAX header", size, PAX_BYTES)?;
                    // In practice global records are only comments. Some readers apply them to all
                    // entries that follow and others don't.
                    if PaxRecords::parse(&body)?.describe_entries() {
                        let expected = "no name and no size in a global PAX header";
                        return Err(malformed_extension(expected, archive::display(&body)));
                    }
                }
                flag => return self.entry(&header, flag, size, extensions).map(Some),
            }
        }
    }

    /// Reads the next `count` bytes of the current entry's content.
    fn read(&mut self, mut count: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut content = Vec::new();
        while count > 0 {
            let available = self.available(count)?;
            content.extend_from_slice(available);
            let read = available.len();
            self.stream.consume(read);
            count -= self.count(read);
        }
        Ok(content)
    }

    /// Bytes of the current entry's content that are there, at most `count`, and at least one.
    fn available(&mut self, count: u64) -> Result<&[u8], ArchiveError> {
        let available = self.stream.fill_buf()?;
        if available.is_empty() {
            return Err(ArchiveError::Truncated {
                what: "a file",
                expected: count,
            });
        }
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(available.split_at(wanted.min(available.len())).0)
    }

    /// Counts bytes of the current entry's content as read.
    fn count(&mut self, read: usize) -> u64 {
        self.content = self.content.saturating_sub(read as u64);
        read as u64
    }

    fn entry(
        &mut self,
        header: &Header,
        flag: u8,
        header_size: u64,
        extensions: Extensions,
    ) -> Result<Entry, ArchiveError> {
        let pax = extensions.pax.unwrap_or_default();
        let size = pax.size.unwrap_or(header_size);
        let sparse_name = pax.sparse.as_ref().and_then(|sparse| sparse.name.clone());
        let raw_name = sparse_name
            .filter(|_| flag != b'S')
            .or(extensions.long_name)
            .or(pax.path)
            .unwrap_or_else(|| header.name());
        let name = EntryPath::parse(&raw_name, self.limits)?;
        let raw_link = extensions
            .long_link
            .or(pax.linkpath)
            .unwrap_or_else(|| header.link());
        let has_holes = flag == b'S' || pax.sparse.is_some();
        let kind = match flag {
            // This is how a V7 archive marks a directory.
            0 if raw_name.ends_with(b"/") => Kind::Directory,
            b'0' | 0 => self.file(&name, size, pax.sparse)?,
            b'S' => self.gnu_sparse(&name, size, header)?,
            b'1' => Kind::Hardlink {
                target: EntryPath::parse_target(&raw_link, self.limits)?,
            },
            b'2' => Kind::Symlink {
                target: self.symlink_target(&name, raw_link)?,
            },
            b'3' | b'4' | b'6' => Kind::Special,
            b'5' => Kind::Directory,
            other => {
                return Err(ArchiveError::EntryType {
                    name: name.display(),
                    found: char::from(other),
                });
            }
        };
        if !matches!(kind, Kind::File { .. }) {
            if has_holes {
                return Err(ArchiveError::Sparse {
                    name: name.display(),
                    expected: "a regular file",
                    found: "another kind of entry".into(),
                });
            }
            // No content follows the header, even if it states a size.
            self.expect_content(0);
        }
        Ok(Entry {
            name,
            kind,
            metadata: Metadata {
                mode: header.mode()?,
                mtime: Some(match pax.mtime {
                    Some(mtime) => mtime,
                    None => (header.mtime()?, 0),
                }),
            },
            xattrs: pax.xattrs,
        })
    }

    fn symlink_target(&self, name: &EntryPath, target: Vec<u8>) -> Result<Vec<u8>, ArchiveError> {
        if target.is_empty() || target.contains(&0) {
            let header = HeaderError::Header {
                field: "target of a symbolic link",
                expected: "a path",
                found: archive::display(&target),
            };
            return Err(header.into());
        }
        if target.len() as u64 > self.limits.path_bytes {
            return Err(ArchiveError::Limit {
                what: format!("the target of the link `{}`", name.display()),
                limit: self.limits.path_bytes,
                bound: Bound::PathBytes,
            });
        }
        Ok(target)
    }

    fn expect_content(&mut self, size: u64) {
        self.content = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
    }

    /// The body of an extension header.
    fn extension(&mut self, what: &str, size: u64, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > limit {
            return Err(ArchiveError::Limit {
                what: what.into(),
                limit,
                bound: Bound::Fixed,
            });
        }
        self.expect_content(size);
        self.read(size)
    }

    /// Skips the rest of the current entry and its padding. The last entry may lack its padding, if the
    /// archive may end anywhere.
    fn skip_rest(&mut self) -> Result<(), ArchiveError> {
        let content = std::mem::take(&mut self.content);
        let padding = std::mem::take(&mut self.padding);
        let missing = content - self.skip(content)?;
        if missing > 0 {
            return Err(ArchiveError::Truncated {
                what: "an entry",
                expected: missing,
            });
        }
        let missing = padding - self.skip(padding)?;
        if missing > 0 && self.end == End::Marked {
            return Err(ArchiveError::Truncated {
                what: "an entry's padding",
                expected: missing,
            });
        }
        Ok(())
    }

    /// Skips up to `count` bytes. Returns how many there were.
    fn skip(&mut self, count: u64) -> Result<u64, ArchiveError> {
        Ok(io::copy(
            &mut self.stream.by_ref().take(count),
            &mut io::sink(),
        )?)
    }

    /// The next block. It is shorter at the end of the stream.
    fn block(&mut self) -> Result<Vec<u8>, ArchiveError> {
        let mut block = Vec::with_capacity(archive::BLOCK);
        self.stream.by_ref().take(BLOCK).read_to_end(&mut block)?;
        Ok(block)
    }

    /// The next header. `None` at the end of the archive: two blocks of zeros or, if the archive may
    /// end anywhere, the end of the stream.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let block = self.block()?;
        if block.is_empty() {
            return match self.end {
                End::Anywhere => Ok(None),
                End::Marked => Err(ArchiveError::Truncated {
                    what: "zeros at its end",
                    expected: 2 * BLOCK,
                }),
            };
        }
        let missing = BLOCK.saturating_sub(block.len() as u64);
        let block: [u8; archive::BLOCK] =
            block.try_into().map_err(|_| ArchiveError::Truncated {
                what: "a header",
                expected: missing,
            })?;
        if is_zero(&block) {
            // All readers ignore what follows two blocks of zeros. After a single one some readers
            // go on and others don't.
            let next = self.block()?;
            let missing = BLOCK.saturating_sub(next.len() as u64);
            return match is_zero(&next) {
                // Go's reader takes a single block at the very end for two, but not a part of the second.
                true if next.is_empty() || missing == 0 => Ok(None),
                true => Err(ArchiveError::Truncated {
                    what: "zeros at its end",
                    expected: missing,
                }),
                false => Err(ArchiveError::TrailingData),
            };
        }
        Ok(Some(Header::parse(block)?))
    }
}

/// What extension headers say about the entry that follows them.
#[derive(Default)]
struct Extensions {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<PaxRecords>,
}

impl Extensions {
    fn is_empty(&self) -> bool {
        self.long_name.is_none() && self.long_link.is_none() && self.pax.is_none()
    }
}

fn malformed_extension(expected: &'static str, found: String) -> ArchiveError {
    HeaderError::Extension { expected, found }.into()
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}
