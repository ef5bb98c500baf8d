//! Unpacks layers, the lowest first, into one directory.
//!
//! The result is a plain tree: files, directories, symbolic and hard links. Owners and extended
//! attributes are dropped. Set-user-id, set-group-id and sticky bits are removed, and only the owner
//! keeps the permission to write. Devices and fifos are left out, and so are hard links to them; what
//! was at their path before is removed. [`Unpacked::warnings`] reports all this.
//! Whiteouts follow the OCI image specification ("Layer", "Whiteouts") as umoci reads it. Nothing is
//! written outside the directory, whatever the archive says.
//!
//! Where umoci, containers/storage and containerd read an archive in the same way, we read it in that
//! way too. Where they differ, or where an entry would leave the root, the archive is refused.

mod archive;
mod error;
mod file_content;
mod items;
mod name;
mod read_ahead;
mod resolve;
mod root;
mod sparse;
mod stream;
#[cfg(test)]
mod tests;
mod writers;

use std::io;
use std::os::fd::OwnedFd;

use countersign_oci::{Algorithm, Digest};

use crate::inventory::Item;
use crate::limits::Limits;
use archive::{End, Entry, Kind, TarReader};
use name::EntryPath;
use read_ahead::ReadAhead;
use root::{Linked, OTHERS_WRITE, Root};
use stream::{Budget, LayerStream};
use writers::{Digests, Writers};

pub use error::ArchiveError;
pub(crate) use stream::{Cancellation, LayerBytes, is_layer};

/// The directory at the top of an installation that the record is written to. No image may have it.
pub(crate) const RESERVED: &str = ".countersign";

/// Compressed bytes of a layer up to which it is decompressed without threads.
const SMALL: u64 = 64 << 10;

/// Prefix of a whiteout's name: the layer removes the file of that name from the layers below.
const WHITEOUT: &[u8] = b".wh.";
/// Removes everything that lower layers have in the directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Prefix of the other names that AUFS used for its own data. They mean nothing in an image.
const WHITEOUT_METADATA: &[u8] = b".wh..wh.";

/// The result of unpacking.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    special: Tally,
    privileged: Tally,
    writable: Tally,
    xattrs: Tally,
    copied: Tally,
}

impl Unpacked {
    /// What was left out or changed on purpose, one sentence each.
    pub(crate) fn warnings(&self) -> Vec<String> {
        [
            (
                &self.special,
                "left out (devices, fifos, and hard links to them)",
            ),
            (
                &self.privileged,
                "installed without their set-user-id, set-group-id or sticky bit",
            ),
            (
                &self.writable,
                "installed without write permission for group and others",
            ),
            (&self.xattrs, "installed without their extended attributes"),
            (
                &self.copied,
                "copied in place of hard links, which this file system refused",
            ),
        ]
        .into_iter()
        .filter_map(|(tally, what)| tally.sentence(what))
        .collect()
    }
}

/// How many entries, and which came first.
#[derive(Debug, Default)]
struct Tally {
    count: u64,
    first: String,
}

impl Tally {
    fn add(&mut self, name: &EntryPath) {
        if self.count == 0 {
            self.first = name.display();
        }
        self.count += 1;
    }

    fn sentence(&self, what: &str) -> Option<String> {
        let Self { count, first } = self;
        match count {
            0 => None,
            1 => Some(format!("one entry was {what}: {first}")),
            2.. => Some(format!(
                "{count} entries were {what}, the first of them {first}"
            )),
        }
    }
}

/// An archive, fetched and checked against its digest.
pub(crate) struct Layer {
    pub(crate) content: LayerBytes,
    /// Bytes of `content`.
    pub(crate) size: u64,
    pub(crate) form: Form,
}

/// What an archive is part of.
pub(crate) enum Form {
    /// A layer of an image: names may be whiteouts.
    Layer {
        /// Digest of the decompressed content, by the image's configuration.
        diff_id: Digest,
    },
    /// A plain archive: no name is a whiteout.
    Plain,
}

