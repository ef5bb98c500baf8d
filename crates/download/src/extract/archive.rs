//! Reads tar archives: ustar, with the GNU and PAX extensions that builders of images use.
//!
//! The `tar` crate parses headers; walking from one to the next is done here, because its own
//! iterator reads extension headers of any size into memory, takes the first of two PAX keys,
//! splits PAX records at newlines and stops at the first block of zeros whatever follows. Two
//! readers that disagree about such an archive see different files in it (RUSTSEC-2025-0111,
//! RUSTSEC-2026-0112), so here it is refused.

use std::io::{self, BufRead, Read, Write};

use tar::Header;

use super::error::{ArchiveError, display_name};
use super::name::EntryName;
use super::pax::PaxRecords;
use crate::limits::Limits;

const BLOCK: u64 = 512;
/// Extended attributes may have 64 KiB each; a header with more than a few of them is no image's.
const PAX_BYTES: u64 = 1 << 20;
/// The largest size that a header's eleven octal digits can state.
const OCTAL_SIZE_MAX: u64 = 0o777_7777_7777;

/// One entry, its extension headers applied.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: EntryName,
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
    /// Seconds since the epoch, and nanoseconds of that second; nothing where nothing is said.
    pub(super) mtime: Option<(i64, u32)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File {
        size: u64,
    },
    Directory,
    /// The target as written: never followed out of the image, but kept.
    Symlink {
        target: Vec<u8>,
    },
    Hardlink {
        target: EntryName,
    },
    /// Character and block devices, and fifos.
    Special,
}

/// How an archive may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With blocks of zeros, as POSIX has it (pax, "ustar Interchange Format"): without them there
    /// is no telling whether that was all.
    Marked,
    /// Also without: the digest of its bytes tells that they are all there.
    Anywhere,
}

/// An archive, read once from front to back.
pub(super) struct Archive<'a, R> {
    stream: R,
    end: End,
    limits: &'a Limits,
    /// Content of the current entry that nobody has read yet.
    content: u64,
    /// Bytes between the current entry's content and the next header.
    padding: u64,
}

impl<'a, R: BufRead> Archive<'a, R> {
    pub(super) fn new(stream: R, end: End, limits: &'a Limits) -> Self {
        Self {
            stream,
            end,
            limits,
            content: 0,
            padding: 0,
        }
    }

    /// The stream, behind whatever was read.
    pub(super) fn into_inner(self) -> R {
        self.stream
    }

