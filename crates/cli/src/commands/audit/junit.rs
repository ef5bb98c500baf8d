//! `--junit`: a report that CI systems read. It is written as verdicts come, and has its name when it is whole.

use std::io::{self, BufWriter, IntoInnerError, Write as _};
use std::path::{Path, PathBuf};

use countersign_download::State;

use super::markup::escaped;
use super::record::AuditResult;
use crate::failure::Failure;
use countersign_download::whole_file::Pending;

/// A report that is being written.
pub(super) struct Junit {
    path: PathBuf,
    file: BufWriter<Pending>,
}

impl Junit {
    pub(super) fn begin(path: &Path) -> Result<Self, Failure> {
        let failed = |error| failure(path, error);
        let pending = Pending::begin(path).map_err(failed)?;
        // CI publishes what is there, however the run ends: nothing, and not the report of the run before.
        pending.remove_old().map_err(failed)?;
        let mut file = BufWriter::new(pending);
        let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"countersign audit\">\n<testsuite name=\"images\">\n";
        file.write_all(head.as_bytes()).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    pub(super) fn add(&mut self, result: &AuditResult) -> Result<(), Failure> {
        let case = case(result);
        let written = self.file.write_all(case.as_bytes());
        written.map_err(|error| failure(&self.path, error))
    }

    pub(super) fn end(self) -> Result<(), Failure> {
        let Self { path, file } = self;
        finish(file).map_err(|error| failure(&path, error))
    }
}

fn finish(mut file: BufWriter<Pending>) -> io::Result<()> {
    file.write_all(b"</testsuite>\n</testsuites>\n")?;
    let pending = file.into_inner().map_err(IntoInnerError::into_error)?;
    pending.end()
}

fn failure(path: &Path, error: io::Error) -> Failure {
    Failure::unwritable(path, "report", error)
}

/// The test case of an image. What this machine could not find out is an error, and not a failure.
fn case(result: &AuditResult) -> String {
    let suite = result.gallery.as_deref().unwrap_or("images");
    let entry = result.entry.as_deref().map(|entry| format!("{entry}: "));
    let platform = result.platform.as_deref().map(|one| format!(" ({one})"));
    let name = format!(
        "{}{}{}",
        entry.unwrap_or_default(),
        result.reference,
        platform.unwrap_or_default()
    );
    let (suite, name) = (escaped(suite), escaped(&name));
    let state = State::from(result.state);
    if state.failure().is_none() {
        return format!("<testcase classname=\"{suite}\" name=\"{name}\"/>\n");
    }
    let kind = if state.is_known() { "failure" } else { "error" };
    let reason = escaped(result.reason.as_deref().unwrap_or(state.words()));
    let state = state.as_str();
    format!(
        "<testcase classname=\"{suite}\" name=\"{name}\"><{kind} type=\"{state}\" message=\"{reason}\"/></testcase>\n"
    )
}
