//! The registry's content, in memory.
//!
//! The store checks nothing. The HTTP side does, and tests store what no registry would accept.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use countersign_oci::{Descriptor, Digest};
use serde::Deserialize;

/// Repositories by name. A repository exists once something was pushed to it.
#[derive(Debug, Default)]
pub(super) struct Store {
    repositories: BTreeMap<String, Shelf>,
    arrivals: u64,
}

/// One repository's content.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) blobs: BTreeMap<Digest, Bytes>,
    pub(super) manifests: BTreeMap<Digest, StoredManifest>,
    pub(super) tags: BTreeMap<String, Digest>,
    pub(super) uploads: BTreeMap<String, Vec<u8>>,
}

/// A manifest's bytes and the type it was pushed with.
#[derive(Debug, Clone)]
pub(super) struct StoredManifest {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
    /// The parsed manifest, if it is one. It is parsed only once, because every list of referrers
    /// needs all of them.
    pub(super) outline: Option<Arc<Outline>>,
    /// Referrers are listed in the order in which they came.
    arrival: u64,
}

/// The parts of a manifest that a registry reads.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outline {
    artifact_type: Option<String>,
    pub(super) config: Option<Descriptor>,
    #[serde(default)]
    pub(super) layers: Vec<Descriptor>,
    #[serde(default)]
    pub(super) manifests: Option<Vec<Descriptor>>,
    pub(super) subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Store {
    pub(super) fn names(&self) -> Vec<String> {
        self.repositories.keys().cloned().collect()
    }

    pub(super) fn shelf(&self, name: &str) -> Option<&Shelf> {
        self.repositories.get(name)
    }

    /// The repository. It is made if it doesn't exist.
    pub(super) fn shelf_mut(&mut self, name: &str) -> &mut Shelf {
        self.repositories.entry(name.to_owned()).or_default()
    }

    /// Stores `bytes` under `digest`, even if they have another one.
    pub(super) fn put_manifest(
        &mut self,
        name: &str,
        digest: Digest,
        media_type: &str,
        bytes: Bytes,
    ) {
        self.arrivals += 1;
        let manifest = StoredManifest {
            media_type: media_type.to_owned(),
            outline: serde_json::from_slice(&bytes).ok().map(Arc::new),
            bytes,
            arrival: self.arrivals,
        };
        self.shelf_mut(name).manifests.insert(digest, manifest);
    }

    /// A unique name for an upload.
    pub(super) fn begin_upload(&mut self, name: &str, bytes: Vec<u8>) -> String {
        self.arrivals += 1;
        let id = format!("upload-{}", self.arrivals);
        self.shelf_mut(name).uploads.insert(id.clone(), bytes);
        id
    }
}

impl Shelf {
    /// The manifest that a tag or a digest names.
    pub(super) fn manifest(&self, reference: &str) -> Option<(&Digest, &StoredManifest)> {
        match reference.parse::<Digest>() {
            Ok(digest) => self.manifests.get_key_value(&digest),
            Err(_) => self.manifests.get_key_value(self.tags.get(reference)?),
        }
    }

    /// Descriptors of the manifests whose `subject` is `subject`, in the order of their arrival
    /// ("Listing Referrers").
    pub(super) fn referrers(&self, subject: &Digest) -> Vec<Descriptor> {
        let mut found: Vec<(u64, Descriptor)> = self
            .manifests
            .iter()
            .filter_map(|(digest, manifest)| {
                let outline = manifest.outline.as_deref()?;
                (outline.subject.as_ref()?.digest == *subject).then(|| {
                    let descriptor = Descriptor {
                        digest: digest.clone(),
                        artifact_type: outline.artifact_type.clone().or_else(|| {
                            let config = outline.config.as_ref();
                            config.map(|config| config.media_type.clone())
                        }),
                        annotations: outline.annotations.clone().unwrap_or_default(),
                        ..Descriptor::of(&manifest.media_type, &manifest.bytes)
                    };
                    (manifest.arrival, descriptor)
                })
            })
            .collect();
        found.sort_by_key(|(arrival, _)| *arrival);
        found
            .into_iter()
            .map(|(_, descriptor)| descriptor)
            .collect()
    }
}
