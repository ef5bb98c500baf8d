//! Indexes of every shape that builders make: countersign selects the same child as skopeo and crane
//! do, verifies it and installs it.
//!
//! Images are made by crane; an index that no tool at hand makes is written here and pushed as it
//! is. skopeo and crane don't agree on all shapes: each shape says which of them decides.

use std::fs;

use anyhow::{Context as _, ensure};
use countersign_oci::{Digest, media_type};
use serde_json::{Value, json};

use super::Setting;
use super::http;
use super::ledger::Ledger;
use super::registries::{self, Registry};
use super::site::Site;
use super::skopeo::Skopeo;
use super::tools::Programs;
use crate::command::{Command, Output};
use crate::identities::RELEASE_WORKFLOW;

const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];
const REPOSITORY: &str = "indexes/app";

/// What selects a child, besides countersign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Skopeo,
    Crane,
}

const BOTH: &[Peer] = &[Peer::Skopeo, Peer::Crane];
// Debian's skopeo (1.9) refuses a nested index. crane takes a child without a platform for linux/amd64.
const CRANE: &[Peer] = &[Peer::Crane];

/// An index, and who is asked which child of it is for which architecture.
struct Shape {
    name: &'static str,
    index: Pushed,
    asked: Vec<(&'static str, &'static [Peer])>,
}

/// What was pushed, as an index lists it.
#[derive(Clone)]
struct Pushed {
    media_type: &'static str,
    bytes: String,
}

impl Pushed {
    fn digest(&self) -> Digest {
        Digest::sha256(self.bytes.as_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": self.digest().to_string(),
            "size": self.bytes.len(),
        })
    }

    /// As an index lists it for `platform`.
    fn of(&self, platform: Value) -> Value {
        let mut descriptor = self.descriptor();
        if let Some(fields) = descriptor.as_object_mut() {
            fields.insert("platform".into(), platform);
        }
        descriptor
    }
}

/// Where it is played.
struct Stage<'a> {
    skopeo: &'a Skopeo,
    site: Site,
}

/// Plays every shape in every registry.
///
/// # Errors
/// When the software can't be started. What comes of the cases is in the ledger.
pub(super) fn run(setting: &Setting, ledger: &mut Ledger) -> anyhow::Result<()> {
    let Setting {
        root, directory, ..
    } = *setting;
    let (programs, skopeo) = (&Programs::install(root)?, &Skopeo::install(root)?);
    let stage = Stage {
        skopeo,
        site: Site::start(setting, &programs.crane)?,
    };
    for registry in &registries::start(programs, directory)? {
        let images = stage.images(registry)?;
        for shape in stage.shapes(registry, &images)? {
            let title = format!("{}, in {}", shape.name, registry.name);
            ledger.case(&title, || stage.play(registry, &shape));
        }
    }
    Ok(())
}

