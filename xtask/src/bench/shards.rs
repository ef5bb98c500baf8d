//! A part of a long audit: its memory stays the same, and its time grows with the images. What 16 parts find is merged
//! into one report, with exact counts.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::measure::peak_of;
use super::measured::not_met;
use crate::command::Command;

const PARTS: usize = 16;
/// Images in the lists of which one part is audited. A sixteenth of a million images is ten times as many as a
/// sixteenth of the longest list.
const LISTS: [usize; 3] = [25_000, 50_000, 100_000];
/// Images in the list of which all parts are audited.
const WHOLE: usize = 1_000;
/// How much more memory the longest list may take than the shortest, in MiB.
const GROWTH_MIB: f64 = 8.0;
/// How much more time an image may take in it.
const GROWTH: f64 = 1.5;

/// A policy and the images of a registry.
pub(super) struct Published<'a> {
    pub(super) countersign: &'a Path,
    pub(super) directory: &'a Path,
    pub(super) references: &'a [String],
}

/// Audits, and says which targets were missed.
///
/// # Errors
/// When the program can't be run, or its counts are wrong.
pub(super) fn run(published: &Published<'_>) -> anyhow::Result<Vec<String>> {
    published.merges()?;
    println!("\nOne of {PARTS} parts of a long audit:");
    let mut costs = Vec::new();
    for images in LISTS {
        published.list(images)?;
        let (time, resident, judged) = published.part(1, "part.jsonl")?;
        let each = time.as_secs_f64() * 1e3 / judged as f64;
        let mib = resident as f64 / f64::from(1 << 20);
        println!(
            "  {judged:6} images of {images:6}: {:6.1} s, {each:.2} ms an image, {mib:.1} MiB",
            time.as_secs_f64()
        );
        costs.push((each, mib));
    }
    let (Some((first, small)), Some((last, large))) = (costs.first(), costs.last()) else {
        return Ok(Vec::new());
    };
    let targets = [
        (
            large - small <= GROWTH_MIB,
            format!("a part of an audit: memory grew from {small:.1} MiB to {large:.1} MiB"),
        ),
        (
            last / first <= GROWTH,
            format!(
                "a part of an audit: an image took {first:.2} ms, and {last:.2} ms in a longer list"
            ),
        ),
    ];
    Ok(not_met(targets))
}

impl Published<'_> {
    /// A list of so many images: those of the registry, again and again.
    fn list(&self, images: usize) -> anyhow::Result<()> {
        let mut list = String::new();
        for reference in self.references.iter().cycle().take(images) {
            writeln!(list, "{reference}")?;
        }
        Ok(fs::write(self.directory.join("list.txt"), list)?)
    }

    /// Audits a part into a file. Returns the time, the most resident memory in bytes, and how many images there were.
    fn part(&self, number: usize, into: &str) -> anyhow::Result<(Duration, u64, u64)> {
        let shard = format!("--shard={number}/{PARTS}");
        let audit = self
            .audit()
            .args(["audit", "--policy=policy.yaml", "--images=list.txt"])
            .args(["--trusted-root=audit_root.json", "--fail-on=none"])
            .args(["--output=jsonl", &shard]);
        let output = File::create(self.directory.join(into))?;
        let started = Instant::now();
        let mut child = audit.spawn(output.into(), Stdio::null())?;
        let resident = peak_of(&mut child)?;
        let time = started.elapsed();
        ensure!(child.wait()?.success(), "`{}` failed", audit.line());
        let lines = fs::read_to_string(self.directory.join(into))?;
        let end = lines.lines().last().context("nothing was written")?;
        let end: Value = serde_json::from_str(end)?;
        let judged = end.pointer("/summary/images").and_then(Value::as_u64);
        Ok((time, resident, judged.context("the audit has no end")?))
    }

    /// All parts of a list have each image once.
    fn merges(&self) -> anyhow::Result<()> {
        self.list(WHOLE)?;
        let mut files = Vec::new();
        for number in 1..=PARTS {
            let file = format!("{number}.jsonl");
            self.part(number, &file)?;
            files.push(file);
        }
        let merge = self
            .audit()
            .args(["audit", "merge", "--output=json", "--fail-on=none"]);
        let merged = merge.args(&files).run()?.success()?;
        let merged: Value = serde_json::from_str(&merged.stdout)?;
        let images = merged.pointer("/summary/images").and_then(Value::as_u64);
        ensure!(
            images == Some(WHOLE as u64),
            "expected {WHOLE} images in the merged report, found {images:?}"
        );
        Ok(())
    }

    fn audit(&self) -> Command {
        Command::new(self.countersign)
            .directory(self.directory)
            .env("HOME", self.directory)
            .limit(Duration::from_secs(600))
    }
}
