//! `countersign`: signs container images, and installs only what a signature and a policy prove.
//!
//! A command line that can't be read runs nothing.

mod arguments;
mod blocking;
mod cache;
mod capability;
mod ci;
mod commands;
mod configuration;
mod connection;
mod environment;
mod failure;
mod input;
mod json;
mod lock;
mod login;
mod open_files;
mod operand;
mod output;
mod ownership;
#[cfg(test)]
mod pages_tests;
mod policy;
mod printable;
mod program;
mod progress;
mod run;
mod settings;
mod signals;
mod terminal;
mod tips;
mod trust;
mod verification;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use arguments::terminal::TerminalArguments;
use commands::{Arguments, image_verifier};
use failure::Failure;
use output::{Output, Told};

fn main() -> ExitCode {
    let environment = environment::Environment::read();
    let line = command_line(std::env::args_os().collect());
    match Arguments::try_parse_from(&line) {
        Ok(arguments) => {
            let output = Output::new(&arguments.terminal, &environment);
            run::run(arguments.command, &environment, &output)
        }
        Err(said) => {
            let terminal = TerminalArguments::of_refused(&line);
            let said = refused(said, &line);
            unparsed(&said, &Output::new(&terminal, &environment))
        }
    }
}

/// The command line. By the name of the image verifier the program is that command.
fn command_line(mut words: Vec<OsString>) -> Vec<OsString> {
    let name = words.first().map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| name == image_verifier::PROGRAM) {
        // In its help it has the name that its command has.
        words.splice(
            0..1,
            ["countersign", image_verifier::COMMAND].map(Into::into),
        );
    }
    // clap has no help of its `help`: asked for that, it tells of what is named.
    if words.get(1).is_some_and(|word| word == "help") {
        words.retain(|word| word != "--help" && word != "-h");
    }
    if let [_, command, flag] = words.as_mut_slice()
        && command == image_verifier::COMMAND
        && flag == "-version"
    {
        *flag = "--version".into();
    }
    words
}

/// What is said of a command line that clap refuses, with a better tip if one is known. clap repeats what was typed: it
/// is asked about the same line with the characters escaped that can't be seen or change how text is shown.
fn refused(mut said: clap::Error, line: &[OsString]) -> clap::Error {
    let words = line.iter().map(|word| printable::path(Path::new(word)));
    let shown: Vec<OsString> = words.map(OsString::from).collect();
    if !said.use_stderr() || shown == line {
        tips::improve(&mut said, line);
        return said;
    }
    match Arguments::try_parse_from(&shown) {
        Err(mut again) if again.kind() == said.kind() => {
            tips::improve(&mut again, &shown);
            again
        }
        // Escaped, it is no mistake, or another one.
        _ => {
            tips::improve(&mut said, line);
            let text = said.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            clap::Error::raw(said.kind(), printable::lines(text))
        }
    }
}

/// What clap has to say in the place of a command: that it can't be read, or help, or the version.
fn unparsed(said: &clap::Error, output: &Output) -> ExitCode {
    if said.use_stderr() {
        let text = said.to_string();
        let message = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        // The hint says it.
        let message = message.strip_suffix(SEE_HELP).unwrap_or(message).trim_end();
        let failure = Failure::unparsed(message);
        return match output.usage(&said.render()) {
            Told::Person => failure.exit_code().into(),
            // A program that asked for JSON gets JSON, even for a command line that can't be read.
            Told::Nobody => run::fail(failure, output),
        };
    }
    output.help(&said.render());
    match output.lost() {
        None => ExitCode::SUCCESS,
        Some(error) => run::lost(error, output),
    }
}

/// How clap ends what it says of a command line that it refuses.
const SEE_HELP: &str = "For more information, try '--help'.";
