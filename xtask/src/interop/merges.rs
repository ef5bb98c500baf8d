//! `countersign merge` into the registries of others: cosign, sigstore-python, crane and oras accept and
//! list what it wrote. Then two processes merge into one repository at once, again and again.

mod competing;
mod legacy;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use countersign_oci::{Digest, media_type};
use countersign_sandbox::image::EIGHT_PLATFORMS;
use serde_json::{Value, json};

use self::competing::ROUNDS;
use super::Setting;
use super::actors;
use super::http;
use super::ledger::Ledger;
use super::registries::{self, Registry};
use super::site::Site;
use super::tools::{self, Programs};
use crate::command::Command;
use crate::identities::RELEASE_WORKFLOW;

/// The repository that the builds push to.
const CACHE: &str = "merges/cache";
/// What is merged, and how many manifests the merged image lists.
struct Shape {
    name: &'static str,
    slug: &'static str,
    sources: Vec<Digest>,
    manifests: usize,
    media_type: &'static str,
}

/// A manifest in a repository.
struct Pushed {
    media_type: &'static str,
    digest: Digest,
    size: usize,
}

impl Pushed {
    /// As an index lists it.
    fn entry(&self, platform: &str) -> Value {
        let mut parts = platform.split('/');
        let mut fields = json!({ "os": parts.next(), "architecture": parts.next() });
        if let (Some(variant), Some(fields)) = (parts.next(), fields.as_object_mut()) {
            fields.insert("variant".into(), variant.into());
        }
        json!({
            "mediaType": self.media_type,
            "digest": self.digest.to_string(),
            "size": self.size,
            "platform": fields,
        })
    }
}

struct Scene {
    cosign: PathBuf,
    cosign_2: PathBuf,
    oras: PathBuf,
    sigstore_python: PathBuf,
    site: Site,
}

/// Merges every shape into every registry, then has two processes merge at once.
///
/// # Errors
/// When the software can't be started. What comes of the cases is in the ledger.
pub(super) fn run(setting: &Setting, ledger: &mut Ledger) -> anyhow::Result<()> {
    let Setting {
        root, directory, ..
    } = *setting;
    let programs = &Programs::install(root)?;
    let scene = Scene {
        cosign: tools::cosign(root)?,
        cosign_2: tools::cosign_2(root)?,
        sigstore_python: tools::sigstore_python(root)?,
        oras: tools::oras(root)?,
        site: Site::start(setting, &programs.crane)?,
    };
    let [olareg, docker_registry] = registries::start(programs, directory)?;
    let redirecting = registries::redirecting(programs, directory)?;
    for registry in [&olareg, &docker_registry, &redirecting] {
        let shapes = scene.shapes(registry)?;
        for shape in &shapes {
            let title = format!("{} merged, in {}", shape.name, registry.name);
            ledger.case(&title, || scene.play(registry, shape));
        }
        if let Some(two) = shapes.first() {
            scene.legacy(registry, &two.sources, ledger);
        }
    }
    let title = format!("two merges into one repository at once, {ROUNDS} times");
    ledger.case(&title, || scene.compete(&docker_registry));
    Ok(())
}

