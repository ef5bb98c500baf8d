//! Reads gzip (RFC 1952): one member after the other, each checked against its checksum and its length.
//!
//! `flate2` inflates, and reads whole members too. But then it computes the checksum with `zlib-rs`, which takes a
//! fifth of the time of inflating. `crc32fast` takes a fiftieth.

use std::io::{self, BufRead, Read};
use std::mem;

use flate2::{Decompress, FlushDecompress, Status};

/// Flags of a header.
const HEADER_CHECKSUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// Bytes of the longest name or comment, with the zero at its end, as in Go's compress/gzip.
const TEXT_BYTES: u64 = 512;

/// Decompresses gzip.
pub(super) struct Gzip<R> {
    source: R,
    inflater: Decompress,
    place: Place,
}

/// Where the next read goes on.
enum Place {
    /// Before a member, or at the end.
    Between,
    /// In a member, with the checksum of its content so far.
    Within(crc32fast::Hasher),
    /// Behind an error. What follows must not be taken for content.
    Failed,
}

impl<R: BufRead> Gzip<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            inflater: Decompress::new(false),
            place: Place::Between,
        }
    }

    /// Reads the header of the next member. `false` after the last one. Other bytes there are an error.
    fn begin(&mut self) -> io::Result<bool> {
        if self.source.fill_buf()?.is_empty() {
            return Ok(false);
        }
        skip_header(&mut self.source)?;
        self.inflater.reset(false);
        self.place = Place::Within(crc32fast::Hasher::new());
        Ok(true)
    }

    /// Reads what is behind the content of a member, and compares.
    fn end(&mut self) -> io::Result<()> {
        let [found, length] = [self.number()?, self.number()?];
        let Place::Within(checksum) = mem::replace(&mut self.place, Place::Between) else {
            return Err(malformed("the end of a member that never began"));
        };
        if found != checksum.finalize() {
            return Err(malformed("its checksum is not that of its content"));
        }
        // Its lowest 32 bits.
        if length != self.inflater.total_out() as u32 {
            return Err(malformed("its length is not that of its content"));
        }
        Ok(())
    }

    fn number(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.source.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.content(into);
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.place = Place::Failed;
        }
        read
    }
}

impl<R: BufRead> Gzip<R> {
    /// The next bytes of content. After `Interrupted` it goes on where it was.
    fn content(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let checksum = match &mut self.place {
                Place::Within(checksum) => checksum,
                Place::Between => {
                    if self.begin()? {
                        continue;
                    } else {
                        return Ok(0);
                    }
                }
                Place::Failed => return Err(malformed("it was read on after an error")),
            };
            let input = self.source.fill_buf()?;
            let is_last = input.is_empty();
            let (read, written) = (self.inflater.total_in(), self.inflater.total_out());
            let status = self
                .inflater
                .decompress(input, into, FlushDecompress::None)
                .map_err(|error| malformed(error.message().unwrap_or("corrupt deflate stream")))?;
            let read = usize::try_from(self.inflater.total_in() - read).unwrap_or(input.len());
            let written = self.inflater.total_out() - written;
            self.source.consume(read);
            let written = usize::try_from(written).unwrap_or(into.len());
            checksum.update(into.get(..written).unwrap_or_default());
            match status {
                Status::StreamEnd => self.end()?,
                Status::Ok | Status::BufError if read == 0 && written == 0 && !into.is_empty() => {
                    return Err(if is_last {
                        io::ErrorKind::UnexpectedEof.into()
                    } else {
                        malformed("corrupt deflate stream")
                    });
                }
                Status::Ok | Status::BufError => {}
            }
            if written > 0 || into.is_empty() {
                return Ok(written);
            }
        }
    }
}

/// Reads a header. Nothing in it matters to us, but it must be one.
fn skip_header(source: &mut impl BufRead) -> io::Result<()> {
    let mut header = Header {
        source,
        checksum: crc32fast::Hasher::new(),
    };
    let [id1, id2, method, flags, ..] = header.bytes::<10>()?;
    if [id1, id2, method] != [0x1f, 0x8b, 8] || flags & RESERVED != 0 {
        return Err(malformed("invalid gzip header"));
    }
    if flags & EXTRA != 0 {
        for _ in 0..u16::from_le_bytes(header.bytes()?) {
            header.bytes::<1>()?;
        }
    }
    if flags & NAME != 0 {
        header.text()?;
    }
    if flags & COMMENT != 0 {
        header.text()?;
    }
    if flags & HEADER_CHECKSUM != 0 {
        let expected = header.checksum.clone().finalize() & 0xffff;
        if u32::from(u16::from_le_bytes(header.bytes()?)) != expected {
            return Err(malformed("the checksum of a gzip header is wrong"));
        }
    }
    Ok(())
}

struct Header<'a, R> {
    source: &'a mut R,
    checksum: crc32fast::Hasher,
}

