//! Writes the inventory of what was unpacked.
//!
//! Nothing else can be done then, so two threads share it: one looks at the files, the other writes what it found.

use std::io::{self, BufWriter, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::error::Error;
use crate::extract::{ArchiveError, Extractor};
use crate::inventory::{self, InventoryDigest, InventoryWriter, Item, ItemKind};
use crate::limits::Bound;
use crate::target::Staging;

/// Items that are passed on together.
const BATCH: usize = 256;
/// Batches that may wait to be written.
const WAITING: usize = 4;

/// An inventory that was written, and what is in it.
pub(super) struct Written {
    pub(super) digest: InventoryDigest,
    /// How many files.
    pub(super) files: u64,
    /// Bytes of their content.
    pub(super) bytes: u64,
}

/// Writes the inventory beside the record. What one entry of an archive, or one layer, has replaced of another isn't in it.
pub(super) fn write(staging: &Staging, extractor: &Extractor) -> Result<Written, Error> {
    let (mut files, mut bytes) = (0u64, 0u64);
    let digest = staging.write_beside_record(inventory::FILE, |file| {
        let writer = InventoryWriter::new(BufWriter::new(file), inventory::MAX_BYTES);
        let listed = pass_on(writer, |items| {
            extractor.items(|item| {
                if let ItemKind::File { size, .. } = &item.kind {
                    files = files.saturating_add(1);
                    bytes = bytes.saturating_add(*size);
                }
                items.add(item)
            })
        });
        listed.map_err(Error::Tree)
    })?;
    Ok(Written {
        digest,
        files,
        bytes,
    })
}

/// Has `list` give its items to a thread that writes them.
fn pass_on(
    writer: InventoryWriter<impl Write + Send>,
    list: impl FnOnce(&mut Batches) -> Result<(), ArchiveError>,
) -> Result<InventoryDigest, ArchiveError> {
    let (send, listed) = sync_channel(WAITING);
    let mut items = Batches {
        send,
        batch: Vec::new(),
    };
    thread::scope(|scope| {
        let work = || write_items(writer, listed);
        let writing = thread::Builder::new().name("inventory".into());
        let writing = writing.spawn_scoped(scope, work);
        let writing = writing.map_err(ArchiveError::Thread)?;
        let listing = list(&mut items).and_then(|()| items.flush());
        drop(items);
        let written = writing.join();
        let written = written.map_err(|_| io::Error::other("a thread ended before its work"))?;
        // If it can't be written, listing ends too.
        let digest = written.map_err(not_written)?;
        listing.map(|()| digest)
    })
}

fn write_items(
    mut writer: InventoryWriter<impl Write>,
    listed: Receiver<Vec<Item>>,
) -> io::Result<InventoryDigest> {
    for batch in listed {
        for item in batch {
            writer.add(&item)?;
        }
    }
    writer.finish()
}

/// Items on their way to the thread that writes them.
struct Batches {
    send: SyncSender<Vec<Item>>,
    batch: Vec<Item>,
}

impl Batches {
    fn add(&mut self, item: Item) -> Result<(), ArchiveError> {
        self.batch.push(item);
        match self.batch.len() {
            ..BATCH => Ok(()),
            _ => self.flush(),
        }
    }

    /// Passes on what was added.
    ///
    /// # Errors
    /// [`ArchiveError::Cancelled`], if the thread has failed. Its own error says why.
    fn flush(&mut self) -> Result<(), ArchiveError> {
        let batch = std::mem::take(&mut self.batch);
        self.send.send(batch).map_err(|_| ArchiveError::Cancelled)
    }
}

fn not_written(source: io::Error) -> ArchiveError {
    match source.kind() {
        // The system's own limit on files has a number.
        io::ErrorKind::FileTooLarge if source.raw_os_error().is_none() => ArchiveError::Limit {
            what: "the list of all paths".into(),
            limit: inventory::MAX_BYTES,
            bound: Bound::Fixed,
        },
        _ => ArchiveError::Write {
            name: inventory::FILE.into(),
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: usize) -> Item {
        Item {
            path: format!("directory/{number}").into_bytes(),
            kind: ItemKind::Directory { mode: 0o755 },
        }
    }

    fn listed(
        limit: u64,
        count: usize,
        into: &mut Vec<u8>,
    ) -> Result<InventoryDigest, ArchiveError> {
        let writer = InventoryWriter::new(into, limit);
        pass_on(writer, |items| {
            (0..count).try_for_each(|number| items.add(item(number)))
        })
    }

    #[test]
    fn what_is_passed_on_is_written_in_its_order_and_all_of_it() {
        for count in [0, 1, BATCH - 1, BATCH, 10 * BATCH + 3] {
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            let digest = listed(u64::MAX, count, &mut found).unwrap();
            let mut writer = InventoryWriter::new(&mut expected, u64::MAX);
            for number in 0..count {
                writer.add(&item(number)).unwrap();
            }
            assert_eq!(digest, writer.finish().unwrap());
            assert!(found == expected, "{count}");
        }
    }

    #[test]
    fn the_error_of_the_thread_is_told_and_listing_ends_by_it() {
        let mut bytes = Vec::new();
        let error = listed(1000, usize::MAX, &mut bytes).unwrap_err();
        assert!(
            matches!(
                error,
                ArchiveError::Limit {
                    bound: Bound::Fixed,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(bytes.len() <= 1000);
    }

    #[test]
    fn an_error_of_listing_is_told() {
        let writer = InventoryWriter::new(io::sink(), u64::MAX);
        let error = pass_on(writer, |items| {
            items.add(item(1))?;
            Err(ArchiveError::TrailingData)
        });
        assert!(matches!(error, Err(ArchiveError::TrailingData)));
    }
}