impl Form {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Layer { diff_id } => diff_id.algorithm(),
            Self::Plain => Algorithm::Sha256,
        }
    }

    fn end(&self) -> End {
        match self {
            Self::Layer { .. } => End::Anywhere,
            Self::Plain => End::Marked,
        }
    }
}

/// An archive that is being decompressed on other threads. At most 8 MiB are waiting to be read.
pub(crate) struct OpenLayer {
    content: ReadAhead,
    /// Compressed bytes.
    size: u64,
    form: Form,
}

impl Layer {
    /// Starts to decompress it. Nothing of it is parsed or written before [`Extractor::apply`].
    ///
    /// # Errors
    /// [`ArchiveError::Compression`]; [`ArchiveError::Read`]; [`ArchiveError::Thread`].
    pub(crate) fn open(self) -> Result<OpenLayer, ArchiveError> {
        let decoder = stream::decoder(self.content)?;
        let algorithm = self.form.algorithm();
        let content = match self.size {
            0..=SMALL => ReadAhead::inline(decoder, algorithm),
            _ => ReadAhead::start(decoder, algorithm).map_err(ArchiveError::Thread)?,
        };
        Ok(OpenLayer {
            content,
            size: self.size,
            form: self.form,
        })
    }
}

/// Unpacks one image. It blocks: use it on a thread that may.
pub(crate) struct Extractor {
    root: Root,
    limits: Limits,
    cancellation: Cancellation,
    decompressed: u64,
    unpacked: Unpacked,
    digests: Digests,
}

impl Extractor {
    /// `root` must be an empty directory that nobody else writes to.
    pub(crate) fn new(
        root: OwnedFd,
        limits: Limits,
        cancellation: Cancellation,
    ) -> io::Result<Self> {
        Ok(Self {
            root: Root::new(root, &limits, cancellation.clone())?,
            limits,
            cancellation,
            decompressed: 0,
            unpacked: Unpacked::default(),
            digests: Digests::default(),
        })
    }

    /// Opens the next layer and unpacks it over those before it.
    pub(crate) fn layer(&mut self, layer: Layer) -> Result<(), ArchiveError> {
        self.apply(layer.open()?)
    }

    /// Unpacks the next layer over those before it.
    pub(crate) fn apply(&mut self, layer: OpenLayer) -> Result<(), ArchiveError> {
        self.root.next_layer();
        let budget = Budget::new(&self.limits, self.decompressed, layer.size);
        let stream = LayerStream::new(layer.content, budget, self.cancellation.clone());
        let limits = self.limits.clone();
        let mut archive = TarReader::new(stream, layer.form.end(), &limits);
        let mut writers = match layer.size {
            0..=SMALL => Writers::inline(&self.digests),
            _ => Writers::start(&self.digests),
        };
        let read = self.entries(&mut archive, &layer.form, &mut writers);
        // A file that can't be written is the reason of what comes after it.
        writers.finish().and(read)?;
        let (found, bytes) = archive.into_inner().finish()?;
        if let Form::Layer { diff_id } = layer.form
            && found != diff_id
        {
            return Err(ArchiveError::DiffId {
                expected: diff_id,
                found,
            });
        }
        self.decompressed += bytes;
        Ok(())
    }

    /// What was unpacked so far.
    pub(crate) fn unpacked(&self) -> &Unpacked {
        &self.unpacked
    }

    /// Gives `add` everything that is there after all layers: a directory before what is in it, otherwise by
    /// name. To be called before [`Self::finish`], when all directories can still be read.
    ///
    /// # Errors
    /// Those of `add`, and of the file system.
    pub(crate) fn items(
        &self,
        mut add: impl FnMut(Item) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        self.root.items(&self.digests.lock(), &mut add)
    }

