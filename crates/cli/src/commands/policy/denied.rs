//! Lists the images inside the indexes that a policy denies, for `countersign policy check --resolve`.
//!
//! It reads manifests and changes nothing. A repository that gives no clear answer is a failure, not an empty list.

use std::fmt::Write as _;

use countersign_oci::{Digest, Document, Location, Registry};
use countersign_policy::Policy;
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::counted;

/// A digest that a policy denies, and what was found by it.
pub(super) struct Denied {
    digest: Digest,
    found: Found,
}

enum Found {
    /// None of the repositories has it.
    Nothing,
    /// One image, which lists nothing.
    Manifest,
    /// An index; these of what it lists are not denied by themselves.
    Index { missing: Vec<Digest> },
}

impl Denied {
    /// Looks up each digest that `policy` denies.
    pub(super) async fn look_up(
        policy: &Policy,
        repositories: &[Location],
        registry: &Registry,
    ) -> Result<Vec<Self>, Failure> {
        let mut denied = Vec::new();
        for digest in policy.deny_digests() {
            let mut found = Found::Nothing;
            for location in repositories {
                if let Some(there) = look_up(policy, digest, location, registry).await? {
                    found = there;
                    break;
                }
            }
            denied.push(Self {
                digest: digest.clone(),
                found,
            });
        }
        Ok(denied)
    }

    /// What is still open of it, if anything.
    pub(super) fn warning(&self) -> Option<String> {
        let digest = &self.digest;
        match &self.found {
            Found::Nothing => Some(format!(
                "the denied digest {digest} is in none of these repositories: if it is an index, its images \
                 are not known"
            )),
            Found::Manifest => None,
            Found::Index { missing } if missing.is_empty() => None,
            Found::Index { missing } => Some(format!(
                "the denied index {digest} contains {} that `deny_digests` does not have",
                counted(missing.len() as u64, "digest", "digests")
            )),
        }
    }

    /// Lines to be added to `deny_digests`; empty where there are none.
    pub(super) fn lines(&self) -> String {
        let mut lines = String::new();
        if let Found::Index { missing } = &self.found {
            for digest in missing {
                // Writing to a String does not fail.
                let _ = writeln!(lines, "  - {digest} # listed by {}", self.digest);
            }
        }
        lines
    }

    pub(super) fn to_json(&self) -> JsonDenied {
        let (found, missing) = match &self.found {
            Found::Nothing => (JsonFound::NotFound, &[][..]),
            Found::Manifest => (JsonFound::Manifest, &[][..]),
            Found::Index { missing } => (JsonFound::Index, &missing[..]),
        };
        JsonDenied {
            digest: self.digest.to_string(),
            found,
            missing: missing.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A digest that a policy denies, and what was found by it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Denied")]
pub(super) struct JsonDenied {
    digest: String,
    found: JsonFound,
    /// With `index`: the digests that it lists and that are not denied by themselves.
    missing: Vec<String>,
}

/// What a repository has by a denied digest.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DeniedDocument")]
enum JsonFound {
    /// None of the repositories has it.
    NotFound,
    /// One image.
    Manifest,
    /// An index.
    Index,
}

/// What `location` has by this digest; `None` if nothing.
async fn look_up(
    policy: &Policy,
    digest: &Digest,
    location: &Location,
    registry: &Registry,
) -> Result<Option<Found>, Failure> {
    let image = match registry.manifest(&location.at(digest.clone())).await {
        Ok(image) => image,
        Err(error) if error.is_absence() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(match image.document() {
        Document::Manifest(_) => Found::Manifest,
        Document::Index(_) => {
            let mut missing = registry.descendants(&image).await?.digests;
            missing.retain(|digest| !policy.denies(digest));
            Found::Index { missing }
        }
    }))
}
