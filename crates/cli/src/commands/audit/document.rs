//! The documents that an audit prints.

use schemars::JsonSchema;
use serde::Serialize;

use super::record::AuditResult;
use super::tally::JsonSummary;

/// What `countersign audit` prints with `--output json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::commands) struct AuditOutput {
    /// One for each image, mirror and platform, in the order of the list.
    pub(super) results: Vec<AuditResult>,
    #[serde(flatten)]
    pub(super) end: AuditEnd,
}

/// The last line of `--output jsonl`: without it, the audit was not finished.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::commands) struct AuditEnd {
    pub(super) summary: JsonSummary,
    /// The part that it is of, with `--shard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shard: Option<String>,
    /// Digest of what images were judged by: the policy, the flags and the trusted root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rules: Option<String>,
}
