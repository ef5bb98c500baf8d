//! What cosign signs without a certificate, and what it attests: keys, attestations of every common type, a statement
//! of several subjects, and an instance without logs, as GitHub's own.

mod attestations;
mod keys;
mod without_logs;

use std::path::{Path, PathBuf};

use countersign_sandbox::{RekorVersion, Sigstore};

use super::actors::{Cosign, WORKFLOW};
use super::home::Home;
use super::instance::{Instance, bare};
use super::ledger::Ledger;
use super::registries::{self, Registry};
use super::tools::{self, Programs};
use crate::command::{Command, Output};
use crate::servers::Servers;

const DONE: i32 = 0;
const UNSIGNED: i32 = 3;
const POLICY: i32 = 4;
const INVALID: i32 = 5;

struct Scene<'a> {
    countersign: &'a Path,
    cosign_3: PathBuf,
    cosign_2: PathBuf,
    oras: PathBuf,
    sandbox: &'a Sigstore,
    /// With Rekor v1, and with Rekor v2.
    instances: [&'a Instance; 2],
    home: Home,
}

/// Plays all of it in every registry.
///
/// # Errors
/// When the software can't be started. What comes of the cases is in the ledger.
pub(super) fn run(
    countersign: &Path,
    programs: &Programs,
    root: &Path,
    directory: &Path,
    ledger: &mut Ledger,
) -> anyhow::Result<()> {
    let Servers { sigstore, .. } = &Servers::start(2)?;
    let v1 = Instance::sandbox(sigstore, RekorVersion::V1, directory)?;
    let v2 = Instance::sandbox(sigstore, RekorVersion::V2, directory)?;
    let scene = Scene {
        countersign,
        cosign_3: tools::cosign(root)?,
        cosign_2: tools::cosign_2(root)?,
        oras: tools::oras(root)?,
        sandbox: sigstore,
        instances: [&v1, &v2],
        home: Home::new(directory, &programs.crane),
    };
    scene.home.write("content", "an image of one file\n")?;
    let pack = ["-cf", "layer.tar", "content"];
    scene.home.run(Command::new("tar").args(pack))?.success()?;
    keys::make(&scene)?;
    for registry in &registries::start(programs, directory)? {
        keys::play(&scene, registry, ledger);
        attestations::play(&scene, registry, ledger);
        without_logs::play(&scene, registry, ledger);
    }
    Ok(())
}

impl Scene<'_> {
    /// Pushes an image that nobody has signed, and gives its name with its digest.
    fn image(&self, registry: &Registry, repository: &str) -> anyhow::Result<String> {
        let name = format!("{}/{repository}", registry.host);
        let tag = format!("{name}:v1");
        let append = ["append", "--oci-empty-base", "--new_layer", "layer.tar"];
        self.home
            .crane(&[&append[..], &["--new_tag", &tag]].concat())?;
        // A digest of its own, so that no repository shows the signatures of another.
        let label = format!("repository={repository}");
        self.home
            .crane(&["mutate", "--label", &label, "--tag", &tag, &tag])?;
        let digest = self.home.crane(&["digest", &tag])?;
        Ok(format!("{name}@{digest}"))
    }

    /// The lines of a policy that name the workflow.
    fn workflow(&self) -> String {
        let issuer = bare(&self.sandbox.oidc_issuer());
        format!("issuer: {issuer}\nidentity: {WORKFLOW}\n")
    }

    /// Runs cosign, which must succeed.
    fn cosign(&self, version: Cosign, arguments: &[&str]) -> anyhow::Result<Output> {
        let program = match version {
            Cosign::V3 => &self.cosign_3,
            Cosign::V2 => &self.cosign_2,
        };
        let command = Command::new(program).args(arguments);
        self.home.run(command.env("COSIGN_PASSWORD", ""))?.success()
    }

    /// `countersign verify` by this policy must end with `code` and say each of `says`.
    fn verify(
        &self,
        policy: &str,
        trusted_root: &Path,
        arguments: &[&str],
        code: i32,
        says: &[&str],
    ) -> anyhow::Result<Output> {
        self.home.write("policy.yaml", policy)?;
        let verify = Command::new(self.countersign)
            .args(["verify", "--policy", "policy.yaml"])
            .args(["--trusted-root", self.home.path(trusted_root)?])
            .args(arguments);
        self.home.run(verify)?.ended(code, says)
    }
}
