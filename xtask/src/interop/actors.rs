//! The programs that sign and verify, run as their users run them, each command printed before.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use countersign_sandbox::{RekorVersion, Sigstore};
use serde_json::{Value, json};

use super::home::Home;
use super::http;
use super::instance::{Instance, ToldBy, bare};
use super::registries::{Referrers, Registry};
use super::tools::Tools;
use crate::command::{Command, Output};
use crate::identities::RELEASE_WORKFLOW;

/// Somebody else.
pub(super) const STRANGER: &str =
    "https://github.com/stranger/app/.github/workflows/release.yml@refs/tags/v1";

/// A release of cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cosign {
    V3,
    V2,
}

impl Cosign {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V3 => "cosign 3",
            Self::V2 => "cosign 2",
        }
    }

    pub(super) fn slug(self) -> &'static str {
        match self {
            Self::V3 => "cosign3",
            Self::V2 => "cosign2",
        }
    }
}

/// The programs, and where they run.
pub(super) struct Actors<'a> {
    pub(super) countersign: &'a Path,
    pub(super) tools: &'a Tools,
    pub(super) sandbox: &'a Sigstore,
    pub(super) home: Home,
}

impl Actors<'_> {
    /// The issuer of all identity tokens, as certificates name it.
    pub(super) fn issuer(&self) -> String {
        bare(&self.sandbox.oidc_issuer())
    }

    /// Runs `countersign`, which must end with `code` and say each of `says`.
    pub(super) fn countersign(
        &self,
        arguments: &[&str],
        code: i32,
        says: &[&str],
    ) -> anyhow::Result<Output> {
        self.home
            .run(Command::new(self.countersign).args(arguments))?
            .ended(code, says)
    }

    /// Signs an image and all in it with `countersign`.
    pub(super) fn countersign_sign(&self, at: &Instance, image: &str) -> anyhow::Result<()> {
        let token = format!("@{}", self.home.token(self.sandbox, RELEASE_WORKFLOW)?);
        let trusted_root = self.home.path(&at.trusted_root)?;
        let mut arguments = vec!["sign", "--trusted-root", trusted_root];
        arguments.extend(["--identity-token", &token]);
        match at.told_by {
            ToldBy::SigningConfig => {
                arguments.extend(["--signing-config", self.home.path(&at.signing_config)?]);
            }
            ToldBy::Flags => {
                arguments.extend(["--fulcio-url", &at.fulcio, "--rekor-url", &at.rekor]);
                arguments.extend(match at.rekor_version {
                    RekorVersion::V1 => vec!["--rekor-version", "1"],
                    RekorVersion::V2 => {
                        vec!["--rekor-version", "2", "--tsa-url", &at.timestamp_authority]
                    }
                });
            }
        }
        arguments.push(image);
        self.countersign(&arguments, 0, &[])?;
        Ok(())
    }

    /// Flags of `countersign` that say whom to trust and who must have signed.
    pub(super) fn policy(&self, at: &Instance) -> anyhow::Result<Vec<String>> {
        let issuer = self.issuer();
        let flags = [
            "--trusted-root",
            self.home.path(&at.trusted_root)?,
            "--issuer",
        ];
        let flags = flags
            .into_iter()
            .chain([&*issuer, "--identity", RELEASE_WORKFLOW]);
        Ok(flags.map(str::to_owned).collect())
    }

    /// Runs cosign, which must succeed.
    pub(super) fn cosign(&self, version: Cosign, arguments: &[&str]) -> anyhow::Result<Output> {
        let program = match version {
            Cosign::V3 => &self.tools.services.cosign,
            Cosign::V2 => &self.tools.cosign_2,
        };
        let command = Command::new(program)
            .args(arguments)
            // cosign asks for this before it takes the flag that goes with it.
            .env("COSIGN_EXPERIMENTAL", "1");
        self.home.run(command)?.success()
    }

    /// Signs recursively with cosign, as a bundle.
    pub(super) fn cosign_sign(
        &self,
        version: Cosign,
        at: &Instance,
        identity: &str,
        image: &str,
    ) -> anyhow::Result<()> {
        let token = self.home.token(self.sandbox, identity)?;
        let mut arguments = vec!["sign", "--yes", "--recursive", "--identity-token", token];
        if version == Cosign::V2 {
            arguments.push("--new-bundle-format");
        }
        arguments.extend(["--signing-config", self.home.path(&at.signing_config)?]);
        arguments.extend(["--trusted-root", self.home.path(&at.trusted_root)?, image]);
        self.cosign(version, &arguments)?;
        Ok(())
    }

    /// Verifies with cosign 3.
    pub(super) fn cosign_verify(&self, at: &Instance, image: &str) -> anyhow::Result<()> {
        let issuer = self.issuer();
        let mut arguments = vec![
            "verify",
            "--trusted-root",
            self.home.path(&at.trusted_root)?,
        ];
        arguments.extend(["--certificate-identity", RELEASE_WORKFLOW]);
        arguments.extend(["--certificate-oidc-issuer", &issuer, image]);
        self.cosign(Cosign::V3, &arguments)?;
        Ok(())
    }

    /// Verifies the one bundle that refers to `repository@digest` with sigstore-python.
    pub(super) fn sigstore_python_verify(
        &self,
        at: &Instance,
        registry: &Registry,
        repository: &str,
        digest: &str,
    ) -> anyhow::Result<()> {
        let bundle = self.home.join("bundle.json");
        fs::write(&bundle, self.bundle(registry, repository, digest)?)?;
        let issuer = self.issuer();
        let mut arguments = vec!["--trust-config", self.home.path(&at.trust_config)?];
        arguments.extend(["verify", "identity", "--offline", "--bundle", "bundle.json"]);
        arguments.extend([
            "--cert-identity",
            RELEASE_WORKFLOW,
            "--cert-oidc-issuer",
            &issuer,
        ]);
        arguments.push(digest);
        self.home
            .run(Command::new(&self.tools.sigstore_python).args(&arguments))?
            .success()?;
        Ok(())
    }

    /// Keeps the one bundle that refers to `repository@digest`, and all that it takes to verify it
    /// without a network, as a fixture for tests.
    pub(super) fn record(
        &self,
        at: &Instance,
        registry: &Registry,
        repository: &str,
        digest: &str,
        into: &Path,
    ) -> anyhow::Result<()> {
        fs::create_dir_all(into)?;
        let name = format!("{}/{repository}@{digest}", registry.host);
        fs::write(
            into.join("image.json"),
            self.home.crane(&["manifest", &name])?,
        )?;
        let bundle = self.bundle(registry, repository, digest)?;
        fs::write(into.join("bundle.json"), bundle)?;
        fs::copy(&at.trusted_root, into.join("trusted_root.json"))?;
        let signer = json!({ "issuer": self.issuer(), "identity": RELEASE_WORKFLOW });
        fs::write(into.join("signer.json"), format!("{signer:#}\n"))?;
        Ok(())
    }

    fn bundle(
        &self,
        registry: &Registry,
        repository: &str,
        digest: &str,
    ) -> anyhow::Result<String> {
        let crane = |arguments: &[&str]| self.home.crane(arguments);
        bundle(&crane, registry, repository, digest)
    }

    /// Copies an image with everything that refers to it into a layout, by oras, and packs the
    /// layout into an archive beside it, by tar.
    pub(super) fn layout(&self, image: &str, name: &str) -> anyhow::Result<()> {
        let into = format!("{name}:v1");
        let copy = ["copy", "--recursive", "--no-tty", "--from-plain-http"];
        let copy = [&copy[..], &[image, "--to-oci-layout", &into]].concat();
        self.home
            .run(Command::new(&self.tools.oras).args(copy))?
            .success()?;
        let archive = format!("{name}.tar");
        self.home
            .run(Command::new("tar").args(["-C", name, "-cf", &archive, "."]))?
            .success()?;
        Ok(())
    }
}