impl Stage<'_> {
    /// Makes one image for each architecture, by crane, whose one file tells which.
    fn images(&self, registry: &Registry) -> anyhow::Result<Vec<Pushed>> {
        let make = |architecture: &str| {
            let folder = self.site.home.join(format!("root-{architecture}"));
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("architecture"), architecture)?;
            let layer = format!("{architecture}.tar");
            let root = format!("root-{architecture}");
            self.site.home.succeed(Command::new("tar").args([
                "-C",
                &root,
                "-cf",
                &layer,
                "architecture",
            ]))?;
            let image = format!("{}/{REPOSITORY}:{architecture}", registry.host);
            let append = ["append", "--oci-empty-base", "--new_layer", &layer];
            self.site
                .home
                .crane(&[&append[..], &["--new_tag", &image]].concat())?;
            let platform = format!("linux/{architecture}");
            let platform = ["mutate", "--set-platform", &platform];
            self.site
                .home
                .crane(&[&platform[..], &["--tag", &image, &image]].concat())?;
            let url = format!(
                "http://{}/v2/{REPOSITORY}/manifests/{architecture}",
                registry.host
            );
            Ok(Pushed {
                media_type: media_type::OCI_MANIFEST,
                bytes: http::text_of(&url, media_type::OCI_MANIFEST)?,
            })
        };
        ARCHITECTURES.into_iter().map(make).collect()
    }

    #[expect(clippy::too_many_lines, reason = "a table of indexes")]
    fn shapes(&self, registry: &Registry, images: &[Pushed]) -> anyhow::Result<Vec<Shape>> {
        let [amd64, arm64] = images else {
            anyhow::bail!("expected two images, found {}", images.len());
        };
        let linux = |architecture: &str| json!({ "os": "linux", "architecture": architecture });
        let blank = |architecture: &str| json!({ "os": "linux", "architecture": architecture, "variant": "" });
        let oci = |children: &[Value]| index(media_type::OCI_INDEX, children);
        let named = [amd64.of(linux("amd64")), arm64.of(linux("arm64"))];
        let attestation = |of: &Pushed| {
            let mut child = of.of(json!({ "os": "unknown", "architecture": "unknown" }));
            if let Some(fields) = child.as_object_mut() {
                let about = json!({
                    "vnd.docker.reference.type": "attestation-manifest",
                    "vnd.docker.reference.digest": of.digest().to_string(),
                });
                fields.insert("annotations".into(), about);
            }
            child
        };
        let inner = oci(&[arm64.of(linux("arm64"))]);
        let bare = oci(&[amd64.descriptor(), arm64.of(linux("arm64"))]);
        for nested in [&inner, &bare] {
            self.push(registry, nested, &nested.digest().to_string())?;
        }
        let each = |peers| ARCHITECTURES.into_iter().map(|one| (one, peers)).collect();
        let shape = |name, index, asked| Shape { name, index, asked };
        Ok(vec![
            shape("an OCI index", oci(&named), each(BOTH)),
            shape(
                "a Docker manifest list of OCI manifests",
                index(media_type::DOCKER_INDEX, &named),
                each(BOTH),
            ),
            shape(
                "attestations by buildx among the children",
                oci(&[
                    attestation(amd64),
                    amd64.of(linux("amd64")),
                    arm64.of(linux("arm64")),
                    attestation(arm64),
                ]),
                each(BOTH),
            ),
            shape(
                "blank variants",
                oci(&[amd64.of(blank("amd64")), arm64.of(blank("arm64"))]),
                each(BOTH),
            ),
            shape(
                "two children for one platform",
                oci(&[
                    arm64.of(linux("arm64")),
                    amd64.of(linux("amd64")),
                    arm64.of(json!({ "os": "linux", "architecture": "amd64", "features": [] })),
                ]),
                each(BOTH),
            ),
            shape(
                "an index in an index, with a platform",
                oci(&[amd64.of(linux("amd64")), inner.of(linux("arm64"))]),
                vec![("amd64", BOTH), ("arm64", CRANE)],
            ),
            shape(
                "an index in an index, without a platform",
                oci(&[inner.descriptor()]),
                vec![("arm64", &[])],
            ),
            // Both take the first for whatever is asked for; countersign reads the configurations.
            shape(
                "children without a platform",
                oci(&[amd64.descriptor(), arm64.descriptor()]),
                vec![("amd64", BOTH), ("arm64", &[])],
            ),
            shape(
                "a child without a platform in an index without one",
                oci(&[bare.descriptor()]),
                vec![("amd64", CRANE), ("arm64", &[])],
            ),
            shape(
                "a child of an unknown kind, for another platform",
                oci(&[
                    {
                        let mut odd = amd64.of(linux("s390x"));
                        if let Some(fields) = odd.as_object_mut() {
                            fields.insert("mediaType".into(), "application/vnd.example.odd".into());
                        }
                        odd
                    },
                    amd64.of(linux("amd64")),
                    arm64.of(linux("arm64")),
                ]),
                each(BOTH),
            ),
        ])
    }

    /// Pushes and signs the index, then has each child selected, verified and installed.
    fn play(&self, registry: &Registry, shape: &Shape) -> anyhow::Result<String> {
        self.push(registry, &shape.index, "shape")?;
        let tagged = format!("{}/{REPOSITORY}:shape", registry.host);
        let digest = shape.index.digest();
        self.sign(&format!("{}/{REPOSITORY}@{digest}", registry.host))?;
        let mut seen = Vec::new();
        for (architecture, peers) in &shape.asked {
            let ours = self.verified(&tagged, architecture)?;
            for peer in *peers {
                let theirs = match peer {
                    Peer::Skopeo => self.selected_by_skopeo(&tagged, architecture)?,
                    Peer::Crane => {
                        let platform = format!("linux/{architecture}");
                        self.site
                            .home
                            .crane(&["digest", "--platform", &platform, &tagged])?
                    }
                };
                ensure!(
                    ours == theirs,
                    "for {architecture} {peer:?} selects {theirs}, countersign {ours}"
                );
            }
            self.installed(&tagged, architecture)?;
            seen.push(format!("{architecture} as {peers:?}"));
        }
        Ok(seen.join(", "))
    }

    fn push(&self, registry: &Registry, index: &Pushed, tag: &str) -> anyhow::Result<()> {
        let url = format!("http://{}/v2/{REPOSITORY}/manifests/{tag}", registry.host);
        http::put(&url, index.media_type, &index.bytes)
    }

    /// Signs one document, and not what it lists.
    fn sign(&self, image: &str) -> anyhow::Result<()> {
        self.site.token(RELEASE_WORKFLOW)?;
        let mut arguments = self.trust()?;
        arguments.extend(["--identity-token".into(), "@token".into()]);
        arguments.extend(["--fulcio-url".into(), self.site.instance.fulcio.clone()]);
        arguments.extend(["--rekor-url".into(), self.site.instance.rekor.clone()]);
        arguments.extend(["--rekor-version".into(), "1".into(), image.to_owned()]);
        self.countersign("sign", &arguments)?;
        Ok(())
    }

    /// The manifest that countersign verified for an architecture.
    fn verified(&self, image: &str, architecture: &str) -> anyhow::Result<String> {
        let arguments = self.judging(architecture)?;
        let output = ["--output", "json", image].map(str::to_owned);
        let arguments = [&arguments[..], &output].concat();
        let output = self.countersign("verify", &arguments)?;
        let document: Value = serde_json::from_str(&output.stdout)?;
        let manifest = document.pointer("/results/0/manifest");
        let manifest = manifest.and_then(Value::as_str);
        Ok(manifest.context("no manifest in the result")?.to_owned())
    }

    /// Checks that what countersign installs for an architecture is of that architecture.
    fn installed(&self, image: &str, architecture: &str) -> anyhow::Result<()> {
        let into = self.site.home.join("installed");
        let mut arguments = self.judging(architecture)?;
        arguments.extend([image.to_owned(), "installed".to_owned()]);
        self.countersign("install", &arguments)?;
        let found = fs::read_to_string(into.join("architecture"))?;
        fs::remove_dir_all(&into)?;
        ensure!(
            found == architecture,
            "expected {architecture}, found {found}"
        );
        Ok(())
    }

    /// The digest of what skopeo copies for an architecture, byte for byte.
    fn selected_by_skopeo(&self, image: &str, architecture: &str) -> anyhow::Result<String> {
        let into = self.site.home.join("copied");
        let command = self.skopeo.command().args([
            "--override-os",
            "linux",
            "--override-arch",
            architecture,
            "--insecure-policy",
            "copy",
            "--src-tls-verify=false",
            &format!("docker://{image}"),
            "dir:copied",
        ]);
        self.site.home.succeed(command)?;
        let manifest = fs::read(into.join("manifest.json"))?;
        fs::remove_dir_all(&into)?;
        Ok(Digest::sha256(&manifest).to_string())
    }

    fn trust(&self) -> anyhow::Result<Vec<String>> {
        let root = self.site.instance.trusted_root.to_str();
        let root = root.context("a path that is not Unicode")?;
        Ok(vec!["--trusted-root".into(), root.to_owned()])
    }

    /// Flags that say whom to trust, who must have signed, and for which architecture.
    fn judging(&self, architecture: &str) -> anyhow::Result<Vec<String>> {
        let mut arguments = self.trust()?;
        arguments.extend(["--issuer".into(), self.site.issuer()]);
        arguments.extend(["--identity".into(), RELEASE_WORKFLOW.to_owned()]);
        arguments.extend(["--platform".into(), format!("linux/{architecture}")]);
        Ok(arguments)
    }

    fn countersign(&self, command: &str, arguments: &[String]) -> anyhow::Result<Output> {
        let program = Command::new(&self.site.countersign).args([command]);
        self.site.home.succeed(program.args(arguments))
    }
}

fn index(media_type: &'static str, children: &[Value]) -> Pushed {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": children,
    });
    Pushed {
        media_type,
        bytes: index.to_string(),
    }
}
