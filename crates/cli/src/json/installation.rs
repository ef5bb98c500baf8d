//! What is installed, and on what grounds.
//!
//! The types say what a record or a run says, and decide nothing. A field without a value is left out, never `null`.

use countersign_download::{
    Grounds, Installation, Installed, Outcome, PolicySummary, Provenance, RecordState, Recorded,
    Replacement, Role, UNPROVEN,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::JsonCheck;
use super::error::JsonError;
use super::evidence::{JsonEvidence, JsonPlatform};
use super::wanted::Wanted;

/// What `countersign install` and `countersign upgrade` print.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InstallOutput {
    /// One for the image, or one for each name.
    pub(crate) results: Vec<InstallResult>,
    /// If something ended the run, such as a signal or `--timeout`: then `results` has those that came before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<JsonError>,
}

impl From<Vec<InstallResult>> for InstallOutput {
    fn from(results: Vec<InstallResult>) -> Self {
        let error = None;
        Self { results, error }
    }
}

/// What became of one image or one entry of a gallery.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct InstallResult {
    #[serde(flatten)]
    pub(crate) wanted: Wanted,
    /// Left out if it could not be installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<InstallOutcome>,
    /// Digest of what was there before, if something was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replaced: Option<String>,
    /// What is there now. Left out if it could not be installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) installation: Option<JsonInstallation>,
    /// With `--lock`: where it was locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locked_in: Option<JsonLockedIn>,
    /// `upgrade` without `--lock`: the digest that countersign.lock in the working directory pins, if it is
    /// another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pinned_elsewhere: Option<String>,
    /// With `--check` and the outcome `unchanged`: what the files are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<JsonCheck>,
    /// Why it failed. Beside an `outcome`: it is installed, but its files were changed, or it is not in the
    /// lock file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<JsonError>,
}

/// A lock file that something was written to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LockedIn")]
pub(crate) struct JsonLockedIn {
    pub(crate) file: String,
    /// The digest that was locked until now, if it was another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replaced: Option<String>,
}

/// What carrying out a plan came to.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InstallOutcome {
    /// It was unpacked, where nothing was before.
    Installed,
    /// The same content was unpacked again.
    Reinstalled,
    /// It was unpacked. What was there before had no signature that was checked.
    NowVerified,
    /// It was unpacked. It was signed later than what was there before.
    Upgraded,
    /// It was unpacked. It was signed before what was there before.
    RolledBack,
    /// It was unpacked in the place of other content: another entry, an image of another repository, or nothing says
    /// which of the two is newer.
    Replaced,
    /// The record says that this digest is installed already. The files were looked at if there is `check`.
    Unchanged,
}

impl From<Replacement> for InstallOutcome {
    fn from(replacement: Replacement) -> Self {
        match replacement {
            Replacement::New => Self::Installed,
            Replacement::Reinstalled => Self::Reinstalled,
            Replacement::NowVerified => Self::NowVerified,
            Replacement::Upgraded => Self::Upgraded,
            Replacement::RolledBack => Self::RolledBack,
            Replacement::Replaced => Self::Replaced,
        }
    }
}

impl InstallResult {
    pub(crate) fn failed(self, error: JsonError) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }

    pub(crate) fn with(self, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Installed {
                installed,
                replacement,
                replaced,
                ..
            } => Self {
                outcome: Some((*replacement).into()),
                replaced: replaced
                    .as_ref()
                    .map(|recorded| recorded.digest.to_string()),
                installation: Some(installed.as_ref().into()),
                ..self
            },
            Outcome::Unchanged { recorded, .. } => Self {
                outcome: Some(InstallOutcome::Unchanged),
                installation: Some(recorded.as_ref().into()),
                ..self
            },
        }
    }
}

/// What is installed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Installation")]
pub(crate) struct JsonInstallation {
    /// Digest of the platform's manifest, or of the archive's bytes.
    pub(crate) digest: String,
    /// The image as it was asked for. Left out for content that is no image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reference: Option<String>,
    /// The platform asked for.
    pub(crate) platform: JsonPlatform,
    /// Digest of the index that named the manifest, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<String>,
    pub(crate) grounds: JsonGrounds,
    /// With the grounds `signature`: what was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<JsonEvidence>,
    /// What the other proofs are, if the policy requires several, in the policy's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) further_evidence: Vec<JsonEvidence>,
    /// With the grounds `signature`: the policy that accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<JsonPolicySummary>,
    /// Which gallery it is from, and which source served it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provenance: Option<JsonProvenance>,
    /// When it was installed (RFC 3339). Left out of what was installed just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) installed_at: Option<String>,
    /// Files written. Left out if an old record doesn't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) files: Option<u64>,
    /// Bytes of their content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    /// What to know of it, a sentence each: that nothing proves who made it, and what this run left out by rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warnings: Option<Vec<String>>,
}

/// What content was admitted on.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Grounds")]
pub(crate) enum JsonGrounds {
    /// A signature that the policy accepts.
    Signature,
    /// The digest that the gallery's index names.
    Digest,
    /// Nothing: it is unverified.
    Nothing,
}

/// A policy in words.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicySummary")]
pub(crate) struct JsonPolicySummary {
    /// Whose signature it accepts, a sentence each.
    signers: Vec<String>,
    /// Since when the signature had to be there (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
}

