//! The location of an image: a repository in a registry, or a layout on this machine.

use std::fmt;

use serde::Serialize;

use super::error::ReferenceError;
use super::layout_path::LayoutPath;
use super::repository::Repository;

/// The location of an image: a repository in a registry, or an image layout on this machine.
///
/// A text that is parsed or deserialised is always a [`Repository`], so that a reference from a
/// gallery, a policy or a registry can't name files of this machine. A layout comes from a
/// [`LayoutPath`], or from the caller's own record ([`Location::recorded`]).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub enum Location {
    /// A repository in a registry.
    Registry(Repository),
    /// An image layout, in a directory or an archive.
    Layout(LayoutPath),
}

impl Location {
    /// Reads the text of [`Display`](fmt::Display), also of a layout. Use it only for your own
    /// records: a text from elsewhere could name any file of this machine.
    ///
    /// # Errors
    /// An error, if the text is neither a layout nor a repository.
    pub fn recorded(text: &str) -> Result<Self, ReferenceError> {
        match LayoutPath::written(text) {
            Some((layout, None)) => Ok(Self::Layout(layout)),
            Some((_, Some(_))) | None => text.parse().map(Self::Registry),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(repository) => repository.fmt(f),
            Self::Layout(layout) => layout.fmt(f),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.to_string()
    }
}

impl From<Repository> for Location {
    fn from(repository: Repository) -> Self {
        Self::Registry(repository)
    }
}

impl From<LayoutPath> for Location {
    fn from(layout: LayoutPath) -> Self {
        Self::Layout(layout)
    }
}
