//! Whether installed files are as they were unpacked.

use countersign_download::{Change, CheckResult, Difference};
use schemars::JsonSchema;
use serde::Serialize;

/// Whether installed files are as they were unpacked.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Check")]
pub(crate) struct JsonCheck {
    pub(crate) state: JsonCheckState,
    /// With the state `intact`: how many files were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<u64>,
    /// With the state `intact`: bytes of their content.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// What is not as it was unpacked, by path.
    differences: Vec<JsonDifference>,
}

/// What the comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CheckState")]
pub(crate) enum JsonCheckState {
    /// Everything is as it was unpacked, and nothing was added.
    Intact,
    /// Something is not.
    Changed,
    /// The record was made before records had digests of files.
    NoDigests,
}

/// Something that is not as it was unpacked.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Difference")]
struct JsonDifference {
    /// Its path, below the installation's directory. U+FFFD stands for each byte that is not UTF-8.
    path: String,
    change: JsonChange,
}

/// How it differs.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Change")]
enum JsonChange {
    /// It was not unpacked. If it is a directory, all below it was added too.
    Added,
    /// It is no longer there. If it was a directory, all below it is gone too.
    Removed,
    /// A file has other content.
    Content,
    /// A file or directory has other permissions.
    Permissions,
    /// A symbolic link leads elsewhere.
    Target,
    /// It is of another kind, such as a link in place of a file.
    Kind,
    /// It can't be read.
    Unreadable,
}

impl From<&CheckResult> for JsonCheck {
    fn from(result: &CheckResult) -> Self {
        let (state, counts, differences) = match result {
            CheckResult::Intact { files, bytes } => {
                (JsonCheckState::Intact, Some((*files, *bytes)), &[][..])
            }
            CheckResult::Changed { differences } => {
                (JsonCheckState::Changed, None, differences.as_slice())
            }
            CheckResult::NoInventory => (JsonCheckState::NoDigests, None, &[][..]),
        };
        Self {
            state,
            files: counts.map(|(files, _)| files),
            bytes: counts.map(|(_, bytes)| bytes),
            differences: differences.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Difference> for JsonDifference {
    fn from(difference: &Difference) -> Self {
        Self {
            path: difference.path.to_string_lossy().into_owned(),
            change: match difference.change {
                Change::Added => JsonChange::Added,
                Change::Removed => JsonChange::Removed,
                Change::Content => JsonChange::Content,
                Change::Permissions => JsonChange::Permissions,
                Change::Target => JsonChange::Target,
                Change::Kind => JsonChange::Kind,
                Change::Unreadable => JsonChange::Unreadable,
            },
        }
    }
}
