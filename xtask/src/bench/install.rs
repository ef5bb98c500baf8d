//! `countersign install` of large images, with verification, beside other programs that are installed. What is
//! unpacked goes to a file system in memory.

mod far;
mod images;
mod link;
mod peers;
mod process;
mod report;

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use countersign_sandbox::RegistryServer;

use self::images::{SHAPES, Shape};
use self::process::{Usage, usage};
use self::report::{PeerRow, Report, Row};
use super::measure::{median, resident};
use super::measured::not_met;
use crate::command::Command;

pub(super) use self::link::behind_link;
pub(super) use self::peers::Peer;
pub(crate) use self::report::Files;

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
    /// What is timed beside it.
    pub(super) peers: Vec<Peer>,
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
    /// Times every image, which `sign` signs, and writes `files`. Returns which targets were missed.
    ///
    /// # Errors
    /// When a program can't be run, or fails.
    pub(super) fn run(
        &self,
        sign: impl Fn(&str) -> anyhow::Result<()>,
        policy: &[&str],
        verification: &str,
        files: &Files,
    ) -> anyhow::Result<Vec<String>> {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!(
            "\nInstalling with verification, {} % of the full size, medians of {RUNS} runs, load {}:",
            self.scale,
            load.split(' ').next().unwrap_or_default()
        );
        let names: Vec<_> = self.peers.iter().map(Peer::name).collect();
        println!("{}", report::head(&names));
        let mut report = Report {
            cores: thread::available_parallelism().map_or(1, usize::from),
            scale: self.scale,
            images: Vec::new(),
        };
        for shape in &SHAPES {
            let image = shape.image(self.scale)?;
            let digest = image.image.push(self.registry, shape.repository, None);
            let image = Signed {
                shape,
                reference: format!("{}/{}@{digest}", self.registry.host(), shape.repository),
                last: image.last,
            };
            sign(&image.reference)?;
            let row = self.compare(&image, policy)?;
            println!("{}", row.line());
            report.images.push(row);
        }
        report.write(files)?;
        let mut missed: Vec<_> = report.images.iter().flat_map(missed).collect();
        missed.extend(self.late(sign, verification)?);
        Ok(missed)
    }

    /// Times all programs in turns.
    fn compare(&self, image: &Signed<'_>, policy: &[&str]) -> anyhow::Result<Row> {
        let target = tempfile::tempdir_in(in_memory().unwrap_or(self.directory))?;
        let target = target.path().join("app");
        let ours = self.countersign(image, policy, &target);
        // It also fills the caches.
        let resident = resident(&ours)? as f64 / MIB;
        check(image, &target)?;
        let mut used = Vec::new();
        let mut peers: Vec<_> = self.peers.iter().map(|peer| (peer, Vec::new())).collect();
        for _ in 0..RUNS {
            used.push(usage(&ours)?);
            check(image, &target)?;
            for (peer, used) in &mut peers {
                let directories = [target.as_path(), self.directory];
                used.push(peer.usage(&image.reference, &image.last, directories)?);
            }
        }
        let seconds = medians(&used, |usage| usage.time);
        let peers = peers.into_iter().map(|(peer, used)| {
            let theirs = medians(&used, |usage| usage.time);
            PeerRow {
                name: peer.name(),
                seconds: theirs,
                cpu_seconds: medians(&used, |usage| usage.cpu),
                ratio: theirs / seconds,
            }
        });
        Ok(Row {
            image: image.shape.name,
            seconds,
            cpu_seconds: medians(&used, |usage| usage.cpu),
            resident_mib: resident,
            peers: peers.collect(),
        })
    }

    fn countersign(&self, image: &Signed<'_>, policy: &[&str], target: &Path) -> Command {
        let command = self.program().args(policy);
        command.args([&image.reference]).args([target])
    }

    fn program(&self) -> Command {
        Command::new(self.countersign)
            .args(["install", "--trusted-root", "trusted_root.json"])
            .directory(self.directory)
            .env("HOME", self.directory)
    }
}

/// The directory of a file system in memory.
pub(super) fn in_memory() -> Option<&'static Path> {
    let directory = Path::new(IN_MEMORY);
    directory.is_dir().then_some(directory)
}

/// The targets that were missed.
fn missed(row: &Row) -> Vec<String> {
    let Row {
        image,
        resident_mib,
        ..
    } = row;
    let share = row.seconds / row.cpu_seconds;
    let targets = [
        (
            share <= WALL_OF_CPU,
            format!("{image}: expected at most {WALL_OF_CPU} of the CPU time, found {share:.2}"),
        ),
        (
            *resident_mib <= RESIDENT_MIB,
            format!("{image}: expected at most {RESIDENT_MIB} MiB, found {resident_mib:.0}"),
        ),
    ];
    not_met(targets)
}

/// Checks that the image's files are at `target`, and removes them.
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
