//! What a part of the run plays in: the program, a Sigstore of its own, and a home for the programs that it starts.

use std::path::{Path, PathBuf};

use countersign_sandbox::{RekorVersion, Sigstore};

use super::Setting;
use super::home::Home;
use super::instance::{Instance, bare};
use crate::command::{Command, Output};
use crate::identities::RELEASE_WORKFLOW;
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

    pub(super) fn trusted_root(&self) -> anyhow::Result<&str> {
        self.home.path(&self.instance.trusted_root)
    }

    /// Signs in cosign's older form, by this program of cosign 2.
    pub(super) fn cosign_2_signs(
        &self,
        cosign: &Path,
        image: &str,
        identity: &str,
    ) -> anyhow::Result<()> {
        let token = self.token(identity)?;
        let sign = Command::new(cosign)
            .args(["sign", "--yes", "--identity-token", token])
            .args(["--new-bundle-format=false", "--use-signing-config=false"])
            .args(["--fulcio-url", &self.instance.fulcio])
            .args(["--rekor-url", &self.instance.rekor])
            .args(["--trusted-root", self.trusted_root()?, image]);
        self.home.succeed(sign)?;
        Ok(())
    }

    /// This program of cosign 2 accepts signatures by `identity` in the older form. It prints them as JSON.
    pub(super) fn cosign_2_verifies(
        &self,
        cosign: &Path,
        image: &str,
        identity: &str,
    ) -> anyhow::Result<Output> {
        let issuer = self.issuer();
        let verify = Command::new(cosign)
            .args(["verify", "--new-bundle-format=false", "--output", "json"])
            .args(["--trusted-root", self.trusted_root()?])
            .args(["--certificate-oidc-issuer", &issuer])
            .args(["--certificate-identity", identity, image]);
        self.home.succeed(verify)
    }

    /// This program of cosign 3 accepts the bundle of the workflow that releases.
    pub(super) fn cosign_3_verifies(&self, cosign: &Path, image: &str) -> anyhow::Result<()> {
        let issuer = self.issuer();
        let verify = Command::new(cosign)
            .args(["verify", "--trusted-root", self.trusted_root()?])
            .args(["--certificate-oidc-issuer", &issuer])
            .args(["--certificate-identity", RELEASE_WORKFLOW, image]);
        self.home.succeed(verify)?;
        Ok(())
    }
}
