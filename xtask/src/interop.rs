//! Interoperability: the built program against software that nobody here wrote.
//!
//! Installs that software under `target/interop/`, starts registries and a whole Sigstore on loopback,
//! has cosign sign what countersign must accept and countersign sign what cosign and sigstore-python must
//! accept, and ends everything again.

mod actors;
mod bench;
mod containerd;
mod copies;
mod debian;
mod enforcers;
mod home;
mod http;
mod image;
mod indexes;
mod instance;
mod merges;
mod package_client;
mod proofs;
mod registries;
mod scenarios;
mod server;
mod services;
mod site;
mod skopeo;
mod tools;
mod trees;

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::identities::RELEASE_WORKFLOW;
use clap::ValueEnum as _;
use countersign_sandbox::RekorVersion;

pub(crate) use self::bench::{CopyServers, RealServers};
pub(crate) use self::containerd::Containerd;
pub(crate) use self::skopeo::installed_skopeo;
pub(crate) use self::tools::{
    cosign, installed_cosign, installed_crane, installed_oras, installed_umoci,
};

use self::actors::{Actors, Cosign};
use self::home::Home;
use self::instance::{Instance, bare};
use self::scenarios::World;
use self::services::Services;
use self::tools::Tools;
use crate::command::{Profile, build_countersign, workspace};
use crate::ledger::{self, Ledger};
use crate::servers::Servers;

const INTRODUCTION: &str = "\
Countersign against the software of others
==========================================

This installs cosign, crane, oras, registries, sigstore-python and the services of Sigstore under
target/interop (the first time takes some ten minutes): packages of Debian in their newest version, all else
in pinned versions. It starts them on this machine's loopback interface, and has each side verify what the other signed. Images by many builders are unpacked
by countersign, umoci, containerd and containers/storage, and their trees compared. Every command is
shown before it is run.
";

/// Where the image is in each registry before it is signed.
const ORIGINAL: &str = "original/app:v1";

/// What every part is given.
struct Setting<'a> {
    countersign: &'a Path,
    /// Where software is installed.
    root: &'a Path,
    /// Of this part alone.
    directory: &'a Path,
    /// Where to keep what cosign writes.
    record: Option<&'a Path>,
}

/// A part of the run, to be played without the others. They are played in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Indexes of every shape, selected as by skopeo and crane: the registries, skopeo and crane
    Indexes,
    /// Images merged into the registries, also in the legacy form, and by two processes at once: the
    /// registries, crane, cosign 2 and 3, sigstore-python and oras
    Merges,
    /// Signatures by a key, attestations, and an instance without logs: the registries, cosign 2 and 3, and oras
    Proofs,
    /// Images copied with all that refers to them, to and from registries, layouts, archives and kits: the registries,
    /// cosign 2 and 3, crane, oras and skopeo
    Copies,
    /// Images by many builders, unpacked to the same files as by umoci, containerd and
    /// containers/storage
    Trees,
    /// Policies in the formats of other programs, read by their own code, and images judged by policy-controller's
    Enforcers,
    /// A real containerd asks the image verifier before it pulls, by the transfer service and by CRI: needs root
    Containerd,
    /// Each side signs, and the other verifies: all of the software
    Signatures,
}

impl Part {
    /// As on the command line.
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn play(self, setting: &Setting, ledger: &mut Ledger) -> anyhow::Result<()> {
        match self {
            Self::Indexes => indexes::run(setting, ledger),
            Self::Merges => merges::run(setting, ledger),
            Self::Proofs => proofs::run(setting, ledger),
            Self::Copies => copies::run(setting, ledger),
            Self::Trees => trees::run(setting, ledger),
            Self::Enforcers => enforcers::run(setting, ledger),
            Self::Containerd => containerd::run(setting, ledger),
            Self::Signatures => signatures(setting, ledger),
        }
    }
}

/// Runs `parts`, or all of them if none is named, and prints what it does. What cosign writes is kept
/// in `record`, if that is given.
///
/// # Errors
/// When a case failed, none was played, or the software can't be installed or started.
pub(crate) fn run(parts: &[Part], record: Option<&Path>) -> anyhow::Result<()> {
    let started = Instant::now();
    println!("{INTRODUCTION}");
    println!("Building countersign …");
    let countersign = build_countersign(Profile::Debug)?;
    let root = workspace().join("target/interop");
    fs::create_dir_all(&root)?;
    let directory = tempfile::Builder::new().prefix("run-").tempdir_in(&root)?;

    let mut ledger = Ledger::default();
    for part in Part::value_variants() {
        if parts.is_empty() || parts.contains(part) {
            println!("\nPart {}", part.name());
            let directory = directory.path().join(part.name());
            fs::create_dir(&directory)?;
            let setting = Setting {
                countersign: &countersign,
                root: &root,
                directory: &directory,
                record,
            };
            part.play(&setting, &mut ledger)?;
        }
    }

    let failures = ledger.failures();
    if !failures.is_empty() {
        println!("\nFailed:");
        for failure in failures {
            println!("  {failure}");
        }
        let kept = directory.keep();
        println!("The servers' logs are in {}", kept.display());
    }
    println!("\nIt took {} s.", started.elapsed().as_secs());
    ledger.close()
}

/// cosign and countersign sign, and each verifies what the other signed.
fn signatures(setting: &Setting, ledger: &mut Ledger) -> anyhow::Result<()> {
    let &Setting {
        countersign,
        root,
        directory,
        record,
    } = setting;
    let tools = Tools::install(root)?;
    println!("Starting the sandbox, Fulcio, a CT log, rekor-tiles and the timestamp authority …");
    let Servers { sigstore, .. } = &Servers::start(2)?;
    let services = Services::start(&tools.services, &bare(&sigstore.oidc_issuer()), directory)?;
    let v1 = Instance::sandbox(sigstore, RekorVersion::V1, directory)?;
    let v2 = Instance::sandbox(sigstore, RekorVersion::V2, directory)?;
    let actors = Actors {
        countersign,
        tools: &tools,
        sandbox: sigstore,
        home: Home::new(directory, &tools.programs.crane),
    };
    seed(&actors, &services.instance)?;

    println!("Starting olareg and docker-registry, and pushing the image into both …");
    let registries = registries::start(&tools.programs, directory)?;
    let mut image = None;
    for registry in &registries {
        let target = format!("{}/{ORIGINAL}", registry.host);
        image = Some(image::push(&tools, root, &target)?);
    }
    let Some(image) = image else {
        return Ok(());
    };

    let world = World {
        actors,
        registries: &registries,
        instances: [&services.instance, &v1, &v2],
        image: &image,
        original: ORIGINAL,
        record,
    };
    scenarios::cosign_signs(&world, ledger);
    scenarios::countersign_signs(&world, ledger);
    scenarios::refusals(&world, ledger);
    Ok(())
}

/// Logs two entries. A log's very first lacks fields whose value is zero, which sigstore-python
/// does not take; a public log is past that.
fn seed(actors: &Actors, at: &Instance) -> anyhow::Result<()> {
    for number in 1..=2 {
        let blob = format!("seed-{number}");
        actors.home.write(&blob, &blob)?;
        let token = actors.home.token(actors.sandbox, RELEASE_WORKFLOW)?;
        let mut arguments = vec!["sign-blob", "--yes", "--identity-token", token];
        arguments.extend(["--signing-config", actors.home.path(&at.signing_config)?]);
        arguments.extend(["--trusted-root", actors.home.path(&at.trusted_root)?]);
        arguments.extend(["--bundle", "seed.json", &blob]);
        actors.cosign(Cosign::V3, &arguments)?;
    }
    Ok(())
}
