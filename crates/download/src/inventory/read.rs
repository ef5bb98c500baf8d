//! Reads an inventory: the one that the record names, whole, or none.

use std::io::{self, BufRead, BufReader, Read};

use countersign_oci::{Algorithm, Digester};

use super::{InventoryDigest, Item, Line, MAX_BYTES};

/// 128 names of 255 bytes make a path, and each byte is written as three at most. The target of a link has 4096
/// bytes.
const MAX_LINE: u64 = 256 << 10;

/// Why an inventory can't be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It is not what was written.
    Damaged { expected: String, found: String },
    /// The system doesn't let it be read. Nobody knows what is in it.
    Unread(io::Error),
}

impl Unusable {
    pub(crate) fn damaged(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Damaged {
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// All items of the inventory that a record names.
pub(crate) fn read(from: impl Read, named: &InventoryDigest) -> Result<Vec<Item>, Unusable> {
    let size = named.size;
    if size > MAX_BYTES {
        let found = format!("a record that states {size}");
        return Err(Unusable::damaged(
            format!("at most {MAX_BYTES} bytes"),
            found,
        ));
    }
    let mut lines = BufReader::new(from.take(size + 1));
    let mut digester = Digester::new(Algorithm::Sha256);
    let (mut items, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let read = lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        read.map_err(Unusable::Unread)?;
        if line.is_empty() {
            break;
        }
        digester.update(&line);
        let item = serde_json::from_slice(&line).ok().and_then(Line::into_item);
        let position = items.len() + 1;
        items.push(item.ok_or_else(|| {
            Unusable::damaged(
                "a file, directory or link",
                format!("another text in line {position}"),
            )
        })?);
    }
    let (expected, found) = (&named.digest, digester.finish());
    if *expected == found {
        Ok(items)
    } else {
        Err(Unusable::damaged(expected.to_string(), found.to_string()))
    }
}
