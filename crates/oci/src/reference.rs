//! References to images: which registry, which repository, which tag or digest.
//!
//! The grammar is that of the distribution project's `reference` package, with its Docker Hub
//! defaults, so that a reference means here what it means to `docker`, `crane` and `cosign`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, DigestError};
use crate::layout::LayoutPath;

/// Docker Hub's name in references. Its API answers at [`Repository::api_host`].
const DOCKER_HUB: &str = "docker.io";
const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// A repository in a registry: `host[:port]/path`. Or, in its place, an image layout on this machine:
/// `ocifile://path`.
///
/// A layout becomes one by its [`LayoutPath`], and by [`Repository::recorded`]; a text that is parsed
/// or deserialised never does.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository(Place);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    Registry { registry: String, path: String },
    Layout(LayoutPath),
}

impl Repository {
    /// The registry's host, with its port if one was given: `ghcr.io`, `127.0.0.1:5000`, `docker.io`.
    /// Empty for a layout, which is in none.
    pub fn registry(&self) -> &str {
        match &self.0 {
            Place::Registry { registry, .. } => registry,
            Place::Layout(_) => "",
        }
    }

    /// The path in the registry, without a leading slash: `mudler/localai`. For a layout its path on
    /// this machine.
    pub fn path(&self) -> &str {
        match &self.0 {
            Place::Registry { path, .. } => path,
            Place::Layout(layout) => layout.as_str(),
        }
    }

    /// The image layout that this is, if it is one.
    pub fn layout(&self) -> Option<&LayoutPath> {
        match &self.0 {
            Place::Registry { .. } => None,
            Place::Layout(layout) => Some(layout),
        }
    }

    /// Reads what [`Display`](fmt::Display) wrote, of a layout too. For records of one's own: in a
    /// text by somebody else it could name any file of this machine.
    ///
    /// # Errors
    /// As for parsing.
    pub fn recorded(text: &str) -> Result<Self, ReferenceError> {
        match LayoutPath::written(text) {
            Some((layout, None)) => Ok(layout.into()),
            _ => text.parse(),
        }
    }

    /// The host (and port) to which API requests go; Docker Hub's differs from its name.
    pub fn api_host(&self) -> &str {
        match self.registry() {
            DOCKER_HUB => "registry-1.docker.io",
            other => other,
        }
    }

    /// This repository at `digest`.
    pub fn at(&self, digest: Digest) -> PinnedReference {
        PinnedReference {
            repository: self.clone(),
            digest,
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Registry { registry, path } => write!(f, "{registry}/{path}"),
            Place::Layout(layout) => layout.fmt(f),
        }
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let error = |reason| ReferenceError::new(text, reason);
        if text.is_empty() {
            return Err(error(Reason::Empty));
        }
        if text.starts_with("ocifile://") {
            return Err(error(Reason::Layout));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(error(Reason::Scheme(scheme.into())));
        }
        let (registry, path) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) => (first.to_owned(), rest.to_owned()),
            _ => (DOCKER_HUB.to_owned(), text.to_owned()),
        };
        let registry = match registry.as_str() {
            "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
            _ => registry,
        };
        if !valid_host(&registry) {
            return Err(error(Reason::Host(registry)));
        }
        let path = if registry == DOCKER_HUB && !path.contains('/') {
            format!("library/{path}")
        } else {
            path
        };
        if path.len() > NAME_MAX {
            return Err(error(Reason::NameTooLong(path.len())));
        }
        if let Some(bad) = path.split('/').find(|part| !valid_path_component(part)) {
            return Err(error(if bad.chars().any(char::is_uppercase) {
                Reason::Uppercase(bad.into())
            } else {
                Reason::Component(bad.into())
            }));
        }
        Ok(Self(Place::Registry { registry, path }))
    }
}

