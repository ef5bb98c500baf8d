//! `countersign`: signs container images, and installs only what a signature and a policy prove.

mod arguments;
mod capability;
mod ci;
mod commands;
mod connection;
mod descriptors;
#[cfg(test)]
mod documents;
mod environment;
mod failure;
mod input;
mod lock;
mod operand;
mod output;
mod policy;
mod printable;
mod progress;
mod run;
mod signals;
mod trust;

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Parser;

use commands::Arguments;
use failure::{Failure, Kind};
use output::{Format, Output};

fn main() -> ExitCode {
    let environment = environment::Environment::read();
    match Arguments::try_parse() {
        Ok(arguments) => {
            let output = Output::new(arguments.output);
            run::run(arguments.command, &environment, &output)
        }
        // A program that asked for JSON gets JSON, even for a command line that can't be read.
        Err(error) if error.use_stderr() && asks_for_json(std::env::args_os()) => {
            let text = error.to_string();
            let message = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
            // The hint says it.
            let message = message.strip_suffix(SEE_HELP).unwrap_or(message).trim_end();
            let failure = Failure::new(Kind::Usage, message.to_owned());
            run::fail(&failure, &Output::new(Format::Json))
        }
        Err(error) if error.use_stderr() => error.exit(),
        // Help, or the version.
        Err(text) => match text.print().and_then(|()| std::io::stdout().flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                run::lost(error, &Output::new(Format::Human))
            }
            _ => ExitCode::SUCCESS,
        },
    }
}

/// How clap ends what it says of a command line that it refuses.
const SEE_HELP: &str = "For more information, try '--help'.";

/// Whether `--output json` is among arguments that clap refuses as a whole.
fn asks_for_json(arguments: impl Iterator<Item = std::ffi::OsString>) -> bool {
    let arguments: Vec<_> = arguments.collect();
    arguments.iter().any(|argument| argument == "--output=json")
        || arguments
            .windows(2)
            .any(|pair| matches!(pair, [flag, value] if flag == "--output" && value == "json"))
}
