//! What programs of others see of an image, wherever it is.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use countersign_oci::Digest;
use serde_json::Value;

use super::Scene;
use super::image::{PLATFORMS, Signed};
use crate::interop::registries::Registry;

/// Where an image is, with the tag `v1`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// `host/repository` in a registry.
    Registry(&'a Registry, &'a str),
    /// The directory of a layout.
    Directory(&'a str),
    /// A layout as an archive.
    Archive(&'a str),
}

impl Place<'_> {
    /// As skopeo names it.
    fn for_skopeo(self) -> String {
        match self {
            Self::Registry(_, name) => format!("docker://{name}:v1"),
            Self::Directory(path) => format!("oci:{path}:v1"),
            Self::Archive(path) => format!("oci-archive:{path}:v1"),
        }
    }
}

/// What refers to an image, by its digest and in its order: `subject <- referrer`.
pub(super) type Edges = BTreeSet<String>;

impl Scene<'_> {
    /// What oras finds behind each manifest. Everybody must see the index with its digest, byte for byte.
    pub(super) fn seen(&self, signed: &Signed, place: Place) -> anyhow::Result<Edges> {
        let skopeo = ["inspect", "--raw", "--tls-verify=false"];
        let raw = self.skopeo(&[&skopeo[..], &[&place.for_skopeo()]].concat())?;
        same("skopeo", &signed.index, &raw.stdout)?;
        if let Place::Registry(_, name) = place {
            let tagged = format!("{name}:v1");
            let found = self.crane(&["digest", &tagged])?;
            ensure!(found == signed.index, "crane finds {found}");
            let validate = ["validate", "--remote"];
            for image in &signed.images {
                let image = format!("{name}@{image}");
                self.crane(&[&validate[..], &[&image]].concat())?;
            }
        }
        self.edges(signed, place)
    }

    /// What oras finds behind each manifest.
    pub(super) fn edges(&self, signed: &Signed, place: Place) -> anyhow::Result<Edges> {
        let mut edges = Edges::new();
        let platforms = std::iter::once(None).chain(PLATFORMS.map(Some));
        for (digest, platform) in signed.digests().zip(platforms) {
            let mut discover = vec!["discover", "--format", "json"];
            let image = match place {
                Place::Registry(registry, name) => {
                    discover.extend(["--plain-http", "--distribution-spec"]);
                    discover.push(registry.referrers.for_oras());
                    format!("{name}@{digest}")
                }
                Place::Directory(path) | Place::Archive(path) => {
                    discover.push("--oci-layout");
                    // By digest, oras finds only what index.json lists.
                    discover.extend(platform.iter().flat_map(|one| ["--platform", one]));
                    format!("{path}@{}", signed.index)
                }
            };
            discover.push(&image);
            let found: Value = serde_json::from_str(&self.oras(&discover)?.stdout)?;
            ensure!(
                found.get("digest").and_then(Value::as_str) == Some(digest),
                "oras finds another manifest than {digest}"
            );
            collect(&found, &mut edges)?;
        }
        Ok(edges)
    }
}

/// Checks that what was printed has this digest, but for a line's end that some programs add.
fn same(program: &str, expected: &str, printed: &str) -> anyhow::Result<()> {
    let digest = |text: &str| Digest::sha256(text.as_bytes()).to_string();
    let found = digest(printed);
    let is_same = found == expected || digest(printed.trim_end()) == expected;
    ensure!(is_same, "{program} finds {found}, not {expected}");
    Ok(())
}

fn collect(found: &Value, edges: &mut Edges) -> anyhow::Result<()> {
    let digest = found.get("digest").and_then(Value::as_str);
    let digest = digest.context("oras names no digest")?;
    let referrers = found.get("referrers").and_then(Value::as_array);
    for referrer in referrers.into_iter().flatten() {
        let other = referrer.get("digest").and_then(Value::as_str);
        edges.insert(format!("{digest} <- {}", other.unwrap_or_default()));
        collect(referrer, edges)?;
    }
    Ok(())
}
