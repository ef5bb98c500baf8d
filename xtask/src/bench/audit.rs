//! An audit of the largest gallery that there is: the images of LocalAI's, laid out as small ones in every state that a
//! roll-out meets. Its counts must be exact, also when it is killed and goes on. Then what it costs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use countersign_sandbox::{RollOut, Scene, Standing};
use serde_json::Value;

use super::gallery::NO_INDEX;
use super::measure::measure;
use super::measured::{Measured, not_met};
use super::shards::{self, Published};
use crate::command::Command;

const SIGNER: &str =
    "https://github.com/mudler/LocalAI/.github/workflows/backend.yml@refs/heads/master";
const STRANGER: &str =
    "https://github.com/stranger/LocalAI/.github/workflows/backend.yml@refs/heads/master";
/// How often the audit is timed.
const RUNS: usize = 5;
/// How long a run may take to keep its first verdicts.
const RUN_TIME_MAX: Duration = Duration::from_secs(30);

/// What is aimed at.
const SECONDS: f64 = 2.0;
const RESIDENT_MIB: f64 = 40.0;

/// Audits, and says which targets were missed.
///
/// # Errors
/// When the program can't be run, or its counts are wrong.
pub(super) fn run(
    countersign: &Path,
    index: Option<&Path>,
    directory: &Path,
) -> anyhow::Result<Measured> {
    let Some(index) = index else {
        return Ok(Measured::skipped(format!("the audit, because {NO_INDEX}")));
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let scene = runtime.block_on(Scene::start())?;
    let host = scene.registry.host();
    let index = fs::read_to_string(index)?.replace("quay.io/", &format!("{host}/"));
    fs::write(directory.join("audited.yaml"), index)?;
    let verification = scene.verification(SIGNER);
    let verification = verification.replace('}', ", not_before: '2025-01-01T00:00:00Z'}");
    fs::write(
        directory.join("audit.yaml"),
        format!("[{{name: localai, url: 'file:audited.yaml', verification: {verification}}}]"),
    )?;
    fs::write(
        directory.join("audit_root.json"),
        scene.sigstore.trusted_root_json(),
    )?;
    let audit = Command::new(countersign)
        .args(["audit", "--gallery=audit.yaml", "--fail-on=none"])
        .args(["--trusted-root=audit_root.json", "--output=json"])
        .directory(directory)
        .env("HOME", directory);
    let audited = |command: &Command| -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&command.run()?.success()?.stdout)?)
    };
    // What is listed is what is missing before anything is published.
    let expected = publish(&scene, &audited(&audit)?)?;
    let found = audited(&audit)?;
    ensure!(
        counts(&found) == expected,
        "the counts are wrong: expected {expected:?}, found {:?}",
        counts(&found)
    );
    let resumed = killed_and_resumed(&audit, directory)?;
    ensure!(
        resumed == found,
        "an audit that was killed and went on has another report: {}",
        difference(&found, &resumed)
    );
    let [measured] = measure([&audit], &scene.registry, RUNS)?;
    let (seconds, resident) = (measured.median().as_secs_f64(), measured.resident_mib());
    let images: u64 = expected.values().sum();
    println!("\nAn audit of {images} images of a gallery, with exact counts:");
    for (state, count) in &expected {
        println!("  {state:18} {count:4}");
    }
    println!(
        "  {seconds:.2} s, {} requests, {resident:.1} MiB; killed and resumed, the report is the same",
        measured.requests
    );
    let targets = [
        (
            seconds <= SECONDS,
            format!("an audit: expected at most {SECONDS} s, found {seconds:.2} s"),
        ),
        (
            resident <= RESIDENT_MIB,
            format!("an audit: expected at most {RESIDENT_MIB} MiB, found {resident:.1} MiB"),
        ),
    ];
    let mut missed = not_met(targets);
    write_policy(directory, &verification)?;
    missed.extend(shards::run(&Published {
        countersign,
        directory,
        references: &references(&found),
    })?);
    Ok(missed.into())
}

