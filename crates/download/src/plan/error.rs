//! Why there is no plan for an entry.

use countersign_oci::ErrorKind;
use countersign_oci::http::HostKind;

use crate::capability::EntryError;
use crate::lock::LockedError;
use crate::requirement::RequirementError;
use crate::source::{Source, SourceError};

/// Why there is no plan for an entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There are no galleries to look in.
    #[error("there is no gallery")]
    NoGallery,
    /// No gallery has this name.
    #[error("there is no gallery `{found}`: expected one of {}", .expected.join(", "))]
    UnknownGallery {
        /// The galleries that there are.
        expected: Vec<String>,
        /// The name asked for.
        found: String,
    },
    /// Galleries with different policies know the name: which of them it is of decides who must
    /// have signed.
    #[error(
        "several galleries have `{name}`, and their policies differ: write {}",
        .galleries.iter().map(|gallery| format!("{gallery}@{name}")).collect::<Vec<_>>().join(" or ")
    )]
    Ambiguous {
        /// The name asked for.
        name: String,
        /// The galleries that have it.
        galleries: Vec<String>,
    },
    /// A gallery with another policy has an entry whose name or alias can't be read. It may be this name, and
    /// which gallery it is of decides who must have signed.
    #[error(
        "the gallery `{unreadable}` has an entry whose name can't be read, which may be `{name}`: write {gallery}@{name} for the one of `{gallery}`"
    )]
    UnreadableName {
        /// The name asked for.
        name: String,
        /// The gallery that has it.
        gallery: String,
        /// The gallery with the entry that can't be read.
        unreadable: String,
    },
    /// None of several galleries has the name.
    #[error(
        "none of the galleries {} has an entry `{name}`{}",
        .galleries.join(", "),
        .nearest.as_ref().map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
    )]
    UnknownName {
        /// The name asked for.
        name: String,
        /// The galleries that were looked in.
        galleries: Vec<String>,
        /// The most similar name in the first of them that has one.
        nearest: Option<String>,
    },
    /// The name does not lead to an entry with content.
    #[error("the gallery `{gallery}` has nothing to install as `{}`", .source.subject())]
    Entry {
        /// The gallery's name.
        gallery: String,
        /// Why not.
        #[source]
        source: EntryError,
    },
    /// A uri or a mirror that can't be read.
    #[error("the entry `{entry}` names a source that can't be read")]
    Source {
        /// The entry's name.
        entry: String,
        /// Why not.
        #[source]
        source: SourceError,
    },
    /// A file or directory of this machine, named by an index from elsewhere: whoever serves it
    /// would choose what of this machine is read.
    #[error(
        "the entry `{entry}` names a place on this machine, {found}: the index from {location} may name only registries and URLs"
    )]
    Local {
        /// The entry's name.
        entry: String,
        /// Where the index is from.
        location: String,
        /// The source.
        found: Box<Source>,
    },
    /// An address of this machine, of the same link or of a private network, named by an index from
    /// elsewhere: whoever serves it would choose which of our own services are asked.
    #[error(
        "the entry `{entry}` names {found}, {kind}: the index from {location} may not lead there"
    )]
    Inward {
        /// The entry's name.
        entry: String,
        /// Where the index is from.
        location: String,
        /// The source.
        found: Box<Source>,
        /// Where it is.
        kind: HostKind,
    },
    /// The plan is not what was locked.
    #[error(transparent)]
    Locked(#[from] LockedError),
    /// More mirrors than anybody needs.
    #[error("the entry `{entry}` names too many mirrors: expected at most {limit}, found {found}")]
    Mirrors {
        /// The entry's name.
        entry: String,
        /// How many may be.
        limit: usize,
        /// How many are.
        found: usize,
    },
    /// The content can't be proven as is required.
    #[error("the entry `{entry}` of the gallery `{gallery}` is refused")]
    Requirement {
        /// The entry's name.
        entry: String,
        /// The gallery's name.
        gallery: String,
        /// Why.
        #[source]
        source: RequirementError,
    },
}

impl PlanError {
    /// The gallery that was asked, where one was and the error says so.
    pub fn gallery(&self) -> Option<&str> {
        match self {
            Self::Entry { gallery, .. } | Self::Requirement { gallery, .. } => Some(gallery),
            Self::NoGallery
            | Self::UnknownGallery { .. }
            | Self::UnknownName { .. }
            | Self::Ambiguous { .. }
            | Self::UnreadableName { .. }
            | Self::Source { .. }
            | Self::Local { .. }
            | Self::Inward { .. }
            | Self::Locked(_)
            | Self::Mirrors { .. } => None,
        }
    }

    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Entry { source, .. } => source.kind(),
            Self::NoGallery
            | Self::UnknownGallery { .. }
            | Self::Ambiguous { .. }
            | Self::UnreadableName { .. }
            | Self::Source { .. }
            | Self::Mirrors { .. } => ErrorKind::Usage,
            Self::UnknownName { .. } => ErrorKind::NotFound,
            Self::Local { .. } | Self::Inward { .. } => ErrorKind::Policy,
            Self::Locked(error) => error.kind(),
            Self::Requirement { source, .. } => source.kind(),
        }
    }
}
