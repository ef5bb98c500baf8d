//! Trees of files, read to be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use countersign_oci::Digest;

/// Rights that countersign takes away by rule: of group and others to write, and the special bits.
const TAKEN_AWAY: u32 = 0o7022;
/// The record of an installation, which is in no image.
const RECORD: &[u8] = b".countersign";
/// How many differences are told.
const SHOWN: usize = 10;

/// What is below a directory, by path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tree(BTreeMap<Vec<u8>, Node>);

#[derive(Debug, PartialEq, Eq)]
enum Node {
    Directory {
        mode: u32,
    },
    File {
        mode: u32,
        size: u64,
        digest: Digest,
        /// Seconds since the epoch.
        modified: i64,
        /// The first path by which the same file is known.
        first: String,
    },
    Link {
        target: Vec<u8>,
    },
}

impl Tree {
    /// Reads all but devices, fifos and the record of an installation.
    ///
    /// # Errors
    /// When something can't be read.
    pub(super) fn read(top: &Path) -> anyhow::Result<Self> {
        let mut nodes = BTreeMap::new();
        let mut firsts = BTreeMap::new();
        for (path, metadata) in paths(top)? {
            let at = top.join(std::ffi::OsStr::from_bytes(&path));
            let mode = metadata.mode() & 0o7777 & !TAKEN_AWAY;
            let kind = metadata.file_type();
            let node = if kind.is_dir() {
                Node::Directory { mode }
            } else if kind.is_symlink() {
                let target = fs::read_link(&at)?.into_os_string().into_vec();
                Node::Link { target }
            } else if kind.is_file() {
                let inode = (metadata.dev(), metadata.ino());
                let first = firsts.entry(inode).or_insert_with(|| shown(&path));
                Node::File {
                    mode,
                    size: metadata.len(),
                    digest: Digest::sha256(&fs::read(&at)?),
                    modified: metadata.mtime(),
                    first: first.clone(),
                }
            } else {
                continue;
            };
            nodes.insert(path, node);
        }
        Ok(Self(nodes))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path.as_bytes())
    }

    /// Where `found` is not this tree.
    pub(super) fn differences(&self, found: &Self) -> Vec<String> {
        let paths = self
            .0
            .keys()
            .chain(found.0.keys().filter(|path| !self.0.contains_key(*path)));
        let differing = paths.filter(|path| self.0.get(*path) != found.0.get(*path));
        let told = differing.map(|path| {
            let node = |tree: &Self| tree.0.get(path).map(|node| format!("{node:?}"));
            let (expected, found) = (node(self), node(found));
            format!("{}: expected {expected:?}, found {found:?}", shown(path))
        });
        told.take(SHOWN).collect()
    }
}

/// Every path below `top`, in order, and what is there.
fn paths(top: &Path) -> anyhow::Result<BTreeMap<Vec<u8>, fs::Metadata>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![top.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let below = path.strip_prefix(top)?.as_os_str().as_bytes().to_vec();
            if below == RECORD {
                continue;
            }
            let metadata = fs::symlink_metadata(&path)?;
            if metadata.is_dir() {
                pending.push(path);
            }
            found.insert(below, metadata);
        }
    }
    Ok(found)
}

fn shown(path: &[u8]) -> String {
    path.escape_ascii().to_string()
}
