//! Writes the content of files on threads of its own, while the next entries are read.
//!
//! A file is created under its name by the one thread that reads the archive, in the archive's order.
//! What comes here is the open file, which is new, and its content. So the order in which files are
//! written doesn't matter: nothing here depends on a name. One file is written by one thread.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use countersign_oci::Digest;

use super::archive::Metadata;
use super::error::ArchiveError;
use super::file_content::FileContent;
use super::name::EntryPath;
use super::read_ahead::Piece;
use super::root::finish_file;

/// More threads than this gain little: the archive is read by one.
const THREADS: usize = 4;
/// Jobs that are passed to a thread together. A small file has three, and most files are small.
const BATCH_JOBS: usize = 24;
/// Bytes of such jobs.
const BATCH_BYTES: usize = 256 << 10;
/// Batches that may wait for a thread. Each holds files open.
const WAITING: usize = 2;

/// A file that was created and has no content yet.
pub(super) struct NewFile {
    pub(super) file: File,
    pub(super) name: EntryPath,
    pub(super) metadata: Metadata,
}

/// What to do with a file. The jobs of one file come together, from the first to the last.
pub(super) enum Job {
    Begin(NewFile),
    /// Leaves a hole up to this offset.
    SkipTo(u64),
    Write(Piece),
    /// Ends the file after what was written.
    End,
    /// Ends a file with holes, which may end with one, at this size.
    EndAt(u64),
}

/// The digest of each file's content, by inode.
///
/// A later file may have the inode of one that was removed, but not before that one was closed. So
/// each digest is stored before its file is closed; a later one replaces it.
#[derive(Clone, Default)]
pub(super) struct Digests(Arc<Mutex<HashMap<u64, Digest>>>);

impl Digests {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<u64, Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries out the jobs of one file after the other.
struct Writing {
    open: Option<OpenFile>,
    digests: Digests,
}

struct OpenFile {
    content: FileContent,
    name: EntryPath,
    metadata: Metadata,
}

impl Writing {
    fn carry_out(&mut self, job: Job) -> Result<(), ArchiveError> {
        if let Job::Begin(new) = job {
            self.open = Some(OpenFile {
                content: FileContent::new(new.file),
                name: new.name,
                metadata: new.metadata,
            });
            return Ok(());
        }
        let Some(file) = &mut self.open else {
            return Err(io::Error::other("content without a file").into());
        };
        let done = match job {
            Job::Begin(_) => Ok(()),
            Job::SkipTo(offset) => file.content.skip_to(offset),
            Job::Write(piece) => file.content.write_all(piece.bytes()),
            Job::End => return self.end(None),
            Job::EndAt(size) => return self.end(Some(size)),
        };
        done.map_err(|source| write_error(&file.name, source))
    }

    fn end(&mut self, size: Option<u64>) -> Result<(), ArchiveError> {
        let Some(OpenFile {
            mut content,
            name,
            metadata,
        }) = self.open.take()
        else {
            return Ok(());
        };
        let error = |source| write_error(&name, source);
        if let Some(size) = size {
            content.end_at(size).map_err(error)?;
        }
        let (file, digest) = content.finish();
        let inode = finish_file(&file, &name, metadata)?;
        self.digests.lock().insert(inode, digest);
        Ok(())
    }
}

fn write_error(name: &EntryPath, source: io::Error) -> ArchiveError {
    ArchiveError::Write {
        name: name.display(),
        source,
    }
}

/// The threads. Without any, the caller writes.
pub(super) struct Writers {
    inline: Writing,
    threads: Vec<Thread>,
    /// The thread that writes the current file.
    current: usize,
    /// Jobs for it.
    batch: Vec<Job>,
    batch_bytes: usize,
    failure: Failure,
}

struct Thread {
    /// `None` when there is nothing more to write.
    jobs: Option<SyncSender<Vec<Job>>>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    /// Waits until everything is written.
    fn join(&mut self) -> thread::Result<()> {
        self.jobs = None;
        self.handle.take().map_or(Ok(()), JoinHandle::join)
    }
}

/// The first error of a thread.
#[derive(Clone, Default)]
struct Failure(Arc<Mutex<Option<ArchiveError>>>);

impl Failure {
    fn lock(&self) -> MutexGuard<'_, Option<ArchiveError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writers {
    /// No threads.
    pub(super) fn inline(digests: &Digests) -> Self {
        Self {
            inline: Writing {
                open: None,
                digests: digests.clone(),
            },
            threads: Vec::new(),
            current: 0,
            batch: Vec::new(),
            batch_bytes: 0,
            failure: Failure::default(),
        }
    }

