//! PAX extended headers (POSIX.1-2017, `pax`, "pax Extended Header").
//!
//! A record has a length, so its value may contain a newline. Names are bytes: the standard
//! requires UTF-8, but many writers use the file system's bytes, with or without
//! `hdrcharset=BINARY`. As in Go's archive/tar, the last of two equal keys counts, and an empty
//! value has no effect.

use std::collections::HashMap;

use super::error::{HeaderError, display};

/// A part of a sparse file that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its offset in the file.
    pub offset: u64,
    /// Its length, in bytes.
    pub length: u64,
}

impl Segment {
    /// Makes segments from numbers that are offsets and lengths in turn.
    #[must_use]
    pub fn pairs(numbers: &[u64]) -> Vec<Self> {
        let (pairs, _) = numbers.as_chunks::<2>();
        let segments = pairs
            .iter()
            .map(|&[offset, length]| Self { offset, length });
        segments.collect()
    }
}

/// The values that we use from an entry's records. All others are ignored, such as the owner.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PaxRecords {
    /// The entry's name.
    pub path: Option<Vec<u8>>,
    /// The target of a link.
    pub linkpath: Option<Vec<u8>>,
    /// The size of the content, in bytes.
    pub size: Option<u64>,
    /// Seconds since the epoch, and nanoseconds of that second.
    pub mtime: Option<(i64, u32)>,
    /// Whether there are extended attributes. We don't keep them.
    pub xattrs: bool,
    /// The sparse file's data, if the entry is one.
    pub sparse: Option<PaxSparse>,
}

/// The records of a sparse file.
#[derive(Debug, PartialEq, Eq)]
pub struct PaxSparse {
    /// The file's name. The entry's own name may be one for readers that don't know sparse files.
    pub name: Option<Vec<u8>>,
    /// The file's size with its holes, in bytes.
    pub size: Option<u64>,
    /// Where its data is.
    pub map: PaxMap,
}

/// Where the map of a sparse file is.
#[derive(Debug, PartialEq, Eq)]
pub enum PaxMap {
    /// In the records: versions 0.0 and 0.1.
    Records(Vec<Segment>),
    /// Before the data: version 1.0.
    Content,
}

impl PaxRecords {
    /// Reads the body of an extended header.
    ///
    /// # Errors
    /// [`HeaderError::Extension`]
    pub fn parse(mut bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut values = HashMap::new();
        let mut offsets_and_lengths = Vec::new();
        while !bytes.is_empty() {
            let (Record { key, value }, rest) = Record::parse(bytes)?;
            bytes = rest;
            match key {
                b"path" | b"linkpath" | b"uname" | b"gname" if value.contains(&0) => {
                    return Err(malformed("a name without a NUL", value));
                }
                _ if key.contains(&0) => return Err(malformed("a key without a NUL", key)),
                // Version 0.0 has these two in turn, many times.
                b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                    let is_offset = offsets_and_lengths.len() % 2 == 0;
                    if is_offset != (key == b"GNU.sparse.offset") {
                        return Err(malformed("offsets and lengths by turns", key));
                    }
                    offsets_and_lengths.push(number(value)?);
                }
                _ => {
                    values.insert(key, value);
                }
            }
        }
        values.retain(|_, value| !value.is_empty());
        let text = |key: &[u8]| values.get(key).map(|value| value.to_vec());
        let numeric = |key: &[u8]| values.get(key).map(|value| number(value)).transpose();
        let seconds = |key: &[u8]| values.get(key).map(|value| time(value)).transpose();
        // We don't use these. Other readers refuse the entry if they are malformed.
        for key in [&b"uid"[..], b"gid"] {
            values.get(key).map(|value| owner(value)).transpose()?;
        }
        for key in [&b"atime"[..], b"ctime"] {
            seconds(key)?;
        }
        let is_xattr = |key: &&[u8]| {
            key.starts_with(b"SCHILY.xattr.") || key.starts_with(b"LIBARCHIVE.xattr.")
        };
        Ok(Self {
            path: text(b"path"),
            linkpath: text(b"linkpath"),
            size: numeric(b"size")?,
            mtime: seconds(b"mtime")?,
            xattrs: values.keys().any(is_xattr),
            sparse: sparse(&values, &offsets_and_lengths)?,
        })
    }

    /// Whether the records change the places or sizes of the entries that they describe.
    pub fn describe_entries(&self) -> bool {
        self.path.is_some()
            || self.linkpath.is_some()
            || self.size.is_some()
            || self.sparse.is_some()
    }
}

