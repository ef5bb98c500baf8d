//! Appends a layer to a manifest at a tag, and keeps everything else that is there.
//!
//! cosign's legacy signatures are such layers: all signatures of an image are in one manifest. It is read,
//! changed and written back without a lock, and a registry keeps the last write. So what was seen at the tag
//! once is in each write, whatever is read later, and no write is repeated without reading first.

mod layered;

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Registry;
use super::manifests::Outgoing;
use super::referrers::{rounds, settled};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::http::{AttemptError, pauses};
use crate::manifest::ManifestError;
use crate::reference::Repository;
use crate::resolved::ResolvedImage;
use layered::{Layered, is_among};

/// How often after a write the old manifest is taken for an answer from a cache, and only read again.
const STALE_READS: usize = 2;

impl Registry {
    /// Makes sure that the manifest at `tag` has `layer`, whose blob has been pushed. Another client may
    /// append at the same time, so the manifest is read again after it was written, until it has all layers
    /// that were ever seen there. If the tag does not exist, it is created. It gets at most `limit` layers.
    /// Returns the digest of the manifest that has them.
    ///
    /// # Errors
    /// [`Error::Manifest`], if the tag names something that is not a manifest with layers, or its
    /// configuration is not JSON; [`Error::Full`], if it has `limit` layers without this one;
    /// [`Error::Contended`], if others overwrote the layer each time; others about access, network and the
    /// registry.
    pub async fn append_layer(
        &self,
        repository: &Repository,
        tag: &str,
        layer: &Descriptor,
        limit: usize,
    ) -> Result<Digest> {
        let appending = Appending {
            registry: self,
            repository,
            tag,
            what: format!("{repository}:{tag}"),
            layer: serde_json::to_value(layer).map_err(|source| Error::Manifest {
                what: format!("a layer for {repository}:{tag}"),
                source: ManifestError::Json(source),
            })?,
            limit,
            seen: Vec::new(),
            written: None,
        };
        appending.until_it_stays().await
    }
}

/// A layer on its way into the manifest at a tag.
struct Appending<'a> {
    registry: &'a Registry,
    repository: &'a Repository,
    tag: &'a str,
    /// The tag's name in errors.
    what: String,
    layer: Value,
    limit: usize,
    /// All layers that the tag was ever seen with, and what was written.
    seen: Vec<Value>,
    written: Option<Written>,
}

/// A write that the registry accepted.
struct Written {
    /// What the tag named before.
    replaced: Option<Digest>,
    /// How often that was still read.
    stale: usize,
}

/// What a round has come to.
enum Round {
    /// All layers are there, in this manifest.
    Complete(Digest),
    /// The tag was written or is being written, so it has to be read again.
    Unsettled,
}

impl Appending<'_> {
    async fn until_it_stays(mut self) -> Result<Digest> {
        let retries = &self.registry.options().retries;
        let (mut rounds, mut failures) = (rounds(retries), pauses(retries));
        loop {
            let started = Instant::now();
            let pause: Duration = match self.round().await {
                Ok(Round::Complete(digest)) => return Ok(digest),
                Ok(Round::Unsettled) => {
                    failures = pauses(retries);
                    rounds.next().ok_or_else(|| Error::Contended {
                        what: self.what.clone(),
                        rounds: retries.merge_rounds,
                    })?
                }
                Err(failure) => match failure.pause(failures.next(), retries) {
                    Some(pause) => pause,
                    None => return Err(failure.error),
                },
            };
            tokio::time::sleep(settled(pause, started.elapsed())).await;
        }
    }

    /// Reads the tag, and writes what it lacks. A write that fails may have been made all the same, so it
    /// isn't repeated here: the next round begins with reading.
    async fn round(&mut self) -> Result<Round, AttemptError> {
        let found = self.read().await?;
        let before = found.as_ref().map(|image| image.digest().clone());
        let mut layered = match &found {
            Some(image) => self.layered(image).await?,
            None => Layered::empty(),
        };
        self.remember(&layered);
        let missing = layered.missing(&self.seen);
        if let Some(digest) = &before
            && layered.has(&self.layer)
            && missing.is_empty()
        {
            return Ok(Round::Complete(digest.clone()));
        }
        if let Some(written) = &mut self.written
            && written.replaced == before
            && written.stale < STALE_READS
        {
            written.stale += 1;
            tracing::debug!(tag = %self.what, "the registry still answers with what was there before");
            return Ok(Round::Unsettled);
        }
        let ours = Some(self.layer.clone()).filter(|ours| !is_among(&missing, ours));
        let ours = ours.filter(|ours| !layered.has(ours));
        let added: Vec<Value> = missing.into_iter().chain(ours).collect();
        let found = layered.layers().len();
        if found + added.len() > self.limit {
            let (what, limit) = (self.what.clone(), self.limit);
            return Err(Error::Full { what, found, limit }.into());
        }
        added.into_iter().for_each(|layer| layered.append(layer));
        let config = layered.config_bytes();
        self.registry.push_blob(self.repository, config).await?;
        // Between the first read and this one lie several requests.
        let now = self.read().await?;
        if now.as_ref().map(ResolvedImage::digest) != before.as_ref() {
            return Ok(Round::Unsettled);
        }
        let outgoing = Outgoing {
            media_type: layered.media_type(),
            bytes: layered.manifest_bytes(),
            what: self.what.clone(),
        };
        let put = self
            .registry
            .put_manifest_once(self.repository, self.tag, &outgoing);
        put.await?;
        self.remember(&layered);
        self.written = Some(Written {
            replaced: before,
            stale: 0,
        });
        Ok(Round::Unsettled)
    }

    /// What the tag names. That there is no such tag may pass, if there was one.
    async fn read(&self) -> Result<Option<ResolvedImage>, AttemptError> {
        let served = self
            .registry
            .served(self.repository, self.tag, &self.what)
            .await;
        match served {
            Ok(served) => {
                let pinned = self.repository.at(Digest::sha256(&served.bytes));
                Ok(Some(served.parse(pinned, self.what.clone())?))
            }
            Err(Error::NotFound { .. }) if self.seen.is_empty() => Ok(None),
            Err(error @ Error::NotFound { .. }) => Err(AttemptError::passing(error)),
            Err(other) => Err(other.into()),
        }
    }

    async fn layered(&self, image: &ResolvedImage) -> Result<Layered> {
        let error = |source| Error::Manifest {
            what: self.what.clone(),
            source,
        };
        let Document::Manifest(manifest) = image.document() else {
            return Err(error(ManifestError::Unknown {
                found: "no manifest with layers".to_owned(),
            }));
        };
        let place = self.repository.clone().into();
        let limit = self.registry.options().limits.manifest_bytes;
        let config = self.registry.blob(&place, &manifest.config, limit).await?;
        Layered::read(image, manifest, &config).map_err(error)
    }

    fn remember(&mut self, layered: &Layered) {
        for layer in layered.layers() {
            if !is_among(&self.seen, layer) {
                self.seen.push(layer.clone());
            }
        }
    }
}
