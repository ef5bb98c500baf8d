//! How a pattern of images is read.

use std::str::FromStr;

use countersign_oci::{DigestError, ReferenceError, Repository};

use super::glob::Glob;
use super::{Host, ImagePattern, Name, Segment, Version};

/// Stands for a star while the rest of a segment or a tag is checked. A letter is allowed wherever a star is.
const ANY: &str = "x";

/// Why a text is not a pattern of images.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing.
    #[error("it is empty; write `**` for every image")]
    Empty,
    /// One star, or a star in the first part, which would be a host or a name on Docker Hub.
    #[error(
        "a `*` in its first part is neither a host nor a name on Docker Hub; write the host, or `*.DOMAIN`, or `**` \
         alone for every image"
    )]
    StarInHost,
    /// `**` that is not a whole segment.
    #[error("`**` has to be a whole part between slashes; within a part, write `*`")]
    PartOfSegment,
    /// A host alone.
    #[error("it is a host without a repository; write `{host}/**` for everything there")]
    NoPath {
        /// The host.
        host: String,
    },
    /// A tag and a digest.
    #[error("it has a tag and a digest; keep one of them")]
    TagAndDigest,
    /// Not a digest.
    #[error("{0}")]
    Digest(DigestError),
    /// Not a name of a repository or an image, whatever the stars stand for.
    #[error("{0}")]
    Name(ReferenceError),
}

impl FromStr for ImagePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.trim().is_empty() {
            return Err(PatternError::Empty);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(PatternError::Digest)?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        let version = match (tag, digest) {
            (Some(_), Some(_)) => return Err(PatternError::TagAndDigest),
            (Some(tag), None) => {
                checked_tag(tag)?;
                Version::Tag(Glob::new(tag))
            }
            (None, Some(digest)) => Version::Digest(digest),
            (None, None) => Version::Any,
        };
        Ok(Self {
            name: name_of(name)?,
            version,
        })
    }
}

/// A colon after the last slash begins a tag, as in a reference. What is no path before it can't have one: in
/// `registry.internal:5000` it begins a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    match text.get(last..).and_then(|name| name.find(':')) {
        Some(colon) => {
            let (name, tag) = text.split_at(last + colon);
            (name, tag.get(1..))
        }
        None => (text, None),
    }
}

fn checked_tag(tag: &str) -> Result<(), PatternError> {
    let whole = format!("{ANY}:{}", tag.replace('*', ANY));
    match whole.parse::<countersign_oci::Reference>() {
        Ok(_) => Ok(()),
        Err(error) => Err(PatternError::Name(error)),
    }
}

fn name_of(text: &str) -> Result<Name, PatternError> {
    if text == "**" {
        return Ok(Name::Every);
    }
    let parts: Vec<&str> = text.split('/').collect();
    if parts
        .iter()
        .any(|part| part.contains("**") && *part != "**")
    {
        return Err(PatternError::PartOfSegment);
    }
    let Some((first, path)) = parts.split_first() else {
        return Err(PatternError::Empty);
    };
    let below = first
        .strip_prefix('*')
        .filter(|domain| domain.starts_with('.'));
    if below.unwrap_or(first).contains('*') {
        return Err(PatternError::StarInHost);
    }
    let is_host = below.is_some() || Repository::is_host(first);
    let (host, path) = if is_host {
        (*first, path)
    } else {
        (Repository::DOCKER_HUB, parts.as_slice())
    };
    if path.iter().all(|part| part.is_empty()) {
        let host = host.to_owned();
        return Err(PatternError::NoPath { host });
    }
    let sample = below.map(|domain| format!("{ANY}{domain}"));
    let sample = checked_name(sample.as_deref().unwrap_or(host), path)?;
    let registry = sample.registry();
    let host = match below {
        Some(_) => Host::Below(registry.strip_prefix(ANY).unwrap_or(registry).to_owned()),
        None => Host::Exactly(registry.to_owned()),
    };
    let mut path: Vec<Segment> = path.iter().map(|part| Segment::new(part)).collect();
    if let (true, [Segment::One(_)]) = (sample.is_on_docker_hub(), path.as_slice()) {
        path.insert(0, Segment::new(Repository::LIBRARY));
    }
    Ok(Name::Repositories { host, path })
}

/// With a letter for each star it has to be the name of a repository.
fn checked_name(host: &str, path: &[&str]) -> Result<Repository, PatternError> {
    let path = path.join("/").replace("**", ANY).replace('*', ANY);
    format!("{host}/{path}").parse().map_err(PatternError::Name)
}

impl Segment {
    fn new(text: &str) -> Self {
        match text {
            "**" => Self::Several,
            part => Self::One(Glob::new(part)),
        }
    }
}
