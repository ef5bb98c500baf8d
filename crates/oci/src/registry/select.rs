//! Which manifest of an index is for a platform.
//!
//! The rule is what containerd and skopeo agree on. A child that names the platform comes before one
//! that names none; the nearest variant first, and of equals the first. An index among the children
//! is looked into. Of a child that names no platform, or not all of it, the configuration tells.

use std::collections::HashSet;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Registry;
use crate::descriptor::{Descriptor, is_index};
use crate::digest::Digest;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::index::{NoSuchPlatform, refuse_unreadable};
use crate::manifest::{Manifest, ManifestError};
use crate::platform::Platform;
use crate::resolved::ResolvedImage;

/// Indexes on the way from the outermost to a manifest, both ends counted without the manifest. Real
/// ones have one, and `docker buildx imagetools` makes two.
const DEPTH_MAX: usize = 4;
/// Manifests, indexes and configurations that are fetched in one search.
const DOCUMENTS_MAX: u64 = 64;
/// Bytes of a configuration.
const CONFIG_MAX: u64 = 4 << 20;
const CONFIG_TYPES: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

/// What [`Registry::select`] found.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The indexes below the one that was asked about, outermost first. The first is a child of it,
    /// each other one a child of the one before.
    pub indexes: Vec<ResolvedImage>,
    /// The platform's manifest, a child of the last of the indexes. An image that is no index is
    /// its own.
    pub manifest: ResolvedImage,
}

impl Registry {
    /// The manifest of `image` that is for `platform`, each step fetched by the digest in its
    /// parent. An image that is no index is there for every platform:
    /// [`Self::require_platform`] holds its configuration against one.
    ///
    /// Children that can't be read, that are of an unknown kind or for other platforms are passed
    /// over. A child without a platform counts where no other one does, if it is an image whose
    /// configuration names the platform.
    ///
    /// # Errors
    /// [`Error::Platform`] with the platforms that there are, when none serves; [`Error::Manifest`]
    /// when the child that would be selected can't be read; [`Error::Limit`] when indexes are nested
    /// deeper than four, or more than 64 documents would have to be looked at; others as of
    /// [`Registry::child`].
    pub async fn select(&self, image: &ResolvedImage, platform: &Platform) -> Result<Selected> {
        let mut search = Search {
            registry: self,
            wanted: platform,
            outermost: image,
            left: DOCUMENTS_MAX,
            seen: HashSet::from([image.digest().clone()]),
            available: Vec::new(),
            passed_over: None,
        };
        if let Document::Manifest(_) = image.document() {
            return Ok(Selected::of(image.clone()));
        }
        if let Some(selected) = search.within(image.clone(), 1).await? {
            return Ok(selected);
        }
        // What could not be looked at may have been the one.
        if let Some(error) = search.passed_over {
            return Err(error);
        }
        Err(Error::Platform(NoSuchPlatform {
            wanted: platform.clone(),
            available: search.available,
        }))
    }