    /// Gives the directories their permissions and times. Nothing can be added after that.
    pub(crate) fn finish(self) -> Result<(), ArchiveError> {
        self.root.finish()
    }

    fn entries(
        &mut self,
        archive: &mut TarReader<'_, LayerStream>,
        form: &Form,
        writers: &mut Writers,
    ) -> Result<(), ArchiveError> {
        while let Some(entry) = archive.next_entry()? {
            self.cancellation.check()?;
            self.root.count_entry()?;
            self.entry(&entry, archive, form, writers)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        entry: &Entry,
        archive: &mut TarReader<'_, LayerStream>,
        form: &Form,
        writers: &mut Writers,
    ) -> Result<(), ArchiveError> {
        let name = &entry.name;
        if name.components().next() == Some(RESERVED.as_bytes()) {
            return Err(ArchiveError::ReservedName {
                name: name.display(),
            });
        }
        if let Form::Layer { .. } = form
            && let Some(whiteout) = whiteout(name)?
        {
            return self.apply_whiteout(name, whiteout);
        }
        if entry.xattrs {
            self.unpacked.xattrs.add(name);
        }
        match &entry.kind {
            Kind::Directory => self.root.directory(name, entry.metadata)?,
            Kind::File { map } => {
                if let Some(map) = map {
                    archive.stream().add_holes(map.holes())?;
                }
                archive.write_content(
                    self.root.file(name, entry.metadata)?,
                    entry,
                    map.as_ref(),
                    writers,
                )?;
            }
            Kind::Symlink { target } => self.root.symlink(name, target)?,
            Kind::Hardlink { target } => match self.root.hardlink(name, target)? {
                Linked::Made => {}
                Linked::LeftOut => self.unpacked.special.add(name),
                Linked::Unsupported => {
                    // Before it is written, nothing has its size.
                    writers.settle()?;
                    let count = |bytes| archive.stream().add_holes(bytes);
                    self.root.copy(name, target, &self.digests, count)?;
                    self.unpacked.copied.add(name);
                }
            },
            Kind::Special => {
                self.root.leave_out(name)?;
                self.unpacked.special.add(name);
            }
        }
        if matches!(entry.kind, Kind::File { .. } | Kind::Directory) {
            let mode = entry.metadata.mode;
            if mode & 0o7000 != 0 {
                self.unpacked.privileged.add(name);
            }
            if mode & OTHERS_WRITE != 0 {
                self.unpacked.writable.add(name);
            }
        }
        Ok(())
    }

    fn apply_whiteout(&mut self, name: &EntryPath, whiteout: Whiteout) -> Result<(), ArchiveError> {
        match whiteout {
            Whiteout::Of(removed) => self.root.whiteout(&removed, name),
            Whiteout::Opaque => {
                let (directory, _) = name.split().unwrap_or_default();
                self.root.opaque_whiteout(directory, name)
            }
            Whiteout::Metadata => Ok(()),
        }
    }
}

enum Whiteout {
    Of(EntryPath),
    Opaque,
    Metadata,
}

/// What a name means as a whiteout; `None` if it is an ordinary name.
fn whiteout(name: &EntryPath) -> Result<Option<Whiteout>, ArchiveError> {
    let Some((_, leaf)) = name.split() else {
        return Ok(None);
    };
    let malformed = || ArchiveError::Whiteout {
        name: name.display(),
    };
    if leaf == OPAQUE {
        return Ok(Some(Whiteout::Opaque));
    }
    if name
        .components()
        .any(|part| part.starts_with(WHITEOUT_METADATA))
    {
        return Ok(Some(Whiteout::Metadata));
    }
    let Some(removed) = leaf.strip_prefix(WHITEOUT) else {
        return Ok(None);
    };
    if matches!(removed, b"" | b"." | b"..") {
        return Err(malformed());
    }
    Ok(Some(Whiteout::Of(name.sibling(removed))))
}
