//! `countersign image-verifier`: containerd asks it before it fetches an image.
//!
//! It never says yes because something failed. It says one line, which containerd shows as its reason. Only
//! `mode: warn` turns a refusal into a yes, and the line then says so.
//!
//! - `request`: what containerd asks
//! - `configuration`: what the answer goes by
//! - `judge`: the answer
//! - `decision`: the answer in words
//! - `decision_log`, `journal`: where it is written
//! - `mishap`: the answer if the program has a fault
//! - `refresh`: fetches trusted roots

pub(crate) mod configuration;
mod decision;
mod decision_log;
mod journal;
mod judge;
mod mishap;
pub(crate) mod refresh;
mod request;
mod root;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Subcommand};
use countersign_policy::Mode;

pub(super) use self::decision::ImageVerifierOutput;
pub(super) use self::refresh::RefreshOutput;

use self::configuration::Configuration;
use self::decision::{Answer, Decision};
use self::request::Passed;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::output::Output;

/// By this name the program is `countersign image-verifier`.
pub(crate) const PROGRAM: &str = "countersign-image-verifier";
pub(crate) const COMMAND: &str = "image-verifier";

const EXAMPLE: &str = "\
Example: as containerd runs it, with the image's descriptor on standard input
  countersign-image-verifier -name NAME -digest DIGEST -stdin-media-type TYPE

It reads /etc/countersign/image-verifier.yaml, or the file that
COUNTERSIGN_IMAGE_VERIFIER_CONFIG names. The exit code is 0 if the image may be
pulled. The one line on standard output says why, or why not.";

/// `countersign image-verifier`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE, args_conflicts_with_subcommands = true, version)]
pub(crate) struct ImageVerifierArguments {
    #[command(subcommand)]
    command: Option<ImageVerifierCommand>,

    /// containerd's arguments, which begin with one dash
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    request: Vec<OsString>,
}

impl ImageVerifierArguments {
    /// Whether it is containerd that asks.
    pub(crate) fn is_request(&self) -> bool {
        self.command.is_none()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageVerifierCommand {
    /// Fetch the trusted roots that the configuration names
    ///
    /// For a timer. A trusted root is fetched if it is older than a day. A pull uses what is there while it is
    /// valid.
    Refresh(refresh::RefreshArguments),
}

pub(super) async fn run(
    arguments: ImageVerifierArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    match arguments.command {
        Some(ImageVerifierCommand::Refresh(arguments)) => {
            refresh::run(&arguments, environment, output).await
        }
        None => Ok(answer(&arguments.request, environment, output).await),
    }
}

/// Answers containerd where this machine does not let the verifier begin. Only `mode: warn` makes it a yes.
pub(super) fn refuse(
    arguments: &ImageVerifierArguments,
    failure: Failure,
    environment: &Environment,
    output: &Output,
) -> ExitCode {
    let started = Instant::now();
    let Passed { names, request } = Passed::read(&arguments.request);
    let answer = Answer::Refused(failure);
    let Ok(configuration) = Configuration::load(environment) else {
        let decision = Decision::unread(names, Mode::Enforce, answer, started);
        tell(&decision, output);
        return decision.exit_code();
    };
    let decision = match request {
        Err(_) => {
            let mode = configuration.content.strictest_mode();
            Decision::unread(names, mode, answer, started)
        }
        Ok(request) => {
            let (reference, digest) = (&request.reference, &request.digest);
            let ruling = configuration.content.ruling(reference, digest);
            Decision::ruled(ruling, &request, started).answered(answer)
        }
    };
    tell(&decision, output);
    decision_log::write(&configuration, &decision);
    decision.exit_code()
}

/// Answers containerd. There is always an answer.
async fn answer(arguments: &[OsString], environment: &Environment, output: &Output) -> ExitCode {
    let started = Instant::now();
    mishap::answers();
    let passed = Passed::read(arguments);
    let decision = match Configuration::load(environment) {
        // Without a configuration nobody knows of a `mode: warn`.
        Err(failure) => {
            let answer = Answer::Refused(failure);
            let decision = Decision::unread(passed.names, Mode::Enforce, answer, started);
            tell(&decision, output);
            decision
        }
        Ok(configuration) => {
            let decision = decide(passed, &configuration, started).await;
            // The answer first: a log that can't be written must not delay it.
            tell(&decision, output);
            decision_log::write(&configuration, &decision);
            decision
        }
    };
    decision.exit_code()
}

fn tell(decision: &Decision, output: &Output) {
    mishap::is_answered();
    output.answer(&decision.line());
    output.document(&ImageVerifierOutput {
        results: [decision.to_json()],
    });
}

async fn decide(passed: Passed, configuration: &Configuration, started: Instant) -> Decision {
    let deadline = configuration.content.deadline;
    let request = match passed.request {
        Ok(request) => request,
        // Nobody knows which rule it would meet.
        Err(failure) => {
            let mode = configuration.content.strictest_mode();
            return Decision::unread(passed.names, mode, Answer::Refused(failure), started);
        }
    };
    let ruling = configuration
        .content
        .ruling(&request.reference, &request.digest);
    let decision = Decision::ruled(ruling, &request, started);
    let step = judge::Step::default();
    let judging = async {
        step.begins("waiting for the descriptor on standard input");
        request.read_descriptor().await?;
        judge::judge(&request, ruling, configuration, &step, started + deadline).await
    };
    let left = deadline.saturating_sub(started.elapsed());
    decision.answered(match tokio::time::timeout(left, judging).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => Answer::Refused(failure),
        Err(_) => Answer::Refused(Failure::new(
            Kind::Unreachable,
            format!(
                "no verdict within the deadline of {deadline:?}: it ended while {}",
                step.name()
            ),
        )),
    })
}
