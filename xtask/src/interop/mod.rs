//! Interoperability: the built program against software that nobody here wrote.
//!
//! Installs that software by pinned version under `target/interop/`, starts registries and a whole
//! Sigstore on loopback, has cosign sign what countersign must accept and countersign sign what
//! cosign and sigstore-python must accept, and ends everything again.

mod actors;
mod debian;
mod http;
mod image;
mod instance;
mod ledger;
mod registries;
mod scenarios;
mod server;
mod services;
mod tools;

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use countersign_sandbox::{RekorVersion, Sigstore};

pub(crate) use self::tools::cosign;

use self::actors::{Actors, Cosign, WORKFLOW};
use self::instance::{Instance, bare};
use self::ledger::Ledger;
use self::scenarios::World;
use self::services::Services;
use self::tools::Tools;
use crate::command::{Profile, build_countersign, workspace};

const INTRODUCTION: &str = "\
Countersign against the software of others
==========================================

This installs cosign, crane, oras, registries, sigstore-python and the services of Sigstore by pinned
version under target/interop (the first time takes some ten minutes), starts them on this machine's
loopback interface, and has each side verify what the other signed. Every command is shown before
it is run.
";

/// Where the image is in each registry before it is signed.
const ORIGINAL: &str = "original/app:v1";

/// Runs all of it and prints what it does. What cosign writes is kept in `record`, if that is given.
///
/// # Errors
/// When a case failed, or the software can't be installed or started.
pub(crate) fn run(record: Option<&Path>) -> anyhow::Result<()> {
    let started = Instant::now();
    println!("{INTRODUCTION}");
    println!("Building countersign …");
    let countersign = build_countersign(Profile::Debug)?;
    let root = workspace().join("target/interop");
    let tools = Tools::install(&root)?;
    let installed = started.elapsed();

    let directory = tempfile::Builder::new().prefix("run-").tempdir_in(&root)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    println!("Starting the sandbox, Fulcio, a CT log, rekor-tiles and the timestamp authority …");
    let sandbox = runtime.block_on(Sigstore::start())?;
    let services = Services::start(&tools, &bare(&sandbox.oidc_issuer()), directory.path())?;
    let v1 = Instance::sandbox(&sandbox, RekorVersion::V1, directory.path())?;
    let v2 = Instance::sandbox(&sandbox, RekorVersion::V2, directory.path())?;
    let actors = Actors {
        countersign: &countersign,
        tools: &tools,
        sandbox: &sandbox,
        directory: directory.path(),
    };
    seed(&actors, &services.instance)?;

    println!("Starting olareg and docker-registry, and pushing the image into both …");
    let registries = registries::start(&tools, directory.path())?;
    let mut image = None;
    for registry in &registries {
        let target = format!("{}/{ORIGINAL}", registry.host);
        image = Some(image::push(&tools, &root, &target)?);
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
    let mut ledger = Ledger::default();
    scenarios::cosign_signs(&world, &mut ledger);
    scenarios::countersign_signs(&world, &mut ledger);
    scenarios::refusals(&world, &mut ledger);

    let failures = ledger.failures();
    if !failures.is_empty() {
        println!("\nFailed:");
        for failure in failures {
            println!("  {failure}");
        }
        let kept = directory.keep();
        println!("The servers' logs are in {}", kept.display());
    }
    println!(
        "\nInstalling took {} s, the cases {} s.",
        installed.as_secs(),
        (started.elapsed() - installed).as_secs()
    );
    println!("{} passed, {} failed", ledger.passed(), failures.len());
    ensure!(failures.is_empty(), "{} cases failed", failures.len());
    Ok(())
}

/// Logs two entries. A log's very first lacks fields whose value is zero, which sigstore-python
/// does not take; a public log is past that.
fn seed(actors: &Actors, at: &Instance) -> anyhow::Result<()> {
    for number in 1..=2 {
        let blob = format!("seed-{number}");
        std::fs::write(actors.directory.join(&blob), &blob)?;
        let token = actors.token(WORKFLOW)?;
        let mut arguments = vec!["sign-blob", "--yes", "--identity-token", token];
        arguments.extend(["--signing-config", actors.path(&at.signing_config)?]);
        arguments.extend(["--trusted-root", actors.path(&at.trusted_root)?]);
        arguments.extend(["--bundle", "seed.json", &blob]);
        actors.cosign(Cosign::V3, &arguments)?;
    }
    Ok(())
}
