//! Decompresses a layer on a thread of its own, ahead of whoever reads it.
//!
//! The thread passes buffers to the caller, who hashes them and reads them. The same few buffers go round, so the
//! memory is bounded, and a thread that is too fast waits. The caller only gets bytes that were hashed. It gets
//! the digest at the end, so use what was read only after it was compared. For small layers the caller
//! decompresses too: starting a thread would take longer than the work.
//!
//! Hashing has no thread of its own. Decompressing takes several times as long as all that the caller does, so
//! nothing would end sooner, and to pass a buffer to a thread that sleeps costs as much as to hash a tenth of it.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use countersign_oci::{Algorithm, Digest, Digester};

/// Bytes of one buffer. It fits into the cache of a core.
const BUFFER: usize = 256 << 10;
/// Buffers of one layer: 8 MiB.
const BUFFERS: usize = 32;

/// A layer's decompressed bytes.
pub(super) struct ReadAhead {
    current: Arc<Shared>,
    /// How many bytes of `current` were read.
    position: usize,
    source: Decompressor,
    /// Of what was read so far.
    digester: Digester,
    /// Set at the end.
    digest: Option<Digest>,
}

/// Who decompresses.
enum Decompressor {
    /// The caller.
    Inline(Decompressing<Box<dyn Read + Send>>),
    Thread(Thread),
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// How many of `bytes` have content.
    length: usize,
}

impl Buffer {
    fn content(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// A buffer that was filled and hashed. Pieces of it may be held by other threads. After the last one it
/// is filled again.
#[derive(Default)]
struct Shared {
    buffer: Buffer,
    /// Where it is filled. `None` if the caller does that.
    empty: Option<Sender<Buffer>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(empty) = &self.empty {
            // If the thread has ended, there is nothing left to fill.
            let _ = empty.send(std::mem::take(&mut self.buffer));
        }
    }
}

/// Some bytes of a layer, which another thread may hold.
pub(super) struct Piece {
    buffer: Arc<Shared>,
    range: Range<usize>,
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        let content = self.buffer.buffer.content();
        content.get(self.range.clone()).unwrap_or_default()
    }
}

/// What comes next of the decompressed bytes.
enum Filled {
    Bytes(Buffer),
    End,
    Failed(io::Error),
}

impl ReadAhead {
    /// Reads `source`, which decompresses, without a thread.
    pub(super) fn inline(source: impl Read + Send + 'static, algorithm: Algorithm) -> Self {
        let source: Box<dyn Read + Send> = Box::new(source);
        Self::new(Decompressor::Inline(Decompressing::new(source)), algorithm)
    }

    /// Starts to read `source`, which decompresses, on another thread. Dropping this stops the thread and
    /// waits for it.
    ///
    /// # Errors
    /// The system's error, if a thread can't be started.
    pub(super) fn start(
        source: impl Read + Send + 'static,
        algorithm: Algorithm,
    ) -> io::Result<Self> {
        let thread = Thread::start(source)?;
        Ok(Self::new(Decompressor::Thread(thread), algorithm))
    }

    fn new(source: Decompressor, algorithm: Algorithm) -> Self {
        Self {
            current: Arc::default(),
            position: 0,
            source,
            digester: Digester::new(algorithm),
            digest: None,
        }
    }

    /// The bytes that can be read without waiting. Empty until [`Self::wait`] has had some.
    pub(super) fn buffered(&self) -> &[u8] {
        let content = self.current.buffer.content();
        content.get(self.position..).unwrap_or_default()
    }

    /// Marks the next `count` bytes as read.
    pub(super) fn consume(&mut self, count: usize) {
        self.position += count;
    }

    /// The next buffered bytes, at most `most`. Marks them as read.
    pub(super) fn piece(&mut self, most: u64) -> Piece {
        let buffered = self.buffered().len();
        let length = usize::try_from(most).map_or(buffered, |most| most.min(buffered));
        let start = self.position;
        self.position += length;
        Piece {
            buffer: Arc::clone(&self.current),
            range: start..self.position,
        }
    }

