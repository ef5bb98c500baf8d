//! Whether the name in a signature is the one that was asked for, and how much of it is bound.

use countersign_oci::{Location, Reference, Repository};
use serde::{Deserialize, Serialize};

use crate::format::SignatureFormat;

/// How much of the requested name a signature binds, by a policy with `bind_name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundName {
    /// All of it: the repository, and the tag if one was requested.
    Whole,
    /// The repository only. The signature is in [`SignatureFormat::SimpleSigning`] and names no tag, so it counts
    /// for every tag of the repository.
    Repository,
}

impl BoundName {
    /// What the `name` in a signature of this form binds. `None` if it is not the name of the repository or layout
    /// at `location` or, if a tag was requested, not of that tag.
    ///
    /// A payload of simple signing names the repository, seldom the tag. Then the tag is not bound.
    pub(crate) fn of(
        name: Option<&str>,
        format: SignatureFormat,
        location: &Location,
        tag: Option<&str>,
    ) -> Option<Self> {
        let name = name?;
        match (name.parse::<Repository>(), format) {
            // A name without a tag.
            (Ok(named), _) if Location::from(named.clone()) != *location => None,
            (Ok(_), SignatureFormat::SimpleSigning) => Some(Self::Repository),
            (Ok(_), SignatureFormat::Bundle) => tag.is_none().then_some(Self::Whole),
            (Err(_), _) => {
                let named = name.parse::<Reference>().ok()?;
                let same = named.location() == location && (tag.is_none() || named.tag() == tag);
                same.then_some(Self::Whole)
            }
        }
    }
}