    /// The next entry; nothing at the archive's end. What is unread of the current one is skipped.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else {
                if !extensions.is_empty() {
                    return Err(ArchiveError::Truncated {
                        what: "the entry after an extension header",
                        expected: BLOCK,
                    });
                }
                return Ok(None);
            };
            let size = header_size(&header)?;
            let flag = type_flag(&header);
            match flag {
                b'L' => {
                    let body = self.extension("a long name", size, self.limits.path_bytes + 1)?;
                    set_once(&mut extensions.long_name, long_name(body)?)?;
                }
                b'K' => {
                    let body = self.extension("a long link", size, self.limits.path_bytes + 1)?;
                    set_once(&mut extensions.long_link, long_name(body)?)?;
                }
                b'x' => {
                    let body = self.extension("a PAX header", size, PAX_BYTES)?;
                    set_once(&mut extensions.pax, PaxRecords::parse(&body)?)?;
                }
                b'g' => {
                    let body = self.extension("a PAX header", size, PAX_BYTES)?;
                    // Global records are remarks in practice. Some readers apply them to every
                    // entry that follows and others don't.
                    if PaxRecords::parse(&body)?.describe_entries() {
                        return Err(ArchiveError::Extension {
                            expected: "no name and no size in a global PAX header",
                            found: display_name(&body),
                        });
                    }
                }
                _ => return self.entry(&header, flag, size, extensions).map(Some),
            }
        }
    }

    /// Copies the current entry's content.
    ///
    /// # Errors
    /// `write` maps what the writer says; everything else is the archive's fault.
    pub(super) fn copy_content(
        &mut self,
        into: &mut impl Write,
        write: impl Fn(io::Error) -> ArchiveError,
    ) -> Result<(), ArchiveError> {
        while self.content > 0 {
            let available = self.stream.fill_buf()?;
            if available.is_empty() {
                return Err(ArchiveError::Truncated {
                    what: "a file",
                    expected: self.content,
                });
            }
            let wanted = usize::try_from(self.content).unwrap_or(usize::MAX);
            let (now, _) = available.split_at(wanted.min(available.len()));
            into.write_all(now).map_err(&write)?;
            let count = now.len();
            self.stream.consume(count);
            self.content -= count as u64;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        header: &Header,
        flag: u8,
        header_size: u64,
        extensions: Extensions,
    ) -> Result<Entry, ArchiveError> {
        let pax = extensions.pax.unwrap_or_default();
        let raw_name = one_name(extensions.long_name, pax.path, || {
            header.path_bytes().into_owned()
        })?;
        let name = EntryName::parse(&raw_name, self.limits)?;
        let raw_link = one_name(extensions.long_link, pax.linkpath, || {
            header.link_name_bytes().unwrap_or_default().into_owned()
        })?;
        let size = one_size(&name, header_size, pax.size)?;
        let kind = match flag {
            b'0' | 0 if raw_name.ends_with(b"/") => {
                let name = display_name(&raw_name);
                return Err(ArchiveError::Name { name, kind: "file" });
            }
            b'0' | 0 => Kind::File { size },
            b'1' => Kind::Hardlink {
                target: EntryName::parse(&raw_link, self.limits)?,
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
        if size > 0 && !matches!(kind, Kind::File { .. }) {
            return Err(ArchiveError::UnexpectedContent {
                name: name.display(),
                found: size,
            });
        }
        self.expect_content(size);
        let in_header = || Some((i64::try_from(header.mtime().ok()?).ok()?, 0));
        Ok(Entry {
            name,
            kind,
            // Empty fields are how some writers say "nothing particular".
            metadata: Metadata {
                mode: header.mode().unwrap_or(0o644) & 0o7777,
                mtime: pax.mtime.or_else(in_header),
            },
            xattrs: pax.xattrs,
        })
    }

    fn symlink_target(&self, name: &EntryName, target: Vec<u8>) -> Result<Vec<u8>, ArchiveError> {
        if target.is_empty() || target.contains(&0) {
            return Err(ArchiveError::Header {
                field: "target of a symbolic link",
                expected: "a path",
                found: display_name(&target),
            });
        }
        if target.len() as u64 > self.limits.path_bytes {
            return Err(ArchiveError::Limit {
                what: format!("the target of the link `{}`", name.display()),
                limit: self.limits.path_bytes,
                unit: "bytes",
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
                unit: "bytes",
            });
        }
        self.expect_content(size);
        let mut body = Vec::new();
        self.copy_content(&mut body, ArchiveError::Read)?;
        Ok(body)
    }

    fn skip_rest(&mut self) -> Result<(), ArchiveError> {
        let rest = std::mem::take(&mut self.content) + std::mem::take(&mut self.padding);
        let skipped = io::copy(&mut self.stream.by_ref().take(rest), &mut io::sink())?;
        if skipped < rest {
            return Err(ArchiveError::Truncated {
                what: "an entry",
                expected: rest - skipped,
            });
        }
        Ok(())
    }

    /// The next header; nothing at the end, be it a block of zeros or, where that may be, the end
    /// of the stream.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let mut header = Header::new_old();
        let mut block = Vec::with_capacity(512);
        self.stream.by_ref().take(BLOCK).read_to_end(&mut block)?;
        if block.is_empty() {
            return match self.end {
                End::Anywhere => Ok(None),
                End::Marked => Err(ArchiveError::Truncated {
                    what: "zeros at its end",
                    expected: 2 * BLOCK,
                }),
            };
        }
        if block.len() < header.as_bytes().len() {
            return Err(ArchiveError::Truncated {
                what: "a header",
                expected: BLOCK - block.len() as u64,
            });
        }
        header.as_mut_bytes().copy_from_slice(&block);
        if is_zero(&block) {
            self.only_zeros_follow()?;
            return Ok(None);
        }
        check_sum(&header)?;
        Ok(Some(header))
    }

    /// Writers end an archive with two blocks of zeros and fill up with more. Anything else there
    /// is an archive behind the archive.
    fn only_zeros_follow(&mut self) -> Result<(), ArchiveError> {
        loop {
            let rest = self.stream.fill_buf()?;
            if rest.is_empty() {
                return Ok(());
            }
            if !is_zero(rest) {
                return Err(ArchiveError::TrailingData);
            }
            let count = rest.len();
            self.stream.consume(count);
        }
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

fn set_once<T>(slot: &mut Option<T>, value: T) -> Result<(), ArchiveError> {
    if slot.replace(value).is_some() {
        return Err(ArchiveError::Extension {
            expected: "one extension header of a kind for an entry",
            found: "two".into(),
        });
    }
    Ok(())
}

/// GNU long names end with a NUL, which the size counts.
fn long_name(mut body: Vec<u8>) -> Result<Vec<u8>, ArchiveError> {
    if body.last() == Some(&0) {
        body.pop();
    }
    if body.is_empty() || body.contains(&0) {
        return Err(ArchiveError::Extension {
            expected: "a name",
            found: display_name(&body),
        });
    }
    Ok(body)
}

/// A name by whichever header has it; by both extensions is one too many.
fn one_name(
    gnu: Option<Vec<u8>>,
    pax: Option<Vec<u8>>,
    header: impl FnOnce() -> Vec<u8>,
) -> Result<Vec<u8>, ArchiveError> {
    match (gnu, pax) {
        (Some(gnu), Some(_)) => Err(ArchiveError::Extension {
            expected: "a long name by GNU's or by the PAX extension",
            found: format!("both, for {}", display_name(&gnu)),
        }),
        (Some(name), None) | (None, Some(name)) => Ok(name),
        (None, None) => Ok(header()),
    }
}

/// A PAX size overrides the header's, and is there because the header can't state it: a writer
/// has no other reason for one that differs.
fn one_size(name: &EntryName, header: u64, pax: Option<u64>) -> Result<u64, ArchiveError> {
    match pax {
        Some(pax) if pax != header && pax <= OCTAL_SIZE_MAX => Err(ArchiveError::Sizes {
            name: name.display(),
            header,
            pax,
        }),
        Some(pax) => Ok(pax),
        None => Ok(header),
    }
}

fn type_flag(header: &Header) -> u8 {
    let [flag] = header.as_old().linkflag;
    flag
}

fn header_size(header: &Header) -> Result<u64, ArchiveError> {
    let field = &header.as_old().size;
    let malformed = || ArchiveError::Header {
        field: "size",
        expected: "octal digits, or a number of eight bytes",
        found: display_name(field),
    };
    // In base 256 the field has eleven bytes after its mark, of which the `tar` crate reads the
    // last eight.
    let [mark, high @ .., _, _, _, _, _, _, _, _] = field;
    if mark & 0x80 != 0 && (*mark != 0x80 || !is_zero(high)) {
        return Err(malformed());
    }
    if is_zero(field) {
        return Ok(0);
    }
    let size = header.entry_size().map_err(|_| malformed())?;
    // So that rounding up to blocks can't overflow.
    if size > i64::MAX as u64 {
        return Err(malformed());
    }
    Ok(size)
}

/// The checksum counts its own field as spaces.
fn check_sum(header: &Header) -> Result<(), ArchiveError> {
    let own = header.as_old().cksum;
    let total: u32 = header.as_bytes().iter().map(|&byte| u32::from(byte)).sum();
    let field: u32 = own.iter().map(|&byte| u32::from(byte)).sum();
    let expected = total - field + 8 * u32::from(b' ');
    let found = header.cksum().map_err(|_| ArchiveError::Header {
        field: "checksum",
        expected: "octal digits",
        found: display_name(&own),
    })?;
    if found != expected {
        return Err(ArchiveError::Checksum { expected, found });
    }
    Ok(())
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}
