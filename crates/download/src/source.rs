//! Where content is, as a gallery's entry writes it.
//!
//! A [`Source`] is read from its text alone: the form decides the kind, and the file system is
//! never asked what a text might mean. So `localai/localai-backends:latest` is an image on Docker
//! Hub, as `docker` takes it, whatever lies in the current directory.

use std::fmt;
use std::path::{Path, PathBuf};

use countersign_oci::http::HostKind;
use countersign_oci::{
    Digest, LayoutPath, LayoutPathError, Location, Reference, ReferenceError, excerpt,
};
use url::Url;

use crate::http::shown;

/// Where the content of an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// An image in a registry: `oci://reference`, or the reference alone.
    Image {
        /// The image.
        reference: Reference,
    },
    /// An OCI image layout, a tar archive or a directory: `ocifile://` and an absolute path. LocalAI
    /// takes a relative one to be below whatever directory it runs in; here it is an error.
    Layout {
        /// Where it is.
        path: LayoutPath,
    },
    /// An archive to fetch: `https://….tar`, `….tar.gz`, `….tgz`, `….tar.zst`, or by `http`.
    Tarball(Tarball),
    /// A directory on this machine: `file://` and an absolute path, or the path alone.
    Directory {
        /// Absolute.
        path: PathBuf,
    },
}

/// How the path of an archive ends that is fetched; all but the first are compressed.
pub const ARCHIVE_ENDINGS: [&str; 4] = [".tar", ".tar.gz", ".tgz", ".tar.zst"];

/// An archive to fetch, and what its bytes must hash to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tarball {
    url: Url,
    digest: Option<Digest>,
}

/// Where the content of a source comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// From a host of this kind.
    Host(HostKind),
    /// From files of this machine, without a server.
    Files,
}

impl Source {
    /// Reads an entry's `uri`, or one of its mirrors, with the entry's `sha256`: 64 hex digits, of
    /// a tarball's bytes.
    ///
    /// # Errors
    /// [`SourceError`], also for a `sha256` beside anything but a tarball: otherwise a check that
    /// the author expects would be left out silently.
    pub fn parse(uri: &str, sha256: Option<&str>) -> Result<Self, SourceError> {
        let digest = sha256.map(parse_sha256).transpose()?;
        let source = Self::by_form(uri, digest.clone())?;
        if digest.is_some() && source.checksum().is_none() {
            return Err(SourceError::DigestOutOfPlace {
                kind: source.kind(),
            });
        }
        Ok(source)
    }

    /// What this is, in two or three words, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Image { .. } => "an image",
            Self::Layout { .. } => "an image layout",
            Self::Tarball(_) => "a tarball",
            Self::Directory { .. } => "a directory",
        }
    }

    /// Whether it is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.server() == Server::Files
    }

    /// The reference by which content of this kind is verified; `None` where it can't have a signature.
    pub(crate) fn to_reference(&self) -> Option<Reference> {
        match self {
            Self::Image { reference } => Some(reference.clone()),
            Self::Layout { path } => Some(Reference::from(path.clone())),
            Self::Tarball(_) | Self::Directory { .. } => None,
        }
    }

    /// Whether content of this kind can carry a signature.
    pub(crate) fn can_be_signed(&self) -> bool {
        self.to_reference().is_some()
    }

    /// The digest that its text names: of an image's index or manifest, or of a tarball's bytes.
    pub(crate) fn own_digest(&self) -> Option<&Digest> {
        match self {
            Self::Image { reference } => reference.digest(),
            Self::Tarball(tarball) => tarball.digest(),
            Self::Layout { .. } | Self::Directory { .. } => None,
        }
    }

    /// What the bytes of a tarball must hash to; `None` for every other kind.
    pub fn checksum(&self) -> Option<&Digest> {
        match self {
            Self::Tarball(tarball) => tarball.digest(),
            Self::Image { .. } | Self::Layout { .. } | Self::Directory { .. } => None,
        }
    }

    /// The reference of an image in a registry; `None` for every other kind.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Image { reference } => Some(reference),
            Self::Layout { .. } | Self::Tarball(_) | Self::Directory { .. } => None,
        }
    }

    /// The tag of an image in a registry, if it is named by one.
    pub fn tag(&self) -> Option<&str> {
        self.reference()?.tag()
    }

    /// The same source, asked for one digest alone where its kind can be: an image for `requested`,
    /// a tarball for `bytes`.
    pub(crate) fn pinned_to(&self, requested: &Digest, bytes: &Digest) -> Self {
        match self {
            Self::Image { reference } => Self::Image {
                reference: reference.pinned_to(requested.clone()),
            },
            Self::Tarball(tarball) => Self::Tarball(tarball.with_digest(bytes.clone())),
            Self::Layout { .. } | Self::Directory { .. } => self.clone(),
        }
    }

    /// Where its content comes from. A name is not looked up. A host that can't be a URL's counts as
    /// the one that is trusted least.
    pub fn server(&self) -> Server {
        match self {
            Self::Image { reference } => match reference.location() {
                Location::Layout(_) => Server::Files,
                Location::Registry(repository) => {
                    let kind = HostKind::of_authority(repository.api_host());
                    Server::Host(kind.unwrap_or(HostKind::ThisMachine))
                }
            },
            Self::Tarball(tarball) => Server::Host(HostKind::of(tarball.url())),
            Self::Layout { .. } | Self::Directory { .. } => Server::Files,
        }
    }

    fn by_form(uri: &str, digest: Option<Digest>) -> Result<Self, SourceError> {
        if uri.trim().is_empty() {
            return Err(SourceError::Empty);
        }
        let Some((scheme, rest)) = uri.split_once("://") else {
            return by_bare_form(uri);
        };
        let found = Scheme::ALL
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(scheme))
            .ok_or_else(|| SourceError::Scheme {
                found: excerpt(scheme),
            })?;
        match found {
            Scheme::Oci => image(rest),
            Scheme::OciFile if rest.is_empty() => Err(SourceError::NoPath {
                scheme: found.as_str(),
            }),
            Scheme::OciFile => Ok(Self::Layout {
                path: LayoutPath::new(Path::new(rest))?,
            }),
            Scheme::Https | Scheme::Http => Tarball::parse(uri, digest).map(Self::Tarball),
            Scheme::File => directory(rest),
        }
    }
}