/// An image as a person names it: a repository with a tag, a digest, or both.
///
/// With both, the digest decides and the tag is a remark. With neither, the tag is `latest`; or it is
/// the one image of a layout, which has no tags.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag, if one was written, or `latest` if neither tag nor digest was. A layout's image has
    /// none.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same image by its digest; the tag, if there is one, stays as a remark.
    #[must_use]
    pub fn pinned_to(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The same repository with the tag of `other`, and no digest. A layout has no tags.
    #[must_use]
    pub fn with_tag_of(&self, other: &Self) -> Self {
        Self {
            repository: self.repository.clone(),
            tag: match self.repository.layout() {
                Some(_) => None,
                None => other.tag.clone(),
            },
            digest: None,
        }
    }

    /// Reads what [`Display`](fmt::Display) wrote, of a layout too. For records of one's own: in a
    /// text by somebody else it could name any file of this machine.
    ///
    /// # Errors
    /// As for parsing.
    pub fn recorded(text: &str) -> Result<Self, ReferenceError> {
        match LayoutPath::written(text) {
            Some((layout, digest)) => Ok(Self {
                digest,
                ..layout.into()
            }),
            None => text.parse(),
        }
    }

    /// The same repository with another tag, and no digest.
    ///
    /// # Errors
    /// When `tag` is not a tag by the distribution specification, or this is a layout.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        format!("{}:{tag}", self.repository).parse()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let error = |reason| ReferenceError::new(text, reason);
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|e| error(Reason::Digest(e)))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        // A colon after the last slash separates a tag; before it, a port.
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest.get(name_start..).and_then(|name| name.find(':')) {
            Some(colon) => {
                let (name, tag) = rest.split_at(name_start + colon);
                (name, Some(tag.strip_prefix(':').unwrap_or(tag)))
            }
            None => (rest, None),
        };
        if let Some(tag) = tag.filter(|tag| !valid_tag(tag)) {
            return Err(error(Reason::Tag(tag.into())));
        }
        let repository = name
            .parse::<Repository>()
            .map_err(|e| error(e.reason.clone()))?;
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, None) => Some("latest".to_owned()),
            (None, Some(_)) => None,
        };
        Ok(Self {
            repository,
            tag,
            digest,
        })
    }
}

/// An image by digest: what it names can't change.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PinnedReference {
    repository: Repository,
    digest: Digest,
}

impl PinnedReference {
    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The digest of the manifest or index.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Another digest in the same repository.
    pub fn sibling(&self, digest: Digest) -> Self {
        self.repository.at(digest)
    }
}

impl fmt::Display for PinnedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

impl fmt::Debug for PinnedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<PinnedReference> for Reference {
    fn from(pinned: PinnedReference) -> Self {
        Self {
            repository: pinned.repository,
            tag: None,
            digest: Some(pinned.digest),
        }
    }
}

impl From<LayoutPath> for Repository {
    fn from(layout: LayoutPath) -> Self {
        Self(Place::Layout(layout))
    }
}

/// The one image of a layout.
impl From<LayoutPath> for Reference {
    fn from(layout: LayoutPath) -> Self {
        Self {
            repository: layout.into(),
            tag: None,
            digest: None,
        }
    }
}

macro_rules! string_conversions {
    ($($name:ty),*) => {$(
        impl TryFrom<String> for $name {
            type Error = ReferenceError;

            fn try_from(text: String) -> Result<Self, ReferenceError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

string_conversions!(Repository, Reference);

/// Why a text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an image reference (registry/repository:tag or registry/repository@sha256:…): {reason}"
)]
pub struct ReferenceError {
    text: String,
    reason: Reason,
}

impl ReferenceError {
    fn new(text: &str, reason: Reason) -> Self {
        Self {
            text: text.into(),
            reason,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("it is empty")]
    Empty,
    #[error("write it without `{0}://`")]
    Scheme(String),
    #[error("expected an image in a registry, found an image layout")]
    Layout,
    #[error("`{0}` is not a host name with an optional port")]
    Host(String),
    #[error("the repository name has {0} characters, at most {NAME_MAX} are allowed")]
    NameTooLong(usize),
    #[error("repository names are lower-case, `{0}` is not")]
    Uppercase(String),
    #[error(
        "`{0}` is not a repository path component (a-z, 0-9, separated by `.`, `_`, `__` or dashes)"
    )]
    Component(String),
    #[error(
        "`{0}` is not a tag (up to {TAG_MAX} letters, digits, `_`, `.` or `-`, the first not `.` or `-`)"
    )]
    Tag(String),
    #[error(transparent)]
    Digest(DigestError),
}

/// Whether the first part of a name is a registry rather than a Docker Hub user: as `docker` has
/// it, when it holds a dot or a colon, is `localhost`, or has an upper-case letter.
fn is_host(text: &str) -> bool {
    text == "localhost"
        || text.contains(['.', ':', '['])
        || text.chars().any(|c| c.is_ascii_uppercase())
}

