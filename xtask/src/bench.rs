//! `countersign verify` against `cosign verify`, on the same image, in turns; then many images in one run, a
//! cached signature, and a slow link; what it takes to read a large gallery, what bundles cost that a hostile
//! registry serves, how long it takes to sign an index of eight images, and how long to install large images.
//!
//! Both programs are given the same trusted root from a file, so that neither needs more of the network than
//! the registry, which is the sandbox's: it keeps a log of its requests.

mod audit;
mod copy;
mod gallery;
mod hostile;
mod install;
mod many;
mod measure;
mod measured;
mod node;
mod shards;
mod sign;

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use countersign_sandbox::image::{Compression, Image, ImageIndex, Layer};
use countersign_sandbox::{RegistryOptions, RegistryServer, RekorVersion, Sigstore};

use self::measure::{Measurement, measure};
use self::measured::{Measured, not_met};
use crate::command::{Command, Profile, build_countersign, workspace};
use crate::identities::RELEASE_WORKFLOW;
use crate::interop::{cosign, installed_cosign, installed_oras, installed_skopeo};
use crate::servers::Servers;

pub(crate) use self::install::Files;

/// How often each program is timed.
const RUNS: usize = 21;

/// What is aimed at.
const TIMES_FASTER: f64 = 4.0;
const REQUESTS: usize = 4;
const RESIDENT_MIB: f64 = 20.0;
const BINARY_MB: f64 = 15.0;

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// `countersign verify` against `cosign verify`: one image, many, over a slow link; and a large gallery
    Verify,
    /// Bundles that a hostile registry serves; needs no cosign
    Hostile,
    /// `countersign sign` of an index of eight images, beside cosign where it is installed
    Sign,
    /// A verdict of the image verifier of a node
    Node,
    /// `countersign audit` of a large gallery, and of parts of long lists; needs --gallery
    Audit,
    /// `countersign copy` from registry to registry, beside skopeo and oras where they are installed
    Copy,
    /// `countersign install` of large images, beside crane, skopeo and umoci, and containerd where they are installed
    Install,
    /// `countersign install` over a link of 100 Mbit/s, beside the transfer alone; needs root
    Link,
}

/// Measures `parts`, or everything where there are none, and prints what it found. It is `program`
/// that is timed, or a new build as it is published. The images that are installed have `scale` percent
/// of their full size. The part of the link is run again behind it, unless this run is.
///
/// # Errors
/// When a target was missed, something can't be run, or this machine can't measure a part that is named.
pub(crate) fn run(
    parts: &[Part],
    program: Option<PathBuf>,
    gallery: Option<&Path>,
    scale: usize,
    files: &Files,
    is_behind_link: bool,
) -> anyhow::Result<()> {
    let countersign = match program {
        Some(program) => program.canonicalize()?,
        None => {
            println!("Building countersign …");
            build_countersign(Profile::Dist)?
        }
    };
    let root = workspace().join("target/interop");
    fs::create_dir_all(&root)?;
    let directory = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&root)?;
    let servers = Servers::start(1)?;
    let sigstore = &servers.sigstore;
    let registry = servers.registry_with_referrers()?;
    fs::write(
        directory.path().join("token"),
        sigstore.token(RELEASE_WORKFLOW),
    )?;
    fs::write(
        directory.path().join("trusted_root.json"),
        sigstore.trusted_root_json(),
    )?;

    let signer = Signer {
        countersign: &countersign,
        directory: directory.path(),
        sigstore,
    };
    let directory = directory.path();
    let mut all: Option<Measured> = None;
    for part in Part::value_variants() {
        if !parts.is_empty() && !parts.contains(part) {
            continue;
        }
        let measured = match part {
            Part::Verify => {
                let verified = verification(&signer, &registry, &servers, &root)?;
                verified.and(gallery::run(&countersign, gallery, &registry, directory)?)
            }
            Part::Hostile => hostile::run(&countersign, sigstore, &registry, directory)?.into(),
            Part::Node => node::run(&signer, &registry)?.into(),
            Part::Audit => audit::run(&countersign, gallery, directory)?,
            Part::Copy => {
                let peers = copy::Peers {
                    skopeo: installed_skopeo(&root),
                    oras: installed_oras(&root),
                };
                copy::run(&signer, &peers, &root, scale)?
            }
            Part::Sign => {
                let programs = sign::Programs {
                    countersign: &countersign,
                    cosign: installed_cosign(&root),
                };
                sign::run(&programs, &servers, &root, directory)?
            }
            Part::Install => installation(&signer, &registry, &root, scale, files)?,
            Part::Link if is_behind_link => over_link(&signer, &registry, scale)?.into(),
            Part::Link => install::behind_link(&countersign, scale)?,
        };
        let measured = if parts.is_empty() {
            measured
        } else {
            measured.wanted()?
        };
        all = Some(match all {
            Some(all) => all.and(measured),
            None => measured,
        });
    }
    all.map_or(Ok(()), |all| all.close())
}

