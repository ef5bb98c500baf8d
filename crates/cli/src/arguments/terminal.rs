//! What the program prints, and how: the flags that every command has.
//!
//! They change what is told, and never what is done or the exit code.

use std::ffi::OsString;

use clap::{ArgAction, Args, ValueEnum};

use crate::terminal::ColorWhen;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for a person; progress on standard error if it is a terminal
    Human,
    /// One JSON document on standard output, for success and failure alike
    Json,
    /// One JSON document a line, as they come; for `audit` alone
    Jsonl,
}

/// What is printed, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct TerminalArguments {
    /// Form of results: human, json or jsonl
    ///
    /// human is text, with progress on standard error if it is a terminal. json is one JSON document
    /// on standard output, for success and failure. jsonl is one document a line, as they come, for
    /// `audit` alone.
    #[arg(
        long,
        short,
        global = true,
        value_enum,
        default_value_t = Format::Human,
        value_name = "FORMAT",
        hide_possible_values = true,
    )]
    pub(crate) output: Format,

    /// Use colours: auto, always or never
    ///
    /// auto uses colours on a terminal. NO_COLOR, CLICOLOR and CLICOLOR_FORCE change that.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = ColorWhen::Auto,
        value_name = "WHEN",
        hide_possible_values = true,
    )]
    pub(crate) color: ColorWhen,

    /// Print errors only
    ///
    /// Warnings and reports of success are left out. What a command is there to print is still
    /// printed: the list of `list`, the plan of --dry-run, the words of `policy check`. Not with --verbose.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print each step; -vv prints diagnostics too
    ///
    /// -vv is the same as COUNTERSIGN_LOG=debug. Both print to standard error.
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// How much is told on standard error, and of what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors.
    Errors,
    /// What was done, and what is to know of it.
    Results,
    /// Each step too.
    Steps,
    /// What the libraries are doing too.
    Diagnostics,
}

impl TerminalArguments {
    pub(crate) fn verbosity(&self) -> Verbosity {
        match self.verbose {
            _ if self.quiet => Verbosity::Errors,
            0 => Verbosity::Results,
            1 => Verbosity::Steps,
            _ => Verbosity::Diagnostics,
        }
    }

    /// What stands in a command line that clap refuses as a whole.
    pub(crate) fn of_refused(arguments: &[OsString]) -> Self {
        let has = |flag: &str, value: &str| {
            let joined = format!("{flag}={value}");
            arguments.iter().any(|argument| *argument == *joined)
                || arguments
                    .windows(2)
                    .any(|pair| matches!(pair, [a, b] if *a == *flag && *b == *value))
        };
        let joined = |text: &str| arguments.iter().any(|argument| *argument == *text);
        let given = |format: &str| {
            has("--output", format) || has("-o", format) || joined(&format!("-o{format}"))
        };
        Self {
            output: match (given("json"), given("jsonl")) {
                (true, _) => Format::Json,
                (false, true) => Format::Jsonl,
                (false, false) => Format::Human,
            },
            color: match (has("--color", "always"), has("--color", "never")) {
                (true, false) => ColorWhen::Always,
                (_, true) => ColorWhen::Never,
                (false, false) => ColorWhen::Auto,
            },
            quiet: false,
            verbose: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_command_line_still_says_how_to_print() {
        let read = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let read = TerminalArguments::of_refused(&words);
            (read.output, read.color)
        };
        assert_eq!(read("verify --foo"), (Format::Human, ColorWhen::Auto));
        assert_eq!(read("--output json x"), (Format::Json, ColorWhen::Auto));
        assert_eq!(read("--output=json"), (Format::Json, ColorWhen::Auto));
        assert_eq!(read("list -o json"), (Format::Json, ColorWhen::Auto));
        assert_eq!(read("list -ojson"), (Format::Json, ColorWhen::Auto));
        assert_eq!(read("--output jsonl x"), (Format::Jsonl, ColorWhen::Auto));
        assert_eq!(read("--color always"), (Format::Human, ColorWhen::Always));
        assert_eq!(read("--color=never x"), (Format::Human, ColorWhen::Never));
    }
}
