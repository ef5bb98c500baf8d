//! `countersign policy import`: a policy made from that of another program.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_policy::{ImportError, Policy, import};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::input::read_text;
use crate::output::Output;

const EXAMPLE: &str = "\
Example: the policy of a cluster, for an installer
  countersign policy import cluster-image-policy.yaml > policy.yaml";

/// `countersign policy import`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct PolicyImportArguments {
    /// The other program's document, YAML or JSON
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

pub(super) fn run(arguments: &PolicyImportArguments, output: &Output) -> Result<ExitCode, Failure> {
    let name = arguments.file.display().to_string();
    let text = read_text(&arguments.file, "policy")?;
    let imported = import(&text, &name).map_err(|error| {
        let hint = match &error {
            ImportError::NoWord { .. } => {
                "nothing is left out of a policy; take the key out if the new policy needs no such condition"
            }
            ImportError::Kind { .. } if Policy::from_yaml(&text, &name).is_ok() => {
                "this is a policy of countersign already: pass it with --policy"
            }
            ImportError::Kind { .. } => "pass the whole document, with its `kind`",
            _ => "correct the document at that place",
        };
        Failure::new(Kind::Usage, format!("can't import {name}: {error}")).hint(hint)
    })?;
    let images = imported.images.iter();
    let images: String = images
        .map(|image| format!("# For the images {image}\n"))
        .collect();
    let text = format!("{images}{}", imported.text);
    output.answer(&text);
    for note in &imported.notes {
        output.note(&format!("note: {note}"));
    }
    output.document(&PolicyImportOutput {
        policy: text,
        results: imported.images,
        notes: imported.notes,
    });
    Ok(ExitCode::SUCCESS)
}

/// What `countersign policy import` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PolicyImportOutput {
    /// The policy file, YAML.
    policy: String,
    /// For which images the document is, in its own words.
    results: Vec<String>,
    /// What is different from the document, or not part of a policy.
    notes: Vec<String>,
}
