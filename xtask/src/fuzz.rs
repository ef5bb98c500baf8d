//! Fuzzing: the targets in `fuzz/`, built once and run one after the other.
//!
//! The flags are those that cargo-fuzz gives the compiler, without a sanitizer: the code has no `unsafe`.
//! So the toolchain of `rust-toolchain.toml` is enough. `cargo fuzz run TARGET` works too.

mod seeds;

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;

use crate::command::workspace;

/// What is fuzzed: a program of this name in `fuzz/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    References,
    /// Manifests and indexes
    Documents,
    /// Lists of referrers
    Referrers,
    Challenges,
    Bundles,
    /// Signatures in cosign's older form
    Legacy,
    Policies,
    Locks,
    /// Compared with Go's reader, where there is Go
    Archives,
    /// Layers over layers, compared with a simple model
    Layers,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::References => "references",
            Self::Documents => "documents",
            Self::Referrers => "referrers",
            Self::Challenges => "challenges",
            Self::Bundles => "bundles",
            Self::Legacy => "legacy",
            Self::Policies => "policies",
            Self::Locks => "locks",
            Self::Archives => "archives",
            Self::Layers => "layers",
        }
    }

    /// How many bytes an input may have.
    fn longest(self) -> usize {
        match self {
            Self::References => 1 << 10,
            Self::Challenges => 2 << 10,
            Self::Referrers => 4 << 10,
            Self::Documents | Self::Policies | Self::Locks => 8 << 10,
            Self::Bundles | Self::Legacy | Self::Archives => 16 << 10,
            Self::Layers => 512,
        }
    }
}

/// The variable that names the second reader of archives.
const ORACLE: &str = "COUNTERSIGN_FUZZ_ORACLE";
const FLAGS: [&str; 8] = [
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=16",
];

/// What the targets are run with.
#[derive(Clone, Copy)]
pub(crate) enum Inputs {
    /// The ones that a target begins with, and those in `fuzz/found`, which once found a fault.
    Known,
    /// New ones too, made up for so long.
    MadeUp(Duration),
}

/// Runs `targets`, or all, each with `inputs`.
///
/// # Errors
/// When one finds something: its message says where the input is.
pub(crate) fn run(targets: &[Target], inputs: Inputs) -> anyhow::Result<()> {
    let directory = workspace().join("target/fuzz");
    let programs = build(&directory)?;
    let oracle = oracle(&directory)?;
    let mut found = Vec::new();
    for target in Target::value_variants() {
        if !targets.is_empty() && !targets.contains(target) {
            continue;
        }
        let name = target.name();
        let limit = match inputs {
            Inputs::Known => {
                println!("\n{name}, known inputs:");
                "-runs=0".to_owned()
            }
            Inputs::MadeUp(time) => {
                println!("\n{name}, {} s:", time.as_secs());
                format!("-max_total_time={}", time.as_secs())
            }
        };
        let corpus = directory.join("corpus").join(name);
        let seeds = directory.join("seeds").join(name);
        fs::create_dir_all(&corpus)?;
        seeds::write(*target, &seeds)?;
        let found_before = workspace().join("fuzz/found").join(name);
        let found_before = found_before.is_dir().then_some(found_before);
        let artifact = directory.join(format!("{name}-"));
        let mut program = Command::new(programs.join(name));
        program
            .current_dir(workspace())
            .arg(limit)
            .arg(format!("-max_len={}", target.longest()))
            .arg(format!("-artifact_prefix={}", artifact.display()))
            .args(["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"])
            .args(["-verbosity=0", "-close_fd_mask=1"])
            // New ones are kept in the first directory.
            .args([&corpus, &seeds])
            .args(found_before);
        if let Some(oracle) = &oracle {
            program.env(ORACLE, oracle);
        }
        if !shown(&mut program).with_context(|| format!("{name} can't be run"))? {
            found.push(name);
        }
    }
    ensure!(
        found.is_empty(),
        "something was found by {}: see the names of inputs above, make each a test, and put it into fuzz/found/TARGET",
        found.join(", ")
    );
    println!("\nNothing was found.");
    if oracle.is_none() {
        println!("There is no Go here: the target `archives` was compared with no other reader.");
    }
    Ok(())
}

/// Runs a target, and shows what it says of the inputs. Whether it found nothing.
fn shown(program: &mut Command) -> anyhow::Result<bool> {
    let mut child = program.stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().context("it has a standard error")?;
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        // How the program was built, and parts of inputs that it would like to be told the next time.
        let idle = ["INFO:", "WARNING:", "\tNEW_", "#", "\""];
        if !idle.iter().any(|start| line.starts_with(start)) {
            println!("{line}");
        }
    }
    Ok(child.wait()?.success())
}

/// Builds all targets. Returns the directory that they are in.
fn build(directory: &Path) -> anyhow::Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // What is shipped is fuzzed: the same versions. What only the targets need is pinned in their `Cargo.toml`.
    fs::copy(
        workspace().join("Cargo.lock"),
        workspace().join("fuzz/Cargo.lock"),
    )?;
    // For one target alone, so that build scripts and macros are built as always.
    let status = Command::new(env!("CARGO"))
        .current_dir(workspace().join("fuzz"))
        .args(["build", "--release", "--bins"])
        .args(["--target", &target])
        .args([Path::new("--target-dir"), directory])
        .env("RUSTFLAGS", FLAGS.join(" "))
        .status()
        .context("cargo can't be run")?;
    ensure!(status.success(), "the targets don't build");
    Ok(directory.join(target).join("release"))
}

/// Builds the second reader of archives, where there is Go.
fn oracle(directory: &Path) -> anyhow::Result<Option<PathBuf>> {
    let program = directory.join("oracle");
    let built = Command::new("go")
        .current_dir(workspace().join("fuzz/oracle"))
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .status();
    let status = match built {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        built => built.context("go can't be run")?,
    };
    ensure!(
        status.success(),
        "the other reader of archives doesn't build"
    );
    Ok(Some(program))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A program that is no target is built and never run.
    #[test]
    fn every_target_is_listed() {
        let directory = workspace().join("fuzz");
        let listed: BTreeSet<String> = Target::value_variants()
            .iter()
            .map(|target| target.name().to_owned())
            .collect();
        let files = fs::read_dir(directory.join("fuzz_targets")).unwrap();
        let files = files.map(|file| {
            let path = file.unwrap().path();
            path.file_stem().unwrap().to_str().unwrap().to_owned()
        });
        assert_eq!(files.collect::<BTreeSet<_>>(), listed);
        let manifest = fs::read_to_string(directory.join("Cargo.toml")).unwrap();
        let programs = manifest.lines().filter_map(|line| {
            let path = line.strip_prefix("path = \"fuzz_targets/")?;
            path.strip_suffix(".rs\"").map(str::to_owned)
        });
        assert_eq!(programs.collect::<BTreeSet<_>>(), listed);
    }
}
