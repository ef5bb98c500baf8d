//! A repository in a registry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::{Reason, ReferenceError};
use super::grammar::{
    DOCKER_HUB, DOCKER_HUB_API, NAME_MAX, is_host, normal_host, valid_host, valid_path_component,
};
use super::layout_path::SCHEME;

/// A repository in a registry: `host[:port]/path`.
///
/// Two spellings of one repository are equal, since only one form of a name is kept: the host in small letters and
/// without the port `443`, which https has anyway, an address as URLs have it, and Docker Hub as `docker.io`, with
/// `library/` before a path of one part. The port stays at a loopback address, which is asked without TLS, and where
/// the rest would be a name on Docker Hub (`registry:443/app`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    registry: String,
    path: String,
}

impl Repository {
    /// Docker Hub's name. Its API answers at [`Self::api_host`].
    pub const DOCKER_HUB: &str = DOCKER_HUB;
    /// Where Docker Hub has its images of one word.
    pub const LIBRARY: &str = "library";

    /// Whether the first part of a name is a host, and not a name on Docker Hub.
    pub fn is_host(first: &str) -> bool {
        is_host(first)
    }

    /// Whether it is on Docker Hub.
    pub fn is_on_docker_hub(&self) -> bool {
        self.registry == DOCKER_HUB
    }

    /// The registry's host, with its port if one was given: `ghcr.io`, `127.0.0.1:5000`, `docker.io`.
    /// Never empty.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in the registry, without a leading slash: `mudler/localai`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host (and port) for API requests. Docker Hub's differs from its name.
    pub fn api_host(&self) -> &str {
        if self.is_on_docker_hub() {
            DOCKER_HUB_API
        } else {
            self.registry()
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
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
        if text.starts_with(SCHEME) {
            return Err(error(Reason::Layout));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(error(Reason::Scheme(scheme.into())));
        }
        let (registry, path) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            _ => (DOCKER_HUB, text),
        };
        if !valid_host(registry) {
            return Err(error(Reason::Host(registry.into())));
        }
        let written = registry;
        let registry = normal_host(written);
        if !is_host(&registry) {
            return Err(error(Reason::OneWord(written.into())));
        }
        let path = if registry == DOCKER_HUB && !path.contains('/') {
            format!("{}/{path}", Self::LIBRARY)
        } else {
            path.to_owned()
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
        Ok(Self { registry, path })
    }
}

impl TryFrom<String> for Repository {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> Self {
        repository.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept, and other spellings of it.
    const SPELLINGS: [(&str, &[&str]); 13] = [
        (
            "docker.io/library/nginx",
            &[
                "nginx",
                "library/nginx",
                "docker.io/nginx",
                "Docker.IO/nginx",
                "docker.io:443/nginx",
                "index.docker.io/library/nginx",
                "index.docker.io:443/nginx",
                "Registry-1.docker.io/nginx",
            ],
        ),
        (
            "docker.io/acme/app",
            &["acme/app", "INDEX.docker.io/acme/app"],
        ),
        (
            "quay.io/acme/app",
            &[
                "Quay.IO/acme/app",
                "quay.io:443/acme/app",
                "quay.io:0443/acme/app",
            ],
        ),
        ("quay.io:80/app", &["QUAY.io:080/app"]),
        ("quay.io:5000/app", &["quay.io:05000/app"]),
        // Without its port, it would be a name on Docker Hub.
        (
            "registry:443/app",
            &["registry:0443/app", "REGISTRY:443/app"],
        ),
        ("registry:5000/app", &["Registry:5000/app"]),
        // It is asked without TLS, by the port 80 if it names none.
        ("localhost/app", &["LOCALHOST/app"]),
        ("localhost:443/app", &["Localhost:0443/app"]),
        (
            "127.0.0.1:443/app",
            &["127.1:443/app", "0x7f.1:443/app", "0177.0.0.1:443/app"],
        ),
        (
            "10.0.0.5/app",
            &["10.5/app", "10.0.0.5:443/app", "0xa.0.0.5/app"],
        ),
        ("[::1]:443/app", &["[0:0:0:0:0:0:0:1]:443/app"]),
        (
            "[2001:db8::a]/app",
            &["[2001:DB8::A]/app", "[2001:db8:0::a]:443/app"],
        ),
    ];

    #[test]
    fn every_spelling_of_a_repository_is_one_name() {
        for (kept, spellings) in SPELLINGS {
            let repository: Repository = kept.parse().unwrap();
            assert_eq!(
                repository.to_string(),
                kept,
                "what is written is read as the same"
            );
            for spelling in spellings {
                let found: Repository = spelling.parse().unwrap();
                assert_eq!(found, repository, "{spelling}");
            }
        }
        let mut names: Vec<&str> = SPELLINGS.iter().map(|(kept, _)| *kept).collect();
        names.dedup();
        assert_eq!(names.len(), SPELLINGS.len());
    }

    #[test]
    fn a_host_of_one_word_is_told_from_a_name_on_docker_hub_by_its_port() {
        let error = "Acme/app".parse::<Repository>().unwrap_err();
        assert_eq!(error.reason, Reason::OneWord("Acme".into()));
        let hub: Repository = "acme/app".parse().unwrap();
        assert!(hub.is_on_docker_hub());
        let own: Repository = "Acme:443/app".parse().unwrap();
        assert!(!own.is_on_docker_hub());
        assert_eq!(own.registry(), "acme:443");
    }
}
