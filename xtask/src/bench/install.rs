//! `countersign install` of large images, with verification, beside `crane export | tar -x` where crane
//! is installed. What is installed goes to a file system in memory.

mod images;
mod process;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use countersign_sandbox::RegistryServer;

use self::images::{SHAPES, Shape};
use self::process::{Usage, usage};
use super::measure::{median, resident};
use crate::command::Command;

/// How often each program installs each image.
const RUNS: usize = 3;
/// A file system in memory, on Linux.
const IN_MEMORY: &str = "/dev/shm";
const MIB: f64 = 1024.0 * 1024.0;

/// What is aimed at: of the CPU time used, and at most so much memory.
const WALL_OF_CPU: f64 = 0.6;
const RESIDENT_MIB: f64 = 64.0;

/// What installs, and from where.
pub(super) struct Install<'a> {
    pub(super) countersign: &'a Path,
    pub(super) crane: Option<PathBuf>,
    pub(super) registry: &'a RegistryServer,
    pub(super) directory: &'a Path,
    /// Size of the images, in percent of the full one.
    pub(super) scale: usize,
}

/// An image in the registry.
struct Signed<'a> {
    shape: &'a Shape,
    reference: String,
    /// The file that is written last.
    last: String,
}

impl Install<'_> {
    /// Times every image, which `sign` signs. Returns which targets were missed.
    ///
    /// # Errors
    /// When a program can't be run, or fails.
    pub(super) fn run(
        &self,
        sign: impl Fn(&str) -> anyhow::Result<()>,
        policy: &[&str],
    ) -> anyhow::Result<Vec<String>> {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!(
            "\nInstalling with verification, {} % of the full size, medians of {RUNS} runs, load {}:",
            self.scale,
            load.split(' ').next().unwrap_or_default()
        );
        if self.crane.is_none() {
            println!("Skipped: crane, because `cargo xtask interop` has not installed it here.");
        }
        println!(
            "                                        time      CPU  time/CPU  resident  crane|tar  ratio"
        );
        let mut missed = Vec::new();
        for shape in &SHAPES {
            let image = shape.image(self.scale)?;
            let digest = image.image.push(self.registry, shape.repository, None);
            let image = Signed {
                shape,
                reference: format!("{}/{}@{digest}", self.registry.host(), shape.repository),
                last: image.last,
            };
            sign(&image.reference)?;
            missed.extend(self.compare(&image, policy)?);
        }
        Ok(missed)
    }

    fn compare(&self, image: &Signed<'_>, policy: &[&str]) -> anyhow::Result<Vec<String>> {
        let target = tempfile::tempdir_in(match Path::new(IN_MEMORY).is_dir() {
            true => Path::new(IN_MEMORY),
            false => self.directory,
        })?;
        let target = target.path().join("app");
        let ours = self.countersign(image, policy, &target);
        let theirs = self.crane(image, &target);
        // It also fills the caches.
        let resident = resident(&ours)? as f64 / MIB;
        check(image, &target)?;
        let (mut ours_used, mut theirs_used) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            ours_used.push(usage(&ours)?);
            check(image, &target)?;
            if let Some(theirs) = &theirs {
                fs::create_dir(&target)?;
                theirs_used.push(usage(theirs)?);
                check(image, &target)?;
            }
        }
        let (time, cpu) = (
            medians(&ours_used, |u| u.time),
            medians(&ours_used, |u| u.cpu),
        );
        let share = time / cpu;
        print!(
            "  {:34} {time:7.2} s {cpu:6.2} s {share:9.2} {resident:5.0} MiB",
            image.shape.name
        );
        match theirs_used.is_empty() {
            true => println!("          –"),
            false => {
                let other = medians(&theirs_used, |u| u.time);
                println!(" {other:8.2} s {:6.1}", other / time);
            }
        }
        let name = image.shape.name;
        let targets = [
            (
                share <= WALL_OF_CPU,
                format!("{name}: expected at most {WALL_OF_CPU} of the CPU time, found {share:.2}"),
            ),
            (
                resident <= RESIDENT_MIB,
                format!("{name}: expected at most {RESIDENT_MIB} MiB, found {resident:.0}"),
            ),
        ];
        let missed = targets.into_iter().filter(|(met, _)| !met);
        Ok(missed.map(|(_, target)| target).collect())
    }

    fn countersign(&self, image: &Signed<'_>, policy: &[&str], target: &Path) -> Command {
        Command::new(self.countersign)
            .args(["install", "--trusted-root", "trusted_root.json"])
            .args(policy)
            .args([&image.reference])
            .args([target])
            .directory(self.directory)
            .env("HOME", self.directory)
    }

    fn crane(&self, image: &Signed<'_>, target: &Path) -> Option<Command> {
        const PIPE: &str = r#""$0" export "$1" - | tar -x -C "$2""#;
        let crane = self.crane.as_ref()?;
        let command = Command::new("/bin/sh").args(["-c", PIPE]);
        let command = command.args([crane]).args([&image.reference]);
        Some(command.args([target]).env("HOME", self.directory))
    }
}

/// Checks that the image is at `target`, and removes it.
fn check(image: &Signed<'_>, target: &Path) -> anyhow::Result<()> {
    let last = target.join(&image.last);
    ensure!(last.is_file(), "{} was not installed", last.display());
    Ok(fs::remove_dir_all(target)?)
}

/// The median in seconds.
fn medians(used: &[Usage], figure: impl Fn(&Usage) -> Duration) -> f64 {
    let mut figures: Vec<Duration> = used.iter().map(figure).collect();
    figures.sort_unstable();
    median(&figures).as_secs_f64()
}