    /// Refuses an image whose configuration names another platform than `wanted`. An artifact has no
    /// such configuration, and contradicts none.
    ///
    /// # Errors
    /// [`Error::WrongPlatform`]; others as of [`Registry::blob`].
    pub async fn require_platform(&self, image: &ResolvedImage, wanted: &Platform) -> Result<()> {
        let Document::Manifest(manifest) = image.document() else {
            return Ok(());
        };
        match self.configured_platform(image, manifest).await? {
            Some(found) if found.contradicts(wanted) => Err(Error::WrongPlatform {
                what: image.reference().to_string(),
                expected: Box::new(wanted.clone()),
                found: Box::new(found),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// The digests of all that an index lists, and that the indexes among its children list, each
    /// once; none of an image that is no index.
    ///
    /// # Errors
    /// [`Error::Limit`] as of [`Self::select`]; others as of [`Registry::child`]. An index among the
    /// children that isn't there, or can't be read, lists nothing.
    pub async fn descendants(&self, image: &ResolvedImage) -> Result<Vec<Digest>> {
        let mut found = Vec::new();
        let mut seen = HashSet::from([image.digest().clone()]);
        let mut level = vec![image.clone()];
        let mut fetched = 0;
        for _ in 0..DEPTH_MAX {
            let mut below = Vec::new();
            for index in &level {
                let Document::Index(listed) = index.document() else {
                    continue;
                };
                for child in &listed.manifests {
                    if !seen.insert(child.digest.clone()) {
                        continue;
                    }
                    found.push(child.digest.clone());
                    if !is_index(child) {
                        continue;
                    }
                    fetched += 1;
                    if fetched > DOCUMENTS_MAX {
                        return Err(Error::Limit {
                            what: format!("the list of what {} lists", image.reference()),
                            limit: DOCUMENTS_MAX,
                            unit: "documents",
                        });
                    }
                    match self.child(image.reference().location(), child).await {
                        Ok(child) => below.push(child),
                        Err(error) if error.is_about_content() => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            level = below;
        }
        Ok(found)
    }

    /// The platform that an image's configuration names; `None` where there is none to be read.
    async fn configured_platform(
        &self,
        image: &ResolvedImage,
        manifest: &Manifest,
    ) -> Result<Option<Platform>> {
        let location = image.reference().location();
        let json = self.blob(location, &manifest.config, CONFIG_MAX).await?;
        match serde_json::from_slice(&json) {
            Ok(platform) => Ok(Some(platform)),
            Err(source) if is_image(manifest) => Err(Error::Manifest {
                what: image.reference().to_string(),
                source: ManifestError::Configuration(source),
            }),
            Err(_) => Ok(None),
        }
    }
}

/// Whether a manifest is of an image that can be unpacked, and not of an artifact.
fn is_image(manifest: &Manifest) -> bool {
    CONFIG_TYPES.contains(&manifest.config.media_type.as_str()) && manifest.artifact_type.is_none()
}

struct Search<'a> {
    registry: &'a Registry,
    wanted: &'a Platform,
    outermost: &'a ResolvedImage,
    /// Documents that may still be fetched.
    left: u64,
    /// What was looked at already.
    seen: HashSet<Digest>,
    /// The platforms met so far, in order and once each.
    available: Vec<Platform>,
    /// Why something was not looked at, for the first of those.
    passed_over: Option<Error>,
}

impl Search<'_> {
    /// Searches one index, which stands `depth` deep, counted from 1. A future that calls itself has
    /// to be boxed.
    fn within(
        &mut self,
        index: ResolvedImage,
        depth: usize,
    ) -> BoxFuture<'_, Result<Option<Selected>>> {
        async move {
            let Document::Index(listed) = index.document() else {
                return Ok(None);
            };
            let candidates = listed.candidates(self.wanted);
            refuse_unreadable(
                index.bytes(),
                self.wanted,
                candidates.named.first().copied(),
            )
            .map_err(|source| Error::Manifest {
                what: index.reference().to_string(),
                source,
            })?;
            for platform in listed.platforms() {
                self.met(platform);
            }
            for child in candidates.named {
                let Some(child) = self.child(child).await? else {
                    continue;
                };
                match child.document() {
                    Document::Manifest(_) => return Ok(Some(Selected::of(child))),
                    Document::Index(_) => {
                        if let Some(selected) = self.nested(child, depth).await? {
                            return Ok(Some(selected));
                        }
                    }
                }
            }
            let mut best: Option<(u32, Selected)> = None;
            for child in candidates.unnamed {
                let (rank, selected) = match self.unnamed(child, depth).await {
                    Ok(Some(found)) => found,
                    Ok(None) => continue,
                    // It may be anything: a signature that was deleted, say.
                    Err(error) if error.is_about_content() => {
                        self.passed_over.get_or_insert(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                if best.as_ref().is_none_or(|(other, _)| rank > *other) {
                    best = Some((rank, selected));
                }
            }
            Ok(best.map(|(_, selected)| selected))
        }
        .boxed()
    }

    /// A child that doesn't say for which platform it is, if it is for the one wanted, and how near.
    async fn unnamed(
        &mut self,
        child: &Descriptor,
        depth: usize,
    ) -> Result<Option<(u32, Selected)>> {
        let Some(child) = self.child(child).await? else {
            return Ok(None);
        };
        let manifest = match child.document() {
            Document::Manifest(manifest) => manifest,
            Document::Index(_) => {
                let selected = self.nested(child, depth).await?;
                return Ok(selected.map(|selected| (0, selected)));
            }
        };
        if !is_image(manifest) || manifest.subject.is_some() {
            return Ok(None);
        }
        self.count()?;
        let platform = self.registry.configured_platform(&child, manifest).await?;
        let Some(platform) = platform.filter(Platform::is_complete) else {
            return Ok(None);
        };
        let rank = platform.serves(self.wanted);
        self.met(platform);
        Ok(rank.map(|rank| (rank, Selected::of(child))))
    }

    /// Searches an index that one at `depth` lists.
    async fn nested(&mut self, index: ResolvedImage, depth: usize) -> Result<Option<Selected>> {
        if depth >= DEPTH_MAX {
            self.passed_over.get_or_insert(Error::Limit {
                what: format!("the nesting of indexes in {}", self.outermost.reference()),
                limit: DEPTH_MAX as u64,
                unit: "levels",
            });
            return Ok(None);
        }
        let selected = self.within(index.clone(), depth + 1).await?;
        Ok(selected.map(|mut selected| {
            selected.indexes.insert(0, index);
            selected
        }))
    }

    /// Fetches a child; `None` if it was looked at before.
    async fn child(&mut self, child: &Descriptor) -> Result<Option<ResolvedImage>> {
        if !self.seen.insert(child.digest.clone()) {
            return Ok(None);
        }
        self.count()?;
        let location = self.outermost.reference().location();
        let child = self.registry.child(location, child).await?;
        Ok(Some(child.asked_as(self.outermost.asked().clone())))
    }

    /// Counts one more document to be fetched.
    fn count(&mut self) -> Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| Error::Limit {
            what: format!(
                "the search for {} in {}",
                self.wanted,
                self.outermost.reference()
            ),
            limit: DOCUMENTS_MAX,
            unit: "documents",
        })?;
        Ok(())
    }

    fn met(&mut self, platform: Platform) {
        if platform.os != "unknown" && !self.available.contains(&platform) {
            self.available.push(platform);
        }
    }
}

impl Selected {
    fn of(manifest: ResolvedImage) -> Self {
        Self {
            indexes: Vec::new(),
            manifest,
        }
    }
}
