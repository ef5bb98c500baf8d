//! Two processes that merge into one repository at once, again and again.

use std::process::Stdio;
use std::time::Instant;

use anyhow::ensure;
use countersign_oci::{Digest, media_type};

use super::{Scene, listed};
use crate::interop::http;
use crate::interop::registries::Registry;

/// How often two processes merge at once.
pub(super) const ROUNDS: usize = 50;

impl Scene {
    /// Both jobs merge one image of their own, and one that both share.
    pub(super) fn compete(&self, registry: &Registry) -> anyhow::Result<String> {
        let started = Instant::now();
        let [own, shared, other] = ["linux/386", "linux/amd64", "linux/s390x"];
        let [own, shared, other] = [
            self.image(registry, own, media_type::OCI_MANIFEST)?.digest,
            self.image(registry, shared, media_type::OCI_MANIFEST)?
                .digest,
            self.image(registry, other, media_type::OCI_MANIFEST)?
                .digest,
        ];
        for round in 0..ROUNDS {
            let repository = format!("merges/round{round}");
            let mut images = Vec::new();
            let mut running = Vec::new();
            for (tag, single) in [("left", &own), ("right", &other)] {
                let image = format!("{}/{repository}:{tag}", registry.host);
                let sources = [single.clone(), shared.clone()];
                let merge = self.merge(registry, &image, &sources)?;
                let merge = self.site.home.here(merge);
                running.push(merge.spawn(Stdio::null(), Stdio::inherit())?);
                images.push(image);
            }
            // Both have ended before one is said to have failed.
            let mut failed = 0;
            for mut merge in running {
                if !merge.wait()?.success() {
                    failed += 1;
                }
            }
            ensure!(failed == 0, "{failed} merges of round {round} failed");
            for image in &images {
                let tag = image.rsplit(':').next().unwrap_or_default();
                let url = format!("http://{}/v2/{repository}/manifests/{tag}", registry.host);
                let index = http::text_of(&url, media_type::OCI_INDEX)?;
                let digest = Digest::sha256(index.as_bytes()).to_string();
                for one in listed(&index)?.iter().chain([&digest]) {
                    let signatures = self.tagged_referrers(registry, &repository, one)?;
                    let expected = if *one == shared.to_string() { 2 } else { 1 };
                    ensure!(
                        signatures == expected,
                        "round {round}: expected {expected} signatures of {one}, found {signatures}"
                    );
                }
            }
            let images: Vec<&str> = images.iter().map(String::as_str).collect();
            self.verify(&images)?;
        }
        Ok(format!(
            "both whole each time, in {} s",
            started.elapsed().as_secs()
        ))
    }

    /// How many manifests the fallback tag of a digest lists.
    fn tagged_referrers(
        &self,
        registry: &Registry,
        repository: &str,
        digest: &str,
    ) -> anyhow::Result<usize> {
        let tag = digest.replace(':', "-");
        let url = format!("http://{}/v2/{repository}/manifests/{tag}", registry.host);
        Ok(listed(&http::text_of(&url, media_type::OCI_INDEX)?)?.len())
    }
}
