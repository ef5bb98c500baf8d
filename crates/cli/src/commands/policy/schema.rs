//! `countersign policy schema`: the JSON Schema of policy files, for editors.

use countersign_policy::PolicyFile;

use crate::output::Output;

/// The schema is a JSON document for a person and for a program alike.
pub(crate) fn run(output: &Output) {
    let schema = PolicyFile::json_schema();
    output.answer(&format!("{schema:#}\n"));
    output.document(&schema);
}
