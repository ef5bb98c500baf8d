//! A layout in a directory.
//!
//! Each part of a path is opened separately, and no part may be a link. So a layout can't make us
//! read a file outside of it.

use std::fs::File;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::{Content, Part};
use crate::error::LayoutError;

#[derive(Debug)]
pub(super) struct DirectoryLayout {
    root: File,
}

impl DirectoryLayout {
    pub(super) fn new(root: File) -> Self {
        Self { root }
    }

    pub(super) fn content(&self, part: Part<'_>) -> Result<Option<Content>, LayoutError> {
        // Don't wait for a writer if it is a fifo.
        let way = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let name = part.name();
        let refused = |found| LayoutError::NoFile {
            part: name.clone(),
            expected: "a regular file, below directories",
            found,
        };
        let mut opened: Option<File> = None;
        for step in name.split('/') {
            let below = opened.as_ref().unwrap_or(&self.root);
            opened = match openat(below, step, way, Mode::empty()) {
                Ok(file) => Some(file.into()),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP) => return Err(refused("a symbolic link")),
                Err(Errno::NOTDIR) => return Err(refused("a file in the place of a directory")),
                Err(source) => return Err(LayoutError::io(name, source)),
            };
        }
        let Some(file) = opened else {
            return Ok(None);
        };
        let metadata = file.metadata();
        let metadata = metadata.map_err(|source| LayoutError::io(name.as_str(), source))?;
        if !metadata.is_file() {
            return Err(refused("something else"));
        }
        Ok(Some(Content {
            file,
            offset: 0,
            size: metadata.len(),
        }))
    }
}
