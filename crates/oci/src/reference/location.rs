//! Where images are: in a repository of a registry, or in a layout on this machine.

use std::fmt;

use serde::Serialize;

use super::error::ReferenceError;
use super::layout_path::LayoutPath;
use super::repository::Repository;

/// Where an image is: in a repository of a registry, or in an image layout on this machine.
///
/// A text that is parsed or deserialised is a [`Repository`], so that a reference from a gallery, a
/// policy or a registry can't lead to files of this machine. A layout comes from a [`LayoutPath`],
/// or from a record of one's own ([`Location::recorded`]).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub enum Location {
    /// A repository in a registry.
    Registry(Repository),
    /// An image layout, in a directory or an archive.
    Layout(LayoutPath),
}

impl Location {
    /// Reads what [`Display`](fmt::Display) wrote, of a layout too. Only for records of one's own: in
    /// a text by somebody else it could name any file of this machine.
    ///
    /// # Errors
    /// Where the text is neither a layout nor a repository.
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
