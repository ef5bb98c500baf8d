//! Lists the entries of an index for platforms: each manifest that [`Registry::select`] could find, and each
//! that another client could.

use std::collections::HashSet;

use super::Registry;
use super::select::{DOCUMENTS_MAX, INDEX_DEPTH_MAX, Selected, may_be_selected};
use crate::descriptor::{Descriptor, is_document, is_index};
use crate::document::Document;
use crate::error::{Error, Result};
use crate::index::refuse_unreadable_platforms;
use crate::platform::Platform;
use crate::resolved::ResolvedImage;

/// How many entries one list may have. Real images have fewer than 30.
const ENTRIES_MAX: usize = 256;

/// An entry of an index for a platform.
#[derive(Debug, Clone)]
pub struct PlatformEntry {
    /// By the index, or else by the configuration.
    pub platform: Platform,
    /// The indexes below the searched one that lead to it, outermost first.
    indexes: Vec<ResolvedImage>,
    child: Descriptor,
}

impl Registry {
    /// Everything that an index lists for a platform, and that the indexes among its children list, in order:
    /// also several manifests for one platform, of which [`Registry::select`] finds only one. Children
    /// without a platform count by their configuration. Attestations, which are for the platform `unknown`,
    /// don't count. Empty for an image that is not an index.
    ///
    /// # Errors
    /// [`Error::Limit`], if more than 64 documents would be fetched, or the list would have more than 256
    /// entries; [`Error::Manifest`], if an entry for a platform can't be read; others as for
    /// [`Registry::child`] and [`Registry::blob`]. A child without a platform that is missing or can't be
    /// read is an error too: nobody knows its platform.
    pub async fn platform_entries(&self, image: &ResolvedImage) -> Result<Vec<PlatformEntry>> {
        let mut walk = Walk {
            registry: self,
            outermost: image,
            found: Vec::new(),
            fetched: 0,
        };
        let mut seen = HashSet::from([image.digest().clone()]);
        let mut level = vec![(Vec::new(), image.clone())];
        for _ in 0..INDEX_DEPTH_MAX {
            let mut below = Vec::new();
            for (indexes, index) in &level {
                for nested in walk.index(indexes, index).await? {
                    if seen.insert(nested.digest().clone()) {
                        let path = indexes.iter().cloned().chain([nested.clone()]);
                        below.push((path.collect(), nested));
                    }
                }
            }
            level = below;
        }
        Ok(walk.found)
    }

    /// Fetches the manifest of an entry of `image`.
    ///
    /// # Errors
    /// As for [`Registry::child`].
    pub async fn selected_entry(
        &self,
        image: &ResolvedImage,
        entry: &PlatformEntry,
    ) -> Result<Selected> {
        let manifest = self.child(image.reference().location(), &entry.child);
        Ok(Selected {
            indexes: entry.indexes.clone(),
            manifest: manifest.await?.requested_as(image.requested().clone()),
        })
    }
}

struct Walk<'a> {
    registry: &'a Registry,
    outermost: &'a ResolvedImage,
    found: Vec<PlatformEntry>,
    fetched: u64,
}

impl Walk<'_> {
    /// Lists the entries of one index, and returns the indexes among them.
    async fn index(
        &mut self,
        indexes: &[ResolvedImage],
        index: &ResolvedImage,
    ) -> Result<Vec<ResolvedImage>> {
        let Document::Index(listed) = index.document() else {
            return Ok(Vec::new());
        };
        refuse_unreadable_platforms(index.bytes()).map_err(|source| Error::Manifest {
            what: index.reference().to_string(),
            source,
        })?;
        let mut nested = Vec::new();
        for child in listed.manifests.iter().filter(|child| is_document(child)) {
            let named = child.platform.clone().filter(Platform::is_complete);
            if let Some(platform) = named.filter(|_| !is_index(child)) {
                self.meet(platform, indexes, child)?;
                continue;
            }
            let fetched = self.fetch(child).await?;
            match fetched.document() {
                Document::Index(_) => nested.push(fetched),
                Document::Manifest(manifest) if may_be_selected(manifest) => {
                    let platform = self.registry.configured_platform(&fetched, manifest);
                    if let Some(platform) = platform.await?.filter(Platform::is_complete) {
                        self.meet(platform, indexes, child)?;
                    }
                }
                Document::Manifest(_) => {}
            }
        }
        Ok(nested)
    }

    fn meet(
        &mut self,
        platform: Platform,
        indexes: &[ResolvedImage],
        child: &Descriptor,
    ) -> Result<()> {
        let known =
            |one: &PlatformEntry| one.platform == platform && one.child.digest == child.digest;
        if platform.is_unknown() || self.found.iter().any(known) {
            return Ok(());
        }
        if self.found.len() >= ENTRIES_MAX {
            return Err(self.limit(ENTRIES_MAX as u64, "entries"));
        }
        self.found.push(PlatformEntry {
            platform,
            indexes: indexes.to_vec(),
            child: child.clone(),
        });
        Ok(())
    }

    async fn fetch(&mut self, child: &Descriptor) -> Result<ResolvedImage> {
        self.fetched += 1;
        if self.fetched > DOCUMENTS_MAX {
            return Err(self.limit(DOCUMENTS_MAX, "documents"));
        }
        let location = self.outermost.reference().location();
        let child = self.registry.child(location, child).await?;
        Ok(child.requested_as(self.outermost.requested().clone()))
    }

    fn limit(&self, limit: u64, unit: &'static str) -> Error {
        Error::Limit {
            what: format!("the list of platforms of {}", self.outermost.reference()),
            limit,
            unit,
        }
    }
}