/// Installing large images beside other programs that are installed.
fn installation(
    signer: &Signer<'_>,
    registry: &RegistryServer,
    root: &Path,
    scale: usize,
    files: &Files,
) -> anyhow::Result<Measured> {
    let memory = install::in_memory().unwrap_or(signer.directory);
    let (peers, missing) = install::Peer::installed(root, memory)?;
    let install = install::Install {
        countersign: signer.countersign,
        peers,
        registry,
        directory: signer.directory,
        scale,
    };
    let issuer = signer.sigstore.issuer();
    let policy = ["--issuer", &issuer, "--identity", RELEASE_WORKFLOW];
    let verification =
        format!(", verification: {{issuer: '{issuer}', identity: '{RELEASE_WORKFLOW}'}}");
    let sign = |image: &str| signer.sign(RekorVersion::V1, image);
    let missed = install.run(sign, &policy, &verification, files)?;
    Ok(Measured::from(missed).without(missing))
}

/// Installing over a slow link, which this run is behind.
fn over_link(
    signer: &Signer<'_>,
    registry: &RegistryServer,
    scale: usize,
) -> anyhow::Result<Vec<String>> {
    let install = install::Install {
        countersign: signer.countersign,
        peers: Vec::new(),
        registry,
        directory: signer.directory,
        scale,
    };
    let issuer = signer.sigstore.issuer();
    let policy = ["--issuer", &issuer, "--identity", RELEASE_WORKFLOW];
    install.over_link(|image| signer.sign(RekorVersion::V1, image), &policy)
}

/// Verification beside cosign's, and of many images.
fn verification(
    signer: &Signer<'_>,
    registry: &RegistryServer,
    servers: &Servers,
    root: &Path,
) -> anyhow::Result<Measured> {
    println!(
        "This times `countersign verify` (as published) against `cosign verify` on one image of \
         two\nplatforms, signed once, in a registry on loopback: {RUNS} runs each, in turns.\n"
    );
    let cosign = cosign(root)?;
    let bench = Bench {
        signer,
        cosign: &cosign,
        registry,
    };
    let mut missed = Vec::new();
    for version in [RekorVersion::V1, RekorVersion::V2] {
        missed.extend(bench.compare(version)?);
    }
    let far = [
        &servers.registry_with_referrers()?,
        &servers.registry(RegistryOptions::default())?,
    ];
    missed.extend(many::run(&bench, far)?);
    Ok(missed.into())
}

/// Signs images by countersign, for one identity.
struct Signer<'a> {
    countersign: &'a Path,
    directory: &'a Path,
    sigstore: &'a Sigstore,
}

impl Signer<'_> {
    fn sign(&self, version: RekorVersion, image: &str) -> anyhow::Result<()> {
        let config = "signing_config.json";
        let text = self.sigstore.signing_config_json(version);
        fs::write(self.directory.join(config), text)?;
        Command::new(self.countersign)
            .args(["sign", "--trusted-root", "trusted_root.json"])
            .args([
                "--signing-config",
                config,
                "--identity-token",
                "@token",
                image,
            ])
            .directory(self.directory)
            .env("HOME", self.directory)
            .run()?
            .success()?;
        Ok(())
    }
}