fn valid_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("ipv6", port)
            }
            _ => return false,
        },
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let port_ok = match port.strip_prefix(':') {
        Some(digits) => !digits.is_empty() && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    let label_ok = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    port_ok && host.split('.').all(label_ok)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn valid_path_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(alphanumeric) || !text.ends_with(alphanumeric) {
        return false;
    }
    text.split(alphanumeric)
        .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|c| c == b'-'))
}

fn valid_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= TAG_MAX
        && text.starts_with(word)
        && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> String {
        text.parse::<Reference>().unwrap().to_string()
    }

    #[test]
    fn docker_hub_defaults_apply() {
        assert_eq!(whole("alpine"), "docker.io/library/alpine:latest");
        assert_eq!(whole("localai/localai:v1"), "docker.io/localai/localai:v1");
        assert_eq!(whole("index.docker.io/a/b:c"), "docker.io/a/b:c");
        let hub: Reference = "alpine".parse().unwrap();
        assert_eq!(hub.repository().api_host(), "registry-1.docker.io");
    }

    #[test]
    fn hosts_with_ports_and_addresses() {
        assert_eq!(whole("localhost:5000/a"), "localhost:5000/a:latest");
        assert_eq!(whole("127.0.0.1:5000/a/b:t"), "127.0.0.1:5000/a/b:t");
        assert_eq!(whole("[::1]:5000/a:t"), "[::1]:5000/a:t");
    }

    #[test]
    fn a_digest_leaves_the_tag_a_remark() {
        let digest = Digest::sha256(b"{}");
        let both: Reference = format!("quay.io/a/b:t@{digest}").parse().unwrap();
        assert_eq!(both.tag(), Some("t"));
        assert_eq!(both.digest(), Some(&digest));
        let pinned: Reference = format!("quay.io/a/b@{digest}").parse().unwrap();
        assert_eq!(pinned.tag(), None);
    }

    #[test]
    fn a_layout_is_named_by_its_path_and_never_by_a_text() {
        let layout = LayoutPath::new("/srv/app.tar".as_ref()).unwrap();
        let (repository, digest) = (Repository::from(layout.clone()), Digest::sha256(b"{}"));
        let whole = Reference::from(layout);
        let pinned = Reference::from(repository.at(digest));
        assert_eq!(whole.to_string(), "ocifile:///srv/app.tar");
        assert_eq!((whole.tag(), whole.digest()), (None, None));
        assert!(whole.with_tag("latest").is_err());
        for reference in [whole, pinned] {
            let text = reference.to_string();
            assert!(text.parse::<Reference>().is_err());
            assert!(serde_json::from_value::<Reference>(text.clone().into()).is_err());
            assert_eq!(Reference::recorded(&text), Ok(reference));
        }
        let text = repository.to_string();
        assert!(text.parse::<Repository>().is_err());
        assert!(serde_json::from_value::<Repository>(text.clone().into()).is_err());
        assert_eq!(Repository::recorded(&text), Ok(repository));
        assert_eq!(Repository::recorded("alpine"), "alpine".parse());
    }

    #[test]
    fn malformed_references_name_the_fault() {
        let reason = |text: &str| text.parse::<Reference>().unwrap_err().reason;
        assert_eq!(reason(""), Reason::Empty);
        assert_eq!(reason("oci://a/b"), Reason::Scheme("oci".into()));
        assert_eq!(reason("ocifile:///srv/app"), Reason::Layout);
        assert_eq!(
            reason("quay.io/Mudler/x"),
            Reason::Uppercase("Mudler".into())
        );
        assert_eq!(reason("quay.io/a//b"), Reason::Component(String::new()));
        assert_eq!(reason("quay.io/../b"), Reason::Component("..".into()));
        assert_eq!(reason("quay.io/a:"), Reason::Tag(String::new()));
        assert_eq!(reason("quay.io/a::t"), Reason::Tag(":t".into()));
        assert_eq!(reason("quay.io/a:.x"), Reason::Tag(".x".into()));
        assert_eq!(
            reason("quay.io:99999/a"),
            Reason::Host("quay.io:99999".into())
        );
        assert!(matches!(reason("a@sha256:0"), Reason::Digest(_)));
    }
}
