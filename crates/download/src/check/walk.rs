//! Lists what is in an installation now, without following links and without waiting for anything.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use countersign_oci::{Algorithm, Digest, Digester};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};

use crate::extract::RESERVED;
use crate::inventory::{Item, ItemKind};

/// Bytes of a file that are read at once.
const BUFFER: usize = 256 << 10;
const PERMISSIONS: u32 = 0o7777;

/// What the walk found of the items of an inventory.
pub(super) struct Present<'a> {
    /// Beside each item: what is there now.
    pub(super) now: HashMap<&'a [u8], Now>,
    /// What no item is for. Nothing below such a directory is listed.
    pub(super) added: Vec<Vec<u8>>,
}

/// What is at the path of an item.
pub(super) enum Now {
    Directory {
        mode: u32,
    },
    File {
        mode: u32,
        size: u64,
    },
    Link {
        target: Vec<u8>,
    },
    /// A device, fifo or socket.
    Other,
    /// The system doesn't say.
    Unknown,
}

/// Compares the names below `root` with those of `items`.
///
/// # Errors
/// If `root` itself can't be listed.
pub(super) fn walk<'a>(root: &OwnedFd, items: &'a [Item]) -> io::Result<Present<'a>> {
    let known: HashMap<&[u8], &'a Item> = items
        .iter()
        .map(|item| (item.path.as_slice(), item))
        .collect();
    let mut found = Present {
        now: HashMap::with_capacity(items.len()),
        added: Vec::new(),
    };
    let mut directories: Vec<&'a [u8]> = vec![b""];
    while let Some(directory) = directories.pop() {
        let names = open_directory(root, directory).and_then(|handle| Ok((list(&handle)?, handle)));
        let (names, handle) = match names {
            Ok(found) => found,
            Err(error) if directory.is_empty() => return Err(error),
            Err(_) => {
                found.now.insert(directory, Now::Unknown);
                continue;
            }
        };
        for name in names {
            let path = match directory {
                b"" if name == RESERVED.as_bytes() => continue,
                b"" => name.clone(),
                above => [above, b"/", &name].concat(),
            };
            let Some(item) = known.get(path.as_slice()) else {
                found.added.push(path);
                continue;
            };
            let now = look_at(&handle, &name).unwrap_or(Now::Unknown);
            if let (Now::Directory { .. }, ItemKind::Directory { .. }) = (&now, &item.kind) {
                directories.push(&item.path);
            }
            found.now.insert(&item.path, now);
        }
    }
    Ok(found)
}

fn list(directory: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if !matches!(name.as_slice(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

fn look_at(directory: &OwnedFd, name: &[u8]) -> io::Result<Now> {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = stat.st_mode & PERMISSIONS;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Now::Directory { mode },
        FileType::RegularFile => Now::File {
            mode,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
        },
        FileType::Symlink => Now::Link {
            target: readlinkat(directory, name, Vec::new())?.into_bytes(),
        },
        _ => Now::Other,
    })
}

fn open_directory(root: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    let path: &[u8] = if path.is_empty() { b"." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(root, path, flags, Mode::empty())?)
}

/// The digest of a file's content, as it is now.
pub(super) fn digest(root: &OwnedFd, path: &[u8], buffer: &mut [u8]) -> io::Result<Digest> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(openat(root, path, flags, Mode::empty())?);
    let mut digester = Digester::new(Algorithm::Sha256);
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(digester.finish()),
            Ok(count) => digester.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A buffer for [`digest`].
pub(super) fn buffer() -> Vec<u8> {
    vec![0; BUFFER]
}
