//! `countersign copy` of images from registry to registry, beside `skopeo copy --all` and `oras copy --recursive`.
//! It proves each image at both ends. All images by one command have to be as fast as the faster of the two. One after the
//! other they are slower where a registry has no referrers API: a list that others may write to is read again after a pause.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use countersign_sandbox::RekorVersion;
use serde_json::Value;

use super::Signer;
use super::measured::Measured;
use crate::command::Command;
use crate::identities::RELEASE_WORKFLOW;
use crate::interop::CopyServers;

const IMAGES: usize = 20;
/// Of one image at full size, in bytes.
const SIZE: u64 = 100_000_000;

/// The programs that copy, where an earlier run of the interoperability tests installed them.
pub(super) struct Peers {
    pub(super) skopeo: Option<Command>,
    pub(super) oras: Option<PathBuf>,
}

/// Copies, and says which targets were missed.
///
/// # Errors
/// When a program can't be run, or fails.
pub(super) fn run(
    signer: &Signer<'_>,
    peers: &Peers,
    root: &Path,
    scale: usize,
) -> anyhow::Result<Measured> {
    let (Some(skopeo), Some(oras)) = (&peers.skopeo, &peers.oras) else {
        return Ok(Measured::skipped(
            "copies, because `cargo xtask interop copies` has not installed skopeo and oras here",
        ));
    };
    let Some(servers) = CopyServers::start(root, signer.directory)? else {
        return Ok(Measured::skipped(
            "copies, because docker-registry is not installed here",
        ));
    };
    let [source, ours, theirs, others, mirror] = servers.hosts();
    let bench = Bench { signer, oras };
    let size = SIZE * scale as u64 / 100;
    for number in 0..IMAGES {
        bench.publish(&format!("{source}/app:v{number}"), size)?;
    }
    let issuer = signer.sigstore.issuer();
    let mut times = [Duration::ZERO; 3];
    for number in 0..IMAGES {
        let image = format!("{source}/app:v{number}");
        let target = |host: &str| format!("{host}/app:v{number}");
        let countersign = Command::new(signer.countersign)
            .args(["copy", "--trusted-root", "trusted_root.json"])
            .args(["--issuer", &issuer, "--identity", RELEASE_WORKFLOW])
            .args([&image, &target(ours)]);
        let skopeo = skopeo
            .clone()
            .args(["--insecure-policy", "copy", "--all", "--quiet"])
            .args(["--preserve-digests", "--src-tls-verify=false"])
            .args(["--dest-tls-verify=false", &format!("docker://{image}")])
            .args([format!("docker://{}", target(theirs))]);
        let oras = Command::new(oras)
            .args(["copy", "--recursive", "--no-tty"])
            .args(["--from-plain-http", "--to-plain-http"])
            .args(["--from-distribution-spec", "v1.1-referrers-tag"])
            .args(["--to-distribution-spec", "v1.1-referrers-tag"])
            .args([&image, &target(others)]);
        for (command, time) in [countersign, skopeo, oras].into_iter().zip(&mut times) {
            *time += bench.time(command)?;
        }
    }
    let together = bench.mirror(source, mirror, &issuer)?;
    let times = times.map(|time| time.as_secs_f64());
    Ok(report(times, together.as_secs_f64(), size).into())
}

fn report([ours, skopeo, oras]: [f64; 3], together: f64, size: u64) -> Vec<String> {
    let megabytes = size as f64 / 1e6;
    println!(
        "\n{IMAGES} images of {megabytes:.0} MB from one docker-registry to another, one after the other:"
    );
    for (name, time) in [
        ("countersign", ours),
        ("skopeo", skopeo),
        ("oras", oras),
        ("countersign copy --gallery, all of them", together),
    ] {
        let speed = megabytes * IMAGES as f64 / time;
        println!("  {time:6.2} s {speed:6.0} MB/s  {name}");
    }
    let fastest = skopeo.min(oras);
    let missed = format!("copies: expected at most {fastest:.2} s, found {together:.2} s");
    if together <= fastest {
        return Vec::new();
    }
    vec![missed]
}

struct Bench<'a> {
    signer: &'a Signer<'a>,
    oras: &'a Path,
}

impl Bench<'_> {
    /// Pushes an image of one layer that nothing can make smaller, and signs it.
    fn publish(&self, image: &str, size: u64) -> anyhow::Result<()> {
        let layer = self.signer.directory.join("layer");
        let mut random = File::open("/dev/urandom")?.take(size);
        io::copy(&mut random, &mut File::create(&layer)?)?;
        fs::write(
            self.signer.directory.join("config"),
            r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#,
        )?;
        let push = Command::new(self.oras)
            .args(["push", "--plain-http", "--format", "json", "--no-tty"])
            .args([
                "--config",
                "config:application/vnd.oci.image.config.v1+json",
            ])
            .args([image, "layer:application/vnd.oci.image.layer.v1.tar+gzip"]);
        let pushed = self.here(push).run()?.success()?;
        let pushed: Value = serde_json::from_str(&pushed.stdout)?;
        let digest = pushed.get("digest").and_then(Value::as_str);
        let digest = digest.context("oras names no digest")?;
        let (name, _) = image.rsplit_once(':').context("no tag")?;
        self.signer
            .sign(RekorVersion::V1, &format!("{name}@{digest}"))
    }

    /// All images by one command, as a mirror is made.
    fn mirror(&self, source: &str, to: &str, issuer: &str) -> anyhow::Result<Duration> {
        let mut index = String::new();
        for number in 0..IMAGES {
            writeln!(
                index,
                "- {{name: app-{number}, uri: 'oci://{source}/app:v{number}'}}"
            )?;
        }
        fs::write(self.signer.directory.join("index.yaml"), index)?;
        let galleries = format!(
            "[{{name: bench, url: 'file:index.yaml', verification: {{issuer: '{issuer}', identity: '{RELEASE_WORKFLOW}'}}}}]"
        );
        fs::write(self.signer.directory.join("copied.yaml"), galleries)?;
        let copy = Command::new(self.signer.countersign)
            .args(["copy", "--gallery", "copied.yaml"])
            .args(["--trusted-root", "trusted_root.json", "--quiet"])
            .args(["--to", &format!("{to}/mirror")]);
        self.time(copy)
    }

    fn time(&self, command: Command) -> anyhow::Result<Duration> {
        let command = self.here(command);
        let started = Instant::now();
        let status = command.spawn(Stdio::null(), Stdio::inherit())?.wait()?;
        let time = started.elapsed();
        ensure!(status.success(), "`{}` failed", command.line());
        Ok(time)
    }

    fn here(&self, command: Command) -> Command {
        let directory = self.signer.directory;
        command.directory(directory).env("HOME", directory)
    }
}
