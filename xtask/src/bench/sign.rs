//! How long it takes to sign an index of eight images, beside cosign where it is installed.
//!
//! Each run signs an index of its own, so that nothing is signed already.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::ensure;
use countersign_oci::{Options, Registry, Repository, media_type};
use countersign_sandbox::image::{Compression, EIGHT_PLATFORMS, Image, ImageIndex, Layer};
use countersign_sandbox::{RegistryOptions, RekorVersion, Service, ServiceFault};

use super::measure::median;
use super::measured::Measured;
use crate::command::Command;
use crate::identities::RELEASE_WORKFLOW;
use crate::interop::RealServers;
use crate::servers::Servers;

/// How often each program signs in each case.
const RUNS: usize = 7;

/// What is aimed at: with the referrers API, without it, and with a log that answers once a second.
const WITH_API: Duration = Duration::from_millis(400);
const WITHOUT_API: Duration = Duration::from_millis(800);
const ONCE_A_SECOND: Duration = Duration::from_millis(1500);

pub(super) struct Programs<'a> {
    pub(super) countersign: &'a Path,
    pub(super) cosign: Option<PathBuf>,
}

/// Where it is signed.
struct Case {
    name: &'static str,
    /// The registry's host.
    host: String,
    trusted_root: PathBuf,
    signing_config: PathBuf,
    /// When the log answers.
    answers: Answers,
    target: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// As soon as it can.
    AtOnce,
    /// To all that came in since the last time. Made by the sandbox.
    OnceASecond,
}

/// Times every case, and says which targets were missed.
///
/// # Errors
/// When a program can't be run, or fails.
pub(super) fn run(
    programs: &Programs<'_>,
    servers: &Servers,
    root: &Path,
    directory: &Path,
) -> anyhow::Result<Measured> {
    println!(
        "\nSigning an index of {} images, medians of {RUNS} runs:",
        EIGHT_PLATFORMS.len()
    );
    let issuer = servers.sigstore.issuer();
    let real = RealServers::start(root, &issuer, directory)?;
    let programs_there = [
        ("cosign", programs.cosign.is_some()),
        ("docker-registry", real.docker_registry().is_some()),
        ("rekor-tiles", real.services().is_some()),
    ];
    let lacking = programs_there.into_iter().filter(|(_, is_there)| !is_there);
    let lacking = lacking.map(|(name, _)| {
        format!("{name}, because `cargo xtask interop` has not installed it here")
    });
    let with_api = servers.registry_with_referrers()?;
    let without_api = servers.registry(RegistryOptions::default())?;
    let sandbox = [with_api.host(), without_api.host()];
    let cases = cases(servers, sandbox, &real, directory)?;
    println!("                                                countersign       cosign");
    let mut missed = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let bench = Bench {
            case,
            number,
            servers,
            directory,
        };
        missed.extend(bench.compare(programs)?);
    }
    Ok(Measured::from(missed).without(lacking))
}

/// With the sandbox's Sigstore and registries, and with the servers of other projects that are there.
fn cases(
    servers: &Servers,
    [with_api, without_api]: [String; 2],
    real: &RealServers,
    directory: &Path,
) -> anyhow::Result<Vec<Case>> {
    let sandbox = |name, host: &str, log, answers, target| {
        let signing_config = directory.join(format!("signing_config.{log:?}.json"));
        std::fs::write(&signing_config, servers.sigstore.signing_config_json(log))?;
        anyhow::Ok(Case {
            name,
            host: host.to_owned(),
            trusted_root: directory.join("trusted_root.json"),
            signing_config,
            answers,
            target,
        })
    };
    let (v1, v2) = (RekorVersion::V1, RekorVersion::V2);
    let (at_once, once_a_second) = (Answers::AtOnce, Answers::OnceASecond);
    let mut cases = vec![
        sandbox("Rekor v1, referrers API", &with_api, v1, at_once, WITH_API)?,
        sandbox(
            "Rekor v1, no referrers API",
            &without_api,
            v1,
            at_once,
            WITHOUT_API,
        )?,
        sandbox(
            "Rekor v2 that answers once a second",
            &with_api,
            v2,
            once_a_second,
            ONCE_A_SECOND,
        )?,
    ];
    if let Some(host) = real.docker_registry() {
        let name = "Rekor v1, docker-registry (no referrers API)";
        cases.push(sandbox(name, host, v1, at_once, WITHOUT_API)?);
    }
    if let Some([trusted_root, signing_config]) = real.services() {
        cases.push(Case {
            name: "Fulcio, rekor-tiles, timestamp authority",
            host: with_api,
            trusted_root: trusted_root.to_owned(),
            signing_config: signing_config.to_owned(),
            answers: at_once,
            target: ONCE_A_SECOND,
        });
    }
    Ok(cases)
}