/// The sparse file's records, if it is one. Versions 0.0 and 0.1 may leave out their version.
fn sparse(
    values: &HashMap<&[u8], &[u8]>,
    offsets_and_lengths: &[u64],
) -> Result<Option<PaxSparse>, HeaderError> {
    let value = |key: &[u8]| values.get(key).copied();
    let list = value(b"GNU.sparse.map");
    let has_map = list.is_some() || !offsets_and_lengths.is_empty();
    let map = match (value(b"GNU.sparse.major"), value(b"GNU.sparse.minor")) {
        (None, None) if !has_map => return Ok(None),
        (None, None) | (Some(b"0"), Some(b"0" | b"1")) => {
            let listed;
            let numbers = if offsets_and_lengths.is_empty() {
                let list = list
                    .into_iter()
                    .flat_map(|list| list.split(|&byte| byte == b','));
                listed = list.map(number).collect::<Result<Vec<_>, _>>()?;
                &listed
            } else {
                offsets_and_lengths
            };
            let stated = number(value(b"GNU.sparse.numblocks").unwrap_or_default())?;
            if stated.checked_mul(2) != Some(numbers.len() as u64) {
                let found = format!("{} numbers for {stated} pairs", numbers.len());
                return Err(malformed(
                    "as many offsets and lengths as stated",
                    found.as_bytes(),
                ));
            }
            PaxMap::Records(Segment::pairs(numbers))
        }
        (Some(b"1"), Some(b"0")) => PaxMap::Content,
        (major, minor) => {
            let found = [major.unwrap_or(b"none"), minor.unwrap_or(b"none")].join(&b'.');
            return Err(malformed("holes in the form 0.0, 0.1 or 1.0", &found));
        }
    };
    let size = value(b"GNU.sparse.size").or(value(b"GNU.sparse.realsize"));
    let name = value(b"GNU.sparse.name");
    if let Some(name) = name
        && name.contains(&0)
    {
        return Err(malformed("a name without a NUL", name));
    }
    Ok(Some(PaxSparse {
        name: name.map(<[u8]>::to_vec),
        size: size.map(number).transpose()?,
        map,
    }))
}

/// One record: `LENGTH KEY=VALUE\n`. The length includes its own digits.
struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Record<'a> {
    /// The first record, and the bytes after it.
    fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), HeaderError> {
        let error = || malformed("records of `LENGTH KEY=VALUE`", bytes);
        // The longest length that the limit on headers allows has seven digits.
        let space = bytes
            .iter()
            .take(8)
            .position(|&b| b == b' ')
            .ok_or_else(error)?;
        let (digits, _) = bytes.split_at(space);
        let length = decimal(digits).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|&length| space < length && length <= bytes.len());
        let (record, rest) = bytes.split_at(length.ok_or_else(error)?);
        let body = record
            .get(space + 1..)
            .and_then(|body| body.strip_suffix(b"\n"));
        let mut parts = body.ok_or_else(error)?.splitn(2, |&byte| byte == b'=');
        match (parts.next(), parts.next()) {
            (Some(key), Some(value)) if !key.is_empty() => Ok((Self { key, value }, rest)),
            _ => Err(error()),
        }
    }
}

