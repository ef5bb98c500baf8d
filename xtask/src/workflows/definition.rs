//! Actions and workflows as GitHub reads them, as far as the files in `.github` need it. What isn't
//! known here is an error: a step that is read by half would be tested by half.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Values by name: inputs, variables.
pub(super) type Values = BTreeMap<String, Value>;

/// A workflow, of which GitHub alone reads what starts it.
#[derive(Debug, Deserialize)]
pub(super) struct Workflow {
    pub(super) jobs: BTreeMap<String, Job>,
}

/// A job, of which GitHub alone reads where it runs, and with which permissions.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    #[serde(default)]
    pub(super) outputs: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) steps: Vec<Step>,
}

/// A composite action.
#[derive(Debug, Deserialize)]
pub(super) struct Action {
    #[serde(default)]
    pub(super) inputs: BTreeMap<String, Input>,
    #[serde(default)]
    pub(super) outputs: BTreeMap<String, ActionOutput>,
    pub(super) runs: Runs,
}

/// What a caller may say.
#[derive(Debug, Deserialize)]
pub(super) struct Input {
    #[serde(default)]
    pub(super) required: bool,
    pub(super) default: Option<Value>,
}

/// What an action tells the steps after it.
#[derive(Debug, Deserialize)]
pub(super) struct ActionOutput {
    pub(super) value: String,
}

/// The steps of an action.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Runs {
    #[expect(dead_code, reason = "known, and the same in all")]
    using: String,
    pub(super) steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) name: Option<String>,
    pub(super) id: Option<String>,
    #[serde(rename = "if")]
    pub(super) condition: Option<String>,
    #[expect(dead_code, reason = "known, and bash in all")]
    shell: Option<String>,
    #[serde(rename = "working-directory")]
    #[expect(dead_code, reason = "known, and used where nothing is run here")]
    directory: Option<String>,
    pub(super) run: Option<String>,
    pub(super) uses: Option<String>,
    #[serde(default)]
    pub(super) with: Values,
    #[serde(default)]
    pub(super) env: Values,
}

/// Reads a definition.
///
/// # Errors
/// When it can't be read, or has something in it that isn't known here.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_saphyr::from_str(&text).with_context(|| path.display().to_string())
}

/// A value as an environment variable has it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
