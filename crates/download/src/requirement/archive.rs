//! What has to be known of an archive before it is unpacked.

use std::fmt;

use countersign_oci::Digest;

use super::{Requirement, RequirementKind};
use crate::error::Error;
use crate::grounds::Grounds;

/// What a [`Requirement`] asks of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArchiveRequirement {
    /// Its bytes have to be of this digest.
    Digest(Digest),
    /// Nothing is required, and its bytes have to be of this digest, which the index or a lock names.
    Known(Digest),
    /// Nothing is required, and nothing says what is in it.
    Unknown,
}

impl ArchiveRequirement {
    /// The digest that its bytes have to be of, if they have to be of any.
    pub(crate) fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Digest(digest) | Self::Known(digest) => Some(digest),
            Self::Unknown => None,
        }
    }

    /// What its bytes are unpacked on, where they are of that digest.
    pub(crate) fn grounds(&self) -> Grounds {
        match self {
            Self::Digest(_) => Grounds::Digest,
            Self::Known(_) | Self::Unknown => Grounds::Nothing,
        }
    }
}

impl Requirement {
    /// What it asks of an archive at `location`, of which the index or a lock names the digest `named`.
    ///
    /// # Errors
    /// [`Error::Unverifiable`], if it asks for a signature: no archive has one.
    pub(crate) fn of_archive(
        &self,
        named: Option<&Digest>,
        location: &dyn fmt::Display,
    ) -> Result<ArchiveRequirement, Error> {
        match (self.kind(), named) {
            (RequirementKind::Digest(digest), _) => Ok(ArchiveRequirement::Digest(digest.clone())),
            (RequirementKind::None, Some(digest)) => Ok(ArchiveRequirement::Known(digest.clone())),
            (RequirementKind::None, None) => Ok(ArchiveRequirement::Unknown),
            (RequirementKind::Signature(_), _) => Err(Error::Unverifiable {
                location: location.to_string(),
                required: self.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_policy::Policy;

    use super::*;

    #[test]
    fn an_archive_is_never_taken_where_a_signature_is_required() {
        let [digest, other] = ["a", "b"].map(|text| Digest::sha256(text.as_bytes()));
        let policy = "{issuer: https://ci.example.org, identity: me}";
        let policy = Policy::from_yaml(policy, "policy").unwrap();
        let signature = Requirement::signature(policy);
        let digest_required = Requirement(RequirementKind::Digest(digest.clone()));
        let nothing = Requirement(RequirementKind::None);
        for named in [None, Some(&other)] {
            let of = |requirement: &Requirement| requirement.of_archive(named, &"an archive");
            assert!(matches!(of(&signature), Err(Error::Unverifiable { .. })));
            let required = of(&digest_required).unwrap();
            assert_eq!(required, ArchiveRequirement::Digest(digest.clone()));
            assert_eq!(required.grounds(), Grounds::Digest);
            let expected = named.cloned().map(ArchiveRequirement::Known);
            let expected = expected.unwrap_or(ArchiveRequirement::Unknown);
            let required = of(&nothing).unwrap();
            assert_eq!(required, expected);
            assert_eq!(required.grounds(), Grounds::Nothing);
        }
    }
}
