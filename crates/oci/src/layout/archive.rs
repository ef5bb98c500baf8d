//! A layout in a tar archive.
//!
//! The archive is read once, from header to header, to find its members. After that, each member is
//! read at its offset. This must be limited in size, and must find the same members as other tools;
//! the content is checked by digest, whatever its name. So the headers are read by the same code as
//! for layers ([`crate::archive`]), extension headers are limited, unknown kinds of members are an
//! error, and each file of the layout may be there only once. Members with other names are skipped.

use std::collections::HashMap;
use std::fs::File;

use super::{Content, Part};
use crate::archive::{self, Header, HeaderError, PaxRecords, display, long_name};
use crate::error::LayoutError;

const BLOCK: u64 = archive::BLOCK as u64;
/// The most headers in an archive. An image has one member per blob, each with at most one
/// extension header.
const HEADERS_MAX: usize = 100_000;
/// The largest extension header, in bytes. It holds a name, a size and times.
const EXTENSION_BYTES: u64 = 64 << 10;
/// The longest name, in bytes. Files of a layout have shorter ones.
const NAME_BYTES_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct ArchivedLayout {
    file: File,
    members: HashMap<String, Member>,
}

/// A file's place, or what the member is if it isn't a file.
#[derive(Debug, Clone, Copy)]
enum Member {
    File { offset: u64, size: u64 },
    Other(&'static str),
}

impl ArchivedLayout {
    /// Reads the headers of the archive in `file`, of `length` bytes.
    pub(super) fn index(file: File, length: u64) -> Result<Self, LayoutError> {
        let mut walk = Walk {
            file,
            length,
            offset: 0,
            headers: 0,
        };
        let mut members = HashMap::new();
        while let Some((name, member)) = walk.next_member()? {
            let Some(name) = layout_name(&name) else {
                continue;
            };
            if members.contains_key(&name) {
                return Err(LayoutError::Twice { part: name });
            }
            members.insert(name, member);
        }
        Ok(Self {
            file: walk.file,
            members,
        })
    }

    pub(super) fn content(&self, part: Part<'_>) -> Result<Option<Content>, LayoutError> {
        let name = part.name();
        match self.members.get(&name) {
            None => Ok(None),
            Some(Member::Other(found)) => Err(LayoutError::NoFile {
                part: name,
                expected: "a regular file",
                found,
            }),
            Some(&Member::File { offset, size }) => {
                let file = self.file.try_clone();
                let file = file.map_err(|source| LayoutError::io(name, source))?;
                Ok(Some(Content { file, offset, size }))
            }
        }
    }
}

/// The name of a layout's file, without the `./` that `tar -C layout .` puts before it.
fn layout_name(name: &[u8]) -> Option<String> {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let known = name.starts_with(b"blobs/")
        || [Part::Marker, Part::Index, Part::DockerManifest]
            .iter()
            .any(|part| part.name().as_bytes() == name);
    if !known || name.ends_with(b"/") || name.len() > NAME_BYTES_MAX {
        return None;
    }
    String::from_utf8(name.to_vec()).ok()
}

struct Walk {
    file: File,
    length: u64,
    /// The offset of the next header, or of the last header's content.
    offset: u64,
    /// How many headers were read.
    headers: usize,
}

impl Walk {
    /// The next member; `None` at the end, which is two blocks of zeros. Without them the archive
    /// may have been cut short.
    fn next_member(&mut self) -> Result<Option<(Vec<u8>, Member)>, LayoutError> {
        let mut extensions = Extensions::default();
        loop {
            let offset = self.offset;
            let damaged = |source| LayoutError::Header { offset, source };
            let Some(header) = self.header()? else {
                return if extensions.is_empty() {
                    Ok(None)
                } else {
                    Err(damaged(entry_expected("the end of the archive")))
                };
            };
            let stated = header.size().map_err(damaged)?;
            match header.flag() {
                b'L' => extensions.long_name = long_name(&self.extension(stated)?),
                // The target of a link isn't used, only that it is a link.
                b'K' => drop(self.extension(stated)?),
                b'x' => {
                    let body = self.extension(stated)?;
                    extensions.pax = Some(PaxRecords::parse(&body).map_err(damaged)?);
                }
                b'g' => {
                    // As for layers: Go's reader drops extension headers before this one, the
                    // standard keeps them.
                    if !extensions.is_empty() {
                        return Err(damaged(entry_expected("a global PAX header")));
                    }
                    let body = self.extension(stated)?;
                    let records = PaxRecords::parse(&body).map_err(damaged)?;
                    if records.describe_entries() {
                        return Err(damaged(HeaderError::Extension {
                            expected: "no name and no size in a global PAX header",
                            found: display(&body),
                        }));
                    }
                }
                flag => {
                    return self
                        .member(&header, flag, stated, extensions, offset)
                        .map(Some);
                }
            }
        }
    }

