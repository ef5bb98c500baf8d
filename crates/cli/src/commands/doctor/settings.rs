//! containerd's configuration, as `containerd config dump` prints it: with defaults, imports and migrations applied.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use toml::{Table, Value};

use super::DoctorContainerdArguments;
use super::finding::Finding;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::program;

/// For one run of containerd, which only reads files.
const LIMIT: Duration = Duration::from_secs(60);
/// Bytes of its output. A configuration has about 10 KiB.
const OUTPUT_MAX: usize = 4 << 20;

/// The configuration, with the parts that decide whether the verifier is asked.
pub(super) struct ContainerdSettings {
    table: Table,
}

impl ContainerdSettings {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let table = text.parse().map_err(|error: toml::de::Error| {
            let message = "what containerd prints of its configuration is not TOML".to_owned();
            Failure::caused(Kind::Usage, message, error.message().to_owned())
                .hint("expected the output of `containerd config dump`")
        })?;
        Ok(Self { table })
    }

    /// The settings of a plugin, if containerd has it.
    pub(super) fn plugin(&self, name: &str) -> Option<&Table> {
        self.table.get("plugins")?.as_table()?.get(name)?.as_table()
    }

    /// Whether the plugin is switched off.
    pub(super) fn is_disabled(&self, name: &str) -> bool {
        let disabled = self.table.get("disabled_plugins").and_then(Value::as_array);
        disabled.is_some_and(|names| names.iter().any(|other| other.as_str() == Some(name)))
    }
}

/// Runs `containerd config dump`, after its version was checked.
pub(super) async fn dump(
    arguments: &DoctorContainerdArguments,
    environment: &Environment,
    findings: &mut Vec<Finding>,
) -> Result<String, Failure> {
    let program = find(arguments.containerd.clone(), "containerd", environment)?;
    let version = run(&program, &["--version".to_owned()]).await?;
    findings.push(check_version(&version));
    let mut words = Vec::new();
    if let Some(file) = &arguments.containerd_config {
        words.extend(["--config".to_owned(), file.display().to_string()]);
    }
    words.extend(["config", "dump"].map(str::to_owned));
    run(&program, &words).await
}

/// The program that was named, or that is in `PATH`.
pub(super) fn find(
    named: Option<PathBuf>,
    name: &str,
    environment: &Environment,
) -> Result<PathBuf, Failure> {
    named.or_else(|| environment.program(name)).ok_or_else(|| {
        Failure::new(Kind::Usage, format!("the program {name} is not in PATH"))
            .hint(format!("pass --{name} FILE"))
    })
}

async fn run(program: &Path, words: &[String]) -> Result<String, Failure> {
    let unusable = |error: String| {
        let message = format!("{} {} failed", program.display(), words.join(" "));
        Failure::caused(Kind::Usage, message, error)
            .hint("pass --containerd FILE, or --config-dump FILE with its output")
    };
    let mut command = Command::new(program);
    command.args(words);
    let ran = program::run(command, LIMIT, OUTPUT_MAX).await;
    let ran = ran.map_err(|error| unusable(format!("it {error}")))?;
    if ran.status.success() {
        ran.stdout
            .whole()
            .ok_or_else(|| unusable(format!("expected at most {OUTPUT_MAX} bytes, found more")))
    } else {
        Err(unusable(ran.stderr.text().trim().to_owned()))
    }
}

/// From 2.1 on, CRI pulls by the transfer service, which is what asks verifiers.
fn check_version(said: &str) -> Finding {
    let version = said.split_whitespace().find_map(|word| {
        let mut numbers = word.strip_prefix('v').unwrap_or(word).split('.');
        let major: u32 = numbers.next()?.parse().ok()?;
        let minor: u32 = numbers.next()?.parse().ok()?;
        numbers.next()?;
        Some((word, major, minor))
    });
    match version {
        None => Finding::warning(
            "version",
            format!("not understood: {}", said.trim()),
            "containerd 2.1 or newer asks verifiers for pulls by Kubernetes",
        ),
        Some((word, major, minor)) if (major, minor) >= (2, 1) => Finding::ok("version", word),
        Some((word, 2, _)) => Finding::failed(
            "version",
            format!("{word}: only `ctr` asks verifiers, Kubernetes does not"),
            "upgrade to containerd 2.1 or newer",
        ),
        Some((word, _, _)) => Finding::failed(
            "version",
            format!("{word}: it has no image verifiers"),
            "upgrade to containerd 2.1 or newer",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Status;

    #[test]
    fn kubernetes_asks_from_2_1_on() {
        let status = |said: &str| check_version(said).status;
        let line =
            |version| format!("containerd github.com/containerd/containerd/v2 {version} abc");
        for version in ["v2.1.0", "v2.4.2", "2.4.2", "v3.0.0-beta.1", "2.10.0~ds1"] {
            assert_eq!(status(&line(version)), Status::Ok, "{version}");
        }
        for version in ["v2.0.9", "1.7.24", "v1.6.20~ds1"] {
            assert_eq!(status(&line(version)), Status::Failed, "{version}");
        }
        assert_eq!(status("containerd"), Status::Warning);
    }
}
