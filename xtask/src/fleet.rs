//! What a cluster that starts asks of its registry: the image verifier on a few nodes, each with its own state,
//! and the sandbox's registry and TUF repository, which count.
//!
//! Nodes share nothing, so what a thousand of them ask is what one asks, a thousand times.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, ensure};
use countersign_oci::Digest;
use countersign_oci::media_type::OCI_INDEX;
use countersign_sandbox::image::{Compression, Image, Layer};
use countersign_sandbox::{Auth, BundleSpec, RegistryOptions, Scene, Statement};
use jiff::Timestamp;

use crate::command::{Profile, build_countersign};
use crate::identities::RELEASE_WORKFLOW;

/// Images of a node.
const IMAGES: usize = 50;
/// Pulls at the same time on a node.
const AT_ONCE: usize = 10;

/// Lets `nodes` nodes start, and prints what was asked.
///
/// # Errors
/// When an image was refused, or the sandbox can't be started.
pub(crate) fn run(nodes: usize) -> anyhow::Result<()> {
    ensure!(nodes > 0, "expected at least one node");
    let countersign = build_countersign(Profile::Debug)?;
    let runtime = tokio::runtime::Runtime::new()?;
    println!(
        "{nodes} nodes pull {IMAGES} signed images each, {AT_ONCE} at once, and then pull them again.\n"
    );
    println!(
        "| Referrers API | Signatures kept | Pull | Requests | of them tokens | TUF requests of a node |"
    );
    println!("|---|---|---|---|---|---|");
    for referrers_api in [true, false] {
        let scene = runtime.block_on(Scene::with(RegistryOptions {
            referrers_api,
            auth: Auth::Bearer { user: None },
            ..RegistryOptions::default()
        }))?;
        let images = publish(&scene)?;
        for cache_age in ["24h", "none"] {
            let directory = tempfile::tempdir()?;
            let fleet = Fleet {
                countersign: &countersign,
                scene: &scene,
                images: &images,
                directory: directory.path(),
                cache_age,
            };
            fs::write(
                directory.path().join("root.json"),
                scene.sigstore.tuf_root(),
            )?;
            for pull in ["first", "again"] {
                let counted = fleet.pull(nodes)?;
                println!(
                    "| {} | {} | {pull} | {:.1} | {:.1} | {:.1} |",
                    if referrers_api { "yes" } else { "no" },
                    if cache_age == "none" { "no" } else { cache_age },
                    counted.requests,
                    counted.tokens,
                    counted.trusted_root,
                );
            }
        }
    }
    println!("\nRequests are those of one pull of one image, on average.");
    Ok(())
}

/// Averages.
struct Counted {
    /// For an image.
    requests: f64,
    /// For an image.
    tokens: f64,
    /// For a node.
    trusted_root: f64,
}

struct Fleet<'a> {
    countersign: &'a Path,
    scene: &'a Scene,
    images: &'a [(String, Digest)],
    directory: &'a Path,
    cache_age: &'a str,
}

impl Fleet<'_> {
    /// Each node pulls each image once.
    fn pull(&self, nodes: usize) -> anyhow::Result<Counted> {
        self.scene.registry.reset_requests();
        let tuf = self.scene.sigstore.tuf_url().path().to_owned();
        let of_tuf = || {
            let requests = self.scene.sigstore.requests();
            requests
                .iter()
                .filter(|request| request.path.starts_with(&tuf))
                .count()
        };
        let before = of_tuf();
        for node in 0..nodes {
            self.node(node)?;
        }
        let requests = self.scene.registry.requests();
        let tokens = requests
            .iter()
            .filter(|request| request.path == "/token")
            .count();
        let pulls = as_f64(nodes * self.images.len());
        Ok(Counted {
            requests: as_f64(requests.len()) / pulls,
            tokens: as_f64(tokens) / pulls,
            trusted_root: as_f64(of_tuf() - before) / as_f64(nodes),
        })
    }

    fn node(&self, node: usize) -> anyhow::Result<()> {
        let configuration = self.directory.join(format!("node-{node}.yaml"));
        let text = format!(
            "tuf: {{url: '{}', root: root.json}}\nstate_directory: node-{node}\nlog_file: node-{node}.log\n\
             cache_age: {}\nrules:\n- {{images: ['**'], verification: {}}}\n",
            self.scene.sigstore.tuf_url(),
            self.cache_age,
            self.scene.verification(RELEASE_WORKFLOW)
        );
        fs::write(&configuration, text)?;
        for some in self.images.chunks(AT_ONCE) {
            let pulls: anyhow::Result<Vec<()>> = thread::scope(|scope| {
                let pulls: Vec<_> = some
                    .iter()
                    .map(|image| scope.spawn(|| self.ask(&configuration, image)))
                    .collect();
                let ended = pulls.into_iter().map(thread::ScopedJoinHandle::join);
                ended
                    .map(|pull| pull.unwrap_or_else(|_| anyhow::bail!("a pull panicked")))
                    .collect()
            });
            pulls?;
        }
        Ok(())
    }

    /// Asks as containerd does.
    fn ask(&self, configuration: &Path, (name, digest): &(String, Digest)) -> anyhow::Result<()> {
        let digest = digest.to_string();
        let mut child = Command::new(self.countersign)
            .args(["image-verifier", "-name", name, "-digest", &digest])
            .args([
                "-stdin-media-type",
                "application/vnd.oci.descriptor.v1+json",
            ])
            .env_clear()
            .env("COUNTERSIGN_IMAGE_VERIFIER_CONFIG", configuration)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the image verifier can't be run")?;
        let mut stdin = child.stdin.take().context("it has a standard input")?;
        write!(stdin, "{{\"digest\":\"{digest}\"}}")?;
        drop(stdin);
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(())
    }
}

/// The images, each signed, in repositories of their own.
fn publish(scene: &Scene) -> anyhow::Result<Vec<(String, Digest)>> {
    let publish = |number: usize| {
        let layer = Layer::builder().file("number", number.to_string(), 0o644);
        let builder = Image::builder("linux/amd64".parse()?);
        let image = builder.layer(layer.build(Compression::Gzip)).build();
        let path = format!("app-{number}");
        let digest = image.push(&scene.registry, &path, Some("v1"));
        let spec = BundleSpec::new(Statement::of(digest.clone()), RELEASE_WORKFLOW)
            .signed_at(Timestamp::now());
        let signature = scene.signature(image.descriptor(), &spec)?;
        signature.push(&scene.registry, &path, None);
        // Where a registry without the referrers API is looked into.
        let list = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [signature.descriptor()],
        });
        let tag = format!("sha256-{}", digest.hex());
        scene
            .registry
            .put_manifest(&path, OCI_INDEX, list.to_string(), Some(&tag));
        Ok((format!("{}/{path}:v1", scene.registry.host()), digest))
    };
    (0..IMAGES).map(publish).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of some thousands")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
