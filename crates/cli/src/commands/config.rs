//! `countersign config`: what commands take where no flag says it, and from where they have it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign_oci::http::{proxy_url, shown};
use countersign_oci::printable;
use schemars::JsonSchema;
use serde::Serialize;

use super::table::whole;
use crate::arguments::configuration::ConfigurationArguments;
use crate::arguments::store::StoreArguments;
use crate::arguments::trust::TrustArguments;
use crate::environment::{Environment, Origin};
use crate::failure::Failure;
use crate::output::Output;
use crate::printable::path as printable_path;
use crate::settings::{FileState, Scope, Setting, SettingsFile};
use crate::trust::{self, Choice};

/// `countersign config`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print each default with its value, and where it comes from
    ///
    /// A flag comes before a variable of the environment, and this before countersign.toml.
    Show(ConfigShowArguments),
}

/// `countersign config show`
#[derive(Debug, Args)]
pub(crate) struct ConfigShowArguments {
    /// Gallery file, as for `install`
    #[arg(long, value_name = "FILE")]
    gallery: Option<PathBuf>,

    /// Policy file, as for `verify`
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Sigstore signing config, as for `sign`
    #[arg(long, value_name = "FILE")]
    signing_config: Option<PathBuf>,

    // A heading of the help is that of all flags behind it.
    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    trust: TrustArguments,
}

impl ConfigCommand {
    /// The flag of the files of configuration.
    pub(super) fn configuration(&self) -> &ConfigurationArguments {
        let Self::Show(arguments) = self;
        &arguments.store.configuration
    }
}

pub(super) fn run(
    command: ConfigCommand,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let ConfigCommand::Show(arguments) = command;
    let results = defaults(&arguments, environment)?;
    let files = &environment.settings().files;
    output.answer(&text(&results, files));
    output.document(&ConfigShowOutput {
        results,
        files: files.iter().map(Into::into).collect(),
    });
    Ok(ExitCode::SUCCESS)
}

/// What `countersign config show` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ConfigShowOutput {
    /// One for each key of a file of configuration that is a default.
    results: Vec<ShownSetting>,
    /// The files that were looked for. A key of one comes before the same key of the next.
    files: Vec<JsonFile>,
}

/// What commands take where no flag says it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Default")]
struct ShownSetting {
    /// The key.
    setting: &'static str,
    /// Left out where there is none. Of a proxy, without user and password.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    from: ShownFrom,
    /// The flag, the variable or the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DefaultFrom")]
enum ShownFrom {
    Flag,
    Variable,
    File,
    /// From nowhere: it is built in.
    Default,
    /// There is no value.
    Nothing,
}

/// A file of configuration that was looked for.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConfigurationFile")]
struct JsonFile {
    path: String,
    kind: JsonScope,
    state: JsonFileState,
}

/// What became of a file of configuration that was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ConfigurationFileState")]
enum JsonFileState {
    Read,
    NotFound,
    /// It was found in the working directory or above it, and no `allow` has its directory. It is not used.
    NotAllowed,
    /// A directory above it can't be searched, so that it can't be looked at. It is not used.
    Hidden,
}

/// Whose a file of configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ConfigurationFileKind")]
enum JsonScope {
    /// `--config` or COUNTERSIGN_CONFIG named it. Then there is no other.
    Named,
    /// Of the working directory or one above it.
    Project,
    User,
    System,
}

impl ShownSetting {
    fn none(setting: &'static str) -> Self {
        Self {
            setting,
            value: None,
            from: ShownFrom::Nothing,
            source: None,
        }
    }

    fn of(setting: &'static str, value: String, from: ShownFrom, source: Option<String>) -> Self {
        Self {
            value: Some(value),
            from,
            source,
            ..Self::none(setting)
        }
    }

    fn by_flag(setting: &'static str, value: String, flag: &str) -> Self {
        Self::of(setting, value, ShownFrom::Flag, Some(flag.to_owned()))
    }

    fn by_variable(setting: &'static str, value: String, variable: &str) -> Self {
        Self::of(
            setting,
            value,
            ShownFrom::Variable,
            Some(variable.to_owned()),
        )
    }

    fn by_file(setting: &'static str, value: String, file: &Path) -> Self {
        Self::of(setting, value, ShownFrom::File, Some(path_in_json(file)))
    }

