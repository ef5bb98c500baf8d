//! Lists what an index has: its entries for platforms, that is each manifest that [`Registry::select`] could find
//! and each that another client could, and the digests of everything in it.

use std::collections::HashSet;

use super::Registry;
use super::select::{Selected, may_be_selected};
use super::walk::{IndexWalk, Step};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
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

impl PlatformEntry {
    /// The digest of the platform's manifest.
    pub fn digest(&self) -> &Digest {
        &self.child.digest
    }
}

/// Everything that an index lists: see [`Registry::descendants`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Descendants {
    /// Their digests, each once.
    pub digests: Vec<Digest>,
    /// Those of them that are indexes, and that the registry does not have: nobody knows what these list.
    pub unread: Vec<Digest>,
}

impl Registry {
    /// Everything that an index lists for a platform, and that the indexes among its children list, in order:
    /// also several manifests for one platform, of which [`Registry::select`] finds only one. Children
    /// without a platform count by their configuration, whatever their annotations say: other clients don't look at
    /// these. Attestations, which are for the platform `unknown`, don't count. Empty for an image that is not an index.
    ///
    /// # Errors
    /// [`Error::Limit`], if indexes are nested deeper than four levels, if more than 64 documents would be
    /// fetched, or if the list would have more than 256 entries; [`Error::Manifest`], if an entry for a
    /// platform can't be read; others as for [`Registry::child`] and [`Registry::blob`]. A child without a
    /// platform that is missing or can't be read is an error too: nobody knows its platform.
    pub async fn platform_entries(&self, image: &ResolvedImage) -> Result<Vec<PlatformEntry>> {
        let mut entries = Entries {
            registry: self,
            walk: IndexWalk::new(self, image),
            found: Vec::new(),
        };
        while let Some(step) = entries.walk.next_step() {
            entries.index(&step).await?;
        }
        Ok(entries.found)
    }

    /// The digests of everything that an index lists, and that the indexes among its children list,
    /// each once. Empty for an image that is not an index.
    ///
    /// # Errors
    /// [`Error::Limit`] as for [`Self::platform_entries`]; others as for [`Registry::child`]: an index among
    /// the children that can't be read could list anything. One that is missing is in [`Descendants::unread`].
    pub async fn descendants(&self, image: &ResolvedImage) -> Result<Descendants> {
        let mut walk = IndexWalk::new(self, image);
        let mut found = Descendants::default();
        let mut seen = HashSet::from([image.digest().clone()]);
        let mut opened = seen.clone();
        while let Some(step) = walk.next_step() {
            let Document::Index(listed) = step.index.document() else {
                continue;
            };
            for child in &listed.manifests {
                if seen.insert(child.digest.clone()) {
                    found.digests.push(child.digest.clone());
                }
                // One digest may be listed as a manifest first, and as an index after that.
                if !child.is_index() || !opened.insert(child.digest.clone()) {
                    continue;
                }
                match walk.fetch(child).await {
                    Ok(nested) => walk.add(&step, nested)?,
                    Err(error) if error.is_absence() => found.unread.push(child.digest.clone()),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(found)
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

/// Finds the entries of one image.
struct Entries<'a> {
    registry: &'a Registry,
    walk: IndexWalk<'a>,
    found: Vec<PlatformEntry>,
}

impl Entries<'_> {
    /// Lists the entries of one index. The indexes among them are read later.
    async fn index(&mut self, step: &Step) -> Result<()> {
        let Document::Index(listed) = step.index.document() else {
            return Ok(());
        };
        refuse_unreadable_platforms(step.index.bytes()).map_err(|source| Error::Manifest {
            what: step.index.reference().to_string(),
            source,
        })?;
        for child in listed.manifests.iter().filter(|child| child.is_document()) {
            let named = child.platform.clone().filter(Platform::is_complete);
            if let Some(platform) = named.filter(|_| !child.is_index()) {
                self.add_platform(platform, step, child)?;
                continue;
            }
            let fetched = self.walk.fetch(child).await?;
            match fetched.document() {
                Document::Index(_) => self.walk.add(step, fetched)?,
                Document::Manifest(manifest) if may_be_selected(manifest) => {
                    let platform = self.registry.configured_platform(&fetched, manifest);
                    if let Some(platform) = platform.await?.filter(Platform::is_complete) {
                        self.add_platform(platform, step, child)?;
                    }
                }
                Document::Manifest(_) => {}
            }
        }
        Ok(())
    }

    fn add_platform(&mut self, platform: Platform, step: &Step, child: &Descriptor) -> Result<()> {
        let known =
            |one: &PlatformEntry| one.platform == platform && one.child.digest == child.digest;
        if platform.is_unknown() || self.found.iter().any(known) {
            return Ok(());
        }
        if self.found.len() >= ENTRIES_MAX {
            return Err(self.walk.limit(ENTRIES_MAX as u64, "entries"));
        }
        self.found.push(PlatformEntry {
            platform,
            indexes: step.path.clone(),
            child: child.clone(),
        });
        Ok(())
    }
}
