//! `countersign version`: the version, as `--version` prints it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::output::Output;

pub(super) fn run(output: &Output) {
    let version = env!("CARGO_PKG_VERSION");
    output.answer(&format!("countersign {version}\n"));
    output.document(&VersionOutput {
        results: vec![Version {
            version: version.to_owned(),
        }],
    });
}

/// What `countersign version` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct VersionOutput {
    /// One.
    results: Vec<Version>,
}

/// The version of this program.
#[derive(Debug, Serialize, JsonSchema)]
struct Version {
    version: String,
}