    /// Waits for more bytes, when all buffered ones were read. Returns how many came: 0 at the end.
    ///
    /// # Errors
    /// Those of the source, and an error if a thread has ended before its work.
    pub(super) fn wait(&mut self) -> io::Result<usize> {
        while self.digest.is_none() {
            let read = std::mem::take(&mut self.current);
            self.position = 0;
            let (filled, empty) = match &mut self.source {
                Decompressor::Inline(decompressing) => {
                    // Where nobody else has pieces of it, it is filled again.
                    let mut read = Arc::into_inner(read).unwrap_or_default();
                    let buffer = std::mem::take(&mut read.buffer);
                    (decompressing.next(buffer), None)
                }
                Decompressor::Thread(thread) => {
                    drop(read);
                    (thread.next()?, thread.empty.clone())
                }
            };
            match filled {
                Filled::Bytes(buffer) => {
                    self.digester.update(buffer.content());
                    self.current = Arc::new(Shared { buffer, empty });
                }
                Filled::End => self.digest = Some(self.digester.clone().finish()),
                Filled::Failed(error) => return Err(error),
            }
            if self.current.buffer.length > 0 {
                break;
            }
        }
        Ok(self.buffered().len())
    }

    /// The digest of all bytes. `None` until [`Self::wait`] has returned 0.
    pub(super) fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

/// Fills buffers from a source.
struct Decompressing<R> {
    source: R,
    /// What comes after the bytes that were passed on.
    last: Option<Filled>,
}

impl<R: Read> Decompressing<R> {
    fn new(source: R) -> Self {
        Self { source, last: None }
    }

    /// Fills a buffer. What comes before an error is passed on before the error.
    fn next(&mut self, mut buffer: Buffer) -> Filled {
        if let Some(last) = self.last.take() {
            return last;
        }
        buffer.bytes.resize(BUFFER, 0);
        buffer.length = 0;
        while let Some(rest) = buffer.bytes.get_mut(buffer.length..)
            && !rest.is_empty()
        {
            match self.source.read(rest) {
                Ok(0) => {
                    self.last = Some(Filled::End);
                    break;
                }
                Ok(read) => buffer.length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.last = Some(Filled::Failed(error));
                    break;
                }
            }
        }
        Filled::Bytes(buffer)
    }
}

/// A thread that decompresses.
struct Thread {
    filled: Receiver<Filled>,
    /// Buffers to fill. Without it the thread ends.
    empty: Option<Sender<Buffer>>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    fn start(source: impl Read + Send + 'static) -> io::Result<Self> {
        let (empty, to_fill) = channel::<Buffer>();
        let (done, filled) = channel();
        for _ in 0..BUFFERS {
            // They get their memory when they are filled for the first time.
            let _ = empty.send(Buffer::default());
        }
        let mut decompressing = Decompressing::new(source);
        let work = move || {
            while let Ok(buffer) = to_fill.recv() {
                let next = decompressing.next(buffer);
                let is_last = !matches!(next, Filled::Bytes(_));
                if done.send(next).is_err() || is_last {
                    return;
                }
            }
        };
        let handle = thread::Builder::new()
            .name("decompress".into())
            .spawn(work)?;
        Ok(Self {
            filled,
            empty: Some(empty),
            handle: Some(handle),
        })
    }

    /// Waits for the next buffer.
    fn next(&mut self) -> io::Result<Filled> {
        let filled = self.filled.recv();
        filled.map_err(|_| io::Error::other("a thread ended before its work"))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.empty = None;
        if let Some(handle) = self.handle.take() {
            // If it panicked, that was printed already.
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Bytes without an end, and how many of them were read.
    struct Endless(Arc<AtomicU64>, Sender<PathBuf>);

    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0.fetch_add(into.len() as u64, Ordering::SeqCst);
            // Nobody may want to know.
            let _ = self.1.send(std::fs::read_link("/proc/thread-self")?);
            into.fill(7);
            Ok(into.len())
        }
    }

    /// Panics when it is read.
    struct Panics;

