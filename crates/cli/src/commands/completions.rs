//! `countersign completions`: what a shell needs to complete commands and flags.
//!
//! They are made from what the program parses, so that they never name an option that there is not.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::Output;

/// `countersign completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell: bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub(crate) shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments, output: &Output) {
    let mut command = super::Arguments::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    let script = String::from_utf8_lossy(&script);
    output.answer(&script);
    output.document(&CompletionsOutput {
        results: vec![Completions {
            shell: arguments.shell.to_string(),
            script: script.into_owned(),
        }],
    });
}

/// What `countersign completions` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CompletionsOutput {
    /// One.
    results: Vec<Completions>,
}

/// The completions of one shell.
#[derive(Debug, Serialize, JsonSchema)]
struct Completions {
    shell: String,
    /// To be read by the shell.
    script: String,
}
