//! Whether an image verifier carries its refusals out.

use countersign_policy::Mode;
use schemars::JsonSchema;
use serde::Serialize;

/// Whether a refusal is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "VerifierMode")]
pub(crate) enum JsonMode {
    /// It is.
    Enforce,
    /// It is only told: `allowed` is true all the same.
    Warn,
}

impl From<Mode> for JsonMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Enforce,
            Mode::Warn => Self::Warn,
        }
    }
}