    /// The member with this header. The header is at `offset`.
    fn member(
        &mut self,
        header: &Header,
        flag: u8,
        stated: u64,
        extensions: Extensions,
        offset: u64,
    ) -> Result<(Vec<u8>, Member), LayoutError> {
        let damaged = |source| LayoutError::Header { offset, source };
        let pax = extensions.pax.unwrap_or_default();
        // Other readers refuse a header if one of these fields is malformed.
        header.mode().map_err(damaged)?;
        if pax.mtime.is_none() {
            header.mtime().map_err(damaged)?;
        }
        let name = extensions.long_name.or(pax.path);
        let name = name.unwrap_or_else(|| header.name());
        let member = match flag {
            // The V7 format marks a directory like this.
            0 if name.ends_with(b"/") => Member::Other("a directory"),
            b'0' | 0 if pax.sparse.is_none() => self.pass(pax.size.unwrap_or(stated))?,
            // No content follows these headers, even if they have a size.
            b'1' => Member::Other("a hard link"),
            b'2' => Member::Other("a symbolic link"),
            b'3' | b'4' | b'6' => Member::Other("a device"),
            b'5' => Member::Other("a directory"),
            // Sparse files, and all kinds that readers treat in different ways.
            other => {
                return Err(damaged(HeaderError::Header {
                    field: "type",
                    expected: "a kind of member that all readers know",
                    found: display(&[other]),
                }));
            }
        };
        Ok((name, member))
    }

    /// Reads the header at `offset` and steps past it. `None` at two blocks of zeros.
    fn header(&mut self) -> Result<Option<Header>, LayoutError> {
        let offset = self.offset;
        let block = self.read(offset, BLOCK)?;
        let Ok(block) = <[u8; archive::BLOCK]>::try_from(block.as_slice()) else {
            return Err(self.cut_short(offset.saturating_add(BLOCK), &block));
        };
        if is_zero(&block) {
            // After a single block of zeros, some readers continue and some stop.
            return if is_zero(&self.read(offset.saturating_add(BLOCK), BLOCK)?) {
                Ok(None)
            } else {
                Err(LayoutError::Header {
                    offset,
                    source: HeaderError::Header {
                        field: "end",
                        expected: "two blocks of zeros",
                        found: "one".into(),
                    },
                })
            };
        }
        let header = Header::parse(block).map_err(|source| match offset {
            0 => by_first_bytes(&block),
            offset => LayoutError::Header { offset, source },
        })?;
        self.headers += 1;
        if self.headers > HEADERS_MAX {
            return Err(LayoutError::Headers { limit: HEADERS_MAX });
        }
        self.offset += BLOCK;
        Ok(Some(header))
    }

    /// The error for a file that ends too early. A file without room for one header is not an
    /// archive.
    fn cut_short(&self, expected: u64, found: &[u8]) -> LayoutError {
        if self.offset == 0 {
            return by_first_bytes(found);
        }
        LayoutError::Truncated {
            expected,
            found: self.length,
        }
    }

    /// The body of an extension header.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>, LayoutError> {
        let at = self.offset;
        if size > EXTENSION_BYTES {
            return Err(LayoutError::Header {
                offset: at.saturating_sub(BLOCK),
                source: HeaderError::Extension {
                    expected: "64 KiB at most",
                    found: format!("{size} bytes"),
                },
            });
        }
        self.pass(size)?;
        self.read(at, size)
    }

    /// Moves past content of `size` bytes, to the next header.
    fn pass(&mut self, size: u64) -> Result<Member, LayoutError> {
        let offset = self.offset;
        let end = offset.checked_add(size).filter(|end| *end <= self.length);
        let Some(end) = end else {
            return Err(LayoutError::Truncated {
                expected: offset.saturating_add(size),
                found: self.length,
            });
        };
        self.offset = end.next_multiple_of(BLOCK);
        Ok(Member::File { offset, size })
    }

    fn read(&self, offset: u64, size: u64) -> Result<Vec<u8>, LayoutError> {
        let io = |source| LayoutError::io(".", source);
        let file = self.file.try_clone().map_err(io)?;
        let content = Content { file, offset, size };
        content.bytes(size).map_err(io)
    }
}

/// The values in extension headers for the next member.
#[derive(Default)]
struct Extensions {
    long_name: Option<Vec<u8>>,
    pax: Option<PaxRecords>,
}

impl Extensions {
    fn is_empty(&self) -> bool {
        self.long_name.is_none() && self.pax.is_none()
    }
}

fn entry_expected(found: &str) -> HeaderError {
    HeaderError::Extension {
        expected: "an entry after an extension header",
        found: found.into(),
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// What a file is, by its first bytes, if it isn't an archive.
fn by_first_bytes(bytes: &[u8]) -> LayoutError {
    let compressed = |by| LayoutError::Compressed { by };
    let other = |found| LayoutError::NoArchive { found };
    match bytes {
        [] => other("an empty file"),
        [0x1f, 0x8b, ..] => compressed("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => compressed("zstd"),
        [b'B', b'Z', b'h', ..] => compressed("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => compressed("xz"),
        _ => other("something else"),
    }
}
