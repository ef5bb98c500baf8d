//! `countersign verify` of many images in one run, beside cosign in a loop; what a run of a thousand keeps in
//! memory; what a cached signature costs; and how many round trips a tag takes over a slow link.
//!
//! The slow link is the sandbox's registry, which answers late. It is reached as a proxy is, under the name of a
//! registry elsewhere: what is on this machine is not far away.

use std::time::{Duration, Instant};

use countersign_sandbox::{Effect, Fault, RegistryServer, RekorVersion};

use super::measure::{measure, median, resident};
use super::measured::not_met;
use super::{Bench, push};
use crate::command::Command;
use crate::identities::RELEASE_WORKFLOW;

/// How many images are verified in one run.
const IMAGES: usize = 20;
/// How many references the large run has. Each image is named again and again.
const REFERENCES: usize = 1_000;
/// How often cosign's loop is timed.
const LOOPS: usize = 3;
/// How late the registry at the end of the slow link answers.
const DELAY: Duration = Duration::from_millis(50);
const MIB: f64 = 1024.0 * 1024.0;

/// What is aimed at.
const MILLISECONDS: f64 = 40.0;
const GROWTH_MIB: f64 = 4.0;
const CACHED_MILLISECONDS: f64 = 15.0;
const ROUND_TRIPS: f64 = 4.0;

/// Measures, and says which targets were missed. `far` are registries for the slow link: with the referrers API,
/// and without.
///
/// # Errors
/// When a program can't be run, or fails.
pub(super) fn run(bench: &Bench<'_>, far: [&RegistryServer; 2]) -> anyhow::Result<Vec<String>> {
    let mut images = Vec::new();
    for number in 0..IMAGES {
        let repository = format!("many/{number}");
        let digest = push(bench.registry, &repository)?;
        let image = format!("{}/{repository}@{digest}", bench.registry.host());
        bench.signer.sign(RekorVersion::V1, &image)?;
        images.push(image);
    }
    let mut missed = several(bench, &images)?;
    missed.extend(cached(bench, &images)?);
    for (registry, name) in far.into_iter().zip(["with", "without"]) {
        missed.extend(late(bench, registry, name)?);
    }
    Ok(missed)
}

/// Images in one run, and cosign's runs one after the other; then the memory of the large run.
fn several(bench: &Bench<'_>, images: &[String]) -> anyhow::Result<Vec<String>> {
    let issuer = bench.issuer();
    let policy = ["--issuer", &issuer, "--identity", RELEASE_WORKFLOW];
    let base = bench.verify(bench.signer.countersign).args(policy);
    let few = base.clone().args(images.iter().map(String::as_str));
    let [ours] = measure([&few], bench.registry, super::RUNS)?;
    let mut loops = Vec::new();
    for _ in 0..LOOPS {
        let started = Instant::now();
        for image in images {
            bench.cosign_verify(image).run()?.success()?;
        }
        loops.push(started.elapsed());
    }
    loops.sort_unstable();
    let again = images.iter().cycle().take(REFERENCES);
    let many = base.args(again.map(String::as_str));
    let [large] = measure([&many], bench.registry, 1)?;
    let kept = resident(&many)? as f64 / MIB;
    let found = ours.median().as_secs_f64() * 1e3;
    println!("\n{IMAGES} images in one run, and cosign in a loop:");
    super::print(&ours, "countersign");
    println!(
        "  cosign       {:7.1} ms",
        median(&loops).as_secs_f64() * 1e3
    );
    println!("{REFERENCES} references in one run:");
    super::print(&large, "countersign");
    let growth = kept - ours.resident_mib();
    let targets = [
        (
            found <= MILLISECONDS,
            format!("{IMAGES} images: expected at most {MILLISECONDS} ms, found {found:.1} ms"),
        ),
        (
            growth <= GROWTH_MIB,
            format!(
                "{REFERENCES} references: expected at most {GROWTH_MIB} MiB more than {IMAGES} take, found \
                 {growth:.1} MiB"
            ),
        ),
    ];
    Ok(not_met(targets))
}

/// One image by digest, with its signature in the cache.
fn cached(bench: &Bench<'_>, images: &[String]) -> anyhow::Result<Vec<String>> {
    let Some(image) = images.first() else {
        return Ok(Vec::new());
    };
    let verify = bench.countersign_verify(image).args(["--cache", "1h"]);
    let [ours] = measure([&verify], bench.registry, super::RUNS)?;
    println!("\nAn image by digest, with --cache:");
    super::print(&ours, "countersign");
    let found = ours.median().as_secs_f64() * 1e3;
    let targets = [
        (
            found <= CACHED_MILLISECONDS,
            format!("cached: expected at most {CACHED_MILLISECONDS} ms, found {found:.1} ms"),
        ),
        (
            ours.requests == 0,
            format!("cached: expected no request, found {}", ours.requests),
        ),
    ];
    Ok(not_met(targets))
}

/// A tag in a registry that answers late.
fn late(bench: &Bench<'_>, registry: &RegistryServer, name: &str) -> anyhow::Result<Vec<String>> {
    let repository = "far/app";
    let digest = push(registry, repository)?;
    let near = format!("{}/{repository}@{digest}", registry.host());
    bench.signer.sign(RekorVersion::V1, &near)?;
    registry.add_fault(Fault::on("* *", Effect::Delay(DELAY)));
    let image = format!("registry.example/{repository}:v1");
    let by_link = |command: Command| {
        let proxy = registry.origin();
        command.env("HTTPS_PROXY", &proxy).env("HTTP_PROXY", &proxy)
    };
    let ours = by_link(bench.countersign_verify(&image).args(["--plain-http"]));
    let theirs = by_link(bench.cosign_verify(&image).args(["--allow-http-registry"]));
    let measured = measure([&ours, &theirs], registry, LOOPS);
    registry.clear_faults();
    let [ours, theirs] = measured?;
    let trips = |time: Duration| time.as_secs_f64() / DELAY.as_secs_f64();
    let (found, cosign) = (trips(ours.median()), trips(theirs.median()));
    println!(
        "\nA tag over a link of {} ms, {name} the referrers API:",
        DELAY.as_millis()
    );
    super::print(&ours, "countersign");
    super::print(&theirs, "cosign");
    println!("round trips in a row: {found:.1}, and {cosign:.1} by cosign");
    let missed = format!(
        "a link, {name} the referrers API: expected at most {ROUND_TRIPS} round trips in a row, found {found:.1}"
    );
    // What is less than one more is the program itself.
    Ok(not_met([(found < ROUND_TRIPS + 1.0, missed)]))
}