impl Scene {
    fn shapes(&self, registry: &Registry) -> anyhow::Result<Vec<Shape>> {
        let images: Vec<Pushed> = EIGHT_PLATFORMS
            .iter()
            .map(|platform| self.image(registry, platform, media_type::OCI_MANIFEST))
            .collect::<anyhow::Result<_>>()?;
        let docker: Vec<Pushed> = EIGHT_PLATFORMS
            .iter()
            .take(2)
            .map(|platform| self.image(registry, platform, media_type::DOCKER_MANIFEST))
            .collect::<anyhow::Result<_>>()?;
        let attestation = self.image(registry, "unknown/unknown", media_type::OCI_MANIFEST)?;
        let built: Vec<Digest> = images
            .iter()
            .zip(EIGHT_PLATFORMS)
            .take(2)
            .map(|(image, platform)| {
                let mut about = attestation.entry("unknown/unknown");
                if let Some(about) = about.as_object_mut() {
                    let annotations = json!({
                        "vnd.docker.reference.type": "attestation-manifest",
                        "vnd.docker.reference.digest": image.digest.to_string(),
                    });
                    about.insert("annotations".into(), annotations);
                }
                Ok(self
                    .index(registry, &[image.entry(platform), about])?
                    .digest)
            })
            .collect::<anyhow::Result<_>>()?;
        let [amd64, arm64, armv7, ..] = images.as_slice() else {
            anyhow::bail!("expected three images at least");
        };
        let inner = self.index(registry, &[arm64.entry("linux/arm64")])?;
        let mut nested = inner.entry("linux/arm64");
        if let Some(nested) = nested.as_object_mut() {
            nested.remove("platform");
        }
        let outer = self.index(registry, &[amd64.entry("linux/amd64"), nested])?;
        let digests = |images: &[Pushed]| images.iter().map(|image| image.digest.clone()).collect();
        let shape = |name, slug, sources: Vec<Digest>, manifests| Shape {
            name,
            slug,
            sources,
            manifests,
            media_type: media_type::OCI_INDEX,
        };
        Ok(vec![
            shape(
                "two images",
                "two",
                vec![amd64.digest.clone(), arm64.digest.clone()],
                2,
            ),
            shape("eight images", "eight", digests(&images), 8),
            shape(
                "an index in an index, and an image",
                "nested",
                vec![outer.digest, armv7.digest.clone()],
                3,
            ),
            // Both are about one attestation, which is listed once.
            shape("images with attestations by buildx", "attested", built, 3),
            Shape {
                media_type: media_type::DOCKER_INDEX,
                ..shape(
                    "two images of Docker's types",
                    "docker",
                    digests(&docker),
                    2,
                )
            },
        ])
    }

    /// An image whose one file tells its platform, made by crane.
    fn image(
        &self,
        registry: &Registry,
        platform: &str,
        media_type: &'static str,
    ) -> anyhow::Result<Pushed> {
        let name = platform.replace('/', "-");
        let folder = self.site.home.join(&name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("platform"), platform)?;
        let layer = format!("{name}.tar");
        self.site
            .home
            .succeed(Command::new("tar").args(["-C", &name, "-cf", &layer, "platform"]))?;
        let image = format!("{}/{CACHE}:{name}", registry.host);
        let mut append = vec!["append", "--new_layer", &layer, "--new_tag", &image];
        if media_type == media_type::OCI_MANIFEST {
            append.push("--oci-empty-base");
        }
        self.site.home.crane(&append)?;
        self.site.home.crane(&[
            "mutate",
            "--set-platform",
            platform,
            "--tag",
            &image,
            &image,
        ])?;
        let url = format!("http://{}/v2/{CACHE}/manifests/{name}", registry.host);
        let bytes = http::text_of(&url, media_type)?;
        Ok(Pushed {
            media_type,
            digest: Digest::sha256(bytes.as_bytes()),
            size: bytes.len(),
        })
    }

    fn index(&self, registry: &Registry, entries: &[Value]) -> anyhow::Result<Pushed> {
        let media_type = media_type::OCI_INDEX;
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        let index = index.to_string();
        let digest = Digest::sha256(index.as_bytes());
        let url = format!("http://{}/v2/{CACHE}/manifests/{digest}", registry.host);
        http::put(&url, media_type, &index)?;
        Ok(Pushed {
            media_type,
            digest,
            size: index.len(),
        })
    }

    /// Merges, and has everybody look at what came of it.
    fn play(&self, registry: &Registry, shape: &Shape) -> anyhow::Result<String> {
        let repository = format!("merges/{}", shape.slug);
        let image = format!("{}/{repository}:v1", registry.host);
        let merge = self.merge(registry, &image, &shape.sources)?;
        self.site.home.succeed(merge)?;
        let url = format!("http://{}/v2/{repository}/manifests/v1", registry.host);
        let index = http::text_of(&url, shape.media_type)?;
        let listed = listed(&index)?;
        ensure!(
            listed.len() == shape.manifests,
            "expected {} manifests, found {}",
            shape.manifests,
            listed.len()
        );
        let found = self.site.home.crane(&["digest", &image])?;
        let digest = Digest::sha256(index.as_bytes()).to_string();
        ensure!(found == digest, "crane says {found}, not {digest}");
        // crane reads the index with all that it lists.
        let copy = format!("{}/merges/copies:{}", registry.host, shape.slug);
        self.site.home.crane(&["copy", &image, &copy])?;
        self.verify(&[&image])?;
        for digest in listed.iter().chain([&digest]) {
            let one = format!("{}/{repository}@{digest}", registry.host);
            self.verify(&[&one])?;
            self.cosign_3_verifies(&one)?;
            self.sigstore_python_verifies(registry, &repository, digest)?;
            let signatures = self.discovered(registry, &one)?;
            ensure!(
                signatures == 1,
                "oras lists {signatures} signatures of {digest}"
            );
        }
        self.cosign_3_verifies(&image)?;
        Ok(format!(
            "{} manifests and the index, verified by cosign and sigstore-python, and listed by crane and oras",
            listed.len()
        ))
    }

