//! Files with holes, as GNU tar writes them: the old GNU type `S`, and the PAX forms 0.0, 0.1 and 1.0
//! (GNU tar manual, "Storing Sparse Files").
//!
//! An archive holds the data of such a file without the holes, and a map that says where each part of
//! the data goes. The map must be in order, without overlap and within the file, and must cover every
//! byte of data. Then there is only one way to read it.

use countersign_oci::archive::Segment;

use super::error::ArchiveError;
use super::name::EntryPath;

/// Maximum size of a map in bytes, as for other extension headers.
pub(super) const MAP_BYTES: u64 = 1 << 20;

/// Where the data of a file with holes goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SparseMap {
    segments: Vec<Segment>,
    size: u64,
    data: u64,
}

impl SparseMap {
    /// The map of the file `name`, which has `size` bytes with its holes and `data` bytes without.
    ///
    /// # Errors
    /// [`ArchiveError::Sparse`].
    pub(super) fn new(
        name: &EntryPath,
        segments: Vec<Segment>,
        size: u64,
        data: u64,
    ) -> Result<Self, ArchiveError> {
        let refused = |expected, found| ArchiveError::Sparse {
            name: name.display(),
            expected,
            found,
        };
        let mut end = 0;
        let mut mapped = 0_u64;
        for Segment { offset, length } in &segments {
            if *offset < end {
                let found = format!("one at {offset} after one that ends at {end}");
                return Err(refused("data in order and without overlap", found));
            }
            end = match offset.checked_add(*length) {
                Some(end) if end <= size => end,
                _ => {
                    let found = format!("{length} bytes at {offset} of a file of {size}");
                    return Err(refused("data within the file", found));
                }
            };
            // Can't overflow: both are within the file, and a file's size has at most 63 bits.
            mapped = mapped.saturating_add(*length);
        }
        if mapped != data {
            let found = format!("a map of {mapped} bytes for {data}");
            return Err(refused("a map of all the data", found));
        }
        Ok(Self {
            segments,
            size,
            data,
        })
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = Segment> {
        self.segments.iter().copied()
    }

    /// Size of the file in bytes, with its holes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Size of all holes together, in bytes.
    pub(super) fn holes(&self) -> u64 {
        self.size.saturating_sub(self.data)
    }
}

/// Reads a map of the PAX form 1.0, which comes before the data. Each line is a decimal number. The
/// first says how many pairs of offset and length follow.
#[derive(Debug, Default)]
pub(super) struct MapReader {
    numbers: Vec<u64>,
    digits: Option<u64>,
}

impl MapReader {
    /// Reads the next block. Returns the map when it is complete; the rest of its last block is
    /// ignored.
    ///
    /// # Errors
    /// What was found instead of a number, in words.
    pub(super) fn block(&mut self, block: &[u8]) -> Result<Option<Vec<Segment>>, String> {
        for &byte in block {
            if self.is_complete() {
                break;
            }
            let number = self.digits;
            match (byte, number) {
                (b'0'..=b'9', _) => {
                    let digit = u64::from(byte - b'0');
                    let longer = number.unwrap_or_default().checked_mul(10);
                    let longer = longer.and_then(|longer| longer.checked_add(digit));
                    self.digits = Some(longer.ok_or("a number over 64 bits")?);
                }
                (b'\n', Some(number)) => {
                    self.numbers.push(number);
                    self.digits = None;
                }
                _ => return Err(format!("the byte {byte:#04x} in a line")),
            }
        }
        Ok(self.is_complete().then(|| self.segments()))
    }

    fn is_complete(&self) -> bool {
        let mut numbers = self.numbers.iter();
        let pairs = numbers.next().copied();
        pairs.is_some_and(|pairs| pairs.saturating_mul(2) <= numbers.len() as u64)
    }

    fn segments(&self) -> Vec<Segment> {
        let numbers = self.numbers.get(1..).unwrap_or_default();
        Segment::pairs(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn map(segments: &[(u64, u64)], size: u64, data: u64) -> Result<SparseMap, ArchiveError> {
        let name = EntryPath::parse(b"x", &Limits::default()).unwrap();
        let segments = segments.iter();
        let segments = segments.map(|&(offset, length)| Segment { offset, length });
        SparseMap::new(&name, segments.collect(), size, data)
    }

    #[test]
    fn a_map_accounts_for_all_data_in_order() {
        assert_eq!(map(&[(0, 4), (8, 2), (10, 0)], 10, 6).unwrap().holes(), 4);
        assert_eq!(map(&[], 10, 0).unwrap().holes(), 10);
        let order = "data in order and without overlap";
        let within = "data within the file";
        let all = "a map of all the data";
        for (segments, data, reason) in [
            (&[(0, 4), (3, 2)][..], 6, order),
            (&[(4, 4), (0, 4)], 8, order),
            (&[(8, 4)], 4, within),
            (&[(u64::MAX, 2)], 2, within),
            (&[(11, 0)], 0, within),
            (&[(0, 4)], 5, all),
            (&[(0, 4)], 3, all),
            (&[], 1, all),
        ] {
            let error = map(segments, 10, data).unwrap_err();
            let ArchiveError::Sparse { expected, .. } = error else {
                panic!("{error:?}");
            };
            assert_eq!(expected, reason, "{segments:?}");
        }
    }

    #[test]
    fn maps_before_the_data_may_span_blocks() {
        let mut reader = MapReader::default();
        assert_eq!(reader.block(b"2\n0\n51").unwrap(), None);
        let segments = reader.block(b"2\n1024\n1\nanything").unwrap().unwrap();
        let ends = segments
            .iter()
            .map(|segment| (segment.offset, segment.length));
        assert_eq!(ends.collect::<Vec<_>>(), [(0, 512), (1024, 1)]);
        assert_eq!(MapReader::default().block(b"0\n").unwrap(), Some(vec![]));
        for (bytes, found) in [
            (&b"\n"[..], "the byte 0x0a in a line"),
            (b"1\n0\n\n", "the byte 0x0a in a line"),
            (b"-1\n", "the byte 0x2d in a line"),
            (b"99999999999999999999\n", "a number over 64 bits"),
        ] {
            assert_eq!(MapReader::default().block(bytes).unwrap_err(), found);
        }
    }
}
