//! `countersign policy schema`: the JSON Schema of policy files, for editors.

use countersign_policy::PolicyFile;

use crate::output::Output;

/// The schema is a JSON document for a person and for a program alike.
pub(crate) fn run(output: &Output) {
    output.schema(&PolicyFile::json_schema());
}
