//! Tar archives byte by byte, since no writer makes the archives that a reader must refuse.

const BLOCK: usize = 512;

/// A header's fields, all as given.
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) flag: u8,
    pub(super) mode: u32,
    pub(super) size: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) mtime: u64,
}

impl Header {
    pub(super) fn new(flag: u8, name: &str, size: usize) -> Self {
        Self {
            name: name.into(),
            flag,
            mode: if flag == b'5' { 0o755 } else { 0o644 },
            size: format!("{size:011o}\0").into(),
            link: Vec::new(),
            mtime: 1_700_000_000,
        }
    }

    /// The block, in ustar's layout, with its checksum.
    pub(super) fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name);
        put(100, format!("{:07o}\0", self.mode).as_bytes());
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, &self.size);
        put(136, format!("{:011o}\0", self.mtime).as_bytes());
        put(148, b"        ");
        put(156, &[self.flag]);
        put(157, &self.link);
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// An archive that grows entry by entry.
#[derive(Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(&Header::new(b'0', name, content.len()), content)
    }

    pub(super) fn directory(self, name: &str) -> Self {
        self.entry(&Header::new(b'5', name, 0), b"")
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.link(b'2', name, target)
    }

    pub(super) fn hardlink(self, name: &str, target: &str) -> Self {
        self.link(b'1', name, target)
    }

    /// An extension header: PAX `x` and `g`, GNU `L` and `K`.
    pub(super) fn extension(self, flag: u8, body: &[u8]) -> Self {
        self.entry(&Header::new(flag, "extension", body.len()), body)
    }

    /// A PAX header with these records.
    pub(super) fn pax(self, records: &[(&str, &str)]) -> Self {
        let records = records.iter().map(|(key, value)| pax_record(key, value));
        self.extension(b'x', records.collect::<String>().as_bytes())
    }

    pub(super) fn entry(self, header: &Header, content: &[u8]) -> Self {
        let padding = vec![0; content.len().next_multiple_of(BLOCK) - content.len()];
        self.bytes(&header.block()).bytes(content).bytes(&padding)
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// With the two blocks of zeros that end an archive.
    pub(super) fn end(self) -> Vec<u8> {
        self.bytes(&[0; 2 * BLOCK]).0
    }

    /// As it is.
    pub(super) fn cut(self) -> Vec<u8> {
        self.0
    }

    fn link(self, flag: u8, name: &str, target: &str) -> Self {
        let mut header = Header::new(flag, name, 0);
        header.link = target.into();
        self.entry(&header, b"")
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
pub(super) fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}
