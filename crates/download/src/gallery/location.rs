//! Where a gallery's index is, as LocalAI writes it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use countersign_oci::excerpt;
use url::Url;

use crate::http::shown;
use countersign_oci::http::is_confidential;

/// The branch of a `github:` location that names none.
const BRANCH: &str = "main";

/// Where a gallery's index is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// An `https` URL, or an `http` one on a loopback address.
    Url(Url),
    /// A file in a repository on GitHub: `github:owner/repository/path@ref`.
    GitHub(GitHubFile),
    /// A file on this machine: `file:path`.
    File(PathBuf),
}

/// A file in a repository on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GitHubFile {
    owner: String,
    repository: String,
    path: String,
    reference: String,
}

impl Location {
    /// The same place, with the path of a file that is not absolute taken as below `directory`.
    #[must_use]
    pub fn below(self, directory: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(directory.join(path)),
            other => other,
        }
    }
}

impl GitHubFile {
    /// Its URL on a server laid out as `raw.githubusercontent.com`.
    pub(super) fn url(&self, server: &Url) -> Result<Url, url::ParseError> {
        let Self {
            owner,
            repository,
            path,
            reference,
        } = self;
        server.join(&format!("/{owner}/{repository}/{reference}/{path}"))
    }

    fn parse(text: &str) -> Option<Self> {
        let (file, reference) = text.split_once('@').unwrap_or((text, BRANCH));
        let mut parts = file.splitn(3, '/');
        let (owner, repository, path) = (parts.next()?, parts.next()?, parts.next()?);
        // Everything that could lead elsewhere once it is part of a URL is out.
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        let name =
            |part: &str| !part.is_empty() && !matches!(part, "." | "..") && part.chars().all(word);
        let names = |path: &str| path.split('/').all(name);
        (name(owner) && name(repository) && names(path) && names(reference)).then(|| Self {
            owner: owner.into(),
            repository: repository.into(),
            path: path.into(),
            reference: reference.into(),
        })
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let other = || LocationError::Form {
            found: excerpt(text),
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(other)?;
        match scheme.to_ascii_lowercase().as_str() {
            "https" | "http" => url(text),
            "github" => GitHubFile::parse(rest.trim_start_matches('/'))
                .map(Self::GitHub)
                .ok_or_else(|| LocationError::GitHub {
                    found: excerpt(text),
                }),
            "file" => {
                // `file:///path`, and `file://path` as LocalAI writes a relative one.
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() {
                    return Err(other());
                }
                Ok(Self::File(path.into()))
            }
            _ => Err(other()),
        }
    }
}

fn url(text: &str) -> Result<Location, LocationError> {
    let url = Url::parse(text).map_err(|source| LocationError::Url { source })?;
    let host = url.host_str().unwrap_or_default().to_owned();
    if !url.username().is_empty() || url.password().is_some() {
        return Err(LocationError::Credentials { host });
    }
    if !is_confidential(&url) {
        return Err(LocationError::PlainHttp { host });
    }
    Ok(Location::Url(url))
}

/// As it can be read again, except that a URL's query is left out: it may hold a token.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&shown(url)),
            Self::GitHub(GitHubFile {
                owner,
                repository,
                path,
                reference,
            }) => write!(f, "github:{owner}/{repository}/{path}@{reference}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// Why a text is not a [`Location`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// Another form.
    #[error(
        "expected a gallery at https://…, github:owner/repository/path@ref or file:path, found `{found}`"
    )]
    Form {
        /// The text.
        found: String,
    },
    /// `github:` with something else behind it.
    #[error("expected github:owner/repository/path@ref, found `{found}`")]
    GitHub {
        /// The text.
        found: String,
    },
    /// Not a URL.
    #[error("expected a gallery's URL")]
    Url {
        /// Why it is none.
        #[source]
        source: url::ParseError,
    },
    /// Plain http over a network.
    #[error("{host} needs https: http is for loopback addresses alone")]
    PlainHttp {
        /// The URL's host.
        host: String,
    },
    /// A URL with a user or a password.
    #[error("the URL for {host} has a user or a password: leave them out")]
    Credentials {
        /// Whose login it is.
        host: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Location, LocationError> {
        text.parse()
    }

    fn github(text: &str) -> String {
        let Ok(Location::GitHub(file)) = parse(text) else {
            panic!("{text}");
        };
        let server = Url::parse("https://raw.githubusercontent.com").unwrap();
        file.url(&server).unwrap().into()
    }

    #[test]
    fn github_locations_mean_what_localai_means() {
        let raw = "https://raw.githubusercontent.com/mudler/LocalAI";
        let index = "backend/index.yaml";
        assert_eq!(
            github("github:mudler/LocalAI/backend/index.yaml@master"),
            format!("{raw}/master/{index}")
        );
        assert_eq!(
            github("github:mudler/LocalAI/backend/index.yaml"),
            format!("{raw}/main/{index}")
        );
        assert_eq!(
            github("github://mudler/LocalAI/backend/index.yaml@refs/tags/v3.1"),
            format!("{raw}/refs/tags/v3.1/{index}")
        );
    }

    #[test]
    fn github_locations_stay_in_their_repository() {
        for text in [
            "github:",
            "github:mudler",
            "github:mudler/LocalAI",
            "github:mudler/LocalAI/",
            "github:mudler//index.yaml",
            "github:mudler/../evil/index.yaml",
            "github:mudler/LocalAI/../../evil/x/main/index.yaml",
            "github:mudler/LocalAI/index.yaml@../../../evil/x/main",
            "github:mudler/LocalAI/index.yaml@",
            "github:mudler/LocalAI/%2e%2e/index.yaml",
            "github:mudler/LocalAI/index.yaml?x@main",
            "github:mudler/LocalAI/index.yaml@main@main",
        ] {
            assert!(
                matches!(parse(text), Err(LocationError::GitHub { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn files_are_taken_as_below_the_directory_given_or_absolute() {
        let below = |text: &str| parse(text).unwrap().below(Path::new("/etc/app"));
        let file = |path: &str| Location::File(path.into());
        assert_eq!(below("file:index.yaml"), file("/etc/app/index.yaml"));
        assert_eq!(below("file://index.yaml"), file("/etc/app/index.yaml"));
        assert_eq!(below("file:///srv/index.yaml"), file("/srv/index.yaml"));
        assert_eq!(below("file:/srv/index.yaml"), file("/srv/index.yaml"));
    }

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for text in [
            "http://127.0.0.1:8080/index.yaml",
            "http://localhost/index.yaml",
            "http://[::1]/index.yaml",
            "https://example.org/index.yaml",
        ] {
            assert!(matches!(parse(text), Ok(Location::Url(_))), "{text}");
        }
        assert!(matches!(
            parse("http://example.org/index.yaml"),
            Err(LocationError::PlainHttp { host }) if host == "example.org"
        ));
    }

    #[test]
    fn other_texts_say_what_was_expected() {
        for text in ["", "index.yaml", "/srv/index.yaml", "ftp://a/b", "file:"] {
            assert!(
                matches!(parse(text), Err(LocationError::Form { .. })),
                "{text}"
            );
        }
        assert!(matches!(parse("https://["), Err(LocationError::Url { .. })));
    }

    #[test]
    fn secrets_of_a_url_are_not_shown() {
        let error = parse("https://me:hunter2@example.org/").unwrap_err();
        assert!(matches!(&error, LocationError::Credentials { host } if host == "example.org"));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
        let shown = parse("https://example.org/index.yaml?token=hunter2").unwrap();
        assert_eq!(shown.to_string(), "https://example.org/index.yaml");
    }
}
