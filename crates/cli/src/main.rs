//! `countersign`: signs container images, and installs only what a signature and a policy prove.

mod arguments;
mod capability;
mod commands;
mod environment;
mod failure;
mod output;
mod progress;
mod services;
mod trust;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let environment = environment::Environment::read();
    let arguments = arguments::Arguments::parse();
    let output = output::Output::new(arguments.output);
    commands::run(arguments.command, &environment, &output)
}