    /// A path that a flag or a file names.
    fn path(
        setting: &'static str,
        (flag, given): (&str, Option<&PathBuf>),
        set: Option<&Setting<PathBuf>>,
    ) -> Self {
        match (given, set) {
            (Some(path), _) => Self::by_flag(setting, path_in_json(path), flag),
            (None, Some(set)) => Self::by_file(setting, path_in_json(&set.value), &set.file),
            (None, None) => Self::none(setting),
        }
    }
}

/// A path in JSON, where U+FFFD stands for what is not UTF-8.
fn path_in_json(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// All settings, in the order of the page.
fn defaults(
    arguments: &ConfigShowArguments,
    environment: &Environment,
) -> Result<Vec<ShownSetting>, Failure> {
    let ConfigShowArguments {
        gallery,
        policy,
        signing_config,
        trust,
        store,
    } = arguments;
    let settings = environment.settings();
    let signing = ("--signing-config", signing_config.as_ref());
    let [proxy, no_proxy] = proxies(environment);
    Ok(vec![
        ShownSetting::path(
            "gallery",
            ("--gallery", gallery.as_ref()),
            settings.gallery.as_ref(),
        ),
        ShownSetting::path(
            "policy",
            ("--policy", policy.as_ref()),
            settings.policy.as_ref(),
        ),
        trusted(trust, environment)?,
        ShownSetting::path("signing-config", signing, settings.signing_config.as_ref()),
        match (&store.store, environment.store_directory()) {
            (Some(path), _) => ShownSetting::by_flag("store", path_in_json(path), "--store"),
            (None, Some((path, Origin::Variable(variable)))) => {
                ShownSetting::by_variable("store", path_in_json(&path), variable.name())
            }
            (None, Some((path, Origin::File(file)))) => {
                ShownSetting::by_file("store", path_in_json(&path), &file)
            }
            (None, Some((path, Origin::Default))) => {
                ShownSetting::of("store", path_in_json(&path), ShownFrom::Default, None)
            }
            (None, None) => ShownSetting::none("store"),
        },
        proxy,
        no_proxy,
    ])
}

fn trusted(trust: &TrustArguments, environment: &Environment) -> Result<ShownSetting, Failure> {
    const TRUST: &str = "trust";
    let value = match trust::instance(trust, None, environment)?.choice {
        Choice::File(path) => path_in_json(&path),
        Choice::Tuf { url, .. } => shown(&url),
        Choice::Named(instance) => instance.name().to_owned(),
    };
    Ok(match (trust.naming_flag(), &environment.settings().trust) {
        (Some(flag), _) => ShownSetting::by_flag(TRUST, value, flag),
        (None, Some(set)) => ShownSetting::by_file(TRUST, value, &set.file),
        (None, None) => ShownSetting::of(TRUST, value, ShownFrom::Default, None),
    })
}

/// The proxy, and the hosts that are reached without it.
fn proxies(environment: &Environment) -> [ShownSetting; 2] {
    const NAMES: [&str; 2] = ["proxy", "no-proxy"];
    let [proxy, no_proxy] = NAMES;
    let set = environment.settings().proxy.as_ref();
    let by_variable = environment.proxy().map(|(variable, value)| {
        let value = match proxy_url(value) {
            Some(url) => without_slash(shown(&url)),
            None => "(not the address of a proxy)".to_owned(),
        };
        ShownSetting::by_variable(proxy, value, variable.name())
    });
    let hosts = match (environment.no_proxy(), &by_variable, set) {
        (Some((variable, hosts)), ..) => {
            ShownSetting::by_variable(no_proxy, hosts.to_owned(), variable.name())
        }
        (None, None, Some(set)) if !set.value.no_proxy.is_empty() => {
            ShownSetting::by_file(no_proxy, set.value.no_proxy.to_string(), &set.file)
        }
        _ => ShownSetting::none(no_proxy),
    };
    let by_file = set.map(|set| {
        let value = without_slash(shown(&set.value.url));
        ShownSetting::by_file(proxy, value, &set.file)
    });
    let one = by_variable.or(by_file);
    [one.unwrap_or(ShownSetting::none(proxy)), hosts]
}

fn without_slash(url: String) -> String {
    url.strip_suffix('/').map(ToOwned::to_owned).unwrap_or(url)
}

fn text(results: &[ShownSetting], files: &[SettingsFile]) -> String {
    let rows = results.iter().map(|one| {
        let ShownSetting {
            setting,
            value,
            from,
            source,
        } = one;
        let from = match (from, source) {
            (ShownFrom::Default, _) => "default".to_owned(),
            (_, source) => source.clone().unwrap_or_else(|| "-".to_owned()),
        };
        let value = value.clone().unwrap_or_else(|| "-".to_owned());
        [(*setting).to_owned(), printable(&value), printable(&from)]
    });
    let mut text = whole(["SETTING", "VALUE", "FROM"], rows);
    text.push('\n');
    let shown = |state| match state {
        FileState::Read => "read",
        FileState::NotFound => "not found",
        FileState::NotAllowed => "found, not allowed",
        FileState::Hidden => "can't be looked at",
    };
    let width = files.iter().map(|file| shown(file.state).len()).max();
    let width = width
        .unwrap_or_default()
        .max(shown(FileState::NotFound).len());
    if !files.iter().any(|file| is_nearest(file.scope)) {
        let state = shown(FileState::NotFound);
        text.push_str(&format!(
            "{state:<width$}  countersign.toml in this directory and those above it\n"
        ));
    }
    for SettingsFile { path, scope, state } in files {
        let state = shown(*state);
        let whose = match scope {
            Scope::Named => "named, and so no other is read",
            Scope::Project => "this directory or one above it",
            Scope::User => "this user's",
            Scope::System => "this machine's",
        };
        let path = printable_path(path);
        text.push_str(&format!("{state:<width$}  {path} ({whose})\n"));
    }
    text
}

/// Whether a file was found that comes before the user's.
fn is_nearest(scope: Scope) -> bool {
    match scope {
        Scope::Named | Scope::Project => true,
        Scope::User | Scope::System => false,
    }
}

impl From<&SettingsFile> for JsonFile {
    fn from(file: &SettingsFile) -> Self {
        Self {
            path: path_in_json(&file.path),
            kind: match file.scope {
                Scope::Named => JsonScope::Named,
                Scope::Project => JsonScope::Project,
                Scope::User => JsonScope::User,
                Scope::System => JsonScope::System,
            },
            state: match file.state {
                FileState::Read => JsonFileState::Read,
                FileState::NotFound => JsonFileState::NotFound,
                FileState::NotAllowed => JsonFileState::NotAllowed,
                FileState::Hidden => JsonFileState::Hidden,
            },
        }
    }
}
