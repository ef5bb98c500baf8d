//! Headers of tar archives: V7, ustar with PAX, star and GNU.
//!
//! Fields are read like in Go's archive/tar, because umoci, containers/storage and containerd use
//! it. All of them read a header in the same way.

use super::error::{HeaderError, display};
use super::pax::Segment;

/// The size of a header, and of each block of an archive, in bytes.
pub const BLOCK: usize = 512;

const NAME: Field = Field::new("name", 0, 100);
const MODE: Field = Field::new("mode", 100, 8);
const OWNER: [Field; 2] = [Field::new("user", 108, 8), Field::new("group", 116, 8)];
const SIZE: Field = Field::new("size", 124, 12);
const MTIME: Field = Field::new("time", 136, 12);
const CHECKSUM: Field = Field::new("checksum", 148, 8);
const FLAG: usize = 156;
const LINK: Field = Field::new("link", 157, 100);
const MAGIC: Field = Field::new("magic", 257, 6);
const VERSION: Field = Field::new("version", 263, 2);
/// Not in V7.
const DEVICE: [Field; 2] = [
    Field::new("major device number", 329, 8),
    Field::new("minor device number", 337, 8),
];
const PREFIX: Field = Field::new("prefix", 345, 155);
const STAR_PREFIX: Field = Field::new("prefix", 345, 131);
const STAR_TIMES: [Field; 2] = [
    Field::new("time of access", 476, 12),
    Field::new("time of change", 488, 12),
];
const STAR_TRAILER: Field = Field::new("trailer", 508, 4);
const GNU_ATIME: Field = Field::new("time of access", 345, 12);
const GNU_CTIME: Field = Field::new("time of change", 357, 12);
/// Where GNU's old sparse header has its first entries, and how many there are.
const GNU_SPARSE: (usize, usize) = (386, 4);
const GNU_SPARSE_MORE: usize = 482;
const GNU_REAL_SIZE: Field = Field::new("real size", 483, 12);
/// How many entries a continuation block has.
const GNU_SPARSE_NEXT: (usize, usize) = (0, 21);
const GNU_SPARSE_NEXT_MORE: usize = 504;

/// A field's place in a header.
#[derive(Clone, Copy)]
struct Field {
    what: &'static str,
    at: usize,
    length: usize,
}