/// What stands before `://` in a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Oci,
    OciFile,
    Https,
    Http,
    File,
}

impl Scheme {
    const ALL: [Self; 5] = [
        Self::Oci,
        Self::OciFile,
        Self::Https,
        Self::Http,
        Self::File,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::OciFile => "ocifile",
            Self::Https => "https",
            Self::Http => "http",
            Self::File => "file",
        }
    }

    /// What follows the slashes, and a source with this scheme.
    fn example(self) -> (&'static str, &'static str) {
        match self {
            Self::Oci => ("a reference", "oci://quay.io/example/app:v1"),
            Self::OciFile => ("an absolute path", "ocifile:///srv/content"),
            Self::Https => ("a host", "https://example.org/content.tar.gz"),
            Self::Http => ("a host", "http://example.org/content.tar.gz"),
            Self::File => ("an absolute path", "file:///srv/content"),
        }
    }

    /// All of them, for a person: `oci://, …, http:// or file://`.
    fn listed() -> String {
        let [others @ .., last] = Self::ALL.map(|scheme| format!("{}://", scheme.as_str()));
        format!("{} or {last}", others.join(", "))
    }
}

fn by_bare_form(text: &str) -> Result<Source, SourceError> {
    if Path::new(text).is_absolute() {
        return Ok(Source::Directory { path: text.into() });
    }
    if text.starts_with(['.', '~']) {
        return Err(SourceError::RelativePath {
            found: excerpt(text),
        });
    }
    // Such a name is no image's either way.
    let scheme = text.split_once(':').and_then(|(scheme, rest)| {
        let mut known = Scheme::ALL.into_iter();
        let found = known.find(|known| known.as_str().eq_ignore_ascii_case(scheme));
        let (first, more) = rest.split_once('/').unwrap_or((rest, ""));
        let is_port = first.bytes().all(|byte| byte.is_ascii_digit());
        let is_local = matches!(found, Some(Scheme::File | Scheme::OciFile));
        // `file:d` would be the tag of an image `file` on Docker Hub, which nobody means.
        let is_word = is_local && more.is_empty() && !rest.is_empty();
        let is_path =
            rest.starts_with(['.', '/', '~']) || (!more.is_empty() && !is_port) || is_word;
        // `oci:` before a path is skopeo's word for a layout. That is told of what is no reference.
        found.filter(|found| *found != Scheme::Oci && is_path)
    });
    if let Some(scheme) = scheme {
        let (rest, example) = scheme.example();
        return Err(SourceError::NoSlashes {
            scheme: scheme.as_str(),
            rest,
            example,
            found: excerpt(text),
        });
    }
    image(text)
}

