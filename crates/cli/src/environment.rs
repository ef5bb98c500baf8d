//! The one place that reads the environment. Everything below is given values. What files of configuration set comes after
//! it.
//!
//! It is read once, at start. A variable with an empty value counts as unset.

#![allow(
    clippy::disallowed_methods,
    reason = "this module is where the environment is read, so that no other has to"
)]

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use countersign_oci::http::LastFailure;

use crate::settings::Settings;
use crate::terminal::ColorWhen;

mod variable;

pub(crate) use variable::Variable;

/// What the environment says, read once at start.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    variables: Vec<(String, OsString)>,
    /// What files of configuration set. Empty for a command that doesn't read them.
    settings: Settings,
    /// What last kept a host from answering. The whole run shares it.
    last_failure: LastFailure,
}

/// Where a value is from that no flag gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This variable.
    Variable(Variable),
    /// This file of configuration.
    File(PathBuf),
    /// The usual directory for data in the user's home.
    Default,
}

impl Environment {
    /// Takes the environment's variables. A name that is not Unicode is none of those read here.
    pub(crate) fn read() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        Self {
            variables,
            settings: Settings::default(),
            last_failure: LastFailure::default(),
        }
    }

    /// This environment, with the defaults that files of configuration set.
    pub(crate) fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// What files of configuration set.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What last kept a host from answering.
    pub(crate) fn last_failure(&self) -> &LastFailure {
        &self.last_failure
    }

    /// A variable's value; `None` where it is unset, empty or not Unicode.
    pub(crate) fn variable(&self, variable: Variable) -> Option<&str> {
        self.raw(variable)?.to_str()
    }

    /// A variable's value as it is; `None` where it is unset or empty.
    fn raw(&self, variable: Variable) -> Option<&OsStr> {
        self.variables
            .iter()
            .find(|(key, value)| key == variable.name() && !value.is_empty())
            .map(|(_, value)| value.as_os_str())
    }

    /// The program `name`, from the first directory of `PATH` that has it. Directories that are not
    /// absolute are left out: what they hold depends on where this runs.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.raw(Variable::Path)?)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(name))
            .find(|path| path.is_file())
    }

    /// Sets a variable for what is read of it from here on; the process's own environment stays.
    pub(crate) fn set(&mut self, variable: Variable, value: OsString) {
        self.variables.retain(|(key, _)| key != variable.name());
        self.variables.push((variable.name().to_owned(), value));
    }

    /// The file of configuration, if [`Variable::Configuration`] names one.
    pub(crate) fn configuration(&self) -> Option<PathBuf> {
        self.raw(Variable::Configuration).map(PathBuf::from)
    }

    /// The user's directory for configuration (XDG base directory specification). `None` where nothing says where it
    /// is. One that is not absolute is none: what it holds depends on where this runs.
    pub(crate) fn configuration_directory(&self) -> Option<PathBuf> {
        let base = self.user_directory(Variable::XdgConfigHome, ".config")?;
        Some(base.join("countersign"))
    }

    /// The directory that `variable` names, else the one that is `usual` in the user's home.
    fn user_directory(&self, variable: Variable, usual: &str) -> Option<PathBuf> {
        let named = self.absolute(variable);
        named.or_else(|| Some(self.absolute(Variable::Home)?.join(usual)))
    }

    /// The directory that a variable names. By the XDG base directory specification a relative one is ignored.
    fn absolute(&self, variable: Variable) -> Option<PathBuf> {
        let directory = self.raw(variable).map(PathBuf::from);
        directory.filter(|directory| directory.is_absolute())
    }

    /// Where files are made that nobody keeps.
    pub(crate) fn temporary_directory(&self) -> PathBuf {
        self.raw(Variable::TemporaryDirectory)
            .unwrap_or(OsStr::new("/tmp"))
            .into()
    }

    /// The working directory; `None` where it is gone, or can't be told.
    pub(crate) fn working_directory(&self) -> Option<PathBuf> {
        std::env::current_dir().ok()
    }

    /// The configuration of the image verifier, if [`Variable::ImageVerifierConfig`] names one.
    pub(crate) fn image_verifier_config(&self) -> Option<PathBuf> {
        self.raw(Variable::ImageVerifierConfig).map(PathBuf::from)
    }

    /// Where trusted roots, galleries' indexes and signatures are cached: [`Variable::CacheDirectory`], else
    /// `countersign` in the user's cache directory (XDG base directory specification).
    pub(crate) fn cache_directory(&self) -> Option<PathBuf> {
        let named = self.raw(Variable::CacheDirectory).map(PathBuf::from);
        named.or_else(|| {
            Some(
                self.user_directory(Variable::XdgCacheHome, ".cache")?
                    .join("countersign"),
            )
        })
    }

    /// Where entries of galleries are installed: [`Variable::StoreDirectory`], else what a file of configuration says, else
    /// `countersign` in the user's data directory (XDG base directory specification).
    pub(crate) fn store_directory(&self) -> Option<(PathBuf, Origin)> {
        if let Some(directory) = self.raw(Variable::StoreDirectory) {
            let origin = Origin::Variable(Variable::StoreDirectory);
            return Some((directory.into(), origin));
        }
        if let Some(store) = &self.settings.store {
            return Some((store.value.clone(), Origin::File(store.file.clone())));
        }
        let home = self.absolute(Variable::Home);
        let usual = home.map(|home| home.join(".local/share"));
        let (base, origin) = match self.absolute(Variable::XdgDataHome) {
            Some(base) if Some(&base) != usual.as_ref() => {
                (base, Origin::Variable(Variable::XdgDataHome))
            }
            _ => (usual?, Origin::Default),
        };
        Some((base.join("countersign"), origin))
    }

    /// The credential files of podman and docker, in podman's order (containers-auth.json(5)):
    /// the first that has a login counts.
    pub(crate) fn credential_files(&self) -> CredentialFiles {
        if let Some(file) = self.raw(Variable::RegistryAuthFile) {
            return CredentialFiles::Named(file.into());
        }
        let directory = |variable| self.raw(variable).map(PathBuf::from);
        let home = directory(Variable::Home);
        let run = self
            .absolute(Variable::XdgRuntimeDirectory)
            .map(|directory| directory.join("containers"));
        let mut files = vec![run.unwrap_or_else(run_directory).join("auth.json")];
        let configuration = self.absolute(Variable::XdgConfigHome);
        let configuration = configuration.or_else(|| Some(home.as_ref()?.join(".config")));
        files.extend(configuration.map(|directory| directory.join("containers/auth.json")));
        let docker = directory(Variable::DockerConfig);
        let docker = docker.or_else(|| Some(home.as_ref()?.join(".docker")));
        files.extend(docker.map(|directory| directory.join("config.json")));
        CredentialFiles::Usual(files)
    }

    /// Whether this says that it is a CI, as most do (`CI`).
    pub(crate) fn is_ci(&self) -> bool {
        !matches!(self.variable(Variable::Ci), None | Some("false" | "0"))
    }

    /// Whether a browser that is opened here would be seen by the person at this terminal: on a
    /// desktop (X11, Wayland, WSL, macOS), and not over SSH.
    pub(crate) fn has_desktop(&self) -> bool {
        let is_set = |variable| self.raw(variable).is_some();
        if [Variable::SshConnection, Variable::SshTty]
            .into_iter()
            .any(is_set)
        {
            return false;
        }
        let desktop = [
            Variable::Display,
            Variable::WaylandDisplay,
            Variable::WslDistroName,
        ];
        cfg!(target_os = "macos") || desktop.into_iter().any(is_set)
    }

    /// The proxy for connections to registries, and the variable it is from.
    pub(crate) fn proxy(&self) -> Option<(Variable, &str)> {
        self.first_of(&[
            Variable::HttpsProxy,
            Variable::HttpsProxyLower,
            Variable::AllProxy,
            Variable::AllProxyLower,
        ])
    }

    /// Hosts that are reached without the proxy, in the form that is conventional for `NO_PROXY`, and the variable they
    /// are from.
    pub(crate) fn no_proxy(&self) -> Option<(Variable, &str)> {
        self.first_of(&[Variable::NoProxy, Variable::NoProxyLower])
    }

    /// The first of these variables that is set, and its value.
    fn first_of(&self, variables: &[Variable]) -> Option<(Variable, &str)> {
        let set = |variable: &Variable| Some((*variable, self.variable(*variable)?));
        variables.iter().find_map(set)
    }

    /// Whether `COUNTERSIGN_REQUIRE_INTEGRITY` asks for strict mode.
    ///
    /// # Errors
    /// When it is neither yes nor no: guessing could mean to install what should be refused.
    pub(crate) fn require_integrity(&self) -> Result<bool, NotABoolean> {
        let variable = Variable::RequireIntegrity;
        // Lossy, so that what is not Unicode counts as neither and not as unset.
        let value = self.raw(variable).unwrap_or(OsStr::new("0"));
        let value = value.to_string_lossy();
        match value.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(NotABoolean {
                variable,
                found: value.into_owned(),
            }),
        }
    }

    /// The filter for diagnostics that `COUNTERSIGN_LOG` has, in the syntax of `tracing-subscriber`.
    pub(crate) fn log_filter(&self) -> Option<&str> {
        self.variable(Variable::Log)
    }

    /// When colours are used, if no flag says it: by `NO_COLOR`, then `CLICOLOR_FORCE`, then
    /// `CLICOLOR` (the conventions of no-color.org and bixense.com/clicolors), and never where `TERM`
    /// is `dumb`.
    pub(crate) fn colours(&self) -> ColorWhen {
        let forced = self.variable(Variable::ClicolorForce);
        if self.raw(Variable::NoColor).is_some() {
            ColorWhen::Never
        } else if forced.is_some_and(|value| value != "0") {
            ColorWhen::Always
        } else if self.variable(Variable::Clicolor) == Some("0")
            || self.variable(Variable::Term) == Some("dumb")
        {
            ColorWhen::Never
        } else {
            ColorWhen::Auto
        }
    }
}

/// Where the logins of podman and docker are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CredentialFiles {
    /// In the file that [`Variable::RegistryAuthFile`] names, and nowhere else.
    Named(PathBuf),
    /// In those of these files that are there.
    Usual(Vec<PathBuf>),
}

/// Podman's directory for what ends with the session, if `XDG_RUNTIME_DIR` doesn't say where.
fn run_directory() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    PathBuf::from(format!("/run/containers/{user}"))
}

/// A variable that is neither yes nor no.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotABoolean {
    variable: Variable,
    found: String,
}

impl std::fmt::Display for NotABoolean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { variable, found } = self;
        write!(f, "expected 1 or 0 in {variable}, found {found:?}")
    }
}

impl std::error::Error for NotABoolean {}

#[cfg(test)]
mod tests;
