//! Files, and where the holes are in those that have any.

use std::io::BufRead;

use super::{BLOCK, Kind, TarReader};
use countersign_oci::archive::{self, Header, PaxMap, PaxSparse, Segment};

use crate::extract::error::ArchiveError;
use crate::extract::name::EntryPath;
use crate::extract::sparse::{MAP_BYTES, MapReader, SparseMap};
use crate::limits::Bound;

impl<R: BufRead> TarReader<'_, R> {
    /// A file of `size` bytes of content, with holes where the PAX records say so.
    pub(super) fn file(
        &mut self,
        name: &EntryPath,
        size: u64,
        sparse: Option<PaxSparse>,
    ) -> Result<Kind, ArchiveError> {
        self.expect_content(size);
        let Some(sparse) = sparse else {
            return Ok(Kind::File { map: None });
        };
        let segments = match sparse.map {
            PaxMap::Records(segments) => segments,
            PaxMap::Content => self.map_before_data(name)?,
        };
        let size = sparse.size.unwrap_or(size);
        self.sparse_file(name, segments, size)
    }

    /// A file by GNU's old header, whose map may go on in blocks before the data.
    pub(super) fn gnu_sparse(
        &mut self,
        name: &EntryPath,
        data: u64,
        header: &Header,
    ) -> Result<Kind, ArchiveError> {
        let (size, mut segments, mut more) = header.gnu_sparse()?;
        let mut read = 0;
        while more {
            read += BLOCK;
            within_map_bytes(name, read)?;
            let block = self.block()?;
            let block = block.as_slice().try_into();
            let block = block.map_err(|_| ArchiveError::Truncated {
                what: "a sparse file's map",
                expected: BLOCK,
            })?;
            let next;
            (next, more) = archive::gnu_sparse_next(block)?;
            segments.extend(next);
        }
        self.expect_content(data);
        self.sparse_file(name, segments, size)
    }

    /// The map at the beginning of an entry's content, in whole blocks.
    fn map_before_data(&mut self, name: &EntryPath) -> Result<Vec<Segment>, ArchiveError> {
        let mut reader = MapReader::default();
        let mut read = 0;
        loop {
            read += BLOCK;
            within_map_bytes(name, read)?;
            let refused = |found| ArchiveError::Sparse {
                name: name.display(),
                expected: "a map of its data in lines of digits",
                found,
            };
            if self.content < BLOCK {
                return Err(refused("the end of the content".into()));
            }
            let block = self.read(BLOCK)?;
            if let Some(segments) = reader.block(&block).map_err(refused)? {
                return Ok(segments);
            }
        }
    }

    fn sparse_file(
        &self,
        name: &EntryPath,
        segments: Vec<Segment>,
        size: u64,
    ) -> Result<Kind, ArchiveError> {
        let map = SparseMap::new(name, segments, size, self.content)?;
        Ok(Kind::File { map: Some(map) })
    }
}

fn within_map_bytes(name: &EntryPath, bytes: u64) -> Result<(), ArchiveError> {
    if bytes <= MAP_BYTES {
        return Ok(());
    }
    Err(ArchiveError::Limit {
        what: format!("the map of the sparse file `{}`", name.display()),
        limit: MAP_BYTES,
        bound: Bound::Fixed,
    })
}
