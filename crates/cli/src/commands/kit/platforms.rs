//! Which platforms a kit has images for.

use std::collections::{BTreeSet, HashSet};

use countersign_download::Plan;
use countersign_oci::{Descriptor, Document, Location, Platform, Reference};

use super::OpenKit;
use crate::failure::{Failure, Kind};

impl OpenKit {
    /// The platforms that its images are for, of all together. What can't be read counts for none: whoever installs it is
    /// told why.
    pub(in crate::commands) async fn platforms(&self) -> BTreeSet<String> {
        let listed = self.registry.layout_images(&self.path).await;
        let listed = listed.unwrap_or_default();
        let mut seen = HashSet::new();
        let mut platforms = BTreeSet::new();
        for listed in listed.iter().filter(|one| one.name.is_some()) {
            if !seen.insert(&listed.descriptor.digest) {
                continue;
            }
            let found = self.platforms_of(&listed.descriptor).await;
            platforms.extend(found.iter().map(ToString::to_string));
        }
        platforms
    }

    /// The platforms that one of its images is for.
    async fn platforms_of(&self, listed: &Descriptor) -> Vec<Platform> {
        let (registry, layout) = (&self.registry, Location::from(self.path.clone()));
        let Ok(image) = registry.child(&layout, listed).await else {
            return Vec::new();
        };
        let mut platforms = Vec::new();
        if let Document::Manifest(manifest) = image.document() {
            let json = registry.configuration(&image, manifest).await.ok();
            let platform = json.and_then(|json| serde_json::from_slice::<Platform>(&json).ok());
            platforms.extend(platform.filter(Platform::is_complete));
        }
        let entries = registry.platform_entries(&image).await;
        for entry in entries.unwrap_or_default() {
            // Of an index that was copied with --platform, some are not there.
            if registry.selected_entry(&image, &entry).await.is_ok() {
                platforms.push(entry.platform);
            }
        }
        platforms
    }

    /// Whether one of its indexes lists an image for this platform, which need not be there.
    async fn lists(&self, listed: &Descriptor, wanted: &Platform) -> bool {
        let layout = Location::from(self.path.clone());
        let Ok(image) = self.registry.child(&layout, listed).await else {
            return false;
        };
        let entries = self.registry.platform_entries(&image).await;
        let mut entries = entries.unwrap_or_default().into_iter();
        entries.any(|entry| entry.platform.serves(wanted).is_some())
    }

    /// What is said of an image that it has for other platforms alone. `None` if that is not known, or not so.
    pub(in crate::commands) async fn lacks_platform(
        &self,
        plan: &Plan,
        wanted: &Platform,
    ) -> Option<Failure> {
        let sources = plan.sources().iter();
        let references = sources.filter_map(|planned| planned.source.reference());
        let names: HashSet<Reference> = references.map(Reference::without_digest).collect();
        let listed = self.registry.layout_images(&self.path).await.ok()?;
        let (mut platforms, mut is_listed) = (Vec::new(), false);
        for listed in &listed {
            let name = listed.name.as_ref();
            if name.is_some_and(|name| names.contains(name)) {
                platforms.extend(self.platforms_of(&listed.descriptor).await);
                is_listed |= self.lists(&listed.descriptor, wanted).await;
            }
        }
        let has_it = platforms.iter().any(|one| one.serves(wanted).is_some());
        // What has no image for it anywhere is told as that.
        if !is_listed || platforms.is_empty() || has_it {
            return None;
        }
        let platforms: BTreeSet<String> = platforms.iter().map(ToString::to_string).collect();
        let platforms: Vec<String> = platforms.into_iter().collect();
        let message = format!(
            "the kit has `{}` for {} alone, and not for {wanted}",
            plan.name(),
            platforms.join(", ")
        );
        Some(Failure::new(Kind::NotFound, message).hint(format!(
            "copy it into the kit for this platform too: `countersign copy --gallery FILE --platform {wanted} --to ocifile://DIR`, or without --platform for all"
        )))
    }
}
