//! From images by platform to one index: reads, and writes nothing.

use std::collections::{BTreeMap, HashMap};

use countersign_oci::{
    Descriptor, Digest, Document, INDEX_DEPTH_MAX, ManifestError, PinnedReference, Platform,
    Reference, Registry, ResolvedImage, media_type,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::{Member, Merge, MergeError};
use crate::error::Error;
use crate::tags::{self, Tags};

/// Sources that are read at once.
const SOURCES_AT_ONCE: usize = 8;
/// How many manifests one merge may have.
const MEMBERS_MAX: usize = 256;

pub(super) async fn plan(
    registry: &Registry,
    sources: &[Reference],
    annotations: &BTreeMap<String, String>,
) -> Result<Merge, Error> {
    let mut join = Join {
        registry,
        members: Vec::new(),
        known: HashMap::new(),
    };
    let turns = Semaphore::new(SOURCES_AT_ONCE);
    // Sources are named by digest; what their tags name is of no interest.
    let resolved = tags::resolve(registry, sources, Tags::Later, &turns).await;
    let resolved = resolved.map_err(by_tag)?;
    let mut given = HashMap::new();
    for image in &resolved {
        let source = image.reference().clone();
        if let Some(first) = given.insert(image.digest().clone(), source.clone()) {
            return Err(MergeError::Twice {
                first: Box::new(first),
                second: Box::new(source),
            }
            .into());
        }
    }
    for image in in_order(resolved) {
        let entry = entry_of(&image.descriptor(), &image)?;
        join.add(image, entry, 0).await?;
    }
    let mut members = join.members;
    members.sort_by_cached_key(place);
    if members.iter().all(|member| member.platform.is_none()) {
        let found = match members.len() {
            0 if given.is_empty() => "no image was given".to_owned(),
            0 => "what was given lists no image".to_owned(),
            count => format!("none of the {count} manifests is an image"),
        };
        return Err(MergeError::Nothing { found }.into());
    }
    let docker = annotations.is_empty()
        && members
            .iter()
            .all(|member| member.media_type == media_type::DOCKER_MANIFEST);
    let media_type = if docker {
        media_type::DOCKER_INDEX
    } else {
        media_type::OCI_INDEX
    };
    let entries: Vec<&Value> = members.iter().map(|member| &member.entry).collect();
    let mut index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
    if !annotations.is_empty()
        && let Some(index) = index.as_object_mut()
    {
        index.insert("annotations".to_owned(), json!(annotations));
    }
    let bytes: bytes::Bytes = index.to_string().into();
    Ok(Merge {
        media_type,
        digest: Digest::sha256(&bytes),
        bytes,
        members,
    })
}

/// The sources in an order that does not depend on how they were given. Indexes come first: what a builder says of an
/// image in its index stands, also where the image is given by itself.
fn in_order(mut sources: Vec<ResolvedImage>) -> Vec<ResolvedImage> {
    sources.sort_by_cached_key(|image| {
        let is_index = matches!(image.document(), Document::Index(_));
        (!is_index, image.digest().clone())
    });
    sources
}

/// Where a manifest stands in the index: images by platform, then what is no image.
fn place(member: &Member) -> (bool, String, Option<String>, Digest) {
    let platform = member.platform.as_ref();
    (
        platform.is_none(),
        platform.map(ToString::to_string).unwrap_or_default(),
        platform.and_then(|platform| platform.os_version.clone()),
        member.image.digest().clone(),
    )
}

/// What is said of a source without a digest.
fn by_tag(error: Error) -> Error {
    match error {
        Error::ByTag { pinned } => MergeError::ByTag { pinned }.into(),
        other => other,
    }
}

struct Join<'a> {
    registry: &'a Registry,
    members: Vec<Member>,
    /// Where each manifest is in `members`.
    known: HashMap<Digest, usize>,
}

