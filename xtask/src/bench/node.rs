//! What the image verifier costs a node: time, requests and memory of a verdict, first and from a kept signature.

use std::fs;
use std::path::Path;

use countersign_sandbox::{RegistryServer, RekorVersion};

use super::measure::{measure, resident_as};
use super::measured::not_met;
use super::{Signer, push};
use crate::command::Command;
use crate::identities::RELEASE_WORKFLOW;

/// What is aimed at.
const CACHED_MILLISECONDS: f64 = 15.0;
const REQUESTS: usize = 4;
const RESIDENT_MIB: f64 = 20.0;

/// Measures, and says which targets were missed.
///
/// # Errors
/// When the program can't be run, or refuses the image.
pub(super) fn run(signer: &Signer<'_>, registry: &RegistryServer) -> anyhow::Result<Vec<String>> {
    let digest = push(registry, "node/app")?;
    let image = format!("{}/node/app@{digest}", registry.host());
    signer.sign(RekorVersion::V1, &image)?;
    fs::write(
        signer.directory.join("descriptor.json"),
        format!("{{\"digest\":\"{digest}\"}}"),
    )?;
    let verdict = |name: &str, cache_age: &str| -> anyhow::Result<Command> {
        let file = signer.directory.join(name);
        let issuer = signer.sigstore.issuer();
        let configuration = format!(
            "trusted_root: trusted_root.json\nstate_directory: state\nlog_file: decisions.log\ncache_age: {cache_age}\n\
             rules:\n- images: ['**']\n  verification: {{issuer: '{issuer}', identity: '{RELEASE_WORKFLOW}'}}\n"
        );
        fs::write(&file, configuration)?;
        // containerd gives the descriptor on standard input.
        let script = "exec \"$0\" image-verifier -name \"$1\" -digest \"$2\" -stdin-media-type \
                      application/vnd.oci.descriptor.v1+json < descriptor.json";
        let command = Command::new(Path::new("/bin/sh"))
            .args([
                "-c".as_ref(),
                script.as_ref(),
                signer.countersign.as_os_str(),
            ])
            .args([image.as_str(), &digest.to_string()])
            .env("COUNTERSIGN_IMAGE_VERIFIER_CONFIG", &file)
            .directory(signer.directory);
        Ok(command)
    };
    let (first, kept) = (verdict("asks.yaml", "none")?, verdict("keeps.yaml", "24h")?);
    let resident =
        resident_as(&first, signer.countersign)?.max(resident_as(&kept, signer.countersign)?);
    let resident = resident as f64 / (1024.0 * 1024.0);
    let [first, kept] = measure([&first, &kept], registry, super::RUNS)?;
    println!("\nA verdict of the image verifier, and one from a kept signature:");
    for (name, measured) in [("asks", &first), ("kept", &kept)] {
        let [median, fastest] =
            [measured.median(), measured.fastest()].map(|time| time.as_secs_f64() * 1e3);
        println!(
            "  {name:12} {median:7.1} ms  {fastest:7.1} ms {:10}",
            measured.requests
        );
    }
    println!("  at most {resident:.1} MiB");
    let milliseconds = kept.median().as_secs_f64() * 1e3;
    let targets = [
        (
            milliseconds <= CACHED_MILLISECONDS,
            format!(
                "a kept verdict: expected at most {CACHED_MILLISECONDS} ms, found {milliseconds:.1} ms"
            ),
        ),
        (
            first.requests <= REQUESTS && kept.requests == 0,
            format!(
                "a verdict: expected at most {REQUESTS} requests, and none if it is kept, found {} and {}",
                first.requests, kept.requests
            ),
        ),
        (
            resident <= RESIDENT_MIB,
            format!("a verdict: expected at most {RESIDENT_MIB} MiB, found {resident:.1} MiB"),
        ),
    ];
    Ok(not_met(targets))
}