    /// As many threads as are of use on this machine.
    pub(super) fn start(digests: &Digests) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut writers = Self::inline(digests);
        if cores == 1 {
            return writers;
        }
        for _ in 0..cores.min(THREADS) {
            let (jobs, waiting) = sync_channel(WAITING);
            let (digests, failure) = (digests.clone(), writers.failure.clone());
            let work = move || carry_out(&waiting, digests, &failure);
            // If the system has no more threads, fewer do.
            let Ok(handle) = thread::Builder::new().name("write".into()).spawn(work) else {
                break;
            };
            writers.threads.push(Thread {
                jobs: Some(jobs),
                handle: Some(handle),
            });
        }
        writers
    }

    /// Has a job done, now or later.
    ///
    /// # Errors
    /// [`ArchiveError::Write`], also for what was handed over before.
    pub(super) fn hand_over(&mut self, job: Job) -> Result<(), ArchiveError> {
        if self.threads.is_empty() {
            return self.inline.carry_out(job);
        }
        let is_last = matches!(job, Job::End | Job::EndAt(_));
        if let Job::Write(piece) = &job {
            self.batch_bytes += piece.bytes().len();
        }
        self.batch.push(job);
        if self.batch.len() < BATCH_JOBS && self.batch_bytes < BATCH_BYTES {
            return Ok(());
        }
        self.pass_on();
        if is_last {
            self.current = (self.current + 1) % self.threads.len();
        }
        self.failure.lock().take().map_or(Ok(()), Err)
    }

    /// Waits until everything so far is written.
    ///
    /// # Errors
    /// The first error of all.
    pub(super) fn settle(&mut self) -> Result<(), ArchiveError> {
        let again = if self.threads.is_empty() {
            Self::inline(&self.inline.digests)
        } else {
            Self::start(&self.inline.digests)
        };
        std::mem::replace(self, again).finish()
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// The first error of all.
    pub(super) fn finish(mut self) -> Result<(), ArchiveError> {
        self.pass_on();
        for thread in &mut self.threads {
            let ended = thread.join();
            ended.map_err(|_| io::Error::other("a thread ended before its work"))?;
        }
        self.failure.lock().take().map_or(Ok(()), Err)
    }

    fn pass_on(&mut self) {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        let thread = self.threads.get(self.current);
        if let Some(jobs) = thread.and_then(|thread| thread.jobs.as_ref()) {
            // It ends before this only if it panics, which `finish` tells.
            let _ = jobs.send(batch);
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        for thread in &mut self.threads {
            // If it panicked, that was printed already.
            let _ = thread.join();
        }
    }
}

/// Carries out what comes, until nothing more does. After an error it only takes it.
fn carry_out(waiting: &Receiver<Vec<Job>>, digests: Digests, failure: &Failure) {
    let mut writing = Writing {
        open: None,
        digests,
    };
    let mut failed = false;
    while let Ok(batch) = waiting.recv() {
        failed = failed || failure.lock().is_some();
        for job in batch {
            if failed {
                continue;
            }
            if let Err(error) = writing.carry_out(job) {
                failed = true;
                failure.lock().get_or_insert(error);
            }
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::Cursor;

    use countersign_oci::Algorithm;

    use super::super::read_ahead::ReadAhead;
    use super::*;
    use crate::limits::Limits;

    /// A file on which each write fails, since the device is full.
    fn full() -> Job {
        Job::Begin(NewFile {
            file: File::options().write(true).open("/dev/full").unwrap(),
            name: EntryPath::parse(b"d/name", &Limits::default()).unwrap(),
            metadata: Metadata {
                mode: 0o644,
                mtime: None,
            },
        })
    }

    fn piece() -> Piece {
        let mut ahead = ReadAhead::inline(Cursor::new(vec![7; 9]), Algorithm::Sha256);
        ahead.wait().unwrap();
        ahead.piece(9)
    }

    #[test]
    fn an_error_is_told_in_the_end_if_not_before() {
        let digests = Digests::default();
        for mut writers in [Writers::inline(&digests), Writers::start(&digests)] {
            writers.hand_over(full()).unwrap();
            let written = writers.hand_over(Job::Write(piece()));
            let error = written.and(writers.finish()).unwrap_err();
            assert_eq!(error.to_string(), "`d/name` can't be written");
            let ArchiveError::Write { source, .. } = error else {
                panic!("{error:?}");
            };
            assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        }
        assert!(digests.lock().is_empty());
    }

    #[test]
    fn after_an_error_no_more_is_taken() {
        let mut writers = Writers::start(&Digests::default());
        writers.hand_over(full()).unwrap();
        let mut handed_over = 0;
        while writers.hand_over(Job::Write(piece())).is_ok() {
            handed_over += 1;
            assert!(handed_over < 100_000);
            thread::yield_now();
        }
        writers.finish().unwrap();
    }

    #[test]
    fn content_without_a_file_is_an_error() {
        let mut writers = Writers::inline(&Digests::default());
        writers.hand_over(Job::Write(piece())).unwrap_err();
    }
}