/// A number of bytes, of at most 63 bits. File systems allow no more.
fn number(value: &[u8]) -> Result<u64, HeaderError> {
    let number = decimal(value).filter(|&number| number <= i64::MAX as u64);
    number.ok_or_else(|| malformed("a number of bytes", value))
}

/// The number of a user or a group, of at most 64 bits. Nobody has a negative one, but readers accept it.
fn owner(value: &[u8]) -> Result<i64, HeaderError> {
    let number = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok());
    number.ok_or_else(|| malformed("a number", value))
}

/// Digits only: `parse` alone would accept a plus sign.
fn decimal(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Seconds with an optional fraction. Nine digits of the fraction count.
fn time(value: &[u8]) -> Result<(i64, u32), HeaderError> {
    let read = || {
        let text = std::str::from_utf8(value).ok()?;
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let negative = seconds.starts_with('-');
        let digits = seconds.strip_prefix('-').unwrap_or(seconds);
        let magnitude = i64::try_from(decimal(digits.as_bytes())?).ok()?;
        let nanos: String = fraction
            .chars()
            .chain("000000000".chars())
            .take(9)
            .collect();
        let nanos: u32 = nanos.parse().ok()?;
        Some(match (negative, nanos) {
            (false, _) => (magnitude, nanos),
            (true, 0) => (-magnitude, 0),
            // Nanoseconds count forward, also before the epoch.
            (true, _) => (-magnitude - 1, 1_000_000_000 - nanos),
        })
    };
    read().ok_or_else(|| malformed("a time in seconds", value))
}

fn malformed(expected: &'static str, found: &[u8]) -> HeaderError {
    HeaderError::Extension {
        expected,
        found: display(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<PaxRecords, HeaderError> {
        PaxRecords::parse(bytes)
    }

    #[test]
    fn values_are_read_by_length() {
        let records = parse(b"18 comment=a\nb c=d\n12 path=a\nb\n").unwrap_err();
        // The first record is 19 bytes long, not 18: the length decides, and it is wrong.
        assert!(matches!(records, HeaderError::Extension { .. }));
        let records = parse(b"19 comment=a\nb c=d\n12 path=a\nb\n").unwrap();
        assert_eq!(records.path.as_deref(), Some(&b"a\nb"[..]));
    }

    #[test]
    fn times_keep_their_fraction() {
        let mtime = |text: &[u8]| parse(text).unwrap().mtime;
        assert_eq!(mtime(b"13 mtime=1.5\n"), Some((1, 500_000_000)));
        assert_eq!(mtime(b"14 mtime=-1.5\n"), Some((-2, 500_000_000)));
        assert_eq!(mtime(b"12 mtime=-7\n"), Some((-7, 0)));
    }

    /// Records of the right length.
    fn records(pairs: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in pairs {
            let rest = key.len() + value.len() + 3;
            let length = rest + if rest < 9 { 1 } else { 2 };
            bytes.extend_from_slice(format!("{length} {key}=").as_bytes());
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        bytes
    }

    #[test]
    fn names_are_bytes() {
        let bytes = records(&[
            ("path", b"caf\xe9"),
            ("hdrcharset", b"BINARY"),
            ("linkpath", b"\xff"),
        ]);
        let records = parse(&bytes).unwrap();
        assert_eq!(records.path.as_deref(), Some(&b"caf\xe9"[..]));
        assert_eq!(records.linkpath.as_deref(), Some(&b"\xff"[..]));
    }

    #[test]
    fn the_last_of_a_key_counts_and_nothing_says_nothing() {
        let read = |pairs: &[(&str, &[u8])]| parse(&records(pairs)).unwrap();
        let twice = read(&[("path", b"a"), ("path", b"b")]);
        assert_eq!(twice.path.as_deref(), Some(&b"b"[..]));
        assert_eq!(read(&[("path", b"a"), ("path", b"")]).path, None);
        let empty = read(&[("size", b""), ("mtime", b""), ("GNU.sparse.major", b"")]);
        assert_eq!(empty, PaxRecords::default());
    }

    #[test]
    fn what_is_not_used_may_say_anything_that_others_read() {
        let read = |pairs: &[(&str, &[u8])]| parse(&records(pairs)).unwrap();
        let ignored = read(&[
            ("uid", b"-1"),
            ("gid", b"4294967296"),
            ("uname", b"caf\xe9"),
            ("atime", b"-1.5"),
            ("ctime", b"7"),
            ("comment", b"a\0b"),
        ]);
        assert_eq!(ignored, PaxRecords::default());
    }

    #[test]
    fn holes_are_read_in_every_form() {
        let one = Segment {
            offset: 512,
            length: 3,
        };
        let sparse = |pairs: &[(&str, &[u8])]| parse(&records(pairs)).unwrap().sparse;
        let turns = sparse(&[
            ("GNU.sparse.size", b"99"),
            ("GNU.sparse.numblocks", b"1"),
            ("GNU.sparse.offset", b"512"),
            ("GNU.sparse.numbytes", b"3"),
        ]);
        let turns = turns.unwrap();
        assert_eq!(turns.map, PaxMap::Records(vec![one]));
        assert_eq!((turns.size, turns.name), (Some(99), None));
        let list = sparse(&[
            ("GNU.sparse.size", b"99"),
            ("GNU.sparse.numblocks", b"1"),
            ("GNU.sparse.map", b"512,3"),
            ("GNU.sparse.name", b"x"),
        ]);
        let list = list.unwrap();
        assert_eq!(list.map, PaxMap::Records(vec![one]));
        assert_eq!(list.name.as_deref(), Some(&b"x"[..]));
        let before = sparse(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.realsize", b"99"),
        ]);
        let before = before.unwrap();
        assert_eq!((before.map, before.size), (PaxMap::Content, Some(99)));
        // Nothing but a size is no map.
        assert_eq!(sparse(&[("GNU.sparse.size", b"99")]), None);
    }

    #[test]
    fn what_says_nothing_definite_is_refused() {
        let form = "records of `LENGTH KEY=VALUE`";
        let refused = |bytes: &[u8], reason| {
            let HeaderError::Extension { expected, .. } = parse(bytes).unwrap_err() else {
                panic!("{}", String::from_utf8_lossy(bytes));
            };
            assert_eq!(expected, reason, "{}", String::from_utf8_lossy(bytes));
        };
        for bytes in [
            &b"8 path=a\n"[..],
            b"99 path=a\n",
            b"+10 path=a\n",
            b"5 =a\n",
            b"7 path\n",
            b"no length",
        ] {
            refused(bytes, form);
        }
        let count = "a number of bytes";
        let version = "holes in the form 0.0, 0.1 or 1.0";
        for (pairs, reason) in [
            (&[("path", &b"a\0b"[..])][..], "a name without a NUL"),
            (&[("uname", b"a\0b")], "a name without a NUL"),
            (&[("gname", b"\0")], "a name without a NUL"),
            (&[("com\0ment", b"x")], "a key without a NUL"),
            (&[("uid", b"root")], "a number"),
            (&[("gid", b"9223372036854775808")], "a number"),
            (&[("atime", b"today")], "a time in seconds"),
            (&[("ctime", b"1.x")], "a time in seconds"),
            (&[("size", b"+1")], count),
            (&[("size", b"9223372036854775808")], count),
            (&[("mtime", b"1e")], "a time in seconds"),
            (&[("GNU.sparse.major", b"1")], version),
            (
                &[("GNU.sparse.numbytes", b"3")],
                "offsets and lengths by turns",
            ),
            (&[("GNU.sparse.map", b"0,1")], count),
            (
                &[("GNU.sparse.map", b"0,1"), ("GNU.sparse.numblocks", b"2")],
                "as many offsets and lengths as stated",
            ),
        ] {
            refused(&records(pairs), reason);
        }
    }
}
