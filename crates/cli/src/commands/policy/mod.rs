//! `countersign policy`: what a policy file means, and whether it does what its author wants.

mod check;
mod denied;
mod schema;
mod test;

use std::process::ExitCode;

use crate::arguments::PolicyCommand;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::Output;

pub(super) async fn run(
    command: PolicyCommand,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    match command {
        PolicyCommand::Check(arguments) => check::run(&arguments, environment, output).await,
        PolicyCommand::Schema => {
            schema::run(output);
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Test(arguments) => test::run(arguments, environment, output).await,
    }
}