impl Join<'_> {
    /// Adds an image, or what an index lists. `entry` is how it will be listed.
    async fn add(
        &mut self,
        image: ResolvedImage,
        entry: Map<String, Value>,
        depth: usize,
    ) -> Result<(), Error> {
        let Document::Index(index) = image.document() else {
            return self.add_manifest(image, entry).await;
        };
        let reference = image.reference();
        if depth >= INDEX_DEPTH_MAX {
            return Err(Error::Limit {
                image: reference.clone(),
                limit: INDEX_DEPTH_MAX,
                unit: "levels of nested indexes",
            });
        }
        let entries = entries(&image)?;
        for (at, entry) in entries.into_iter().enumerate() {
            let refused = |found: String| MergeError::Entry {
                index: Box::new(reference.clone()),
                position: at + 1,
                found,
            };
            let Value::Object(entry) = entry else {
                return Err(refused("an entry that is not an object".to_owned()).into());
            };
            let descriptor: Descriptor = serde_json::from_value(Value::Object(entry.clone()))
                .map_err(|error| refused(format!("an entry that can't be read ({error})")))?;
            if !index.manifests.contains(&descriptor) || !descriptor.is_document() {
                let found = countersign_oci::excerpt(&descriptor.media_type);
                return Err(refused(format!("the type `{found}`")).into());
            }
            let child = self
                .registry
                .child(reference.location(), &descriptor)
                .await?;
            Box::pin(self.add(child, entry, depth + 1)).await?;
        }
        Ok(())
    }

    async fn add_manifest(
        &mut self,
        image: ResolvedImage,
        mut entry: Map<String, Value>,
    ) -> Result<(), Error> {
        if self.known.contains_key(image.digest()) {
            return Ok(());
        }
        if self.members.len() == MEMBERS_MAX {
            return Err(Error::Limit {
                image: image.reference().clone(),
                limit: MEMBERS_MAX,
                unit: "manifests in one merge",
            });
        }
        let platform = if is_attestation(&entry) {
            None
        } else {
            Some(self.platform(&image, &mut entry).await?)
        };
        if let Some(platform) = &platform {
            self.refuse_second(platform, image.reference())?;
        }
        self.known
            .insert(image.digest().clone(), self.members.len());
        let media_type = entry
            .get("mediaType")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        self.members.push(Member {
            image,
            media_type,
            platform,
            entry: Value::Object(entry),
        });
        Ok(())
    }

    /// The platform by the entry, else by the configuration, from where it is written into the entry.
    async fn platform(
        &self,
        image: &ResolvedImage,
        entry: &mut Map<String, Value>,
    ) -> Result<Platform, Error> {
        let named = entry
            .get("platform")
            .cloned()
            .map(serde_json::from_value::<Platform>);
        if let Some(Ok(platform)) = named
            && platform.is_complete()
        {
            return Ok(platform);
        }
        let Document::Manifest(manifest) = image.document() else {
            return Err(no_platform(image, "an index".to_owned()));
        };
        let json = self.registry.configuration(image, manifest).await?;
        let configuration: Value = serde_json::from_slice(&json)
            .map_err(|_| no_platform(image, "a configuration that is not JSON".to_owned()))?;
        let platform: Platform =
            serde_json::from_value(configuration.clone()).map_err(|error| {
                no_platform(
                    image,
                    format!("a configuration that can't be read: {error}"),
                )
            })?;
        if !platform.is_complete() {
            let found = "a configuration without operating system or architecture";
            return Err(no_platform(image, found.to_owned()));
        }
        let mut written = Map::new();
        for key in ["architecture", "os", "os.version", "os.features", "variant"] {
            if let Some(value) = configuration.get(key)
                && !value.is_null()
                && value != ""
            {
                written.insert(key.to_owned(), value.clone());
            }
        }
        entry.insert("platform".to_owned(), Value::Object(written));
        Ok(platform)
    }

    fn refuse_second(&self, platform: &Platform, second: &PinnedReference) -> Result<(), Error> {
        let same = |other: &Platform| {
            platform.is_same_as(other) && platform.os_version == other.os_version
        };
        let first = self
            .members
            .iter()
            .find(|member| member.platform.as_ref().is_some_and(same));
        match first {
            None => Ok(()),
            Some(first) => Err(MergeError::SamePlatform {
                platform: platform.clone(),
                first: Box::new(first.image.reference().clone()),
                second: Box::new(second.clone()),
            }
            .into()),
        }
    }
}

fn no_platform(image: &ResolvedImage, found: String) -> Error {
    MergeError::NoPlatform {
        image: Box::new(image.reference().clone()),
        found,
    }
    .into()
}

fn is_attestation(entry: &Map<String, Value>) -> bool {
    let entry = serde_json::from_value(Value::Object(entry.clone()));
    entry.is_ok_and(|entry: Descriptor| entry.is_attestation())
}

/// A descriptor as an entry of an index.
fn entry_of(descriptor: &Descriptor, image: &ResolvedImage) -> Result<Map<String, Value>, Error> {
    let entry = serde_json::to_value(descriptor).and_then(serde_json::from_value);
    entry.map_err(|source| Error::Encode {
        image: image.reference().clone(),
        source: Box::new(source),
    })
}

/// The entries of an index, with every field that they have: a builder's own are kept.
fn entries(index: &ResolvedImage) -> Result<Vec<Value>, Error> {
    #[derive(Deserialize)]
    struct Entries {
        manifests: Option<Vec<Value>>,
    }
    let entries: Entries = serde_json::from_slice(index.bytes()).map_err(|error| {
        countersign_oci::Error::Manifest {
            what: index.reference().to_string(),
            source: ManifestError::Json(error),
        }
    })?;
    Ok(entries.manifests.unwrap_or_default())
}
