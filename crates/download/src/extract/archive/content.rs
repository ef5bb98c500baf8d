//! The content of files, on its way to the threads that write it.

use std::fs::File;

use countersign_oci::archive::Segment;

use super::{Entry, TarReader};
use crate::extract::error::ArchiveError;
use crate::extract::sparse::SparseMap;
use crate::extract::stream::LayerStream;
use crate::extract::writers::{Job, NewFile, Writers};

impl TarReader<'_, LayerStream> {
    /// Hands `file`, which is the empty file of `entry`, the current one, and its content to `writers`.
    /// Holes of a sparse file stay holes.
    ///
    /// # Errors
    /// Also those of what was handed over before.
    pub(in crate::extract) fn write_content(
        &mut self,
        file: File,
        entry: &Entry,
        map: Option<&SparseMap>,
        writers: &mut Writers,
    ) -> Result<(), ArchiveError> {
        writers.hand_over(Job::Begin(NewFile {
            file,
            name: entry.name.clone(),
            metadata: entry.metadata,
        }))?;
        match map {
            None => self.write(self.content, writers)?,
            Some(map) => {
                for Segment { offset, length } in map.segments() {
                    writers.hand_over(Job::SkipTo(offset))?;
                    self.write(length, writers)?;
                }
            }
        }
        let end = map.map_or(Job::End, |map| Job::EndAt(map.size()));
        writers.hand_over(end)
    }

    /// Hands over the next `count` bytes.
    fn write(&mut self, mut count: u64, writers: &mut Writers) -> Result<(), ArchiveError> {
        while count > 0 {
            self.available(count)?;
            let piece = self.stream.piece(count);
            count -= self.count(piece.bytes().len());
            writers.hand_over(Job::Write(piece))?;
        }
        Ok(())
    }
}
