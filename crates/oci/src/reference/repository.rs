//! A repository in a registry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::{Reason, ReferenceError};
use super::grammar::{NAME_MAX, is_host, valid_host, valid_path_component};
use super::layout_path::SCHEME;

/// Docker Hub's name in references. Its API answers at [`Repository::api_host`].
const DOCKER_HUB: &str = "docker.io";

/// A repository in a registry: `host[:port]/path`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    registry: String,
    path: String,
}

impl Repository {
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
        match self.registry() {
            DOCKER_HUB => "registry-1.docker.io",
            other => other,
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