struct Bench<'a> {
    case: &'a Case,
    number: usize,
    servers: &'a Servers,
    directory: &'a Path,
}

impl Bench<'_> {
    /// Times the programs in turns, prints the medians, and says whether the target was missed.
    fn compare(&self, programs: &Programs<'_>) -> anyhow::Result<Option<String>> {
        let case = self.case;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for run in 0..RUNS {
            ours.push(self.countersign(programs.countersign, run)?);
            if let Some(cosign) = &programs.cosign {
                theirs.push(self.cosign(cosign, run)?);
            }
        }
        ours.sort_unstable();
        theirs.sort_unstable();
        let found = median(&ours);
        let seconds = |time: Duration| time.as_secs_f64();
        print!("  {:44} {:7.2} s", case.name, seconds(found));
        if theirs.is_empty() {
            println!("            –");
        } else {
            let other = median(&theirs);
            let ratio = seconds(other) / seconds(found);
            println!(" {:10.2} s   {ratio:.1} times as long", seconds(other));
        }
        let (name, target) = (case.name, case.target);
        Ok((found > target)
            .then(|| format!("{name}: expected at most {target:?}, found {found:?}")))
    }

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
            .args([
                "--trusted-root".as_ref(),
                self.case.trusted_root.as_os_str(),
            ])
            .args([
                "--signing-config".as_ref(),
                self.case.signing_config.as_os_str(),
            ])
            .args([image])
            .directory(self.directory)
            .env("HOME", self.directory);
        if self.case.answers == Answers::OnceASecond {
            let (log, on_the_second) = (Service::RekorV2, ServiceFault::AnswerOnTheSecond);
            self.servers
                .sigstore
                .inject(log, on_the_second, EIGHT_PLATFORMS.len() + 1);
        }
        let started = Instant::now();
        let status = command.spawn(Stdio::null(), Stdio::null())?.wait()?;
        let time = started.elapsed();
        ensure!(status.success(), "`{}` failed", command.line());
        Ok(time)
    }

    fn token(&self) -> anyhow::Result<&'static str> {
        let name = "token";
        std::fs::write(
            self.directory.join(name),
            self.servers.sigstore.token(RELEASE_WORKFLOW),
        )?;
        Ok(name)
    }

    /// An index that nobody has signed.
    fn image(&self, program: &str, run: usize) -> anyhow::Result<String> {
        let repository = format!("sign{}/{program}{run}", self.number);
        let images = EIGHT_PLATFORMS.map(|platform| {
            let layer = Layer::builder().file("motd", platform, 0o644);
            let image = Image::builder(platform.parse()?);
            Ok::<_, anyhow::Error>(image.layer(layer.build(Compression::Gzip)).build())
        });
        let images = images.into_iter().collect::<anyhow::Result<_>>()?;
        let name = format!("{}/{repository}", self.case.host);
        let index = ImageIndex::new(images);
        let push = push(name.parse()?, &index);
        self.servers.block_on(push)?;
        Ok(format!("{name}@{}", index.digest()))
    }
}

/// Pushes an index to any registry.
async fn push(repository: Repository, index: &ImageIndex) -> anyhow::Result<()> {
    let registry = Registry::new(Options::default())?;
    for image in index.images() {
        for blob in image.blobs() {
            registry.push_blob(&repository, blob.clone()).await?;
        }
        let (form, bytes) = (media_type::OCI_MANIFEST, image.bytes().clone());
        registry
            .push_manifest(&repository, form, bytes, None)
            .await?;
    }
    let (form, bytes) = (media_type::OCI_INDEX, index.bytes().clone());
    registry
        .push_manifest(&repository, form, bytes, None)
        .await?;
    Ok(())
}
