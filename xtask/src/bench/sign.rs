//! How long it takes to sign an index of eight images, beside cosign where it is installed.
//!
//! Each run signs an index of its own, so that nothing is signed already.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::ensure;
use countersign_sandbox::image::{Compression, Image, ImageIndex, Layer};
use countersign_sandbox::{RegistryServer, RekorVersion, Service, ServiceFault, Sigstore};

use super::IDENTITY;
use super::measure::median;
use crate::command::Command;

/// How often each program signs in each case.
const RUNS: usize = 7;
const PLATFORMS: [&str; 8] = [
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/386",
    "linux/ppc64le",
    "linux/s390x",
    "linux/riscv64",
    "linux/mips64le",
];

/// What is aimed at: with the referrers API, without it, and with a log that answers once a second.
const WITH_API: Duration = Duration::from_millis(400);
const WITHOUT_API: Duration = Duration::from_millis(800);
const ONCE_A_SECOND: Duration = Duration::from_millis(1500);

pub(super) struct Programs<'a> {
    pub(super) countersign: &'a Path,
    pub(super) cosign: Option<PathBuf>,
}

pub(super) struct Registries<'a> {
    pub(super) with_api: &'a RegistryServer,
    pub(super) without_api: &'a RegistryServer,
}

/// Where it is signed.
struct Case<'a> {
    name: &'static str,
    registry: &'a RegistryServer,
    log: RekorVersion,
    /// When the log answers.
    batches: Batches,
    target: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Batches {
    /// At once.
    None,
    /// Once a second, to all that came in since.
    OneASecond,
}

/// Times every case, and says which targets were missed.
///
/// # Errors
/// When a program can't be run, or fails.
pub(super) fn run(
    programs: &Programs<'_>,
    sigstore: &Sigstore,
    registries: &Registries<'_>,
    directory: &Path,
) -> anyhow::Result<Vec<String>> {
    println!(
        "\nSigning an index of {} images, medians of {RUNS} runs:",
        PLATFORMS.len()
    );
    if programs.cosign.is_none() {
        println!("Skipped: cosign, because `cargo xtask interop` has not installed it here.");
    }
    println!("                                                countersign       cosign");
    let cases = [
        Case {
            name: "Rekor v1, referrers API",
            registry: registries.with_api,
            log: RekorVersion::V1,
            batches: Batches::None,
            target: WITH_API,
        },
        Case {
            name: "Rekor v1, no referrers API",
            registry: registries.without_api,
            log: RekorVersion::V1,
            batches: Batches::None,
            target: WITHOUT_API,
        },
        Case {
            name: "Rekor v2 that answers once a second",
            registry: registries.with_api,
            log: RekorVersion::V2,
            batches: Batches::OneASecond,
            target: ONCE_A_SECOND,
        },
    ];
    let mut missed = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let config = format!("signing_config.{number}.json");
        let text = sigstore.signing_config_json(case.log);
        std::fs::write(directory.join(&config), text)?;
        let bench = Bench {
            case,
            number,
            sigstore,
            directory,
            config,
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for run in 0..RUNS {
            ours.push(bench.countersign(programs.countersign, run)?);
            if let Some(cosign) = &programs.cosign {
                theirs.push(bench.cosign(cosign, run)?);
            }
        }
        ours.sort_unstable();
        theirs.sort_unstable();
        let found = median(&ours);
        let seconds = |time: Duration| time.as_secs_f64();
        print!("  {:42} {:9.2} s", case.name, seconds(found));
        match theirs.is_empty() {
            true => println!("            –"),
            false => {
                let other = median(&theirs);
                let ratio = seconds(other) / seconds(found);
                println!(" {:10.2} s   {ratio:.1} times as long", seconds(other));
            }
        }
        if found > case.target {
            missed.push(format!(
                "{}: expected at most {:?}, found {found:?}",
                case.name, case.target
            ));
        }
    }
    Ok(missed)
}

struct Bench<'a> {
    case: &'a Case<'a>,
    number: usize,
    sigstore: &'a Sigstore,
    directory: &'a Path,
    config: String,
}

impl Bench<'_> {
    fn countersign(&self, program: &Path, run: usize) -> anyhow::Result<Duration> {
        let image = self.image("countersign", run)?;
        let token = format!("@{}", self.token()?);
        let flags = ["sign", "--check-layers", "0", "--identity-token", &token];
        self.time(Command::new(program).args(flags), &image)
    }

    fn cosign(&self, program: &Path, run: usize) -> anyhow::Result<Duration> {
        let image = self.image("cosign", run)?;
        let token = self.token()?;
        let flags = ["sign", "--yes", "--recursive", "--identity-token", token];
        self.time(Command::new(program).args(flags), &image)
    }

    fn time(&self, command: Command, image: &str) -> anyhow::Result<Duration> {
        let command = command
            .args(["--trusted-root", "trusted_root.json"])
            .args(["--signing-config", &self.config, image])
            .directory(self.directory)
            .env("HOME", self.directory);
        if self.case.batches == Batches::OneASecond {
            let (log, batches) = (Service::RekorV2, ServiceFault::AnswerOnTheSecond);
            self.sigstore.inject(log, batches, PLATFORMS.len() + 1);
        }
        let started = Instant::now();
        let status = command.spawn(Stdio::null(), Stdio::null())?.wait()?;
        let time = started.elapsed();
        ensure!(status.success(), "`{}` failed", command.line());
        Ok(time)
    }

    fn token(&self) -> anyhow::Result<&'static str> {
        let name = "token";
        std::fs::write(self.directory.join(name), self.sigstore.token(IDENTITY))?;
        Ok(name)
    }

    /// An index that nobody has signed.
    fn image(&self, program: &str, run: usize) -> anyhow::Result<String> {
        let repository = format!("sign{}/{program}{run}", self.number);
        let images = PLATFORMS.map(|platform| {
            let layer = Layer::builder().file("motd", platform, 0o644);
            let image = Image::builder(platform.parse()?);
            Ok::<_, anyhow::Error>(image.layer(layer.build(Compression::Gzip)).build())
        });
        let images = images.into_iter().collect::<anyhow::Result<_>>()?;
        let digest = ImageIndex::new(images).push(self.case.registry, &repository, None);
        Ok(format!(
            "{}/{repository}@{digest}",
            self.case.registry.host()
        ))
    }
}
