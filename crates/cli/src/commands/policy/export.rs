//! `countersign policy export`: a policy in the words of another program that admits images.
//!
//! What the other program can't express is an error, or a warning with `--lossy`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use countersign_policy::{
    Difference, Enforcer, Export, ExportError, ExportedPolicy, ImagePattern, ImageVerifierConfig,
    Mode, RulesExport,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::input::read_text;
use crate::output::Output;
use crate::policy;

const EXAMPLE: &str = "\
Example: the images of a project, for Sigstore's policy-controller
  countersign policy export --to policy-controller --images 'quay.io/acme/**' policy.yaml";

/// `countersign policy export`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct PolicyExportArguments {
    /// The policy file, or the configuration of an image verifier, YAML or JSON
    ///
    /// All rules of a configuration are exported, with `default` and `mode`.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// For policy-controller, kyverno, talos, flux or containers
    #[arg(long, value_name = "PROGRAM", value_parser = one_of(Enforcer::ALL, Enforcer::as_str), hide_possible_values = true)]
    pub(crate) to: Enforcer,

    /// For which images the policy is
    ///
    /// A pattern as in the configuration of the image verifier, such as `quay.io/acme/**`. May be given several
    /// times. The rules of a configuration have their own.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) images: Vec<ImagePattern>,

    /// The name of the new object
    ///
    /// Of the objects of several rules, what their names begin with.
    #[arg(long, value_name = "NAME", default_value = "countersign")]
    pub(crate) name: String,

    /// enforce (the default), or warn: refusals are only told
    #[arg(long, value_name = "MODE", value_parser = one_of(Mode::ALL, Mode::as_str), hide_possible_values = true)]
    pub(crate) mode: Option<Mode>,

    /// Leave out what the program can't express, with a warning
    ///
    /// Without this flag it is an error. What is left out is no longer demanded of any image.
    #[arg(long)]
    pub(crate) lossy: bool,
}

/// The one that is named.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
) -> impl clap::builder::TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.map(name)).try_map(move |text| {
        let mut all = all.into_iter();
        all.find(|one| name(*one) == text).ok_or("no such value")
    })
}

pub(super) fn run(arguments: &PolicyExportArguments, output: &Output) -> Result<ExitCode, Failure> {
    let PolicyExportArguments {
        file,
        to,
        images,
        name,
        mode,
        lossy,
    } = arguments;
    let text = read_text(file, "policy")?;
    let exported = if ImageVerifierConfig::is_one(&text) {
        if !images.is_empty() || mode.is_some() {
            let message = format!(
                "the rules of {} have their own images and mode",
                file.display()
            );
            return Err(Failure::new(Kind::Usage, message).hint("leave --images and --mode out"));
        }
        let config = policy::parse_image_verifier(&text, file)?;
        let config = &config;
        RulesExport { config, name }.to(*to)
    } else {
        let parsed = policy::parse_text(&text, file)?;
        let export = Export {
            policy: parsed.policy()?,
            images,
            mode: mode.unwrap_or(Mode::Enforce),
            name,
        };
        export.to(*to)
    };
    let exported = exported.map_err(|error| match error.field {
        // A configuration has its own.
        "images" if images.is_empty() && error.rule.is_none() => {
            let message =
                format!("{to} needs the images that the policy is for, and none are named");
            Failure::new(Kind::Usage, message)
                .hint("pass --images 'quay.io/acme/**', with a pattern of your images")
        }
        _ => inexpressible(&error),
    })?;
    if !lossy {
        refuse_differences(*to, &exported.differences)?;
    }
    let text = with_comment(*to, &exported);
    output.answer(&text);
    for difference in &exported.differences {
        output.warning(&format!("lost: {difference}"));
    }
    for note in &exported.notes {
        output.note(&format!("note: {note}"));
    }
    output.document(&PolicyExportOutput {
        policy: text,
        results: exported.differences,
        notes: exported.notes,
    });
    Ok(ExitCode::SUCCESS)
}

/// What `countersign policy export` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PolicyExportOutput {
    /// The document for the other program: YAML, or JSON for `containers`.
    policy: String,
    /// The fields of the policy that it doesn't say. Only with `--lossy` there are any.
    results: Vec<Difference>,
    /// What the other program does differently, whatever the policy says.
    notes: Vec<&'static str>,
}

fn inexpressible(error: &ExportError) -> Failure {
    let hint = "`countersign image-verifier` applies the whole policy at each node";
    Failure::new(Kind::Usage, error.to_string()).hint(hint)
}

fn refuse_differences(enforcer: Enforcer, differences: &[Difference]) -> Result<(), Failure> {
    let lines: Vec<String> = differences.iter().map(Difference::to_string).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{enforcer} can't express all of the policy\n{}",
        lines.join("\n")
    );
    Err(Failure::new(Kind::Usage, message)
        .hint("pass --lossy to export the policy without these, or enforce it with `countersign image-verifier`"))
}

/// The document, with what is lost as comments. JSON has none.
fn with_comment(enforcer: Enforcer, exported: &ExportedPolicy) -> String {
    if enforcer == Enforcer::Containers {
        return exported.text.clone();
    }
    let lost = exported.differences.iter();
    let lost = lost.map(|difference| format!("# Lost: {difference}.\n"));
    format!(
        "# Made by `countersign policy export --to {enforcer}`.\n{}{}",
        lost.collect::<String>(),
        exported.text
    )
}
