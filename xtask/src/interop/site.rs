//! What a part of the run plays in: the program, a Sigstore of its own, and a home for the programs that it starts.

use std::path::{Path, PathBuf};

use countersign_sandbox::{RekorVersion, Sigstore};

use super::Setting;
use super::home::Home;
use super::instance::{Instance, bare};
use crate::servers::Servers;

/// Where a part plays. The Sigstore ends with it.
pub(super) struct Site {
    pub(super) countersign: PathBuf,
    servers: Servers,
    /// The Sigstore, with Rekor v1.
    pub(super) instance: Instance,
    pub(super) home: Home,
}

impl Site {
    /// Starts a Sigstore. `crane` is the program.
    ///
    /// # Errors
    /// When it can't be started.
    pub(super) fn start(setting: &Setting, crane: &Path) -> anyhow::Result<Self> {
        let directory = setting.directory;
        let servers = Servers::start(2)?;
        Ok(Self {
            countersign: setting.countersign.to_owned(),
            instance: Instance::sandbox(&servers.sigstore, RekorVersion::V1, directory)?,
            home: Home::new(directory, crane),
            servers,
        })
    }

    pub(super) fn sigstore(&self) -> &Sigstore {
        &self.servers.sigstore
    }

    /// Who issues identity tokens, as policies name it.
    pub(super) fn issuer(&self) -> String {
        bare(&self.sigstore().oidc_issuer())
    }

    /// A file with a fresh token for `identity`.
    pub(super) fn token(&self, identity: &str) -> anyhow::Result<&'static str> {
        self.home.token(self.sigstore(), identity)
    }
}
