//! What cosign signs without a certificate, and what it attests: keys, attestations of every common type, a statement
//! of several subjects, and an instance without logs, as GitHub's own.

mod attestations;
mod keys;
mod without_logs;

use std::path::{Path, PathBuf};

use countersign_sandbox::RekorVersion;

use super::Setting;
use super::actors::Cosign;
use super::instance::Instance;
use super::ledger::Ledger;
use super::registries::{self, Registry};
use super::site::Site;
use super::tools::{self, Programs};
use crate::command::{Command, Output};
use crate::identities::RELEASE_WORKFLOW;

struct Scene {
    cosign_3: PathBuf,
    cosign_2: PathBuf,
    oras: PathBuf,
    with_rekor_v2: Instance,
    site: Site,
}

/// Plays all of it in every registry.
///
/// # Errors
/// When the software can't be started. What comes of the cases is in the ledger.
pub(super) fn run(setting: &Setting, ledger: &mut Ledger) -> anyhow::Result<()> {
    let Setting {
        root, directory, ..
    } = *setting;
    let programs = &Programs::install(root)?;
    let site = Site::start(setting, &programs.crane)?;
    let scene = Scene {
        cosign_3: tools::cosign(root)?,
        cosign_2: tools::cosign_2(root)?,
        oras: tools::oras(root)?,
        with_rekor_v2: Instance::sandbox(site.sigstore(), RekorVersion::V2, directory)?,
        site,
    };
    scene.site.home.write("content", "an image of one file\n")?;
    let pack = ["-cf", "layer.tar", "content"];
    scene
        .site
        .home
        .run(Command::new("tar").args(pack))?
        .success()?;
    keys::make(&scene)?;
    for registry in &registries::start(programs, directory)? {
        keys::play(&scene, registry, ledger);
        attestations::play(&scene, registry, ledger);
        without_logs::play(&scene, registry, ledger);
    }
    Ok(())
}

impl Scene {
    /// With Rekor v1, and with Rekor v2.
    fn instances(&self) -> [&Instance; 2] {
        [&self.site.instance, &self.with_rekor_v2]
    }

    /// Pushes an image that nobody has signed, and gives its name with its digest.
    fn image(&self, registry: &Registry, repository: &str) -> anyhow::Result<String> {
        let name = format!("{}/{repository}", registry.host);
        let tag = format!("{name}:v1");
        let append = ["append", "--oci-empty-base", "--new_layer", "layer.tar"];
        self.site
            .home
            .crane(&[&append[..], &["--new_tag", &tag]].concat())?;
        // A digest of its own, so that no repository shows the signatures of another.
        let label = format!("repository={repository}");
        self.site
            .home
            .crane(&["mutate", "--label", &label, "--tag", &tag, &tag])?;
        let digest = self.site.home.crane(&["digest", &tag])?;
        Ok(format!("{name}@{digest}"))
    }

    /// The lines of a policy that name the workflow.
    fn workflow(&self) -> String {
        let issuer = self.site.issuer();
        format!("issuer: {issuer}\nidentity: {RELEASE_WORKFLOW}\n")
    }

    /// Runs cosign, which must succeed.
    fn cosign(&self, version: Cosign, arguments: &[&str]) -> anyhow::Result<Output> {
        let program = match version {
            Cosign::V3 => &self.cosign_3,
            Cosign::V2 => &self.cosign_2,
        };
        let command = Command::new(program).args(arguments);
        self.site
            .home
            .run(command.env("COSIGN_PASSWORD", ""))?
            .success()
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
        self.site.home.write("policy.yaml", policy)?;
        let verify = Command::new(&self.site.countersign)
            .args(["verify", "--policy", "policy.yaml"])
            .args(["--trusted-root", self.site.home.path(trusted_root)?])
            .args(arguments);
        self.site.home.run(verify)?.ended(code, says)
    }
}
