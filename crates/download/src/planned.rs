//! A plan's sources, each with the reason why it is there.

use serde::{Deserialize, Serialize};

use crate::source::Source;

/// A source, and why it is in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedSource {
    /// Why it is in the plan.
    pub role: Role,
    /// Where the content is.
    pub source: Source,
}

/// Why a source is in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The entry's `uri`.
    Primary,
    /// One of the entry's `mirrors`.
    Mirror,
    /// Another tag in the repository of a primary or a mirror, by [`FallbackTags`](crate::FallbackTags).
    Fallback,
}

impl Role {
    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Mirror => "mirror",
            Self::Fallback => "fallback",
        }
    }
}
