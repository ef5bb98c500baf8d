//! Entries of tar archives. They are written here because the `tar` crate refuses the names and
//! sizes that tests need most.

/// Block length of a tar archive, in bytes.
pub(super) const BLOCK: usize = 512;
/// Length of a header's name and link name fields, in bytes.
const NAME_FIELD: usize = 100;

/// The type flag of a tar entry (POSIX.1-2017, `pax`, "ustar Interchange Format").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// `0`
    File,
    /// `1`
    Hardlink,
    /// `2`
    Symlink,
    /// `3`
    CharacterDevice,
    /// `4`
    BlockDevice,
    /// `5`
    Directory,
    /// `6`
    Fifo,
    /// `x`: records about the next entry.
    Pax,
    /// `g`: records about all entries that follow.
    PaxGlobal,
    /// `L`: GNU's long name of the next entry.
    GnuLongName,
    /// `K`: GNU's long link name of the next entry.
    GnuLongLink,
    /// `S`: GNU's sparse file.
    GnuSparse,
    /// Any other.
    Other(u8),
}

impl EntryKind {
    fn flag(self) -> u8 {
        match self {
            Self::File => b'0',
            Self::Hardlink => b'1',
            Self::Symlink => b'2',
            Self::CharacterDevice => b'3',
            Self::BlockDevice => b'4',
            Self::Directory => b'5',
            Self::Fifo => b'6',
            Self::Pax => b'x',
            Self::PaxGlobal => b'g',
            Self::GnuLongName => b'L',
            Self::GnuLongLink => b'K',
            Self::GnuSparse => b'S',
            Self::Other(flag) => flag,
        }
    }
}

/// One entry of an archive. Values that aren't set are ordinary: mode 644, owner 0, time 0, the
/// content's size, a correct checksum.
///
/// A name or link name over 100 bytes is written as a PAX record, and cut in the header.
#[derive(Debug, Clone)]
pub struct Entry {
    kind: EntryKind,
    name: Vec<u8>,
    link: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
    device: (u32, u32),
    modified: u64,
    content: Vec<u8>,
    size: Option<u64>,
    pax: Vec<(String, Vec<u8>)>,
    patches: Vec<(usize, Vec<u8>)>,
    bad_checksum: bool,
}

impl Entry {
    /// An entry without content.
    pub fn new(kind: EntryKind, name: impl AsRef<[u8]>) -> Self {
        Self {
            kind,
            name: name.as_ref().to_vec(),
            link: Vec::new(),
            mode: 0o644,
            owner: (0, 0),
            device: (0, 0),
            modified: 0,
            content: Vec::new(),
            size: None,
            pax: Vec::new(),
            patches: Vec::new(),
            bad_checksum: false,
        }
    }

    /// A regular file.
    pub fn file(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self::new(EntryKind::File, name).content(content)
    }

    /// Bytes after the header, padded to a block.
    #[must_use]
    pub fn content(mut self, content: impl AsRef<[u8]>) -> Self {
        self.content = content.as_ref().to_vec();
        self
    }

    /// The link name.
    #[must_use]
    pub fn link(mut self, target: impl AsRef<[u8]>) -> Self {
        self.link = target.as_ref().to_vec();
        self
    }

    /// The permission bits, including setuid, setgid and sticky.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// User and group.
    #[must_use]
    pub fn owner(mut self, user: u32, group: u32) -> Self {
        self.owner = (user, group);
        self
    }

    /// Major and minor number of a device.
    #[must_use]
    pub fn device(mut self, major: u32, minor: u32) -> Self {
        self.device = (major, minor);
        self
    }

    /// Time of modification, in seconds since 1970.
    #[must_use]
    pub fn modified(mut self, seconds: u64) -> Self {
        self.modified = seconds;
        self
    }

    /// A size for the header, in bytes, instead of the content's. From 8 GiB it is written in GNU's
    /// base-256 form.
    #[must_use]
    pub fn size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// A record of a PAX header before this entry: `path`, `size`, `SCHILY.xattr.user.x`, …
    #[must_use]
    pub fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.push((key.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Puts these bytes into the header at this offset: numbers in base 256, or another magic, for
    /// example. The checksum is still correct.
    #[must_use]
    pub fn patch(mut self, at: usize, bytes: impl AsRef<[u8]>) -> Self {
        self.patches.push((at, bytes.as_ref().to_vec()));
        self
    }

    /// Makes the header's checksum wrong by one.
    #[must_use]
    pub fn bad_checksum(mut self) -> Self {
        self.bad_checksum = true;
        self
    }

    /// Appends the entry, with its PAX header before it if it needs one.
    pub(super) fn write_to(mut self, tar: &mut Vec<u8>) {
        let mut records = std::mem::take(&mut self.pax);
        let (path, linkpath) = {
            let named = |key: &str| records.iter().any(|(k, _)| k == key);
            (named("path"), named("linkpath"))
        };
        if self.name.len() > NAME_FIELD && !path {
            records.push(("path".into(), self.name.clone()));
        }
        if self.link.len() > NAME_FIELD && !linkpath {
            records.push(("linkpath".into(), self.link.clone()));
        }
        if !records.is_empty() {
            let content: Vec<u8> = records
                .iter()
                .flat_map(|(key, value)| pax_record(key, value))
                .collect();
            Self::new(EntryKind::Pax, "pax")
                .content(content)
                .write_to(tar);
        }
        tar.extend_from_slice(&self.header());
        tar.extend_from_slice(&self.content);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }

    fn header(&self) -> Vec<u8> {
        let size = self.size.unwrap_or(self.content.len() as u64);
        let mut header = Vec::with_capacity(BLOCK);
        text(&mut header, &self.name, NAME_FIELD);
        octal(&mut header, self.mode.into(), 8);
        octal(&mut header, self.owner.0.into(), 8);
        octal(&mut header, self.owner.1.into(), 8);
        if size < 1 << 33 {
            octal(&mut header, size, 12);
        } else {
            header.extend_from_slice(&[0x80, 0, 0, 0]);
            header.extend_from_slice(&size.to_be_bytes());
        }
        octal(&mut header, self.modified, 12);
        let checksum_at = header.len();
        header.extend_from_slice(b"        ");
        header.push(self.kind.flag());
        text(&mut header, &self.link, NAME_FIELD);
        header.extend_from_slice(b"ustar\x0000");
        text(&mut header, b"", 32 + 32);
        octal(&mut header, self.device.0.into(), 8);
        octal(&mut header, self.device.1.into(), 8);
        header.resize(BLOCK, 0);
        for (at, bytes) in &self.patches {
            let places = header.iter_mut().skip(*at);
            places.zip(bytes).for_each(|(place, byte)| *place = *byte);
        }
        let mut sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        if self.bad_checksum {
            sum += 1;
        }
        let digits = format!("{sum:06o}\0 ");
        header.splice(checksum_at..checksum_at + digits.len(), digits.bytes());
        header
    }
}

/// A field of bytes, cut, or filled with zeros.
fn text(header: &mut Vec<u8>, value: &[u8], width: usize) {
    let end = header.len() + width;
    header.extend(value.iter().take(width));
    header.resize(end, 0);
}

/// A field of octal digits with a zero byte at the end. Of a number that is too large, only the
/// lowest digits are written.
fn octal(header: &mut Vec<u8>, value: u64, width: usize) {
    let digits = format!("{value:0width$o}", width = width - 1);
    let kept = digits.len().saturating_sub(width - 1);
    header.extend(digits.bytes().skip(kept));
    header.push(0);
}

/// `<length> <key>=<value>\n`. The length includes its own digits.
fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}