impl Field {
    const fn new(what: &'static str, at: usize, length: usize) -> Self {
        Self { what, at, length }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// A header whose checksum is right.
#[derive(Debug)]
pub struct Header {
    block: [u8; BLOCK],
    format: Format,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// [`HeaderError::Checksum`]; [`HeaderError::Header`], if a field that has to be a number is none. That counts
    /// for fields that we don't use, and for extension headers, too: other readers refuse such a header.
    pub fn parse(block: [u8; BLOCK]) -> Result<Self, HeaderError> {
        let mut header = Self {
            block,
            format: Format::V7,
        };
        header.check_sum()?;
        let magic = header.bytes(MAGIC);
        header.format = if magic == b"ustar\0" && header.bytes(STAR_TRAILER) == b"tar\0" {
            Format::Star
        } else if magic == b"ustar\0" {
            Format::Ustar
        } else if magic == b"ustar " && header.bytes(VERSION) == b" \0" {
            Format::Gnu
        } else {
            Format::V7
        };
        header.check_numbers()?;
        Ok(header)
    }

    /// The type of the entry.
    pub fn flag(&self) -> u8 {
        self.byte(FLAG)
    }

    /// The name, with its prefix if the format has one.
    pub fn name(&self) -> Vec<u8> {
        let prefix = match self.format {
            Format::V7 => b"",
            Format::Ustar => self.text(PREFIX),
            Format::Star => self.text(STAR_PREFIX),
            Format::Gnu => self.misplaced_prefix(),
        };
        let name = self.text(NAME);
        match prefix {
            b"" => name.to_vec(),
            prefix => [prefix, name].join(&b'/'),
        }
    }

    /// The target of a link.
    pub fn link(&self) -> Vec<u8> {
        self.text(LINK).to_vec()
    }

    /// The size of the content in bytes, for entries that have content.
    ///
    /// # Errors
    /// [`HeaderError::Header`]
    pub fn size(&self) -> Result<u64, HeaderError> {
        self.unsigned(SIZE)
    }

    /// The permission bits, including set-user-id, set-group-id and sticky.
    ///
    /// # Errors
    /// [`HeaderError::Header`]
    pub fn mode(&self) -> Result<u32, HeaderError> {
        let mode = self.number(MODE)?;
        Ok(u32::try_from(mode & 0o7777).unwrap_or_default())
    }

    /// Seconds since the epoch.
    ///
    /// # Errors
    /// [`HeaderError::Header`]
    pub fn mtime(&self) -> Result<i64, HeaderError> {
        self.number(MTIME)
    }

    /// GNU's old sparse header: the file's size with its holes, the first entries of its map, and
    /// whether a block with more entries follows.
    ///
    /// # Errors
    /// [`HeaderError::Header`]
    pub fn gnu_sparse(&self) -> Result<(u64, Vec<Segment>, bool), HeaderError> {
        if self.format != Format::Gnu {
            return Err(HeaderError::Header {
                field: "magic",
                expected: "GNU's, as the file is sparse",
                found: display(self.bytes(MAGIC)),
            });
        }
        let segments = gnu_segments(&self.block, GNU_SPARSE)?;
        let more = self.byte(GNU_SPARSE_MORE) != 0;
        Ok((self.unsigned(GNU_REAL_SIZE)?, segments, more))
    }

    /// Before version 1.8, Go wrote a prefix into GNU headers, where they have times. Old images
    /// still have such headers.
    fn misplaced_prefix(&self) -> &[u8] {
        let is_time = |field: Field| {
            let starts = self.bytes(field).first().is_some_and(|&byte| byte != 0);
            !starts || self.number(field).is_ok()
        };
        let prefix = self.text(PREFIX);
        if is_time(GNU_ATIME) && is_time(GNU_CTIME) || !prefix.is_ascii() {
            return b"";
        }
        prefix
    }

    fn check_numbers(&self) -> Result<(), HeaderError> {
        let further: &[&[Field]] = match self.format {
            Format::V7 => &[],
            Format::Ustar | Format::Gnu => &[&DEVICE],
            Format::Star => &[&DEVICE, &STAR_TIMES],
        };
        let mut all = OWNER.iter().chain(&[MODE, SIZE, MTIME]);
        all.try_for_each(|&field| self.number(field).map(drop))?;
        let mut further = further.iter().copied().flatten();
        further.try_for_each(|&field| self.number(field).map(drop))
    }

    /// The checksum counts its own field as spaces. Some writers added bytes as signed numbers.
    fn check_sum(&self) -> Result<(), HeaderError> {
        let own = CHECKSUM.at..CHECKSUM.at + CHECKSUM.length;
        let counted = |(at, &byte): (usize, &u8)| if own.contains(&at) { b' ' } else { byte };
        let bytes = || self.block.iter().enumerate().map(counted);
        let unsigned: i64 = bytes().map(i64::from).sum();
        let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
        let found = octal(self.bytes(CHECKSUM)).ok_or_else(|| HeaderError::Header {
            field: CHECKSUM.what,
            expected: "octal digits",
            found: display(self.bytes(CHECKSUM)),
        })?;
        if found != unsigned && found != signed {
            return Err(HeaderError::Checksum {
                expected: unsigned,
                found,
            });
        }
        Ok(())
    }

    fn byte(&self, at: usize) -> u8 {
        self.block.get(at).copied().unwrap_or_default()
    }

    fn bytes(&self, field: Field) -> &[u8] {
        bytes(&self.block, field)
    }

    /// The field's bytes before its first NUL.
    fn text(&self, field: Field) -> &[u8] {
        up_to_nul(self.bytes(field))
    }

    fn number(&self, field: Field) -> Result<i64, HeaderError> {
        number(&self.block, field)
    }

    fn unsigned(&self, field: Field) -> Result<u64, HeaderError> {
        unsigned(&self.block, field)
    }
}

/// The entries of a continuation block of GNU's old sparse map, and whether another block follows.
///
/// # Errors
/// [`HeaderError::Header`]
pub fn gnu_sparse_next(block: &[u8; BLOCK]) -> Result<(Vec<Segment>, bool), HeaderError> {
    let segments = gnu_segments(block, GNU_SPARSE_NEXT)?;
    let more = block
        .get(GNU_SPARSE_NEXT_MORE)
        .is_some_and(|&byte| byte != 0);
    Ok((segments, more))
}

/// The map's entries, each an offset and a length, up to the first entry without an offset.
fn gnu_segments(
    block: &[u8; BLOCK],
    (at, count): (usize, usize),
) -> Result<Vec<Segment>, HeaderError> {
    let mut segments = Vec::new();
    for index in 0..count {
        let at = at + 24 * index;
        let offset = Field::new("offset in a sparse file", at, 12);
        let length = Field::new("length in a sparse file", at + 12, 12);
        if bytes(block, offset).first() == Some(&0) {
            break;
        }
        segments.push(Segment {
            offset: unsigned(block, offset)?,
            length: unsigned(block, length)?,
        });
    }
    Ok(segments)
}

fn bytes(block: &[u8; BLOCK], field: Field) -> &[u8] {
    let range = field.at..field.at + field.length;
    block.get(range).unwrap_or_default()
}

fn unsigned(block: &[u8; BLOCK], field: Field) -> Result<u64, HeaderError> {
    let number = number(block, field)?;
    u64::try_from(number).map_err(|_| malformed(block, field))
}

/// A number in octal digits. If the highest bit of the first byte is set, it is a signed number in
/// base 256 instead, highest byte first.
fn number(block: &[u8; BLOCK], field: Field) -> Result<i64, HeaderError> {
    let bytes = bytes(block, field);
    let number = match bytes.first() {
        Some(first) if first & 0x80 != 0 => base_256(bytes),
        _ => octal(bytes),
    };
    number.ok_or_else(|| malformed(block, field))
}

fn malformed(block: &[u8; BLOCK], field: Field) -> HeaderError {
    HeaderError::Header {
        field: field.what,
        expected: "octal digits, or a number of eight bytes",
        found: display(bytes(block, field)),
    }
}

fn octal(field: &[u8]) -> Option<i64> {
    let is_filler = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = field.iter().position(|byte| !is_filler(byte)) else {
        return Some(0);
    };
    let end = field.iter().rposition(|byte| !is_filler(byte))?;
    let digits = up_to_nul(field.get(start..=end)?);
    digits.iter().try_fold(0_i64, |number, digit| {
        let digit = matches!(digit, b'0'..=b'7').then(|| i64::from(digit - b'0'))?;
        number.checked_mul(8)?.checked_add(digit)
    })
}

fn base_256(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    // The highest bit is not part of the number; the bit below it is the sign.
    let start = if first & 0x40 == 0 {
        i128::from(first & 0x7f)
    } else {
        i128::from(first.cast_signed())
    };
    let number = rest.iter().try_fold(start, |number, &byte| {
        number.checked_mul(256)?.checked_add(i128::from(byte))
    });
    i64::try_from(number?).ok()
}

fn up_to_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_of_base_256() {
        assert_eq!(octal(b"0000755\0"), Some(0o755));
        assert_eq!(octal(b"   755 \0"), Some(0o755));
        assert_eq!(octal(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(octal(b"        "), Some(0));
        assert_eq!(octal(b"12\x0034\0\0\0"), Some(0o12));
        for field in [
            b"00 00\0",
            b"00008\0",
            b"-0001\0",
            b"0x100\0",
            b"1 \x0023\0",
        ] {
            assert_eq!(octal(field), None, "{field:?}");
        }
        assert_eq!(base_256(&[0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(base_256(&[0xff; 12]), Some(-1));
        assert_eq!(base_256(&[0x80, 0x12, 0x34]), Some(0x1234));
        // Without leading zeros, and one that takes part of the first byte too.
        assert_eq!(base_256(&[0x81, 0]), Some(256));
        let largest = [0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(base_256(&largest), Some(i64::MAX));
        let smallest = [0xff, 255, 255, 255, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(base_256(&smallest), Some(i64::MIN));
        let too_large = [0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(base_256(&too_large), None);
        let too_small = [0xff, 255, 255, 255, 0x7f, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(base_256(&too_small), None);
    }
}
