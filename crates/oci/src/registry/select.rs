//! Finds the manifest of an index for a platform.
//!
//! The rule is the one that containerd and skopeo share. A child that names the platform comes
//! before a child that names none. The nearest variant comes first, and of equal ones the first in
//! the list. An index among the children is searched too. If a child names no platform, or only a
//! part of it, its configuration decides.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Registry;
use super::walk::Budget;
use crate::descriptor::{Descriptor, media_type};
use crate::document::Document;
use crate::error::{Error, Result};
use crate::index::{NoSuchPlatform, refuse_unreadable};
use crate::manifest::{Manifest, ManifestError};
use crate::platform::Platform;
use crate::resolved::ResolvedImage;

/// The largest configuration, in bytes.
const CONFIG_MAX: u64 = 4 << 20;
const CONFIG_TYPES: [&str; 2] = [media_type::OCI_CONFIG, media_type::DOCKER_CONFIG];

/// What [`Registry::select`] found.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The indexes between the searched one and the manifest, outermost first. Each is a child of
    /// the one before it.
    pub indexes: Vec<ResolvedImage>,
    /// The platform's manifest, a child of the last index. For an image that is not an index, it is
    /// the image itself.
    pub manifest: ResolvedImage,
}

impl Registry {
    /// Finds the manifest of `image` for `platform`. Each step is fetched by the digest in its
    /// parent. An image that is not an index is returned for every platform; call
    /// [`Self::require_platform`] to check its configuration.
    ///
    /// Children that can't be read, of an unknown kind, or for other platforms are skipped. A child
    /// without a platform is used only if no other child fits, and if its configuration names the
    /// platform; never if [`Descriptor::is_attestation`] says that it is no image.
    ///
    /// # Errors
    /// [`Error::Platform`] with the platforms of the image, if none fits; [`Error::Manifest`], if
    /// the child that fits can't be read; [`Error::Limit`], if indexes are nested deeper than four
    /// levels, or if more than 64 documents would be fetched; others as for [`Registry::child`].
    pub async fn select(&self, image: &ResolvedImage, platform: &Platform) -> Result<Selected> {
        let what = format!("the search for {platform} in {}", image.reference());
        let mut search = PlatformSearch {
            registry: self,
            wanted: platform,
            budget: Budget::new(self, image, what),
            available: Vec::new(),
            passed_over: None,
        };
        if let Document::Manifest(_) = image.document() {
            return Ok(Selected::of(image.clone()));
        }
        if let Some(selected) = search.within(image.clone(), 1).await? {
            return Ok(selected);
        }
        // A child that couldn't be read may have been the right one.
        if let Some(error) = search.passed_over {
            return Err(error);
        }
        Err(Error::Platform(NoSuchPlatform {
            wanted: platform.clone(),
            available: search.available,
        }))
    }

    /// Refuses an image whose configuration names another platform than `wanted`. An artifact has
    /// no such configuration, and is allowed.
    ///
    /// # Errors
    /// [`Error::WrongPlatform`]; others as for [`Registry::blob`].
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

    /// The configuration of `image`, whose document is `manifest`: at most 4 MiB.
    ///
    /// # Errors
    /// As for [`Registry::blob`].
    pub async fn configuration(&self, image: &ResolvedImage, manifest: &Manifest) -> Result<Bytes> {
        let location = image.reference().location();
        self.blob(location, &manifest.config, CONFIG_MAX).await
    }

    /// The platform in an image's configuration; `None` if there is none, or if it can't be read.
    pub(super) async fn configured_platform(
        &self,
        image: &ResolvedImage,
        manifest: &Manifest,
    ) -> Result<Option<Platform>> {
        let json = self.configuration(image, manifest).await?;
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

/// Whether the manifest is an image that can be unpacked, and not an artifact.
fn is_image(manifest: &Manifest) -> bool {
    CONFIG_TYPES.contains(&manifest.config.media_type.as_str()) && manifest.artifact_type.is_none()
}

/// Whether the manifest of a child without a platform may be that of an image, by its configuration.
pub(super) fn may_be_selected(manifest: &Manifest) -> bool {
    is_image(manifest) && manifest.subject.is_none()
}

/// Adds a platform to those that were found, each once. Attestations are for `unknown`.
fn add_platform(found: &mut Vec<Platform>, platform: Platform) {
    if !platform.is_unknown() && !found.contains(&platform) {
        found.push(platform);
    }
}

struct PlatformSearch<'a> {
    registry: &'a Registry,
    wanted: &'a Platform,
    budget: Budget<'a>,
    /// The platforms found so far, in order, each once.
    available: Vec<Platform>,
    /// Why a child couldn't be read: the first such error.
    passed_over: Option<Error>,
}

impl PlatformSearch<'_> {
    /// Searches one index at the level `depth`, counted from 1. A future that calls itself must be
    /// boxed.
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
                    // It may be anything: a deleted signature, for example.
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

    /// A child without a platform, if its configuration fits the wanted platform, and how near it
    /// is.
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
        if !may_be_selected(manifest) {
            return Ok(None);
        }
        self.budget.count()?;
        let platform = self.registry.configured_platform(&child, manifest).await?;
        let Some(platform) = platform.filter(Platform::is_complete) else {
            return Ok(None);
        };
        let rank = platform.serves(self.wanted);
        self.met(platform);
        Ok(rank.map(|rank| (rank, Selected::of(child))))
    }

    /// Searches an index that is listed at the level `depth`.
    async fn nested(&mut self, index: ResolvedImage, depth: usize) -> Result<Option<Selected>> {
        if let Err(error) = self.budget.enter(depth + 1) {
            self.passed_over.get_or_insert(error);
            return Ok(None);
        }
        let selected = self.within(index.clone(), depth + 1).await?;
        Ok(selected.map(|mut selected| {
            selected.indexes.insert(0, index);
            selected
        }))
    }

    /// Fetches a child; `None` if it was already read.
    async fn child(&mut self, child: &Descriptor) -> Result<Option<ResolvedImage>> {
        if !self.budget.is_new(&child.digest) {
            return Ok(None);
        }
        self.budget.fetch(child).await.map(Some)
    }

    fn met(&mut self, platform: Platform) {
        add_platform(&mut self.available, platform);
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