    fn merge(
        &self,
        registry: &Registry,
        image: &str,
        sources: &[Digest],
    ) -> anyhow::Result<Command> {
        // A file for each tag: another process may be reading the one of its own tag.
        let tag = image.rsplit(':').next().unwrap_or_default();
        let token = format!("token-{tag}");
        self.site
            .home
            .write(&token, self.site.sigstore().token(RELEASE_WORKFLOW))?;
        let sources = sources
            .iter()
            .map(|digest| format!("{}/{CACHE}@{digest}", registry.host));
        let config = self.site.home.path(&self.site.instance.signing_config)?;
        Ok(Command::new(&self.site.countersign)
            .args(["merge", "--trusted-root", self.site.trusted_root()?])
            .args(["--signing-config", config])
            .args(["--identity-token", &format!("@{token}"), "--tag", image])
            .args(sources))
    }

    fn verify(&self, images: &[&str]) -> anyhow::Result<()> {
        let issuer = self.site.issuer();
        let verify = Command::new(&self.site.countersign)
            .args(["verify", "--trusted-root", self.site.trusted_root()?])
            .args(["--issuer", &issuer, "--identity", RELEASE_WORKFLOW])
            .args(images);
        self.site.home.succeed(verify)?;
        Ok(())
    }

    /// sigstore-python accepts the one bundle that refers to a digest.
    fn sigstore_python_verifies(
        &self,
        registry: &Registry,
        repository: &str,
        digest: &str,
    ) -> anyhow::Result<()> {
        let crane = |arguments: &[&str]| self.site.home.crane(arguments);
        let bundle = actors::bundle(&crane, registry, repository, digest)?;
        self.site.home.write("bundle.json", bundle)?;
        let issuer = self.site.issuer();
        let verify = Command::new(&self.sigstore_python)
            .args([
                "--trust-config",
                self.site.home.path(&self.site.instance.trust_config)?,
            ])
            .args(["verify", "identity", "--offline", "--bundle", "bundle.json"])
            .args([
                "--cert-identity",
                RELEASE_WORKFLOW,
                "--cert-oidc-issuer",
                &issuer,
            ])
            .args([digest]);
        self.site.home.succeed(verify)?;
        Ok(())
    }

    fn cosign_3_verifies(&self, image: &str) -> anyhow::Result<()> {
        self.site.cosign_3_verifies(&self.cosign, image)
    }

    /// How many signatures oras finds.
    fn discovered(&self, registry: &Registry, image: &str) -> anyhow::Result<usize> {
        let way = registry.referrers.for_oras();
        let discover = Command::new(&self.oras)
            .args(["discover", "--plain-http", "--distribution-spec", way])
            .args(["--format", "json", image]);
        let found: Value = serde_json::from_str(&self.site.home.succeed(discover)?.stdout)?;
        let referrers = found.get("referrers").or_else(|| found.get("manifests"));
        let referrers = referrers.and_then(Value::as_array);
        Ok(referrers.context("oras lists nothing")?.len())
    }
}

/// The digests that an index lists.
fn listed(index: &str) -> anyhow::Result<Vec<String>> {
    let index: Value = serde_json::from_str(index)?;
    let manifests = index.get("manifests").and_then(Value::as_array);
    let digests = manifests.context("no index")?.iter().filter_map(|entry| {
        let digest = entry.get("digest")?.as_str()?;
        Some(digest.to_owned())
    });
    Ok(digests.collect())
}