fn write_policy(directory: &Path, verification: &str) -> anyhow::Result<()> {
    let policy = format!("verification: {verification}\n");
    Ok(fs::write(directory.join("policy.yaml"), policy)?)
}

/// What was audited.
fn references(found: &Value) -> Vec<String> {
    let results = found.get("results").and_then(Value::as_array);
    let references = results.into_iter().flatten().filter_map(|result| {
        let reference = result.get("reference")?.as_str()?;
        Some(reference.to_owned())
    });
    references.collect()
}

/// Publishes every image of the gallery in some state, half of them signed as they should be. Returns the counts.
fn publish(scene: &Scene, listed: &Value) -> anyhow::Result<BTreeMap<String, u64>> {
    let roll_out = RollOut {
        signer: SIGNER.into(),
        stranger: STRANGER.into(),
        signed_at: "2025-06-01T00:00:00Z".parse()?,
        too_early: "2024-06-01T00:00:00Z".parse()?,
    };
    let platform = "linux/amd64".parse()?;
    let mut published: BTreeMap<String, Standing> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    let results = listed
        .get("results")
        .and_then(Value::as_array)
        .context("no results")?;
    for (position, result) in results.iter().enumerate() {
        let reference = result
            .get("reference")
            .and_then(Value::as_str)
            .context("no reference")?;
        let standing = match published.get(reference) {
            Some(standing) => *standing,
            None => {
                let standing = Standing::ALL
                    .get(position % (2 * Standing::ALL.len()))
                    .copied()
                    .unwrap_or(Standing::Proven);
                let name = reference.strip_prefix(&format!("{}/", scene.registry.host()));
                let name = name.with_context(|| format!("{reference} is elsewhere"))?;
                let (path, tag) = name.split_once(':').unwrap_or((name, "latest"));
                roll_out.publish(scene, path, tag, &platform, standing)?;
                published.insert(reference.to_owned(), standing);
                standing
            }
        };
        *counts.entry(state(standing).to_owned()).or_default() += 1;
    }
    Ok(counts)
}

/// The state that an audit finds for an image that was published like this.
fn state(standing: Standing) -> &'static str {
    match standing {
        Standing::Proven => "proven",
        Standing::Stale => "stale",
        Standing::OtherSigner => "other_signer",
        Standing::LegacyOnly => "legacy_only",
        Standing::AttestationOnly => "attestation_only",
        Standing::Unsigned => "unsigned",
        Standing::Invalid => "invalid",
        Standing::Missing => "missing",
        Standing::Forbidden => "rejected",
    }
}

/// The first result that differs, in both reports.
fn difference(first: &Value, second: &Value) -> String {
    let results = |document: &Value| document.get("results").and_then(Value::as_array).cloned();
    let (first, second) = (results(first), results(second));
    let pairs = first.iter().flatten().zip(second.iter().flatten());
    let mut differ = pairs.filter(|(one, other)| one != other);
    let pair = differ.next();
    pair.map_or_else(
        || "the summary".to_owned(),
        |(one, other)| format!("{one} became {other}"),
    )
}

fn counts(document: &Value) -> BTreeMap<String, u64> {
    let states = document
        .pointer("/summary/states")
        .and_then(Value::as_array);
    let counts = states.into_iter().flatten().filter_map(|one| {
        let state = one.get("state")?.as_str()?.to_owned();
        Some((state, one.get("images")?.as_u64()?))
    });
    counts.collect()
}

/// The report of an audit that is killed in the middle, and goes on.
fn killed_and_resumed(audit: &Command, directory: &Path) -> anyhow::Result<Value> {
    let state = directory.join("audit.state");
    let audit = audit.clone().args(["--state", "audit.state"]);
    let killed = audit.clone().limit(RUN_TIME_MAX);
    let mut running = killed.spawn(Stdio::null(), Stdio::null())?;
    while fs::metadata(&state).map_or(0, |state| state.len()) < 40_000 {
        ensure!(
            !running.has_ended()?,
            "the audit ended before it could be killed"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(running);
    Ok(serde_json::from_str(&audit.run()?.success()?.stdout)?)
}