fn image(text: &str) -> Result<Source, SourceError> {
    let reference = text.parse()?;
    Ok(Source::Image { reference })
}

fn directory(rest: &str) -> Result<Source, SourceError> {
    // RFC 8089: what stands before the path is a host, and may be this one.
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if path.is_empty() {
        return Err(SourceError::NoPath { scheme: "file" });
    }
    if !Path::new(path).is_absolute() {
        return Err(SourceError::RelativePath {
            found: excerpt(path),
        });
    }
    Ok(Source::Directory { path: path.into() })
}

fn parse_sha256(text: &str) -> Result<Digest, SourceError> {
    let hex = text.trim().to_ascii_lowercase();
    let hex = hex.strip_prefix("sha256:").unwrap_or(&hex);
    format!("sha256:{hex}")
        .parse()
        .map_err(|_| SourceError::Sha256 {
            found: excerpt(text),
        })
}

impl Tarball {
    /// Where it is.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What its bytes must hash to; `None` where the entry doesn't say.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same, of bytes that hash to this.
    pub(crate) fn with_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    pub(crate) fn parse(text: &str, digest: Option<Digest>) -> Result<Self, SourceError> {
        let url = Url::parse(text).map_err(|source| SourceError::Url { source })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SourceError::Credentials {
                host: url.host_str().unwrap_or_default().to_owned(),
            });
        }
        let path = url.path().to_ascii_lowercase();
        if !ARCHIVE_ENDINGS.iter().any(|ending| path.ends_with(ending)) {
            return Err(SourceError::NotATarball {
                found: excerpt(url.path()),
            });
        }
        Ok(Self { url, digest })
    }
}

/// As it can be read again, except that a URL's query is left out, since it may hold a token, and that
/// a very long URL is cut.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image { reference } => reference.fmt(f),
            Self::Layout { path } => path.fmt(f),
            Self::Tarball(tarball) => f.write_str(&shown(&tarball.url)),
            Self::Directory { path } => write!(f, "file://{}", path.display()),
        }
    }
}

/// Why a text is not a [`Source`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is nothing.
    #[error("expected an image reference or a URI, found nothing")]
    Empty,
    /// A scheme that we don't know.
    #[error(
        "expected {}, or an image without any of them, found `{found}://`",
        Scheme::listed()
    )]
    Scheme {
        /// What stands before `://`.
        found: String,
    },
    /// Taken for an image, and not one's reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Taken for an image layout, and its path can't be one's.
    #[error(transparent)]
    Layout(#[from] LayoutPathError),
    /// A scheme with nothing behind it.
    #[error("there is no path after {scheme}://")]
    NoPath {
        /// `file` or `ocifile`.
        scheme: &'static str,
    },
    /// A path that would depend on where we are run.
    #[error("expected an absolute path such as file:///srv/content, found `{found}`")]
    RelativePath {
        /// The path, or what looks like one.
        found: String,
    },
    /// A scheme without its `//`.
    #[error("expected {scheme}:// and {rest}, such as {example}, found `{found}`")]
    NoSlashes {
        /// Such as `file`.
        scheme: &'static str,
        /// What follows: a path, a host.
        rest: &'static str,
        /// A source with this scheme.
        example: &'static str,
        /// The text.
        found: String,
    },
    /// Not a URL.
    #[error("expected a tarball's URL")]
    Url {
        /// Why it is none.
        #[source]
        source: url::ParseError,
    },
    /// A URL of something else.
    #[error(
        "expected a URL whose path ends in one of {}, found `{found}`; an image is written without https://",
        ARCHIVE_ENDINGS.join(", ")
    )]
    NotATarball {
        /// The URL's path.
        found: String,
    },
    /// A URL with a user or a password, which a gallery would publish.
    #[error("the URL for {host} has a user or a password: leave them out")]
    Credentials {
        /// Whose login it is.
        host: String,
    },
    /// `sha256` is not a digest.
    #[error("expected a sha256 of 64 hex digits, found `{found}`")]
    Sha256 {
        /// What it says.
        found: String,
    },
    /// `sha256` beside what is not a tarball.
    #[error("a sha256 is for tarballs alone, not for {kind}; pin an image as repository@sha256:…")]
    DigestOutOfPlace {
        /// As of [`Source::kind`].
        kind: &'static str,
    },
}

#[cfg(test)]
mod tests;
