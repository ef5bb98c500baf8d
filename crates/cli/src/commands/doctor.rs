//! `countersign doctor containerd`: whether this node's containerd asks the image verifier before it pulls.
//!
//! Nothing is changed. Each check is a value, which says what was found and what to do.
//!
//! - `settings`: containerd's configuration, as it merges it
//! - `node`: the checks of that configuration, and of the directory of verifiers
//! - `policy`: the checks of the verifier's own configuration
//! - `probe`: pulls images, to see it

mod finding;
mod node;
mod policy;
mod probe;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use self::finding::{Finding, Status};
use self::settings::ContainerdSettings;
use crate::environment::Environment;
use crate::failure::{Failure, Kind, exit_code};
use crate::input::read_text;
use crate::output::{self, Output};

/// Where containerd listens.
const ENDPOINT: &str = "unix:///run/containerd/containerd.sock";

/// `countersign doctor`
#[derive(Debug, Subcommand)]
pub(crate) enum DoctorCommand {
    /// Find out whether containerd asks the image verifier before it pulls
    ///
    /// It reads containerd's configuration as containerd merges it, and names each setting by which CRI silently
    /// pulls without asking. The exit code is 4 if a check failed.
    Containerd(Box<DoctorContainerdArguments>),
}

/// `countersign doctor containerd`
#[derive(Debug, Args)]
pub(crate) struct DoctorContainerdArguments {
    /// containerd's program [default: containerd]
    #[arg(long, value_name = "FILE")]
    pub(super) containerd: Option<PathBuf>,

    /// containerd's configuration file
    ///
    /// Without this flag it is /etc/containerd/config.toml. K3s has its own.
    #[arg(long, value_name = "FILE")]
    pub(super) containerd_config: Option<PathBuf>,

    /// Read what `containerd config dump` printed from a file
    ///
    /// Then containerd is not run, and its version is not checked. Not with --containerd and --containerd-config.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["containerd", "containerd_config"])]
    pub(super) config_dump: Option<PathBuf>,

    /// The configuration of the image verifier
    ///
    /// Without this flag it is the file that COUNTERSIGN_IMAGE_VERIFIER_CONFIG names, or
    /// /etc/countersign/image-verifier.yaml.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Pull this unsigned image: it must be refused
    #[arg(long, value_name = "IMAGE")]
    pub(super) probe: Option<String>,

    /// Pull this signed image: it must be pulled
    #[arg(long, value_name = "IMAGE")]
    pub(super) signed: Option<String>,

    /// The program that pulls [default: crictl]
    #[arg(long, value_name = "FILE")]
    pub(super) crictl: Option<PathBuf>,

    /// containerd's socket, for --probe and --signed
    ///
    /// Without this flag it is unix:///run/containerd/containerd.sock.
    #[arg(long, value_name = "URL", default_value = ENDPOINT, hide_default_value = true)]
    pub(super) endpoint: String,
}

pub(super) async fn run(
    command: DoctorCommand,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let DoctorCommand::Containerd(arguments) = command;
    let mut findings = Vec::new();
    let settings = match &arguments.config_dump {
        Some(file) => {
            let dump = read_text(file, "dump of containerd's configuration")?;
            Some(ContainerdSettings::parse(&dump)?)
        }
        None => settings_of(&arguments, environment, &mut findings).await,
    };
    let (configuration, mut of_policy) =
        policy::check(arguments.config.as_deref(), environment).await;
    if let Some(settings) = &settings {
        findings.extend(node::check(settings, configuration.as_ref()));
    }
    findings.append(&mut of_policy);
    findings.extend(probe::check(&arguments, environment).await?);

    let count = |status| findings.iter().filter(|one| one.status == status).count();
    let (failed, warnings) = (count(Status::Failed), count(Status::Warning));
    let told = output::counted(warnings as u64, "warning", "warnings");
    for finding in &findings {
        output.answer(&finding.text());
    }
    output.answer(&match failed {
        0 => format!("{told}, nothing failed\n"),
        _ => format!("{failed} failed, {told}\n"),
    });
    output.document(&DoctorOutput {
        results: findings,
        failed_count: failed,
        warning_count: warnings,
    });
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => exit_code(Kind::Policy).into(),
    })
}

/// containerd's configuration, as it prints it. That it can't is a finding, and the other checks are made all the same.
async fn settings_of(
    arguments: &DoctorContainerdArguments,
    environment: &Environment,
    findings: &mut Vec<Finding>,
) -> Option<ContainerdSettings> {
    let dump = settings::dump(arguments, environment, findings).await;
    match dump.and_then(|dump| ContainerdSettings::parse(&dump)) {
        Ok(settings) => Some(settings),
        Err(failure) => {
            let hint = "pass --containerd FILE; or save the output of `containerd config dump` and pass it with \
                        --config-dump FILE";
            findings.push(Finding::failed("containerd", failure.line(), hint));
            None
        }
    }
}

/// What `countersign doctor containerd` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DoctorOutput {
    /// One for each check.
    results: Vec<Finding>,
    /// How many checks failed.
    failed_count: usize,
    /// How many warnings there are.
    warning_count: usize,
}
