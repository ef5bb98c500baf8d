//! A request to the registry, and how the registry behaves where the specification leaves a choice.

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use countersign_oci::Digest;
use url::form_urlencoded;

use super::route::Route;
use super::store::Shelf;

/// A request, read whole.
pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    pub(super) route: &'a Route,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Bytes,
}

/// How endpoints behave where the specification allows a choice.
#[derive(Debug, Clone, Copy)]
pub(super) struct RegistryBehaviour {
    pub(super) referrers_api: bool,
    pub(super) claims_subjects: bool,
    pub(super) dashed_tags: DashedTags,
    pub(super) page_size: Option<usize>,
    pub(super) mounts: Mounts,
}

/// What a tag like `sha256-<hex>` in a URL means when a manifest is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DashedTags {
    /// A tag like any other.
    #[default]
    Tags,
    /// A tag, if it was pushed; otherwise the digest in its name, as in GitLab.
    DigestsUnlessPushed,
    /// The digest in its name, even if the tag was pushed.
    Digests,
}

impl DashedTags {
    /// The digest or tag that is looked up for `reference`.
    pub(super) fn reading(self, shelf: &Shelf, reference: &str) -> String {
        let digest = reference.replacen('-', ":", 1);
        let taken = match self {
            Self::Tags => false,
            Self::DigestsUnlessPushed => !shelf.tags.contains_key(reference),
            Self::Digests => true,
        };
        if taken && digest.parse::<Digest>().is_ok() {
            return digest;
        }
        reference.to_owned()
    }
}

/// What a request to mount a blob from another repository leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mounts {
    /// The blob is mounted, if the other repository has it.
    #[default]
    Served,
    /// An upload is opened instead, as the specification allows.
    BecomeUploads,
}

/// A parameter of the query, decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    Some(value.into_owned())
}