/// Where an installation is from.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Provenance")]
pub(crate) struct JsonProvenance {
    /// The gallery's name.
    gallery: String,
    /// The name that was asked for.
    name: String,
    /// The entry that it led to.
    entry: String,
    role: JsonRole,
    /// The source that served it.
    source: String,
    /// Why the sources before it did not, a text each.
    skipped: Vec<String>,
    /// The gallery file that `--gallery` named when it was installed. `upgrade` uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    gallery_file: Option<String>,
}

/// Why a source is in a plan.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Role")]
pub(crate) enum JsonRole {
    /// The entry's `uri`.
    Primary,
    /// One of the entry's `mirrors`.
    Mirror,
    /// Another tag in a repository of the former, by `--fallback-tag`.
    Fallback,
}

/// Something in a store.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// Where it is.
    pub(crate) directory: String,
    pub(crate) record: JsonRecordState,
    /// Whether it was installed on a signature that the policy accepted, by its record. `false` if no record can be read.
    pub(crate) verified: bool,
    /// What its record says. Left out if there is none that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) installation: Option<JsonInstallation>,
}

impl From<&Installation> for Listed {
    fn from(found: &Installation) -> Self {
        Self {
            name: found.name.to_string(),
            directory: found.directory.to_string_lossy().into_owned(),
            record: (&found.record).into(),
            verified: found
                .recorded()
                .is_some_and(|recorded| matches!(recorded.grounds, Grounds::Signature { .. })),
            installation: found.recorded().map(Into::into),
        }
    }
}

/// Whether a record says what something in a store is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RecordState")]
pub(crate) enum JsonRecordState {
    /// It has a record that was read.
    Read,
    /// It has a record that can't be read.
    Unreadable,
    /// It has a record that a later version of this program wrote.
    Later,
    /// It has none.
    Missing,
    /// It is the working directory of a run that was killed, or is still at work.
    Unfinished,
}

impl From<&Installed> for JsonInstallation {
    fn from(installed: &Installed) -> Self {
        let (grounds, evidence, policy) = grounds(&installed.grounds);
        Self {
            digest: installed.digest.to_string(),
            reference: installed.reference.as_ref().map(ToString::to_string),
            platform: (&installed.platform).into(),
            index: installed.index.as_ref().map(ToString::to_string),
            grounds,
            evidence,
            further_evidence: further(&installed.grounds),
            policy,
            provenance: installed.provenance.as_ref().map(Into::into),
            installed_at: None,
            files: Some(installed.files),
            bytes: Some(installed.bytes),
            warnings: Some(warnings(installed)),
        }
    }
}

impl From<&Recorded> for JsonInstallation {
    fn from(recorded: &Recorded) -> Self {
        let (grounds, evidence, policy) = grounds(&recorded.grounds);
        Self {
            digest: recorded.digest.to_string(),
            reference: recorded.reference.as_ref().map(ToString::to_string),
            platform: (&recorded.platform).into(),
            index: recorded.index.as_ref().map(ToString::to_string),
            grounds,
            evidence,
            further_evidence: further(&recorded.grounds),
            policy,
            provenance: recorded.provenance.as_ref().map(Into::into),
            installed_at: Some(recorded.installed_at.to_string()),
            files: recorded.files,
            bytes: recorded.bytes,
            warnings: None,
        }
    }
}

impl From<&Grounds> for JsonGrounds {
    fn from(of: &Grounds) -> Self {
        grounds(of).0
    }
}

/// What text warns of.
fn warnings(installed: &Installed) -> Vec<String> {
    let unverified = match installed.grounds {
        Grounds::Nothing => Some(format!("unverified: {UNPROVEN}")),
        Grounds::Signature { .. } | Grounds::Digest => None,
    };
    let warnings = installed.warnings.iter().cloned();
    unverified.into_iter().chain(warnings).collect()
}

fn grounds(grounds: &Grounds) -> (JsonGrounds, Option<JsonEvidence>, Option<JsonPolicySummary>) {
    match grounds {
        Grounds::Signature {
            evidence, policy, ..
        } => (
            JsonGrounds::Signature,
            Some(evidence.as_ref().into()),
            Some(policy.into()),
        ),
        Grounds::Digest => (JsonGrounds::Digest, None, None),
        Grounds::Nothing => (JsonGrounds::Nothing, None, None),
    }
}

fn further(grounds: &Grounds) -> Vec<JsonEvidence> {
    grounds.all_evidence().skip(1).map(Into::into).collect()
}

impl From<&PolicySummary> for JsonPolicySummary {
    fn from(policy: &PolicySummary) -> Self {
        let PolicySummary {
            signers,
            not_before,
        } = policy;
        Self {
            signers: signers.clone(),
            not_before: not_before.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&Provenance> for JsonProvenance {
    fn from(provenance: &Provenance) -> Self {
        Self {
            gallery: provenance.gallery.clone(),
            name: provenance.name.clone(),
            entry: provenance.entry.clone(),
            role: provenance.role.into(),
            source: provenance.source.clone(),
            skipped: provenance.skipped.clone(),
            gallery_file: provenance.file.clone(),
        }
    }
}

impl From<Role> for JsonRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Primary => Self::Primary,
            Role::Mirror => Self::Mirror,
            Role::Fallback => Self::Fallback,
        }
    }
}

impl From<&RecordState> for JsonRecordState {
    fn from(state: &RecordState) -> Self {
        match state {
            RecordState::Read(_) => Self::Read,
            RecordState::Unreadable | RecordState::Unrecognised => Self::Unreadable,
            RecordState::Later => Self::Later,
            RecordState::Missing => Self::Missing,
            RecordState::Unfinished => Self::Unfinished,
        }
    }
}