impl<R: BufRead> Header<'_, R> {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes)?;
        self.checksum.update(&bytes);
        Ok(bytes)
    }

    /// Skips a text that ends with a zero.
    fn text(&mut self) -> io::Result<()> {
        for _ in 0..TEXT_BYTES {
            if self.bytes()? == [0] {
                return Ok(());
            }
        }
        Err(malformed("a name or comment in a gzip header is too long"))
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, GzBuilder, bufread::MultiGzDecoder};

    use super::*;

    fn member(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// Two members, the first with everything that a header can have.
    fn two_members() -> Vec<u8> {
        let builder = GzBuilder::new().filename("name").comment("a comment");
        let mut encoder = builder
            .extra(vec![7; 300])
            .write(Vec::new(), Compression::default());
        encoder.write_all(&b"first ".repeat(9)).unwrap();
        let mut bytes = encoder.finish().unwrap();
        bytes.extend(member(b"second"));
        bytes
    }

    /// What we read, in pieces of this size.
    fn read(bytes: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut gzip = Gzip::new(io::BufReader::with_capacity(piece, bytes));
        let mut content = Vec::new();
        let mut buffer = vec![0; piece];
        loop {
            match gzip.read(&mut buffer)? {
                0 => return Ok(content),
                count => content.extend_from_slice(&buffer[..count]),
            }
        }
    }

    fn by_flate2(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        let read = MultiGzDecoder::new(bytes).read_to_end(&mut content);
        read.ok().map(|_| content)
    }

    fn refused(bytes: &[u8]) -> String {
        read(bytes, 1000).unwrap_err().to_string()
    }

    #[test]
    fn members_follow_each_other_in_pieces_of_any_size() {
        let bytes = two_members();
        let expected = [b"first ".repeat(9), b"second".to_vec()].concat();
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(read(&bytes, piece).unwrap(), expected, "{piece}");
        }
        assert_eq!(read(&member(b""), 10).unwrap(), b"");
        let large = vec![9; 3 << 20];
        assert!(read(&member(&large), 256 << 10).unwrap() == large);
    }

    #[test]
    fn whatever_is_changed_or_cut_we_read_what_flate2_reads() {
        let bytes = two_members();
        // What has no byte of a header was never taken for gzip.
        for at in 1..bytes.len() {
            let cut = &bytes[..at];
            assert_eq!(read(cut, 1000).ok(), by_flate2(cut), "cut at {at}");
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at - 1] ^= 1 << bit;
                let found = read(&changed, 1000).ok();
                assert_eq!(found, by_flate2(&changed), "bit {bit} before {at}");
            }
        }
    }

    #[test]
    fn what_is_behind_the_content_is_compared() {
        let bytes = member(b"content");
        let end = bytes.len();
        for (at, said) in [
            (end - 8, "its checksum is not that of its content"),
            (end - 4, "its length is not that of its content"),
        ] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(refused(&changed), said);
        }
        assert_eq!(
            read(&bytes[..end - 1], 9).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        assert_eq!(
            refused(&[bytes, vec![0; 512]].concat()),
            "invalid gzip header"
        );
    }

    /// Is interrupted before each byte that it gives.
    struct Interrupted<'a> {
        bytes: &'a [u8],
        now: bool,
    }

    impl Read for Interrupted<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.now = !self.now;
            if self.now {
                Err(io::ErrorKind::Interrupted.into())
            } else {
                self.bytes.read(into.get_mut(..1).unwrap_or_default())
            }
        }
    }

    #[test]
    fn an_interruption_loses_nothing() {
        let bytes = two_members();
        let source = Interrupted {
            bytes: &bytes,
            now: false,
        };
        let mut content = Vec::new();
        let mut gzip = Gzip::new(io::BufReader::new(source));
        gzip.read_to_end(&mut content).unwrap();
        assert_eq!(content, by_flate2(&bytes).unwrap());
    }

    #[test]
    fn nothing_is_given_after_an_error() {
        let (mut bytes, whole) = (member(b"first"), member(b"second"));
        let end = bytes.len();
        bytes[end - 8] ^= 1;
        bytes.extend(whole);
        let mut gzip = Gzip::new(bytes.as_slice());
        for said in [
            "its checksum is not that of its content",
            "it was read on after an error",
        ] {
            assert_eq!(gzip.read(&mut [0; 100]).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn a_header_may_have_a_checksum_and_no_endless_name() {
        let content = member(b"content");
        let mut header = content[..10].to_vec();
        header[3] = HEADER_CHECKSUM | NAME;
        header.extend(b"name\0");
        let checksum = crc32fast::hash(&header) as u16;
        header.extend(checksum.to_le_bytes());
        let whole = [&header[..], &content[10..]].concat();
        assert_eq!(read(&whole, 9).unwrap(), b"content");
        assert_eq!(by_flate2(&whole).unwrap(), b"content");
        for (at, said) in [
            (4, "the checksum of a gzip header is wrong"),
            (header.len() - 1, "the checksum of a gzip header is wrong"),
        ] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(refused(&changed), said);
        }
        let mut endless = content[..10].to_vec();
        endless[3] = NAME;
        endless.extend([b'n'; 600]);
        let said = "a name or comment in a gzip header is too long";
        assert_eq!(refused(&endless), said);
    }
}
