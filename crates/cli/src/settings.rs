//! Defaults of commands, each with the file of configuration that it is from.
//!
//! A flag and a variable of the environment come before them.

use std::path::{Path, PathBuf};

use countersign_oci::http::NoProxy;
use countersign_policy::SigstoreInstance;
use url::Url;

/// Which file of configuration something is from. The order is that of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The user named it, and then there is no other.
    Named,
    /// It was found upward from the working directory. It counts if the user or the machine allows its directory.
    Project,
    /// It is in the user's configuration directory.
    User,
    /// It is the machine's.
    System,
}

/// A default, and the file that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) file: PathBuf,
}

impl<T> Setting<T> {
    /// Where it is from, for a hint.
    pub(crate) fn origin(&self) -> String {
        format!("the configuration {} names it", self.file.display())
    }
}

/// A trusted root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TrustSetting {
    /// Of an instance.
    Instance(SigstoreInstance),
    /// A `trusted_root.json`.
    File(PathBuf),
}

/// A proxy, and the hosts that are reached without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProxySetting {
    pub(crate) url: Url,
    pub(crate) no_proxy: NoProxy,
}

/// A file of configuration that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SettingsFile {
    pub(crate) path: PathBuf,
    pub(crate) scope: Scope,
    pub(crate) state: FileState,
}

/// What became of a file of configuration that was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileState {
    Read,
    NotFound,
    /// It was found upward from the working directory, and nobody allows its directory. It is not used.
    NotAllowed,
    /// A directory hides whether it is there.
    Hidden,
}

/// All defaults. Paths are as they are used: those of a file are relative to it no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) gallery: Option<Setting<PathBuf>>,
    pub(crate) store: Option<Setting<PathBuf>>,
    pub(crate) trust: Option<Setting<TrustSetting>>,
    pub(crate) signing_config: Option<Setting<PathBuf>>,
    pub(crate) policy: Option<Setting<PathBuf>>,
    pub(crate) proxy: Option<Setting<ProxySetting>>,
    /// The directories whose files count where they are found upward from the working directory.
    pub(crate) allow: Vec<PathBuf>,
    /// In the order of precedence.
    pub(crate) files: Vec<SettingsFile>,
}

impl Settings {
    /// These, and of `other` what these don't have.
    pub(crate) fn or(mut self, other: Self) -> Self {
        // Whole, so that a new one has to be thought of here.
        let Self {
            gallery,
            store,
            trust,
            signing_config,
            policy,
            proxy,
            allow,
            files,
        } = other;
        self.allow.extend(allow);
        self.files.extend(files);
        Self {
            gallery: self.gallery.or(gallery),
            store: self.store.or(store),
            trust: self.trust.or(trust),
            signing_config: self.signing_config.or(signing_config),
            policy: self.policy.or(policy),
            proxy: self.proxy.or(proxy),
            allow: self.allow,
            files: self.files,
        }
    }

    /// The file of galleries.
    pub(crate) fn gallery(&self) -> Option<&Path> {
        self.gallery.as_ref().map(|gallery| gallery.value.as_path())
    }
}
