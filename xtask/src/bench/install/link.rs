//! An installation over a slow link, beside the transfer of the same layers alone. What is measured is the time that
//! unpacking adds after the last byte.
//!
//! The registry and the program are in a network namespace of their own, whose loopback device lets through so many
//! bits a second (`tc`, a token bucket). The registry's answers are late by a round trip.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use countersign_oci::Descriptor;
use countersign_sandbox::{Effect, Fault};

use super::images::SHAPES;
use super::{Install, RUNS, in_memory, medians, usage};
use crate::bench::measured::{Measured, not_met};
use crate::command::Command;

const MEGABITS: u32 = 100;
const ROUND_TRIP: Duration = Duration::from_millis(50);
/// What is aimed at, as a multiple of the transfer alone.
const TARGET: f64 = 1.1;
/// The images: four large layers, and twenty.
const IMAGES: [&str; 2] = ["install/gzip", "install/many"];

/// Runs this part again behind the link. Returns the targets that were missed.
///
/// # Errors
/// When it can't be run, or fails.
pub(in crate::bench) fn behind_link(program: &Path, scale: usize) -> anyhow::Result<Measured> {
    let shape = format!(
        "ip link set lo up && tc qdisc add dev lo root tbf rate {MEGABITS}mbit burst 128kb latency 100ms"
    );
    let possible = std::process::Command::new("unshare")
        .args(["--net", "sh", "-c", &shape])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        return Ok(Measured::skipped(
            "the link, which needs root, `unshare`, `ip` and `tc` with its token bucket",
        ));
    }
    let status = std::process::Command::new("unshare")
        .args(["--net", "sh", "-c"])
        .arg(format!("{shape} && exec \"$0\" \"$@\""))
        .arg(std::env::current_exe()?)
        .args(["bench", "link", "--behind-link", "--scale"])
        .args([&scale.to_string(), "--program"])
        .arg(program)
        .status()
        .context("unshare can't be run")?;
    Ok(not_met([(status.success(), "a link: see above".to_owned())]).into())
}

impl Install<'_> {
    /// Times each image, which `sign` signs, behind the link. Returns which targets were missed.
    ///
    /// # Errors
    /// When a program can't be run, or fails.
    pub(in crate::bench) fn over_link(
        &self,
        sign: impl Fn(&str) -> anyhow::Result<()>,
        policy: &[&str],
    ) -> anyhow::Result<Vec<String>> {
        println!(
            "\nOver a link of {MEGABITS} Mbit/s, with answers {} ms late, {} % of the full size, medians of {RUNS} runs:",
            ROUND_TRIP.as_millis(),
            self.scale
        );
        let mut missed = Vec::new();
        for shape in SHAPES
            .iter()
            .filter(|shape| IMAGES.contains(&shape.repository))
        {
            let made = shape.image(self.scale)?;
            let digest = made.image.push(self.registry, shape.repository, None);
            let host = self.registry.host();
            let reference = format!("{host}/{}@{digest}", shape.repository);
            sign(&reference)?;
            let directory = tempfile::tempdir_in(in_memory().unwrap_or(self.directory))?;
            let target = directory.path().join("app");
            let command = self.program().args(policy).args([&reference]);
            let command = command.args([&target]).limit(Duration::from_secs(300));
            let layers = made.image.manifest().layers.iter();
            let url = |layer: &Descriptor| {
                format!(
                    "http://{host}/v2/{}/blobs/{}",
                    shape.repository, layer.digest
                )
            };
            let blobs: Vec<_> = layers.map(url).collect();
            self.registry
                .add_fault(Fault::on("* *", Effect::Delay(ROUND_TRIP)));
            let (mut installed, mut fetched) = (Vec::new(), Vec::new());
            for _ in 0..RUNS {
                fetched.push(transfer(&blobs)?);
                installed.push(usage(&command)?);
                fs::remove_dir_all(&target)?;
            }
            self.registry.clear_faults();
            fetched.sort_unstable();
            let transfer = super::median(&fetched).as_secs_f64();
            let whole = medians(&installed, |usage| usage.time);
            let ratio = whole / transfer;
            println!(
                "{}: {whole:.2} s, the transfer alone {transfer:.2} s, {ratio:.3} times",
                shape.name
            );
            if ratio > TARGET {
                missed.push(format!(
                    "{} over a link: expected at most {TARGET} times the transfer, found {ratio:.2}",
                    shape.name
                ));
            }
        }
        Ok(missed)
    }
}

/// How long it takes to fetch `blobs` one after the other, over one connection.
fn transfer(blobs: &[String]) -> anyhow::Result<Duration> {
    let curl = blobs.iter().fold(
        Command::new("curl")
            .inherit_environment()
            .limit(Duration::from_secs(300))
            .args(["--silent", "--show-error", "--fail", "--noproxy", "*"]),
        |command, blob| command.args(["--output", "/dev/null", blob]),
    );
    let began = Instant::now();
    curl.run()?.success()?;
    Ok(began.elapsed())
}
