//! Indexes, and their children for a platform.
//!
//! Children are read one by one. A child that can't be read, or that is of an unknown kind, doesn't
//! affect the others. Go's tools do the same.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::descriptor::Descriptor;
use crate::excerpt::excerpt;
use crate::from_object_alone;
use crate::json::{each_listed, null_is_empty, written_as_derived};
use crate::manifest::ManifestError;
use crate::platform::Platform;

/// An image index: manifests by platform, or an image's list of referrers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(remote = "Self")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of the index itself; optional in OCI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The artifact type, if this isn't an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The children that can be read. Some registries write an empty list as `null`.
    #[serde(default, deserialize_with = "readable")]
    pub manifests: Vec<Descriptor>,
    /// The subject, if this index is a referrer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// The annotations.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

from_object_alone!(Index);
written_as_derived!(Index);

impl Index {
    /// The children that may be for `wanted`. An attestation is for none: what looks at the images of an index, such as a
    /// signer or a merge, passes it over too.
    pub(crate) fn candidates(&self, wanted: &Platform) -> Candidates<'_> {
        let mut named = Vec::new();
        let mut unnamed = Vec::new();
        let children = self.manifests.iter();
        for child in children.filter(|child| child.is_document() && !child.is_attestation()) {
            match &child.platform {
                Some(platform) if platform.is_complete() => {
                    if let Some(rank) = platform.serves(wanted) {
                        named.push((rank, child));
                    }
                }
                Some(platform) if platform.contradicts(wanted) => {}
                Some(_) | None => unnamed.push(child),
            }
        }
        // The sort is stable: of equal ones, the first stays first.
        named.sort_by_key(|(rank, _)| Reverse(*rank));
        Candidates {
            named: named.into_iter().map(|(_, child)| child).collect(),
            unnamed,
        }
    }

    /// The children's platforms, in order, each once, without `unknown`.
    pub fn platforms(&self) -> Vec<Platform> {
        let mut platforms = Vec::new();
        let children = self.manifests.iter().filter(|child| child.is_document());
        for platform in children.filter_map(|child| child.platform.as_ref()) {
            if platform.is_complete() && !platform.is_unknown() && !platforms.contains(platform) {
                platforms.push(platform.clone());
            }
        }
        platforms
    }
}

/// The children of an index that may be for a platform.
pub(crate) struct Candidates<'a> {
    /// Children that name a platform that fits, the nearest first.
    pub(crate) named: Vec<&'a Descriptor>,
    /// Children that name no platform, or only a part of one.
    pub(crate) unnamed: Vec<&'a Descriptor>,
}

/// The children that can be read as descriptors.
fn readable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Descriptor>, D::Error> {
    let mut children = Vec::new();
    each_listed(deserializer, |entry| {
        children.extend(serde_json::from_str::<Descriptor>(entry.get()));
        Ok(())
    })?;
    Ok(children)
}

/// Refuses an index whose best entry for `wanted` can't be read: the first unreadable entry that
/// fits better than `best`, the best readable child. Entries without a readable platform are
/// skipped.
///
/// # Errors
/// [`ManifestError::Child`].
pub(crate) fn refuse_unreadable(
    bytes: &[u8],
    wanted: &Platform,
    best: Option<&Descriptor>,
) -> Result<(), ManifestError> {
    let best = best.and_then(|child| child.platform.as_ref()?.serves(wanted));
    refuse_unreadable_if(bytes, |platform| {
        let rank = platform.serves(wanted);
        rank.is_some() && rank > best
    })
}

/// Refuses an index with an entry for a platform that can't be read.
///
/// # Errors
/// [`ManifestError::Child`].
pub(crate) fn refuse_unreadable_platforms(bytes: &[u8]) -> Result<(), ManifestError> {
    refuse_unreadable_if(bytes, |_| true)
}

