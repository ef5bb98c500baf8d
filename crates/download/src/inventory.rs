//! The inventory of an installation: every file, directory and link in it, files with their digests.
//!
//! It is in the installation, at `.countersign/inventory.jsonl`, one JSON object a line. The record has its
//! digest, so that it is not read by halves. It is for finding damage. It proves nothing against somebody who
//! can write to the installation, who can write a new inventory and a new record too.

mod read;

use std::io::{self, Write};

use countersign_oci::{Algorithm, Digest, Digester};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};

pub(crate) use read::{Unusable, read};

/// The file's name, beside the record.
pub(crate) const FILE: &str = "inventory.jsonl";

/// Bytes of the longest inventory that is written, and that is read. A million files need a quarter of it. Names are
/// written whole, and through links they can be longer than any in the archive, so there has to be a bound.
pub(crate) const MAX_BYTES: u64 = 1 << 30;

/// Bytes of names that are written in another way: `%`, and what is not printable ASCII.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Which inventory belongs to a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InventoryDigest {
    /// Digest of the inventory's bytes. Two installations of the same content have the same one.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
}

/// Something in an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its path below the installation's directory, without `./`.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: ItemKind,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Directory {
        /// Permission bits.
        mode: u32,
    },
    File {
        /// Permission bits.
        mode: u32,
        size: u64,
        digest: Digest,
    },
    Link {
        target: Vec<u8>,
    },
}

/// An item as it is written. Names are percent-encoded, because they may have any bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Directory {
        path: String,
        mode: String,
    },
    File {
        path: String,
        mode: String,
        size: u64,
        digest: Digest,
    },
    Link {
        path: String,
        target: String,
    },
}

impl From<&Item> for Line {
    fn from(item: &Item) -> Self {
        let encoded = |bytes: &[u8]| percent_encode(bytes, ESCAPED).to_string();
        let path = encoded(&item.path);
        match &item.kind {
            ItemKind::Directory { mode } => Self::Directory {
                path,
                mode: format!("{mode:04o}"),
            },
            ItemKind::File { mode, size, digest } => Self::File {
                path,
                mode: format!("{mode:04o}"),
                size: *size,
                digest: digest.clone(),
            },
            ItemKind::Link { target } => Self::Link {
                path,
                target: encoded(target),
            },
        }
    }
}

impl Line {
    /// `None` if a mode is not octal.
    fn into_item(self) -> Option<Item> {
        let decoded = |text: &str| percent_decode_str(text).collect();
        let bits = |mode: &str| u32::from_str_radix(mode, 8).ok();
        let (path, kind) = match &self {
            Self::Directory { path, mode } => (path, ItemKind::Directory { mode: bits(mode)? }),
            Self::File {
                path,
                mode,
                size,
                digest,
            } => {
                let kind = ItemKind::File {
                    mode: bits(mode)?,
                    size: *size,
                    digest: digest.clone(),
                };
                (path, kind)
            }
            Self::Link { path, target } => {
                let target = decoded(target);
                (path, ItemKind::Link { target })
            }
        };
        Some(Item {
            path: decoded(path),
            kind,
        })
    }
}

/// Writes an inventory, and computes its digest on the way.
pub(crate) struct InventoryWriter<W> {
    into: W,
    digester: Digester,
    size: u64,
    limit: u64,
}

impl<W: Write> InventoryWriter<W> {
    /// Writes `limit` bytes at most, such as [`MAX_BYTES`].
    pub(crate) fn new(into: W, limit: u64) -> Self {
        Self {
            into,
            limit,
            digester: Digester::new(Algorithm::Sha256),
            size: 0,
        }
    }

    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] at the limit, before anything of the item is written; else those of the file.
    pub(crate) fn add(&mut self, item: &Item) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line::from(item))?;
        line.push(b'\n');
        self.size += line.len() as u64;
        if self.size > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.digester.update(&line);
        self.into.write_all(&line)
    }

    pub(crate) fn finish(mut self) -> io::Result<InventoryDigest> {
        self.into.flush()?;
        Ok(InventoryDigest {
            digest: self.digester.finish(),
            size: self.size,
        })
    }
}

#[cfg(test)]
mod tests;
