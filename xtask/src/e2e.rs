//! The end-to-end loop: runs the built program like a user.
//!
//! Signs, verifies and installs an image, then tries what must be refused: once with a registry
//! that has the referrers API, and once without. Registry and Sigstore are the sandbox's, in this
//! process. All connections are on loopback.

mod bad_input;
mod commands;
mod locked;
mod refusals;
mod scene;
mod works;

use std::fs;

use anyhow::{Context as _, ensure};
use countersign_sandbox::RekorVersion;

use self::scene::{Scene, StepCount};
use crate::command::{self, Profile, build_countersign};
use crate::servers::Servers;

const INTRODUCTION: &str = "\
Countersign, end to end
=======================

This builds the `countersign` program and uses it as you would: an image is signed, verified and
installed, and then everything is tried that must not work. The container registry and the
Sigstore services (certificate authority, transparency log, timestamp authority) that it needs run
inside this task, on this machine only. Every command is shown before it is run, with its output
indented below it; exit codes have one meaning each (`countersign --help` lists them).
";

/// A registry, the log in which its images' signatures are recorded, and what is played there.
struct Part {
    title: &'static str,
    referrers_api: bool,
    rekor: RekorVersion,
    acts: &'static [fn(&mut Scene) -> anyhow::Result<()>],
}

const PARTS: [Part; 3] = [
    Part {
        title: "a registry with the referrers API: it lists an image's signatures itself",
        referrers_api: true,
        rekor: RekorVersion::V2,
        acts: &[works::play, locked::play, refusals::play],
    },
    Part {
        title: "a registry without the referrers API, as GHCR is: signatures are listed under a tag",
        referrers_api: false,
        rekor: RekorVersion::V1,
        acts: &[works::play, refusals::play],
    },
    Part {
        title: "bad input: one clear error, and nothing left behind",
        referrers_api: true,
        rekor: RekorVersion::V2,
        acts: &[bad_input::play],
    },
];

/// Runs the loop and prints what it does.
///
/// # Errors
/// When a step failed, or the scene can't be started.
pub(crate) fn run() -> anyhow::Result<()> {
    println!("{INTRODUCTION}");
    println!("Building countersign …");
    let program = build_countersign(Profile::Debug)?;
    let scratch = command::workspace().join("target/e2e");
    fs::create_dir_all(&scratch)?;
    let directory = tempfile::Builder::new()
        .prefix("run-")
        .tempdir_in(&scratch)
        .with_context(|| format!("no directory in {}", scratch.display()))?;
    let servers = Servers::start(2)?;

    let mut ledger = StepCount::default();
    for (number, part) in (1..).zip(&PARTS) {
        println!("\nPart {number}: {}", part.title);
        let directory = directory.path().join(format!("part-{number}"));
        fs::create_dir(&directory)?;
        let mut scene = Scene::start(&program, directory, &servers, part, &mut ledger)?;
        for act in part.acts {
            act(&mut scene)?;
        }
    }

    if ledger.failed > 0 {
        let kept = directory.keep();
        println!("\nWhat was written and installed is in {}.", kept.display());
    }
    println!("\n{} passed, {} failed", ledger.passed, ledger.failed);
    ensure!(
        ledger.failed == 0,
        "not everything went as it should; see above"
    );
    Ok(())
}
