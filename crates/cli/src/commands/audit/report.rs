//! What becomes of verdicts: they are counted, printed as they come, and kept where a report needs all of them.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_oci::Digest;
use jiff::Timestamp;

use super::document::{AuditEnd, AuditOutput};
use super::earlier::Earlier;
use super::fail_on::{self, FailOn};
use super::html;
use super::junit::Junit;
use super::metrics;
use super::record::AuditResult;
use super::tally::Tally;
use super::text;
use crate::failure::{Failure, Kind, exit_code};
use crate::output::Output;
use crate::printable;
use countersign_download::whole_file::Pending;

/// What is reported, and when the run fails.
#[derive(Debug, Args)]
#[command(next_help_heading = "Report")]
pub(crate) struct ReportArguments {
    /// What makes the run fail [default: any]
    #[arg(
        long,
        long_help = fail_on::help(),
        value_name = "STATE,...",
        default_value = "any",
        hide_default_value = true
    )]
    pub(crate) fail_on: FailOn,

    /// Compare with an earlier audit
    ///
    /// FILE is what an audit printed with --output jsonl or json.
    #[arg(long, value_name = "FILE")]
    pub(crate) since: Option<PathBuf>,

    /// Write the report as a page for a browser
    ///
    /// The page needs no network and no other file.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Write the report as JUnit XML, for a CI
    ///
    /// Each image is a test, in a suite for its gallery. What is not proven has failed.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    /// Write the counts as a text file for Prometheus
    ///
    /// The textfile collector of the node exporter reads it.
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics: Option<PathBuf>,
}

impl ReportArguments {
    /// Refuses a report in the place of a file that the run reads: that would be lost.
    fn require_others(&self, inputs: &[&Path]) -> Result<(), Failure> {
        let file = |path: &Path| fs::canonicalize(path).ok().filter(|path| path.is_file());
        let inputs = inputs.iter().copied().chain(self.since.as_deref());
        let inputs: HashSet<PathBuf> = inputs.filter_map(file).collect();
        let reports = [
            ("--junit", &self.junit),
            ("--html", &self.html),
            ("--metrics", &self.metrics),
        ];
        for (flag, report) in reports {
            let Some(path) = report else { continue };
            if file(path).is_some_and(|path| inputs.contains(&path)) {
                let shown = printable::path(path);
                let message = format!("{flag} names a file that this run reads: {shown}");
                let hint = format!("pass {flag} with another file");
                return Err(Failure::new(Kind::Usage, message).hint(hint));
            }
        }
        Ok(())
    }
}

/// The report of one run.
pub(super) struct AuditReport<'a> {
    arguments: &'a ReportArguments,
    output: &'a Output,
    /// For the first error.
    hints: Vec<String>,
    earlier: Option<Earlier>,
    tally: Tally,
    kept: Vec<(usize, Vec<AuditResult>)>,
    kept_count: usize,
    shard: Option<String>,
    rules: Option<String>,
    junit: Option<Junit>,
    html: Option<Page<'a>>,
    metrics: Option<Page<'a>>,
}

/// A file that is begun with the run, so that one that can't be written is known before anything is judged.
struct Page<'a> {
    path: &'a Path,
    file: Pending,
}

impl<'a> Page<'a> {
    fn begin(path: &'a Path) -> Result<Self, Failure> {
        match Pending::begin(path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(Failure::unwritable(path, "report", error)),
        }
    }

    fn end(self, text: &str) -> Result<(), Failure> {
        let Self { path, mut file } = self;
        let written = file.write_all(text.as_bytes());
        let ended = written.and_then(|()| file.end());
        ended.map_err(|error| Failure::unwritable(path, "report", error))
    }
}

impl<'a> AuditReport<'a> {
    /// `inputs` are the files that the run reads, besides the earlier audit.
    pub(super) fn new(
        arguments: &'a ReportArguments,
        inputs: &[&Path],
        shard: Option<String>,
        output: &'a Output,
    ) -> Result<Self, Failure> {
        arguments.require_others(inputs)?;
        // First, so that no failure leaves an old report in its place.
        let junit = arguments.junit.as_deref().map(Junit::begin).transpose()?;
        let html = arguments.html.as_deref().map(Page::begin).transpose()?;
        let metrics = arguments.metrics.as_deref();
        let metrics = metrics.map(Page::begin).transpose()?;
        let earlier = arguments.since.as_deref().map(Earlier::read).transpose()?;
        Ok(Self {
            arguments,
            output,
            hints: output.hints_of_unused(),
            earlier,
            tally: Tally::default(),
            kept: Vec::new(),
            kept_count: 0,
            shard,
            rules: None,
            junit,
            html,
            metrics,
        })
    }

    /// What images are judged by, of which a digest is told.
    pub(super) fn judged_by(&mut self, rules: &str) {
        self.rules = Some(Digest::sha256(rules.as_bytes()).to_string());
    }

    /// How many verdicts there are so far.
    pub(super) fn total(&self) -> u64 {
        self.tally.total()
    }

    /// The verdicts on the subject at this position.
    pub(super) fn add(
        &mut self,
        position: usize,
        mut results: Vec<AuditResult>,
    ) -> Result<(), Failure> {
        for result in &mut results {
            result.tell_error(&mut self.hints);
            if let Some(earlier) = &self.earlier {
                earlier.compare(result);
            }
            self.tally.count(result);
            // For a run that ends before its report.
            if let Some(kind) = self.arguments.fail_on.kind_of(result.state.into()) {
                self.output.remember_failed(kind);
            }
            self.output.line(result);
            if let Some(junit) = &mut self.junit {
                junit.add(result)?;
            }
        }
        let page = self.arguments.html.is_some() && self.kept_count < html::ROWS_MAX;
        if page || self.output.is_json() {
            self.kept_count += results.len();
            self.kept.push((position, results));
        }
        Ok(())
    }

    /// Tells what was found, and with which exit code the run ends.
    pub(super) fn end(self) -> Result<ExitCode, Failure> {
        let Self {
            arguments,
            output,
            tally,
            mut kept,
            shard,
            rules,
            junit,
            html,
            metrics,
            ..
        } = self;
        kept.sort_by_key(|(position, _)| *position);
        let results: Vec<AuditResult> = kept.into_iter().flat_map(|(_, results)| results).collect();
        // First, so that it is told even if a report can't be written.
        output.answer(&text::summary(&tally));
        if let Some(page) = html {
            page.end(&html::page(&tally, &results, &now()))?;
        }
        if let Some(junit) = junit {
            junit.end()?;
        }
        if let Some(page) = metrics {
            page.end(&metrics::text(&tally, Timestamp::now()))?;
        }
        let end = AuditEnd {
            summary: tally.summary(),
            shard,
            rules,
        };
        output.line(&end);
        output.document(&AuditOutput { results, end });
        let Some(failed) = arguments.fail_on.failed(&tally) else {
            return Ok(ExitCode::SUCCESS);
        };
        let code = exit_code(failed.kind).into();
        output.failure(&failed);
        Ok(code)
    }
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()
}
