//! References to images: a location with a tag or a digest.
//!
//! The grammar and the Docker Hub defaults are those of the distribution project's `reference`
//! package, so a reference means the same here as in `docker`, `crane` and `cosign`.

mod error;
mod grammar;
mod layout_path;
mod location;
mod repository;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

use error::Reason;
use grammar::valid_tag;

pub use error::ReferenceError;
pub use layout_path::{LayoutPath, LayoutPathError};
pub use location::Location;
pub use repository::Repository;

pub(crate) use grammar::normal_host;

/// A user's name for an image: a repository with a tag, a digest, or both; or a layout, with or
/// without a digest.
///
/// With both tag and digest, the digest decides, and the tag is only a note. A repository with
/// neither means the tag `latest`. A layout without a digest means its only image: layouts have no
/// tags.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    location: Location,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The image's location.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The tag: the written one, or `latest` if there is neither tag nor digest. `None` for a
    /// layout.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same image by its digest. A tag stays as a note.
    #[must_use]
    pub fn pinned_to(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The same reference without its digest.
    #[must_use]
    pub fn without_digest(&self) -> Self {
        self.with_tag_of(self)
    }

    /// The same repository with the tag of `other`, without a digest. A layout gets no tag.
    #[must_use]
    pub fn with_tag_of(&self, other: &Self) -> Self {
        Self {
            location: self.location.clone(),
            tag: match &self.location {
                Location::Registry(_) => other.tag.clone(),
                Location::Layout(_) => None,
            },
            digest: None,
        }
    }

    /// Reads the text of [`Display`](fmt::Display), also of a layout. Use it only for your own
    /// records: a text from elsewhere could name any file of this machine.
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

    /// The same repository with another tag, without a digest.
    ///
    /// # Errors
    /// An error, if `tag` is not a tag by the distribution specification, or if this is a layout.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        format!("{}:{tag}", self.location).parse()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.location)?;
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
        // By the grammar alone it is the tag of an image `sha256` on Docker Hub, which nobody means.
        if text.parse::<Digest>().is_ok() {
            return Err(error(Reason::DigestAlone));
        }
        if let Some(reason) = elsewhere(text) {
            return Err(error(reason));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|e| error(Reason::Digest(e)))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        // A colon after the last slash starts a tag; an earlier one starts a port.
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
            location: repository.into(),
            tag,
            digest,
        })
    }
}

/// What names no image in a registry, and is meant as something on this machine: a path, or a transport of skopeo and
/// podman. By the grammar alone `dir:x` is the tag of an image `dir` on Docker Hub, which nobody means.
fn elsewhere(text: &str) -> Option<Reason> {
    if ["/", "./", "../"]
        .iter()
        .any(|begin| text.starts_with(begin))
    {
        return Some(Reason::Path(text.into()));
    }
    let (transport, rest) = text.split_once(':')?;
    if transport == "oci-layout" {
        return Some(Reason::LayoutTransport(text.into()));
    }
    // A scheme, such as Helm's `oci://`, which is told as one.
    if rest.starts_with("//") {
        return None;
    }
    match transport {
        "oci" | "oci-archive" => Some(Reason::LayoutTransport(text.into())),
        "dir" | "docker-archive" | "docker-daemon" | "containers-storage" | "ostree" | "sif" => {
            Some(Reason::Transport(transport.into()))
        }
        _ => None,
    }
}

/// An image by digest. What it names can't change.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PinnedReference {
    location: Location,
    digest: Digest,
}

impl PinnedReference {
    /// The image's location.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The digest of the manifest or index.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The same location with another digest.
    pub fn sibling(&self, digest: Digest) -> Self {
        self.location.at(digest)
    }
}

impl fmt::Display for PinnedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.location, self.digest)
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
            location: pinned.location,
            tag: None,
            digest: Some(pinned.digest),
        }
    }
}

impl Repository {
    /// This repository at `digest`.
    pub fn at(&self, digest: Digest) -> PinnedReference {
        Location::from(self.clone()).at(digest)
    }
}

impl Location {
    /// The content with this digest at this location.
    pub fn at(&self, digest: Digest) -> PinnedReference {
        PinnedReference {
            location: self.clone(),
            digest,
        }
    }
}

/// The one image of a layout.
impl From<LayoutPath> for Reference {
    fn from(layout: LayoutPath) -> Self {
        Self {
            location: layout.into(),
            tag: None,
            digest: None,
        }
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
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
        let hub: Repository = "alpine".parse().unwrap();
        assert_eq!(hub.api_host(), "registry-1.docker.io");
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
        let (location, digest) = (Location::from(layout.clone()), Digest::sha256(b"{}"));
        let whole = Reference::from(layout);
        let pinned = Reference::from(location.at(digest));
        assert_eq!(whole.to_string(), "ocifile:///srv/app.tar");
        assert_eq!((whole.tag(), whole.digest()), (None, None));
        let of_a_layout = |error: ReferenceError| assert_eq!(error.reason, Reason::Layout);
        let in_json = |error: serde_json::Error| {
            let text = error.to_string();
            assert!(text.contains(&Reason::Layout.to_string()), "{text}");
        };
        of_a_layout(whole.with_tag("latest").unwrap_err());
        for reference in [whole, pinned] {
            let text = reference.to_string();
            of_a_layout(text.parse::<Reference>().unwrap_err());
            in_json(serde_json::from_value::<Reference>(text.clone().into()).unwrap_err());
            assert_eq!(Reference::recorded(&text), Ok(reference));
        }
        let text = location.to_string();
        of_a_layout(text.parse::<Repository>().unwrap_err());
        in_json(serde_json::from_value::<Repository>(text.clone().into()).unwrap_err());
        assert_eq!(Location::recorded(&text), Ok(location));
        let repository: Repository = "alpine".parse().unwrap();
        assert_eq!(Location::recorded("alpine"), Ok(repository.into()));
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
        let digest = Digest::sha256(b"{}");
        assert_eq!(reason(&digest.to_string()), Reason::DigestAlone);
        for (text, said) in [
            (
                "oci:lay",
                "`oci:lay` of skopeo and podman is written `ocifile://lay`",
            ),
            (
                "oci-archive:a/b.tar:v1",
                "`oci-archive:a/b.tar:v1` of skopeo and podman is written `ocifile://a/b.tar`",
            ),
            (
                "oci-layout://../op/lay",
                "`oci-layout://../op/lay` of oras and flux is written `ocifile://../op/lay`",
            ),
            (
                "oci-layout:lay:v1",
                "`oci-layout:lay:v1` of oras and flux is written `ocifile://lay`",
            ),
            ("dir:x", "`dir:` of skopeo and podman holds no signatures"),
            ("docker-archive:x.tar", "`docker-archive:` of"),
            ("docker-daemon:x:v1", "`docker-daemon:` of"),
            ("containers-storage:localhost/x", "`containers-storage:` of"),
            (
                "./lay",
                "for an image layout on this machine write `ocifile://./lay`",
            ),
            ("/srv/lay.tar", "write `ocifile:///srv/lay.tar`"),
        ] {
            let refused = text.parse::<Reference>().unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
        // With a host they are names as any.
        assert_eq!(whole("localhost:5000/oci:lay"), "localhost:5000/oci:lay");
        assert_eq!(whole("docker.io/library/dir:x"), "docker.io/library/dir:x");
        // With a path before it, it is a tag.
        let hub = format!("docker.io/library/{digest}");
        assert_eq!(whole(&hub), hub);
    }
}
