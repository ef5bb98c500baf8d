//! A layout in a tar archive.
//!
//! The archive is walked once, from header to header, to learn where its members are; they are
//! read at their places then. What matters here is that the walk is bounded and stays in step with
//! the archive: content is checked by digest, whatever name led to it. So headers must have a right
//! checksum, extension headers are bounded and those that we don't know are an error, and a member
//! of a layout may be there only once. Members of other names are passed over.

use std::collections::HashMap;
use std::fs::File;

use tar::{EntryType, Header, PaxExtensions};

use super::{Content, Part};
use crate::error::LayoutError;

const BLOCK: u64 = 512;
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
    /// The next member; nothing at the end, which is a block of zeros: without it, who knows what else
    /// was there.
    fn next_member(&mut self) -> Result<Option<(Vec<u8>, Member)>, LayoutError> {
        let (mut name, mut size) = (None, None);
        loop {
            let offset = self.offset;
            let damaged = |expected| LayoutError::Header { expected, offset };
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let stated = header
                .entry_size()
                .map_err(|_| damaged("a size, in octal digits"))?;
            match header.entry_type() {
                EntryType::GNULongName => {
                    let mut body = self.extension(stated)?;
                    while body.last() == Some(&0) {
                        body.pop();
                    }
                    name = Some(body);
                }
                EntryType::XHeader => {
                    let body = self.extension(stated)?;
                    for record in PaxExtensions::new(&body) {
                        let malformed = || damaged("PAX records");
                        let record = record.map_err(|_| malformed())?;
                        match record.key_bytes() {
                            b"path" => name = Some(record.value_bytes().to_vec()),
                            b"size" => {
                                let digits = record.value().ok().and_then(|v| v.parse().ok());
                                size = Some(digits.ok_or_else(malformed)?);
                            }
                            _ => {}
                        }
                    }
                }
                EntryType::GNULongLink | EntryType::XGlobalHeader => {
                    self.extension(stated)?;
                }
                kind => {
                    let content = self.pass(size.unwrap_or(stated))?;
                    let name = name.unwrap_or_else(|| header.path_bytes().into_owned());
                    let member = match kind {
                        EntryType::Regular | EntryType::Continuous => content,
                        EntryType::Symlink => Member::Other("a symbolic link"),
                        EntryType::Link => Member::Other("a hard link"),
                        EntryType::Directory => Member::Other("a directory"),
                        EntryType::Char | EntryType::Block | EntryType::Fifo => {
                            Member::Other("a device")
                        }
                        // Sparse files, and whatever else a reader may take in its own way.
                        _ => return Err(damaged("a kind of member that all readers know")),
                    };
                    return Ok(Some((name, member)));
                }
            }
        }
    }

    /// The header at our place, which is behind it then.
    fn header(&mut self) -> Result<Option<Header>, LayoutError> {
        let mut header = Header::new_old();
        let block = self.read(self.offset, BLOCK)?;
        if block.len() < header.as_bytes().len() {
            return Err(self.cut_short(self.offset.saturating_add(BLOCK), &block));
        }
        header.as_mut_bytes().copy_from_slice(&block);
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if !sums_up(&header) {
            return Err(match self.offset {
                0 => by_first_bytes(&block),
                offset => LayoutError::Header {
                    expected: "its checksum",
                    offset,
                },
            });
        }
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
                expected: "an extension of 64 KiB at most",
                offset: at.saturating_sub(BLOCK),
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

/// Whether the checksum, which counts its own field as spaces, is right.
fn sums_up(header: &Header) -> bool {
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    let own = &header.as_old().cksum;
    let expected = sum(header.as_bytes()) - sum(own) + 8 * u32::from(b' ');
    header.cksum().is_ok_and(|found| found == expected)
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