/// The bundle of the one referrer of an image, found without any code of countersign.
///
/// # Errors
/// When there is none, or more than one.
pub(super) fn bundle(
    crane: &dyn Fn(&[&str]) -> anyhow::Result<String>,
    registry: &Registry,
    repository: &str,
    digest: &str,
) -> anyhow::Result<String> {
    let name = format!("{}/{repository}", registry.host);
    let referrers = match registry.referrers {
        Referrers::Api => http::text(&format!(
            "http://{}/v2/{repository}/referrers/{digest}",
            registry.host
        ))?,
        Referrers::FallbackTag => {
            crane(&["manifest", &format!("{name}:{}", digest.replace(':', "-"))])?
        }
    };
    let signature = only(&referrers, "manifests")?;
    let manifest = crane(&["manifest", &format!("{name}@{signature}")])?;
    let layer = only(&manifest, "layers")?;
    crane(&["blob", &format!("{name}@{layer}")])
}

/// The digest of the only descriptor in `list` of a manifest or index.
fn only(document: &str, list: &str) -> anyhow::Result<String> {
    let document: Value = serde_json::from_str(document)?;
    let descriptors = document.get(list).and_then(Value::as_array);
    match descriptors.map(Vec::as_slice) {
        Some([descriptor]) => descriptor
            .get("digest")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .context("a descriptor without digest"),
        found => anyhow::bail!("expected one descriptor in `{list}`, found {found:?}"),
    }
}
