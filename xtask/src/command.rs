//! Runs programs with a time limit and captures their output. They get the caller's environment
//! only on request.

mod running;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

pub(crate) use running::Running;

/// How many lines of a failed program's output are shown.
const TAIL: usize = 12;

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Cargo's build profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Debug,
    /// What is published.
    Dist,
}

/// Builds the `countersign` program and returns its path. Compiler output goes to the terminal.
///
/// # Errors
/// When it doesn't build.
pub(crate) fn build_countersign(profile: Profile) -> anyhow::Result<PathBuf> {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo
        .current_dir(workspace())
        .args(["build", "--locked"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    match profile {
        // With the libraries that the tests have built.
        Profile::Debug => cargo.args(["--workspace", "--bin", "countersign"]),
        Profile::Dist => cargo.args(["--package", "countersign", "--profile", "dist"]),
    };
    let output = cargo.output().context("cargo can't be run")?;
    ensure!(output.status.success(), "countersign does not build");
    #[derive(serde::Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok()?.executable)
        .next_back()
        .context("cargo names no program that it built")
}

/// A program to run. By default it inherits no environment variable.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    program: PathBuf,
    arguments: Vec<OsString>,
    directory: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    inheritance: Inheritance,
    limit: Duration,
}

/// Which part of the caller's environment a program gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inheritance {
    Nothing,
    Everything,
}

impl Command {
    /// A program without arguments, with two minutes to finish.
    pub(crate) fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            directory: None,
            environment: Vec::new(),
            inheritance: Inheritance::Nothing,
            limit: Duration::from_secs(120),
        }
    }

    /// Lets the program see the caller's environment: package clients take proxies, caches and
    /// search paths from it.
    pub(crate) fn inherit_environment(mut self) -> Self {
        self.inheritance = Inheritance::Everything;
        self
    }

    /// How long the program may take.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Appends arguments.
    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let arguments = arguments.into_iter();
        self.arguments
            .extend(arguments.map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// The working directory.
    pub(crate) fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let pair = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.environment.push(pair);
        self
    }

    /// The environment variables that were set.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let variables = self.environment.iter();
        variables.map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The program's file.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The command line as one would type it, with the program's bare name.
    pub(crate) fn line(&self) -> String {
        let name = self.program.file_name().unwrap_or_default();
        let mut line = name.to_string_lossy().into_owned();
        for argument in &self.arguments {
            let _ = write!(line, " {}", quoted(&argument.to_string_lossy()));
        }
        line
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// When it can't be started, or takes longer than its limit and is killed.
    pub(crate) fn run(&self) -> anyhow::Result<Output> {
        let mut running = self.spawn(Stdio::piped(), Stdio::piped())?;
        let stdout = running.child.stdout.take().map(reader);
        let stderr = running.child.stderr.take().map(reader);
        let status = running.wait()?;
        Ok(Output {
            status,
            stdout: read(stdout),
            stderr: read(stderr),
        })
    }

    /// Starts the program.
    ///
    /// # Errors
    /// When it can't be started.
    pub(crate) fn spawn(&self, stdout: Stdio, stderr: Stdio) -> anyhow::Result<Running> {
        let mut command = std::process::Command::new(&self.program);
        if self.inheritance == Inheritance::Nothing {
            command.env_clear();
        }
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("{} can't be run", self.program.display()))?;
        Ok(Running {
            child,
            line: self.line(),
            started,
            limit: self.limit,
        })
    }
}

/// The output of a program that ended.
#[derive(Debug)]
pub(crate) struct Output {
    status: ExitStatus,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Output {
    /// The output, if the program ended with `code` and said each of `says`.
    ///
    /// # Errors
    /// When it did not; with the end of what it printed.
    pub(crate) fn ended(self, code: i32, says: &[&str]) -> anyhow::Result<Self> {
        ensure!(
            self.code() == Some(code),
            "expected exit code {code}, found {:?}: {}",
            self.code(),
            self.tail()
        );
        for text in says {
            ensure!(
                self.stdout.contains(text) || self.stderr.contains(text),
                "expected it to say `{text}`, found: {}",
                self.tail()
            );
        }
        Ok(self)
    }

    /// The output, if the program succeeded.
    ///
    /// # Errors
    /// When it failed; with the end of what it printed.
    pub(crate) fn success(self) -> anyhow::Result<Self> {
        ensure!(
            self.status.success(),
            "it failed with {}: {}",
            self.status,
            self.tail()
        );
        Ok(self)
    }

    /// The last lines of what the program printed, in which programs say why they failed.
    pub(crate) fn tail(&self) -> String {
        let text = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let lines: Vec<&str> = text.trim_end().lines().collect();
        let start = lines.len().saturating_sub(TAIL);
        lines.get(start..).unwrap_or_default().join("\n")
    }

    /// The exit code; `None` if a signal ended the program.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

type Reader = std::thread::JoinHandle<Vec<u8>>;

/// Reads a pipe to its end on a thread. Otherwise a full pipe could block the program.
fn reader(mut pipe: impl Read + Send + 'static) -> Reader {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks has given what there was.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn read(reader: Option<Reader>) -> String {
    let bytes = reader.and_then(|reader| reader.join().ok());
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// `text`, quoted for a shell if necessary.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_quoted_as_a_shell_wants_it() {
        let command = Command::new("/bin/echo").args(["plain-1.0:x", "a b", "", "it's", "a|b"]);
        assert_eq!(command.line(), r"echo plain-1.0:x 'a b' '' 'it'\''s' 'a|b'");
    }
}
