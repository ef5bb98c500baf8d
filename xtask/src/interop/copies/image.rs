//! The image that is copied: an index of two images, each signed by cosign 3. The index also has a legacy signature
//! by cosign 2, and an SBOM by oras, which has a signature of its own.

use std::fs;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::Scene;
use crate::command::Command;
use crate::identities::RELEASE_WORKFLOW;
use crate::interop::registries::Registry;

/// What the index has images for, in its order.
pub(super) const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];
const SBOM: &str = "application/spdx+json";

/// The image in a registry.
pub(super) struct Signed<'a> {
    pub(super) registry: &'a Registry,
    /// Without the host.
    pub(super) repository: String,
    pub(super) index: String,
    pub(super) images: Vec<String>,
    pub(super) sbom: String,
}

impl Signed<'_> {
    /// `host/repository`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.registry.host, self.repository)
    }

    pub(super) fn tagged(&self) -> String {
        format!("{}:v1", self.name())
    }

    /// For names of files and repositories.
    pub(super) fn slug(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// The index, and then its images.
    pub(super) fn digests(&self) -> impl Iterator<Item = &str> {
        let index = std::iter::once(&self.index);
        index.chain(&self.images).map(String::as_str)
    }
}

impl Scene<'_> {
    /// Makes the image in a repository, and signs it in every form.
    pub(super) fn signed<'a>(
        &self,
        registry: &'a Registry,
        repository: &str,
    ) -> anyhow::Result<Signed<'a>> {
        let name = format!("{}/{repository}", registry.host);
        let tagged = format!("{name}:v1");
        let mut images = Vec::new();
        let mut append = vec!["index".to_owned(), "append".to_owned()];
        for platform in PLATFORMS {
            let image = self.image(&name, platform)?;
            append.extend(["--manifest".to_owned(), format!("{name}@{image}")]);
            images.push(image);
        }
        append.extend(["--tag".to_owned(), tagged.clone()]);
        self.crane(&append.iter().map(String::as_str).collect::<Vec<_>>())?;
        let index = self.crane(&["digest", &tagged])?;
        let at_index = format!("{name}@{index}");
        self.cosign_3_signs(&at_index)?;
        self.site
            .cosign_2_signs(&self.cosign_2, &at_index, RELEASE_WORKFLOW)?;
        self.site
            .home
            .write("sbom.json", format!("{{\"name\": \"{repository}\"}}"))?;
        let mut attach = vec!["attach", "--plain-http", "--format", "json"];
        attach.extend(["--distribution-spec", registry.referrers.for_oras()]);
        let file = format!("sbom.json:{SBOM}");
        attach.extend(["--artifact-type", SBOM, &at_index, &file]);
        let attached: Value = serde_json::from_str(&self.oras(&attach)?.stdout)?;
        let sbom = attached.get("digest").and_then(Value::as_str);
        let sbom = sbom.context("oras names no digest")?.to_owned();
        self.cosign_3_signs(&format!("{name}@{sbom}"))?;
        ensure!(images.len() == PLATFORMS.len(), "an image is missing");
        Ok(Signed {
            registry,
            repository: repository.to_owned(),
            index,
            images,
            sbom,
        })
    }

    /// An image whose one file tells its platform. Returns its digest.
    fn image(&self, name: &str, platform: &str) -> anyhow::Result<String> {
        let folder = platform.replace('/', "-");
        fs::create_dir_all(self.site.home.join(&folder))?;
        let file = format!("{folder}/platform");
        self.site.home.write(&file, format!("{name} {platform}"))?;
        let layer = format!("{folder}.tar");
        let pack = ["-C", &folder, "-cf", &layer, "platform"];
        self.site
            .home
            .run(Command::new("tar").args(pack))?
            .success()?;
        let tag = format!("{name}:{folder}");
        let append = ["append", "--oci-empty-base", "--new_layer", &layer];
        self.crane(&[&append[..], &["--new_tag", &tag]].concat())?;
        let mutate = ["mutate", "--set-platform", platform];
        self.crane(&[&mutate[..], &["--tag", &tag, &tag]].concat())?;
        self.crane(&["digest", &tag])
    }

    fn cosign_3_signs(&self, image: &str) -> anyhow::Result<()> {
        let token = self.site.token(RELEASE_WORKFLOW)?;
        let config = self.site.home.path(&self.site.instance.signing_config)?;
        let sign = Command::new(&self.cosign_3)
            .args(["sign", "--yes", "--recursive", "--identity-token", token])
            .args(["--signing-config", config])
            .args(["--trusted-root", self.site.trusted_root()?, image]);
        self.site.home.run(sign)?.success()?;
        Ok(())
    }
}
