//! PAX extended headers (POSIX.1-2017, `pax`, "pax Extended Header").
//!
//! Records are read by their stated length, so that a value may hold a newline, and strictly: what
//! two readers could read in two ways is refused rather than read in one of them.

use std::collections::HashSet;

use super::error::{ArchiveError, display_name};

/// What we take from the records that describe one entry. Everything else in them is ignored, as
/// the owner is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PaxRecords {
    pub(super) path: Option<Vec<u8>>,
    pub(super) linkpath: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// Seconds since the epoch, and nanoseconds of that second.
    pub(super) mtime: Option<(i64, u32)>,
    /// Whether there are extended attributes, which we drop.
    pub(super) xattrs: bool,
}

impl PaxRecords {
    /// Reads the body of an extended header.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, ArchiveError> {
        let mut records = Self::default();
        let mut seen = HashSet::new();
        while !bytes.is_empty() {
            let (Record { key, value }, rest) = Record::parse(bytes)?;
            bytes = rest;
            if !seen.insert(key) {
                return Err(malformed("each key once", key));
            }
            match key {
                b"path" => records.path = Some(name(value)?),
                b"linkpath" => records.linkpath = Some(name(value)?),
                b"size" => {
                    let size = decimal(value).ok_or_else(|| malformed("a size in bytes", value))?;
                    records.size = Some(size);
                }
                b"mtime" => records.mtime = Some(time(value)?),
                _ if key.starts_with(b"GNU.sparse.") => {
                    return Err(malformed("a file without holes", key));
                }
                _ if key.starts_with(b"SCHILY.xattr.") || key.starts_with(b"LIBARCHIVE.xattr.") => {
                    records.xattrs = true;
                }
                _ => {}
            }
        }
        Ok(records)
    }

    /// Whether the records would change where or how long the entries are that they describe.
    pub(super) fn describe_entries(&self) -> bool {
        self.path.is_some() || self.linkpath.is_some() || self.size.is_some()
    }
}

/// One record: `LENGTH KEY=VALUE\n`, where the length counts itself.
struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Record<'a> {
    /// The first record, and what follows it.
    fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ArchiveError> {
        let error = || malformed("records of `LENGTH KEY=VALUE`", bytes);
        // The longest length within the bound on headers has seven digits.
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

/// PAX text is UTF-8 unless a record says otherwise, which no builder of images writes.
fn name(value: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    if value.is_empty() || value.contains(&0) || std::str::from_utf8(value).is_err() {
        return Err(malformed("a name in UTF-8", value));
    }
    Ok(value.to_vec())
}

/// Digits only: `parse` alone would take a plus sign.
fn decimal(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Seconds with an optional fraction, of which nine digits count.
fn time(value: &[u8]) -> Result<(i64, u32), ArchiveError> {
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
            // Nanoseconds count forwards, also before the epoch.
            (true, _) => (-magnitude - 1, 1_000_000_000 - nanos),
        })
    };
    read().ok_or_else(|| malformed("a time in seconds", value))
}

fn malformed(expected: &'static str, found: &[u8]) -> ArchiveError {
    ArchiveError::Extension {
        expected,
        found: display_name(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<PaxRecords, ArchiveError> {
        PaxRecords::parse(bytes)
    }

    #[test]
    fn values_are_read_by_length() {
        let records = parse(b"18 comment=a\nb c=d\n12 path=a\nb\n").unwrap_err();
        // The first record is 19 bytes long, not 18: the length decides, and it is wrong.
        assert!(matches!(records, ArchiveError::Extension { .. }));
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

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        let records = "records of `LENGTH KEY=VALUE`";
        for (bytes, reason) in [
            (&b"10 path=a\n10 path=b\n"[..], "each key once"),
            (b"8 path=a\n", records),
            (b"99 path=a\n", records),
            (b"+10 path=a\n", records),
            (b"5 =a\n", records),
            (b"7 path\n", records),
            (b"no length", records),
            (b"10 path=\xff\n", "a name in UTF-8"),
            (b"12 path=a\0b\n", "a name in UTF-8"),
            (b"11 size=+1\n", "a size in bytes"),
            (b"12 mtime=1e\n", "a time in seconds"),
            (b"22 GNU.sparse.major=1\n", "a file without holes"),
        ] {
            let ArchiveError::Extension { expected, .. } = parse(bytes).unwrap_err() else {
                panic!("{}", String::from_utf8_lossy(bytes));
            };
            assert_eq!(expected, reason, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
