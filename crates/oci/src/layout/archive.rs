//! A layout in a tar archive.
//!
//! The archive is walked once, from header to header, to learn where its members are; they are
//! read at their places then. What matters here is that the walk is bounded and stays in step with
//! the archive: content is checked by digest, whatever name led to it. So headers are read by the
//! reader that layers are read by ([`crate::archive`]), extension headers are bounded, kinds of members
//! that we don't know are an error, and a member of a layout may be there only once. Members of other
//! names are passed over.

use std::collections::HashMap;
use std::fs::File;

use super::{Content, Part};
use crate::archive::{self, Header, HeaderError, PaxRecords, display, long_name};
use crate::error::LayoutError;

const BLOCK: u64 = archive::BLOCK as u64;
/// An image has one member per blob, each with an extension header at most.
const HEADERS: usize = 100_000;
/// Extension headers hold a name, a size and times.
const EXTENSION_BYTES: u64 = 64 << 10;
/// Longer names are none of a layout's.
const NAME_BYTES: usize = 256;

#[derive(Debug)]
pub(super) struct ArchivedLayout {
    file: File,
    members: HashMap<String, Member>,
}

/// Where a member is, or what it is instead of a file.
#[derive(Debug, Clone, Copy)]
enum Member {
    File { offset: u64, size: u64 },
    Other(&'static str),
}

impl ArchivedLayout {
    /// Walks the archive in `file`, of `length` bytes.
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
    if !known || name.ends_with(b"/") || name.len() > NAME_BYTES {
        return None;
    }
    String::from_utf8(name.to_vec()).ok()
}

struct Walk {
    file: File,
    length: u64,
    /// Where the next header is, or the content of the last one.
    offset: u64,
    /// How many there were.
    headers: usize,
}

impl Walk {
    /// The next member; nothing at the end, which is two blocks of zeros: without them, who knows
    /// what else was there.
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
                // Of links only the kind counts, not where they lead.
                b'K' => drop(self.extension(stated)?),
                b'x' => {
                    let body = self.extension(stated)?;
                    extensions.pax = Some(PaxRecords::parse(&body).map_err(damaged)?);
                }
                b'g' => {
                    // As for layers: Go's reader forgets what stood before it, the standard doesn't.
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

    /// The member with this header, which begins at `offset`.
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
        // A header whose other fields are malformed is none to others.
        header.mode().map_err(damaged)?;
        if pax.mtime.is_none() {
            header.mtime().map_err(damaged)?;
        }
        let name = extensions.long_name.or(pax.path);
        let name = name.unwrap_or_else(|| header.name());
        let member = match flag {
            // So V7 says that it is a directory.
            0 if name.ends_with(b"/") => Member::Other("a directory"),
            b'0' | 0 if pax.sparse.is_none() => self.pass(pax.size.unwrap_or(stated))?,
            // No content follows these headers, whatever size they state.
            b'1' => Member::Other("a hard link"),
            b'2' => Member::Other("a symbolic link"),
            b'3' | b'4' | b'6' => Member::Other("a device"),
            b'5' => Member::Other("a directory"),
            // Sparse files, and whatever else a reader may take in its own way.
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

    /// Reads the header at our place, and steps past it. `None` at two blocks of zeros.
    fn header(&mut self) -> Result<Option<Header>, LayoutError> {
        let offset = self.offset;
        let block = self.read(offset, BLOCK)?;
        let Ok(block) = <[u8; archive::BLOCK]>::try_from(block.as_slice()) else {
            return Err(self.cut_short(offset.saturating_add(BLOCK), &block));
        };
        if is_zero(&block) {
            // After one such block alone some readers go on and others don't.
            return match is_zero(&self.read(offset.saturating_add(BLOCK), BLOCK)?) {
                true => Ok(None),
                false => Err(LayoutError::Header {
                    offset,
                    source: HeaderError::Header {
                        field: "end",
                        expected: "two blocks of zeros",
                        found: "one".into(),
                    },
                }),
            };
        }
        let header = Header::parse(block).map_err(|source| match offset {
            0 => by_first_bytes(&block),
            offset => LayoutError::Header { offset, source },
        })?;
        self.headers += 1;
        if self.headers > HEADERS {
            return Err(LayoutError::Headers { limit: HEADERS });
        }
        self.offset += BLOCK;
        Ok(Some(header))
    }

    /// An archive too short for one header is none.
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

    /// Goes to the header behind a content of `size` bytes at our place.
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

/// What extension headers say about the member that follows them.
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

/// What a file is that does not begin as an archive does.
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
