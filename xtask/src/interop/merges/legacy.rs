//! The legacy form: cosign 2 accepts what countersign wrote, and each leaves the signatures of the other.

use anyhow::{Context as _, ensure};
use countersign_oci::{Digest, media_type};
use serde_json::Value;

use super::{CACHE, Scene, listed};
use crate::command::Command;
use crate::identities::RELEASE_WORKFLOW;
use crate::interop::actors::STRANGER;
use crate::interop::http;
use crate::interop::ledger::Ledger;
use crate::interop::registries::Registry;

impl Scene {
    /// Plays both ways with two images.
    pub(super) fn legacy(&self, registry: &Registry, sources: &[Digest], ledger: &mut Ledger) {
        let title = format!("two images merged with --format both, in {}", registry.name);
        ledger.case(&title, || self.both(registry, sources));
        let title = format!(
            "signatures by cosign 2 and ours at one tag, in {}",
            registry.name
        );
        ledger.case(&title, || self.beside(registry, sources));
    }

    /// Every program accepts the form that it reads.
    fn both(&self, registry: &Registry, sources: &[Digest]) -> anyhow::Result<String> {
        let repository = "merges/both";
        let image = format!("{}/{repository}:v1", registry.host);
        let merge = self.merge(registry, &image, sources)?;
        self.site.home.succeed(merge.args(["--format", "both"]))?;
        let url = format!("http://{}/v2/{repository}/manifests/v1", registry.host);
        let index = http::text_of(&url, media_type::OCI_INDEX)?;
        let digest = Digest::sha256(index.as_bytes()).to_string();
        for digest in listed(&index)?.iter().chain([&digest]) {
            let one = format!("{}/{repository}@{digest}", registry.host);
            self.cosign_2_verifies(&one, RELEASE_WORKFLOW, 1)?;
            self.cosign_3_verifies(&one)?;
            self.sigstore_python_verifies(registry, repository, digest)?;
            self.verifies_legacy(&one)?;
        }
        self.cosign_2_verifies(&image, RELEASE_WORKFLOW, 1)?;
        self.cosign_3_verifies(&image)?;
        Ok("cosign 2 accepts the one form, cosign 3 and sigstore-python the other".to_owned())
    }

    /// One after the other signs the same image.
    fn beside(&self, registry: &Registry, sources: &[Digest]) -> anyhow::Result<String> {
        let source = sources.first().context("no image")?;
        let from = format!("{}/{CACHE}@{source}", registry.host);
        let image = format!("{}/merges/beside@{source}", registry.host);
        self.site.home.crane(&[
            "copy",
            &from,
            &format!("{}/merges/beside:v1", registry.host),
        ])?;
        self.cosign_2_signs(&image, STRANGER)?;
        let said = self.signs_legacy(&image)?;
        ensure!(
            said.contains("\nsigned ") || said.starts_with("signed "),
            "{said}"
        );
        self.cosign_2_signs(&image, STRANGER)?;
        // cosign counts those that it accepts.
        self.cosign_2_verifies(&image, RELEASE_WORKFLOW, 1)?;
        self.cosign_2_verifies(&image, STRANGER, 2)?;
        self.verifies_legacy(&image)?;

        // What cosign 2 has signed as the same workflow is signed.
        let other = sources.get(1).context("no second image")?;
        let from = format!("{}/{CACHE}@{other}", registry.host);
        let image = format!("{}/merges/beside@{other}", registry.host);
        self.site.home.crane(&[
            "copy",
            &from,
            &format!("{}/merges/beside:v2", registry.host),
        ])?;
        self.cosign_2_signs(&image, RELEASE_WORKFLOW)?;
        let said = self.signs_legacy(&image)?;
        ensure!(said.contains("already signed"), "{said}");
        self.cosign_2_verifies(&image, RELEASE_WORKFLOW, 1)?;
        Ok("three signatures at one tag, and none twice".to_owned())
    }

    fn signs_legacy(&self, image: &str) -> anyhow::Result<String> {
        self.site.token(RELEASE_WORKFLOW)?;
        let sign = Command::new(&self.site.countersign)
            .args(["sign", "--trusted-root", self.site.trusted_root()?])
            .args([
                "--signing-config",
                self.site.home.path(&self.site.instance.signing_config)?,
            ])
            .args(["--identity-token", "@token", "--format", "simple-signing"])
            .args([image]);
        Ok(self.site.home.succeed(sign)?.stdout)
    }

    fn verifies_legacy(&self, image: &str) -> anyhow::Result<()> {
        let issuer = self.site.issuer();
        let policy = format!(
            "issuer: {issuer}\nidentity: {RELEASE_WORKFLOW}\nsignature_formats: [simple_signing]\n"
        );
        self.site.home.write("legacy.yaml", policy)?;
        let verify = Command::new(&self.site.countersign)
            .args(["verify", "--trusted-root", self.site.trusted_root()?])
            .args(["--policy", "legacy.yaml", image]);
        self.site.home.succeed(verify)?;
        Ok(())
    }

    fn cosign_2_signs(&self, image: &str, identity: &str) -> anyhow::Result<()> {
        self.site.cosign_2_signs(&self.cosign_2, image, identity)
    }

    /// cosign 2 accepts exactly `count` signatures by `identity`.
    fn cosign_2_verifies(&self, image: &str, identity: &str, count: usize) -> anyhow::Result<()> {
        let verified = self
            .site
            .cosign_2_verifies(&self.cosign_2, image, identity)?;
        let accepted: Vec<Value> = serde_json::from_str(verified.stdout.trim())?;
        ensure!(
            accepted.len() == count,
            "cosign 2 accepts {} signatures of {image}, not {count}",
            accepted.len()
        );
        Ok(())
    }
}