    impl Read for Panics {
        fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
            panic!("on purpose")
        }
    }

    /// Some bytes and then an error.
    #[derive(Clone)]
    struct Broken(&'static [u8]);

    impl Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => Err(io::ErrorKind::InvalidData.into()),
                read => Ok(read),
            }
        }
    }

    /// Reads the same without threads and with them.
    fn both(source: impl Read + Clone + Send + 'static) -> [ReadAhead; 2] {
        let inline = ReadAhead::inline(source.clone(), Algorithm::Sha256);
        [inline, ReadAhead::start(source, Algorithm::Sha256).unwrap()]
    }

    fn read_to_end(ahead: &mut ReadAhead) -> (Vec<u8>, io::Result<usize>) {
        let mut found = Vec::new();
        loop {
            match ahead.wait() {
                Ok(count) if count > 0 => {
                    found.extend_from_slice(ahead.buffered());
                    ahead.consume(count);
                }
                end => return (found, end),
            }
        }
    }

    #[test]
    fn all_bytes_are_read_in_order_and_hashed() {
        for size in [0, 1, BUFFER - 1, BUFFER, BUFFER * (BUFFERS + 2) + 5] {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            for mut ahead in both(io::Cursor::new(bytes.clone())) {
                let (found, end) = read_to_end(&mut ahead);
                assert_eq!(end.unwrap(), 0);
                assert!(found == bytes, "{size}");
                assert_eq!(ahead.digest(), Some(&Digest::sha256(&bytes)), "{size}");
            }
        }
    }

    #[test]
    fn no_more_is_read_ahead_than_the_buffers_hold_and_dropping_stops_it() {
        let read = Arc::new(AtomicU64::new(0));
        let (by, thread) = channel();
        let source = Endless(Arc::clone(&read), by);
        let ahead = ReadAhead::start(source, Algorithm::Sha256).unwrap();
        let status = Path::new("/proc").join(thread.recv().unwrap());
        let status = status.join("status");
        let sleeps = || {
            let status = std::fs::read_to_string(&status).unwrap();
            status.lines().any(|line| line.starts_with("State:\tS"))
        };
        let most = (BUFFER * BUFFERS) as u64;
        while read.load(Ordering::SeqCst) < most || !sleeps() {
            thread::yield_now();
        }
        assert_eq!(read.load(Ordering::SeqCst), most);
        drop(ahead);
        // The thread has ended.
        assert_eq!(read.load(Ordering::SeqCst), most);
        assert_eq!(Arc::strong_count(&read), 1);
    }

    #[test]
    fn what_comes_before_an_error_is_read_first() {
        for mut ahead in both(Broken(b"before")) {
            let (found, end) = read_to_end(&mut ahead);
            assert_eq!(found, b"before");
            assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert_eq!(ahead.digest(), None);
        }
    }

    #[test]
    fn a_piece_stays_while_others_are_read_and_then_its_buffer_is_filled_again() {
        let read = Arc::new(AtomicU64::new(0));
        let mut ahead =
            ReadAhead::start(Endless(Arc::clone(&read), channel().0), Algorithm::Sha256).unwrap();
        let mut pieces = Vec::new();
        for _ in 0..BUFFERS {
            assert_eq!(ahead.wait().unwrap(), BUFFER);
            pieces.push(ahead.piece(5));
            let rest = ahead.piece(u64::MAX);
            assert_eq!(rest.bytes().len(), BUFFER - 5);
            assert_eq!(ahead.buffered(), b"");
        }
        assert!(pieces.iter().all(|piece| piece.bytes() == [7; 5]));
        let most = (BUFFER * BUFFERS) as u64;
        assert_eq!(read.load(Ordering::SeqCst), most);
        pieces.clear();
        assert_eq!(ahead.wait().unwrap(), BUFFER);
        assert!(read.load(Ordering::SeqCst) > most);
    }

    #[test]
    fn a_thread_that_panics_is_an_error_and_no_end() {
        let mut ahead = ReadAhead::start(Panics, Algorithm::Sha256).unwrap();
        ahead.wait().unwrap_err();
        assert_eq!(ahead.digest(), None);
    }
}