struct Bench<'a> {
    signer: &'a Signer<'a>,
    cosign: &'a Path,
    registry: &'a RegistryServer,
}

impl Bench<'_> {
    /// Signs an image with one of the logs, compares, and says which targets were missed.
    fn compare(&self, version: RekorVersion) -> anyhow::Result<Vec<String>> {
        let (log, repository) = match version {
            RekorVersion::V1 => ("Rekor v1", "v1"),
            RekorVersion::V2 => ("Rekor v2 and a timestamp", "v2"),
        };
        let digest = push(self.registry, repository)?;
        let image = format!("{}/{repository}@{digest}", self.registry.host());
        self.signer.sign(version, &image)?;

        let [ours, theirs] = measure(
            [
                &self.countersign_verify(&image),
                &self.cosign_verify(&image),
            ],
            self.registry,
            RUNS,
        )?;
        println!("\nA signature with {log}:");
        println!("                 median     fastest   requests   resident    binary");
        print(&ours, "countersign");
        print(&theirs, "cosign");
        let ratio = theirs.median().as_secs_f64() / ours.median().as_secs_f64();
        println!("countersign is {ratio:.1} times as fast (medians)");

        let targets = [
            (
                ratio >= TIMES_FASTER,
                format!("{TIMES_FASTER} times as fast, found {ratio:.1}"),
            ),
            (
                ours.requests <= REQUESTS,
                format!("at most {REQUESTS} requests, found {}", ours.requests),
            ),
            (
                ours.resident_mib() < RESIDENT_MIB,
                format!(
                    "under {RESIDENT_MIB} MiB resident, found {:.1}",
                    ours.resident_mib()
                ),
            ),
            (
                ours.binary_mb() < BINARY_MB,
                format!(
                    "a binary under {BINARY_MB} MB, found {:.1}",
                    ours.binary_mb()
                ),
            ),
        ];
        let missed = not_met(targets).into_iter();
        Ok(missed
            .map(|target| format!("{log}: expected {target}"))
            .collect())
    }

    fn countersign_verify(&self, image: &str) -> Command {
        let issuer = self.issuer();
        self.verify(self.signer.countersign).args([
            "--issuer",
            &issuer,
            "--identity",
            RELEASE_WORKFLOW,
            image,
        ])
    }

    fn cosign_verify(&self, image: &str) -> Command {
        let issuer = self.issuer();
        self.verify(self.cosign)
            .args(["--certificate-oidc-issuer", &issuer])
            .args(["--certificate-identity", RELEASE_WORKFLOW, image])
    }

    fn verify(&self, program: &Path) -> Command {
        Command::new(program)
            .args(["verify", "--trusted-root", "trusted_root.json"])
            .directory(self.signer.directory)
            .env("HOME", self.signer.directory)
    }

    fn issuer(&self) -> String {
        self.signer.sigstore.issuer()
    }
}

fn push(registry: &RegistryServer, repository: &str) -> anyhow::Result<String> {
    let mut images = Vec::new();
    for platform in ["linux/amd64", "linux/arm64"] {
        let layer = Layer::builder().file("motd", platform, 0o644);
        let image = Image::builder(platform.parse()?).layer(layer.build(Compression::Gzip));
        images.push(image.build());
    }
    let index = ImageIndex::new(images);
    Ok(index.push(registry, repository, Some("v1")).to_string())
}

fn print(measurement: &Measurement, name: &str) {
    println!(
        "  {name:12} {:7.1} ms  {:7.1} ms {:10} {:6.1} MiB {:6.1} MB",
        measurement.median().as_secs_f64() * 1e3,
        measurement.fastest().as_secs_f64() * 1e3,
        measurement.requests,
        measurement.resident_mib(),
        measurement.binary_mb(),
    );
}
