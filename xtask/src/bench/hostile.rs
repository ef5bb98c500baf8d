//! What a hostile registry can cost: bundles of 1 MiB in which one thing is there a thousandfold.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::ensure;
use countersign_oci::Descriptor;
use countersign_sandbox::image::{Compression, Image, Layer};
use countersign_sandbox::{
    BundleSpec, HostileBundle, RegistryServer, RekorVersion, Sigstore, Statement, hostile_bundles,
};

use super::measure::median;
use crate::command::Command;
use crate::exit_code::{INVALID, REFUSED_BY_POLICY, UNSIGNED};

/// Nobody whom the policy names.
const STRANGER: &str = "stranger@example.org";
const RUNS: usize = 5;
/// As many referrers as are looked at.
const REFERRERS: usize = 64;
/// Of the whole program, from its start, with one such bundle and with as many as are looked at.
const ONE: Duration = Duration::from_millis(100);
const ALL: Duration = Duration::from_secs(2);
/// Exit codes of a refusal.
const REFUSED: [i32; 3] = [UNSIGNED, REFUSED_BY_POLICY, INVALID];

/// Times the refusal of every hostile bundle, alone and 64 times over, and says which were too slow.
///
/// # Errors
/// When the program can't be run, or doesn't refuse.
pub(super) fn run(
    countersign: &Path,
    sigstore: &Sigstore,
    registry: &RegistryServer,
    directory: &Path,
) -> anyhow::Result<Vec<String>> {
    fs::write(
        directory.join("trusted_root.json"),
        sigstore.trusted_root_json(),
    )?;
    println!("\nHostile bundles of 1 MiB:");
    println!("       one        {REFERRERS}");
    let mut missed = Vec::new();
    let image = image("hostile")?;
    let spec = BundleSpec::new(Statement::of(image.digest()), STRANGER).rekor(RekorVersion::V2);
    for (number, hostile) in hostile_bundles(&sigstore.issue(&spec)?).iter().enumerate() {
        let refused = |count| {
            let repository = format!("hostile{number}x{count}");
            push(registry, &repository, &image, hostile, count);
            let image = format!("{}/{repository}@{}", registry.host(), image.digest());
            refusal(&verify(countersign, directory, &image))
        };
        let (one, all) = (refused(1)?, refused(REFERRERS)?);
        println!(
            "  {:6.1} ms {:7.1} ms  {}",
            one.as_secs_f64() * 1e3,
            all.as_secs_f64() * 1e3,
            hostile.name
        );
        for (limit, found, count) in [(ONE, one, 1), (ALL, all, REFERRERS)] {
            if found > limit {
                missed.push(format!(
                    "{}, {count} times: expected at most {limit:?}, found {found:?}",
                    hostile.name
                ));
            }
        }
    }
    Ok(missed)
}

fn image(content: &str) -> anyhow::Result<Image> {
    let layer = Layer::builder().file("motd", content, 0o644);
    let image = Image::builder("linux/amd64".parse()?);
    Ok(image.layer(layer.build(Compression::Gzip)).build())
}

/// Pushes the image, and so many referrers that hold the bundle, no two of them alike.
fn push(
    registry: &RegistryServer,
    repository: &str,
    image: &Image,
    hostile: &HostileBundle,
    count: usize,
) {
    image.push(registry, repository, None);
    for number in 0..count {
        let bundle = format!("{}{}", hostile.bundle, " ".repeat(number));
        let subject: Descriptor = image.descriptor();
        Image::signature(subject, bundle).push(registry, repository, None);
    }
}

fn verify(countersign: &Path, directory: &Path, image: &str) -> Command {
    Command::new(countersign)
        .args(["verify", "--trusted-root", "trusted_root.json"])
        .args(["--issuer", "https://issuer.example"])
        .args(["--identity", "somebody@example.org", image])
        .directory(directory)
        .env("HOME", directory)
}

/// The median time that the program takes to refuse.
fn refusal(program: &Command) -> anyhow::Result<Duration> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = Instant::now();
        let status = program.spawn(Stdio::null(), Stdio::null())?.wait()?;
        times.push(started.elapsed());
        ensure!(
            status.code().is_some_and(|code| REFUSED.contains(&code)),
            "expected `{}` to refuse, found {status}",
            program.line()
        );
    }
    times.sort_unstable();
    Ok(median(&times))
}