/// Refuses an index with an unreadable entry for a platform that `counts`.
fn refuse_unreadable_if(
    bytes: &[u8],
    counts: impl Fn(&Platform) -> bool,
) -> Result<(), ManifestError> {
    #[derive(Deserialize)]
    struct NamedPlatform {
        platform: Platform,
    }
    let mut position = 0;
    let mut unreadable = None;
    each_entry(bytes, |entry| {
        position += 1;
        let Ok(NamedPlatform { platform }) = serde_json::from_str(entry.get()) else {
            return;
        };
        if unreadable.is_some() || !platform.is_complete() || !counts(&platform) {
            return;
        }
        if let Err(source) = serde_json::from_str::<Descriptor>(entry.get()) {
            unreadable = Some(ManifestError::Child {
                position,
                platform: Box::new(platform),
                source,
            });
        }
    })
    .map_err(ManifestError::Json)?;
    unreadable.map_or(Ok(()), Err)
}

/// Passes each entry of an index on, also those that can't be read.
fn each_entry(bytes: &[u8], mut entry: impl FnMut(&RawValue)) -> Result<(), serde_json::Error> {
    #[derive(Deserialize)]
    struct Listed<'a> {
        #[serde(borrow)]
        manifests: Option<&'a RawValue>,
    }
    let listed: Listed<'_> = serde_json::from_slice(bytes)?;
    match listed.manifests {
        None => Ok(()),
        Some(list) => {
            let mut list = serde_json::Deserializer::from_str(list.get());
            each_listed(&mut list, |listed| {
                entry(listed);
                Ok(())
            })
        }
    }
}

/// The children of the index in `bytes`, if every entry can be read.
///
/// # Errors
/// [`UnreadEntries`].
pub(crate) fn all_children<'a>(
    index: &'a Index,
    bytes: &[u8],
) -> Result<&'a [Descriptor], UnreadEntries> {
    let (mut expected, found) = (0, index.manifests.len());
    // What was parsed before can be read again.
    let read = each_entry(bytes, |_| expected += 1);
    if read.is_ok() && expected == found {
        Ok(&index.manifests)
    } else {
        Err(UnreadEntries { expected, found })
    }
}

/// An index lists something without a digest, or with one that can't be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} entries with a digest, found {found}")]
pub struct UnreadEntries {
    /// How many entries the index has.
    pub expected: usize,
    /// How many of them can be read.
    pub found: usize,
}

/// There is no image for the requested platform: the index has no such child, or the only image has
/// another platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no image for {wanted}; found {}", list(.available))]
pub struct NoSuchPlatform {
    /// The requested platform.
    pub wanted: Platform,
    /// The platforms that exist.
    pub available: Vec<Platform>,
}

/// The most platforms that one error lists. Real indexes have fewer.
const PLATFORMS_SHOWN: usize = 20;

