//! Archives of the sandbox's making, in the words of these tests.

use countersign_sandbox::image::{Entry, EntryKind, Layer, LayerBuilder};

/// An archive that grows entry by entry.
pub(super) struct Tar {
    builder: LayerBuilder,
    /// PAX records for the next entry.
    records: Vec<(String, Vec<u8>)>,
}

impl Default for Tar {
    fn default() -> Self {
        Self {
            builder: Layer::builder(),
            records: Vec::new(),
        }
    }
}

impl Tar {
    pub(super) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(Entry::file(name, content))
    }

    pub(super) fn directory(self, name: &str) -> Self {
        self.entry(Entry::new(EntryKind::Directory, name).mode(0o755))
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(Entry::new(EntryKind::Symlink, name).link(target))
    }

    pub(super) fn hardlink(self, name: &str, target: &str) -> Self {
        self.entry(Entry::new(EntryKind::Hardlink, name).link(target))
    }

    /// An extension header: PAX `x` and `g`, GNU `L` and `K`.
    pub(super) fn extension(self, flag: u8, body: &[u8]) -> Self {
        self.entry(Entry::new(EntryKind::Other(flag), "extension").content(body))
    }

    /// A PAX record in a header before the next entry.
    pub(super) fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.records.push((key.into(), value.as_ref().to_vec()));
        self
    }

    pub(super) fn device(self, name: &str) -> Self {
        self.entry(Entry::new(EntryKind::CharacterDevice, name).device(1, 3))
    }

    pub(super) fn entry(self, entry: Entry) -> Self {
        let records = self.records.iter();
        let entry = records.fold(entry, |entry, (key, value)| entry.pax(key, value));
        Self {
            builder: self.builder.entry(entry),
            records: Vec::new(),
        }
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        Self {
            builder: self.builder.raw(bytes),
            ..self
        }
    }

    /// With the two blocks of zeros that end an archive.
    pub(super) fn end(self) -> Vec<u8> {
        self.builder.tar()
    }

    /// As it is.
    pub(super) fn cut(self) -> Vec<u8> {
        self.builder.unfinished().tar()
    }
}
