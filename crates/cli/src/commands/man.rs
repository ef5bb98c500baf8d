//! `countersign man`: a manual page for each command.
//!
//! The pages are made from what the program parses, so that none is ever missing.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use countersign_download::whole_file;
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::output::{Output, counted};
use crate::printable;

/// `countersign man`
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// Directory to write the pages to
    ///
    /// It is made if it is missing. Pages that are there are replaced.
    #[arg(value_name = "DIRECTORY")]
    pub(crate) directory: PathBuf,
}

pub(super) fn run(arguments: &ManArguments, output: &Output) -> Result<(), Failure> {
    let directory = &arguments.directory;
    refuse_command(directory)?;
    let unwritable = |path: &Path, error| Failure::unwritable(path, "manual page", error);
    fs::create_dir_all(directory).map_err(|error| unwritable(directory, error))?;
    let mut root = super::Arguments::command();
    // Names the flags that all commands have in each of them, and the commands by their whole names.
    root.build();
    let root = without_help(root);
    let mut pages = Vec::new();
    let mut open = vec![root];
    while let Some(command) = open.pop() {
        let commands = command.get_subcommands();
        open.extend(commands.filter(|one| !one.is_hide_set()).cloned());
        let page = clap_mangen::Man::new(command);
        let path = directory.join(page.get_filename());
        let mut text = Vec::new();
        page.render(&mut text)
            .and_then(|()| whole_file::write(&path, &text))
            .map_err(|error| unwritable(&path, error))?;
        pages.push(page.get_filename());
    }
    pages.sort();
    let count = counted(pages.len() as u64, "page", "pages");
    output.result(&format!(
        "wrote {count} to {}\n",
        printable::path(directory)
    ));
    output.document(&ManOutput {
        directory: directory.to_string_lossy().into_owned(),
        results: pages.into_iter().map(|page| ManPage { page }).collect(),
    });
    Ok(())
}

/// Hides the commands `help`, which have no page: else a list of commands would name one.
fn without_help(command: Command) -> Command {
    command.mut_subcommands(|one| match one.get_name() {
        "help" => one.hide(true),
        _ => without_help(one),
    })
}

/// Refuses the name of a command, where there is no directory of that name: whoever gives it wants to read its help.
fn refuse_command(directory: &Path) -> Result<(), Failure> {
    let name = directory.to_str().unwrap_or_default();
    if directory.exists() || super::Arguments::command().find_subcommand(name).is_none() {
        return Ok(());
    }
    let message =
        format!("expected a directory to write manual pages to, found the command `{name}`");
    Err(Failure::new(Kind::Usage, message)
        .hint(format!("to read about it, run `countersign help {name}`"))
        .hint(format!("for a directory of that name write ./{name}")))
}

/// What `countersign man` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ManOutput {
    /// Where the pages are.
    directory: String,
    /// One for each page.
    results: Vec<ManPage>,
}

/// A page that was written.
#[derive(Debug, Serialize, JsonSchema)]
struct ManPage {
    /// Its file's name.
    page: String,
}