fn list(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "none for any platform".into();
    }
    let shown = platforms.iter().take(PLATFORMS_SHOWN);
    let names: Vec<String> = shown.map(|p| excerpt(&p.to_string())).collect();
    let names = names.join(", ");
    match platforms.len().saturating_sub(PLATFORMS_SHOWN) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::media_type;
    use crate::digest::Digest;
    use crate::document::Document;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    /// A child of an index in JSON, with `bytes` under its digest and `more` among its fields.
    fn child(bytes: &str, more: &str) -> String {
        let (digest, size) = (Digest::sha256(bytes.as_bytes()), bytes.len());
        let media_type = media_type::OCI_MANIFEST;
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}{more}}}"#)
    }

    fn for_platform(os: &str, architecture: &str, variant: &str) -> String {
        format!(
            r#","platform":{{"os":"{os}","architecture":"{architecture}","variant":"{variant}"}}"#
        )
    }

    fn json(children: &[String]) -> String {
        format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            children.join(",")
        )
    }

    fn index(children: &[String]) -> Index {
        match Document::parse(json(children).as_bytes(), None) {
            Ok(Document::Index(index)) => index,
            other => panic!("{other:?}"),
        }
    }

    fn best<'a>(index: &'a Index, wanted: &Platform) -> Option<&'a Descriptor> {
        index.candidates(wanted).named.into_iter().next()
    }

    fn selected(index: &Index, wanted: &str) -> Option<Digest> {
        best(index, &platform(wanted)).map(|child| child.digest.clone())
    }

    #[test]
    fn selection_prefers_the_nearest_variant_and_lists_what_there_is() {
        let index = index(&[
            child("attestation", &for_platform("unknown", "unknown", "")),
            child("6", &for_platform("linux", "arm", "v6")),
            child("7", &for_platform("linux", "arm", "v7")),
        ]);
        assert_eq!(selected(&index, "linux/arm/v7"), Some(Digest::sha256(b"7")));
        assert_eq!(selected(&index, "linux/s390x"), None);
        let there = ["linux/arm/v6", "linux/arm/v7"].map(platform);
        assert_eq!(index.platforms(), there);
        // The attestation has no platform, so it never fits.
        assert_eq!(selected(&index, "unknown/unknown"), None);
    }

    #[test]
    fn what_the_annotation_calls_an_attestation_is_an_image_only_where_a_platform_is_named() {
        let called = r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
        let platforms = [
            (String::new(), [0, 0]),
            (r#","platform":null"#.to_owned(), [0, 0]),
            (r#","platform":{"architecture":"amd64"}"#.to_owned(), [0, 1]),
            (for_platform("linux", "amd64", ""), [1, 0]),
            (for_platform("unknown", "unknown", ""), [0, 0]),
        ];
        for (platform, expected) in platforms {
            let index = index(&[child("a", &format!("{platform}{called}"))]);
            let found = index.candidates(&self::platform("linux/amd64"));
            let found_counts = [found.named.len(), found.unnamed.len()];
            assert_eq!(found_counts, expected, "{platform}");
            let is_image = !index.manifests[0].is_attestation();
            assert_eq!(found_counts != [0, 0], is_image, "{platform}");
        }
    }

    #[test]
    fn of_equals_the_first_is_selected() {
        let index = index(&[
            child("first", &for_platform("linux", "arm64", "")),
            child("second", &for_platform("linux", "arm64", "v8")),
            child("third", &for_platform("linux", "aarch64", "8")),
        ]);
        let first = Some(Digest::sha256(b"first"));
        assert_eq!(selected(&index, "linux/arm64"), first);
        assert_eq!(selected(&index, "linux/arm64/v8"), first);
    }

    #[test]
    fn children_that_cannot_be_read_or_used_are_passed_over() {
        let wanted = child("wanted", &for_platform("linux", "amd64", ""));
        let index = index(&[
            "7".into(),
            "{}".into(),
            r#"{"mediaType":"a","digest":"sha256:abc","size":1}"#.into(),
            child("x", r#","size":-1"#),
            child("x", r#","platform":7"#),
            child("x", &for_platform("linux", "amd64", "")).replace("manifest.v1", "other.v1"),
            wanted.clone(),
        ]);
        assert_eq!(
            selected(&index, "linux/amd64"),
            Some(Digest::sha256(b"wanted"))
        );
        assert_eq!(index.platforms(), [platform("linux/amd64")]);
        let nulls = child(
            "x",
            r#","platform":{"os":null,"variant":null},"annotations":null"#,
        );
        let index = self::index(&[nulls]);
        assert_eq!(index.manifests.len(), 1);
        assert_eq!(index.candidates(&platform("linux/amd64")).unnamed.len(), 1);
    }

    #[test]
    fn an_unreadable_child_is_an_error_where_it_would_be_selected() {
        let odd = |platform: &str| child("odd", platform).replace("sha256:", "sha256:x");
        let (v7, v6) = (
            for_platform("linux", "arm", "v7"),
            for_platform("linux", "arm", "v6"),
        );
        let outcome = |children: &[String], wanted: &str| {
            let (json, index, wanted) = (json(children), index(children), platform(wanted));
            refuse_unreadable(json.as_bytes(), &wanted, best(&index, &wanted))
        };
        let better = [child("6", &v6), odd(&v7)];
        let error = outcome(&better, "linux/arm/v7").unwrap_err();
        assert_eq!(
            error.to_string(),
            "entry 2 of the index, which is for linux/arm/v7, can't be read"
        );
        assert!(outcome(&better, "linux/arm/v6").is_ok());
        assert!(outcome(&better, "linux/amd64").is_ok());
        assert!(outcome(&[odd(&v6), child("7", &v7)], "linux/arm/v7").is_ok());
        assert!(outcome(&[odd("")], "linux/arm/v7").is_ok());
    }
}
