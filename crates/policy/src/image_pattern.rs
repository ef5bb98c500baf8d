//! Patterns of images: `quay.io/acme/**`, `registry.internal:5000/app:v*`, `nginx`, `**`.
//!
//! A pattern is held against the whole name, never against a part of it. The host is a text or `*.` with a domain,
//! so that no pattern for one host takes in another that only begins like it.
//!
//! - `text`: how a pattern is read
//! - `glob`: what one part of a name is held against
//! - `overlap`: whether two patterns can match one image

mod glob;
mod overlap;
mod text;

use std::fmt;

use countersign_oci::{Digest, Location, Reference, Repository};

pub(crate) use self::glob::Glob;
pub use self::text::PatternError;

/// A pattern of images, read and checked.
///
/// - `*` stands for any characters, or none, in one segment of the path or in the tag.
/// - `**` stands for one or more whole segments of the path. A pattern that is only `**` matches every image.
/// - A host is matched as it is, with its port; `*.example.com` is every host below `example.com`.
/// - With `:TAG`, only an image that is asked for by a tag, without a digest, is matched. Without it, every tag and
///   digest is.
/// - With `@DIGEST`, only the image with this digest is matched.
/// - Names are compared in full, in the one form that a [`Repository`] has: `nginx` is `docker.io/library/nginx`, and
///   `HOST:443` is `HOST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePattern {
    name: Name,
    version: Version,
}

/// Which repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// `**`: every repository of every registry.
    Every,
    Repositories {
        host: Host,
        path: Vec<Segment>,
    },
}

/// Which hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// As [`Repository::registry`] has it.
    Exactly(String),
    /// What stands behind the `*`: `.example.com`, with its port.
    Below(String),
}

/// What stands between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    One(Glob),
    /// `**`: one segment or more.
    Several,
}

/// Which of a repository's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Version {
    Any,
    Tag(Glob),
    Digest(Digest),
}

impl ImagePattern {
    /// Whether the image that is asked for as `reference`, and has this `digest`, is matched. An image layout
    /// never is.
    pub fn matches(&self, reference: &Reference, digest: &Digest) -> bool {
        let Location::Registry(repository) = reference.location() else {
            return false;
        };
        let version = match &self.version {
            Version::Any => true,
            // With a digest, the tag is a note that nothing was asked by.
            Version::Tag(tag) => {
                reference.digest().is_none()
                    && reference.tag().is_some_and(|found| tag.matches(found))
            }
            Version::Digest(only) => only == digest,
        };
        version && self.name.matches(repository)
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn version(&self) -> &Version {
        &self.version
    }

    /// Whether it matches every image.
    pub(crate) fn is_every(&self) -> bool {
        self.name == Name::Every && self.version == Version::Any
    }

    /// Whether it matches no image that is asked for by digest.
    pub(crate) fn needs_tag(&self) -> bool {
        matches!(self.version, Version::Tag(_))
    }
}

impl Name {
    fn matches(&self, repository: &Repository) -> bool {
        match self {
            Self::Every => true,
            Self::Repositories { host, path } => {
                let found: Vec<&str> = repository.path().split('/').collect();
                host.matches(repository.registry()) && matches_path(path, &found)
            }
        }
    }
}

impl Host {
    fn matches(&self, found: &str) -> bool {
        match self {
            Self::Exactly(host) => host == found,
            // Something stands before the dot, since no host begins with one.
            Self::Below(domain) => found.ends_with(domain.as_str()),
        }
    }
}

/// Whether `pattern` is all of `found`. `reached` are the numbers of segments that the pattern up to here may
/// stand for.
fn matches_path(pattern: &[Segment], found: &[&str]) -> bool {
    let mut reached = vec![false; found.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for segment in pattern {
        let mut next = vec![false; reached.len()];
        let mut several = false;
        for ((before, part), after) in reached.iter().zip(found).zip(next.iter_mut().skip(1)) {
            match segment {
                Segment::One(glob) => *after = *before && glob.matches(part),
                Segment::Several => {
                    several |= *before;
                    *after = several;
                }
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

/// In full: the pattern that means the same wherever it is read.
impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Name::Every => f.write_str("**")?,
            Name::Repositories { host, path } => {
                match host {
                    Host::Exactly(host) => f.write_str(host)?,
                    Host::Below(domain) => write!(f, "*{domain}")?,
                }
                for segment in path {
                    match segment {
                        Segment::One(glob) => write!(f, "/{glob}")?,
                        Segment::Several => f.write_str("/**")?,
                    }
                }
            }
        }
        match &self.version {
            Version::Any => Ok(()),
            Version::Tag(tag) => write!(f, ":{tag}"),
            Version::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

#[cfg(test)]
mod tests;
