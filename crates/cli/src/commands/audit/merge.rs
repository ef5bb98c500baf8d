//! `countersign audit merge`: one report of several audits, such as those of all parts of `--shard`.
//!
//! It asks no registry. A part that is not whole, is missing or is there twice is refused, and so are audits that have an
//! image in common.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_oci::excerpt;

use super::earlier::{self, Part};
use super::record::AuditResult;
use super::report::{AuditReport, ReportArguments};
use super::shard::Shard;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::printable;

/// `countersign audit merge`
#[derive(Debug, Args)]
pub(crate) struct AuditMergeArguments {
    /// What audits printed with --output jsonl or json
    ///
    /// If one of them is of a --shard, all of its parts must be there.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) report: ReportArguments,
}

pub(super) fn run(arguments: &AuditMergeArguments, output: &Output) -> Result<ExitCode, Failure> {
    let files: Vec<&Path> = arguments.files.iter().map(PathBuf::as_path).collect();
    let mut report = AuditReport::new(&arguments.report, &files, None, output)?;
    let mut parts = Vec::new();
    let mut position = 0;
    let mut images = Images::default();
    for (number, file) in arguments.files.iter().enumerate() {
        let mut written = Ok(());
        let part = earlier::read(file, |result| {
            if written.is_ok() {
                images.add(number, &result);
                written = report.add(position, vec![result]);
            }
            position += 1;
        });
        let part = part.inspect_err(|_| output.forget_failed())?;
        written?;
        parts.extend(part);
    }
    let shards: Vec<String> = parts.iter().map(|part| part.shard.clone()).collect();
    let whole = require_all(&shards, arguments.files.len())
        .and_then(|()| require_same_rules(&parts))
        .and_then(|()| images.require_once(&arguments.files));
    // What was found in the parts is no result of a merge that is refused.
    whole.inspect_err(|_| output.forget_failed())?;
    report.end()
}

/// In which file each image is.
#[derive(Default)]
struct Images {
    /// By a hash of what the image is known by: there may be a million.
    hashes: RandomState,
    files: HashMap<u64, usize>,
    /// The first image that two files have, with their numbers, and how many there are.
    twice: Option<(String, usize, usize)>,
    count: u64,
}

impl Images {
    fn add(&mut self, file: usize, result: &AuditResult) {
        let hash = self.hashes.hash_one(earlier::key(result));
        let first = *self.files.entry(hash).or_insert(file);
        if first != file {
            self.count += 1;
            let twice = || (result.reference.clone(), first, file);
            self.twice.get_or_insert_with(twice);
        }
    }

    /// Refuses audits that have images in common: these would be counted for each.
    fn require_once(&self, files: &[PathBuf]) -> Result<(), Failure> {
        let Some((reference, first, second)) = &self.twice else {
            return Ok(());
        };
        let name = |number: &usize| {
            files
                .get(*number)
                .map_or_else(String::new, |path| printable::path(path))
        };
        let (first, second) = (name(first), name(second));
        let more = match self.count - 1 {
            0 => String::new(),
            more => format!(", and {more} more are there twice"),
        };
        let message = format!("{} is in {first} and in {second}{more}", excerpt(reference));
        Err(Failure::new(Kind::Usage, message).hint(
            "pass audits of different images, or the parts of one --shard; to compare two audits, pass --since FILE",
        ))
    }
}

/// Refuses parts that were judged by different policies, flags or trusted roots: their counts would mean nothing.
fn require_same_rules(parts: &[Part]) -> Result<(), Failure> {
    let Some(first) = parts.first() else {
        return Ok(());
    };
    match parts.iter().find(|part| part.rules != first.rules) {
        None => Ok(()),
        Some(other) => {
            let (first, other) = (&first.shard, &other.shard);
            let message = format!(
                "the parts {first} and {other} were judged by different policies, flags or trusted roots"
            );
            Err(Failure::new(Kind::Usage, message)
                .hint("audit all parts with the same files and flags, and merge them again"))
        }
    }
}

/// Refuses parts that don't make a whole.
fn require_all(shards: &[String], files: usize) -> Result<(), Failure> {
    let Some(first) = shards.first() else {
        return Ok(());
    };
    let refused = |message: String| {
        Err(Failure::new(Kind::Usage, message).hint("pass every part of one --shard, each once"))
    };
    let mut found: BTreeMap<u64, usize> = BTreeMap::new();
    let mut of = None;
    for text in shards {
        match text.parse::<Shard>() {
            Ok(shard) if of.is_none_or(|of| of == shard.of()) => {
                of = Some(shard.of());
                *found.entry(shard.number()).or_default() += 1;
            }
            Ok(_) | Err(_) => {
                return refused(format!("{first} and {text} are no parts of one audit"));
            }
        }
    }
    if shards.len() != files {
        return refused("some files are parts of an audit, and some are whole audits".into());
    }
    let of = of.unwrap_or_default();
    let wrong = (1..=of).find(|number| found.get(number) != Some(&1));
    match wrong {
        Some(number) if found.contains_key(&number) => {
            refused(format!("the part {number}/{of} is there more than once"))
        }
        Some(number) => refused(format!("the part {number}/{of} is missing")),
        None => Ok(()),
    }
}
