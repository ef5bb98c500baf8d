//! A file that is being written. Its digest is computed from the bytes on their way to it.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use countersign_oci::{Algorithm, Digest, Digester};

/// A new file. Its content is written from front to back.
pub(super) struct FileContent {
    file: File,
    digester: Digester,
    position: u64,
}

impl FileContent {
    /// `file` must be empty.
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            digester: Digester::new(Algorithm::Sha256),
            position: 0,
        }
    }

    /// Leaves a hole up to `offset`.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        self.digest_zeros(offset);
        self.file.seek(SeekFrom::Start(offset))?;
        Ok(())
    }

    /// Gives the file its size. What was not written of it is a hole.
    pub(super) fn end_at(&mut self, size: u64) -> io::Result<()> {
        self.digest_zeros(size);
        self.file.set_len(size)
    }

    /// The file and the digest of its content.
    pub(super) fn finish(self) -> (File, Digest) {
        (self.file, self.digester.finish())
    }

    fn digest_zeros(&mut self, until: u64) {
        const ZEROS: &[u8] = &[0; 64 << 10];
        while self.position < until {
            let missing = usize::try_from(until - self.position).unwrap_or(usize::MAX);
            let (now, _) = ZEROS.split_at(missing.min(ZEROS.len()));
            self.digester.update(now);
            self.position += now.len() as u64;
        }
    }
}

impl Write for FileContent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.digester.update(bytes.get(..count).unwrap_or_default());
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
