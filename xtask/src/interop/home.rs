//! Where a scene's programs run: a directory that is their home too, with nothing of the user's in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use countersign_sandbox::Sigstore;

use crate::command::{Command, Output};

/// Working directory and home of programs. Files are named relative to it.
#[derive(Debug)]
pub(super) struct Home {
    directory: PathBuf,
    crane: PathBuf,
}

impl Home {
    /// `crane` is the program.
    pub(super) fn new(directory: &Path, crane: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            crane: crane.to_owned(),
        }
    }

    /// The file or directory of this name.
    pub(super) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }

    /// A path as an argument, short where it can be.
    pub(super) fn path<'p>(&self, path: &'p Path) -> anyhow::Result<&'p str> {
        path.strip_prefix(&self.directory)
            .unwrap_or(path)
            .to_str()
            .with_context(|| format!("{} is not Unicode", path.display()))
    }

    pub(super) fn write(
        &self,
        name: impl AsRef<Path>,
        content: impl AsRef<[u8]>,
    ) -> anyhow::Result<()> {
        Ok(fs::write(self.join(name), content)?)
    }

    /// A file with a fresh identity token.
    pub(super) fn token(&self, sandbox: &Sigstore, identity: &str) -> anyhow::Result<&'static str> {
        self.write("token", sandbox.token(identity))?;
        Ok("token")
    }

    /// The command as it runs here.
    pub(super) fn here(&self, command: Command) -> Command {
        let command = command.directory(&self.directory);
        command.env("HOME", &self.directory)
    }

    /// Prints a command and runs it.
    pub(super) fn run(&self, command: Command) -> anyhow::Result<Output> {
        println!("  $ {}", command.line());
        self.here(command).run()
    }

    /// The same for a command that must succeed.
    pub(super) fn succeed(&self, command: Command) -> anyhow::Result<Output> {
        self.run(command)?.success()
    }

    /// Runs crane, which must succeed, and gives what it printed.
    pub(super) fn crane(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let crane = Command::new(&self.crane).args(arguments);
        let output = self.here(crane).run()?.success()?;
        Ok(output.stdout.trim().to_owned())
    }
}
