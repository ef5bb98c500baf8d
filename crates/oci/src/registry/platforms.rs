//! Lists the platforms of an image: those that [`Registry::select`] would find.

use std::collections::HashSet;

use super::Registry;
use super::select::{DOCUMENTS_MAX, INDEX_DEPTH_MAX, may_be_selected, meet};
use crate::descriptor::is_index;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::platform::Platform;
use crate::resolved::ResolvedImage;

impl Registry {
    /// The platforms of everything that an index lists, and that the indexes among its children list, in
    /// order, each once. Children without a platform count by their configuration. Empty for an image that
    /// is not an index.
    ///
    /// # Errors
    /// [`Error::Limit`], if more than 64 documents would be fetched; others as for [`Registry::child`] and
    /// [`Registry::blob`]. A child that is missing or can't be read is an error too: nobody knows its
    /// platform.
    pub async fn platforms(&self, image: &ResolvedImage) -> Result<Vec<Platform>> {
        let mut found = Vec::new();
        let mut seen = HashSet::from([image.digest().clone()]);
        let mut level = vec![image.clone()];
        let mut fetched = 0;
        for _ in 0..INDEX_DEPTH_MAX {
            let mut below = Vec::new();
            for index in &level {
                let Document::Index(listed) = index.document() else {
                    continue;
                };
                for platform in listed.platforms() {
                    meet(&mut found, platform);
                }
                for child in &listed.manifests {
                    let named = child.platform.as_ref().is_some_and(Platform::is_complete);
                    let relevant = is_index(child) || !named;
                    if !relevant || !seen.insert(child.digest.clone()) {
                        continue;
                    }
                    fetched += 1;
                    if fetched > DOCUMENTS_MAX {
                        return Err(Error::Limit {
                            what: format!("the list of platforms of {}", image.reference()),
                            limit: DOCUMENTS_MAX,
                            unit: "documents",
                        });
                    }
                    let child = self.child(image.reference().location(), child).await?;
                    match child.document() {
                        Document::Index(_) => below.push(child),
                        Document::Manifest(manifest) => {
                            if !may_be_selected(manifest) {
                                continue;
                            }
                            let platform = self.configured_platform(&child, manifest).await?;
                            if let Some(platform) = platform.filter(Platform::is_complete) {
                                meet(&mut found, platform);
                            }
                        }
                    }
                }
            }
            level = below;
        }
        Ok(found)
    }
}
