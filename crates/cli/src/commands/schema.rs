//! `countersign schema`: the JSON Schemas of what the program prints and of policy files.
//!
//! A document that is not listed here can't be printed.

use clap::Subcommand;
use countersign_policy::{ImageVerifierConfig, PolicyFile};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::audit::{AuditEnd, AuditOutput, AuditResult};
use super::check::CheckOutput;
use super::completions::CompletionsOutput;
use super::config::ConfigShowOutput;
use super::copy::{CopyOutput, CopyResult};
use super::doctor::DoctorOutput;
use super::gallery::check::GalleryCheckOutput;
use super::gallery::show::GalleryShowOutput;
use super::image_verifier::{ImageVerifierOutput, RefreshOutput};
use super::list::ListOutput;
use super::list_check::ListCheckOutput;
use super::man::ManOutput;
use super::merge::{MergeDryRunOutput, MergeOutput};
use super::policy::check::PolicyCheckOutput;
use super::policy::export::PolicyExportOutput;
use super::policy::import::PolicyImportOutput;
use super::policy::init::PolicyInitOutput;
use super::policy::test::PolicyTestOutput;
use super::remove::RemoveOutput;
use super::sign::SignOutput;
use super::tree::TreeOutput;
use super::trust::TrustOutput;
use super::verify::{VerifyOutput, VerifyResult};
use super::version::VersionOutput;
use crate::json::document::{OutputDocument, Streamed};
use crate::json::error::FailedRun;
use crate::json::installation::{InstallOutput, InstallResult};
use crate::json::preview::{PreviewOutput, PreviewResult};
use crate::output::Output;

/// `countersign schema`
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum SchemaCommand {
    /// Print the JSON Schema of what commands print with `--output json`
    Output,
    /// Print the JSON Schema of policy files, for editors
    Policy,
    /// Print the JSON Schema of the image verifier's configuration, for editors
    ImageVerifier,
}

/// A schema is a JSON document for a person and for a program alike.
pub(super) fn run(command: SchemaCommand, output: &Output) {
    match command {
        SchemaCommand::Output => output.schema(&schema()),
        SchemaCommand::Policy => output.schema(&PolicyFile::json_schema()),
        SchemaCommand::ImageVerifier => output.schema(&ImageVerifierConfig::json_schema()),
    }
}

/// The documents, each of which may then be printed.
macro_rules! documents {
    ($($name:ident($document:ty),)*) => {
        /// What a command prints with `--output json`: one of these documents.
        #[derive(JsonSchema)]
        #[schemars(untagged, rename = "CountersignOutput")]
        #[expect(
            dead_code,
            reason = "the schema is derived from it, and no value is made"
        )]
        enum AnyOutput {
            $($name($document),)*
        }

        $(impl OutputDocument for $document {})*
    };
}

documents! {
    Sign(SignOutput),
    Merge(MergeOutput),
    MergeDryRun(MergeDryRunOutput),
    Copy(CopyOutput),
    Verify(VerifyOutput),
    Tree(TreeOutput),
    Trust(TrustOutput),
    ConfigShow(ConfigShowOutput),
    Audit(AuditOutput),
    AuditLine(AuditResult),
    AuditEnd(AuditEnd),
    Install(InstallOutput),
    DryRun(PreviewOutput),
    GalleryShow(GalleryShowOutput),
    GalleryCheck(GalleryCheckOutput),
    List(ListOutput),
    ListCheck(ListCheckOutput),
    Check(CheckOutput),
    Remove(RemoveOutput),
    PolicyCheck(PolicyCheckOutput),
    PolicyInit(PolicyInitOutput),
    PolicyExport(PolicyExportOutput),
    PolicyImport(PolicyImportOutput),
    PolicyTest(PolicyTestOutput),
    ImageVerifier(ImageVerifierOutput),
    Refresh(RefreshOutput),
    Doctor(DoctorOutput),
    Version(VersionOutput),
    Completions(CompletionsOutput),
    Man(ManOutput),
    Failed(FailedRun),
}

impl Streamed for VerifyOutput {
    type Result = VerifyResult;
}

impl Streamed for CopyOutput {
    type Result = CopyResult;
}

impl Streamed for InstallOutput {
    type Result = InstallResult;
}

impl Streamed for PreviewOutput {
    type Result = PreviewResult;
}

/// The JSON Schema (draft 2020-12) of every document that a command prints with `--output json`.
fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with_transform(RecursiveTransform(as_printed));
    let generator = settings.into_generator();
    generator.into_root_schema_for::<AnyOutput>().into()
}

/// No field is printed that the schema doesn't name, and none is ever `null`.
fn as_printed(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    let alternatives = schema.get_mut("anyOf").and_then(Value::as_array_mut);
    if let Some(alternatives) = alternatives
        && alternatives.iter().any(is_null)
    {
        alternatives.retain(|one| !is_null(one));
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_copy_is_what_the_program_prints() {
        let committed = include_str!("../../../../fixtures/output.schema.json");
        assert!(
            committed == format!("{:#}\n", schema()),
            "fixtures/output.schema.json is not what the types say; write it anew: \
             cargo run -p countersign -- schema output > fixtures/output.schema.json"
        );
    }
}
