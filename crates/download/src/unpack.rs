//! Unpacks admitted content into a staging directory, and from there moves it into place.

mod admitted;
mod ahead;
mod blob;
mod image;
mod inventory;
mod layers;
mod manifest;
mod turns;

use std::sync::Arc;

use crate::archive::AdmittedArchive;
use crate::blocking::{CancelOnDrop, blocking};
use crate::error::Error;
use crate::events::{Event, Events};
use crate::extract::Extractor;
use crate::inventory::InventoryDigest;
use crate::limits::Limits;
use crate::options::Durability;
use crate::record::Record;
use crate::target::Staging;

use inventory::Written;

pub(crate) use ahead::{Ahead, Selection};
pub(crate) use image::Fetching;

/// Content that is unpacked and waits in its staging directory.
pub(crate) struct UnpackedTree {
    staging: Arc<Staging>,
    extractor: Extractor,
    guard: CancelOnDrop,
    inventory: Written,
}

impl UnpackedTree {
    /// Writes the inventory of what was unpacked.
    async fn new(
        staging: Arc<Staging>,
        extractor: Extractor,
        guard: CancelOnDrop,
    ) -> Result<Self, Error> {
        let (staging, extractor, inventory) = blocking(move || {
            let inventory = inventory::write(&staging, &extractor)?;
            Ok((staging, extractor, inventory))
        })
        .await?;
        Ok(Self {
            staging,
            extractor,
            guard,
            inventory,
        })
    }

    /// The inventory of what was unpacked.
    pub(crate) fn inventory(&self) -> &InventoryDigest {
        &self.inventory.digest
    }

    /// How many files there are.
    pub(crate) fn files(&self) -> u64 {
        self.inventory.files
    }

    /// Bytes of their content.
    pub(crate) fn bytes(&self) -> u64 {
        self.inventory.bytes
    }

    /// What was left out or changed, one sentence each.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.extractor.unpacked().warnings()
    }

    /// Adds the record and moves everything into place.
    pub(crate) async fn commit(
        self,
        record: Record<'_>,
        durability: Durability,
    ) -> Result<(), Error> {
        let record = record.to_json();
        let record = record.map_err(Error::io("write", self.staging.record_path()))?;
        let Self {
            staging,
            extractor,
            guard,
            inventory: _,
        } = self;
        let cancellation = guard.cancellation();
        blocking(move || {
            staging.write_record(&record)?;
            extractor.finish().map_err(Error::Tree)?;
            staging.commit(durability, &cancellation)
        })
        .await?;
        drop(guard);
        Ok(())
    }
}

/// Unpacks an admitted archive into the staging directory that it was quarantined in.
pub(crate) async fn unpack_archive(
    limits: &Limits,
    archive: AdmittedArchive,
    staging: Arc<Staging>,
    events: Events<'_>,
) -> Result<UnpackedTree, Error> {
    let guard = CancelOnDrop::default();
    let mut extractor = extractor(&staging, limits, &guard).await?;
    let digest = archive.digest().clone();
    // The thread may outlive us. The staging directory must stay until it has ended.
    let held = Arc::clone(&staging);
    let extractor = blocking(move || {
        let (layer, location) = archive.open()?;
        let result = extractor.layer(layer);
        drop(held);
        result.map_err(|source| Error::Archive { location, source })?;
        Ok(extractor)
    })
    .await?;
    events(Event::LayerExtracted { digest });
    UnpackedTree::new(staging, extractor, guard).await
}

/// An extractor that writes to `staging` until `guard` is dropped. It tries out the file system first.
async fn extractor(
    staging: &Arc<Staging>,
    limits: &Limits,
    guard: &CancelOnDrop,
) -> Result<Extractor, Error> {
    let (staging, limits) = (Arc::clone(staging), limits.clone());
    let cancellation = guard.cancellation();
    blocking(move || {
        let extractor = Extractor::new(staging.root()?, limits, cancellation);
        extractor.map_err(Error::io("look at", staging.target()))
    })
    .await
}
