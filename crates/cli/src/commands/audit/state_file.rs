//! `--state FILE`: what an audit has found so far, so that one that was interrupted goes on.
//!
//! Subjects are written in their order, one a line, so that a run which goes on reads the file beside the list
//! and keeps nothing in memory. A file of another audit is refused: its verdicts are by other rules.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use countersign_download::{AuditSubject, FileLock, State};
use countersign_oci::Digest;
use serde::{Deserialize, Serialize};

use super::record::AuditResult;
use crate::failure::{Failure, Kind};
use crate::input::next_line;

const WHAT: &str = "state of the audit";

/// The first line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    /// Digest of everything that verdicts depend on, besides registries.
    rules: String,
}

/// A line: a subject and the verdicts on it.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    subject: String,
    results: Vec<AuditResult>,
}

impl Line {
    /// Whether the image must be asked for again: the registry gave no answer that says more, it refused access, or this
    /// machine failed. Its line stays in the file.
    fn is_open(&self) -> bool {
        let mut states = self.results.iter().map(|result| State::from(result.state));
        states.any(|state| !state.is_known())
    }

    /// Whether it has verdicts, and those of this subject.
    fn is_of(&self, subject: &AuditSubject) -> bool {
        let listed = subject.gallery().is_none();
        let asked = subject.to_string();
        self.subject == name(subject)
            && !self.results.is_empty()
            && self
                .results
                .iter()
                .all(|result| !listed || result.reference == asked)
    }
}

/// A file of an audit, at the first subject that it does not have.
pub(super) struct StateFile {
    path: PathBuf,
    reader: BufReader<File>,
    /// Bytes of complete lines that were read.
    complete: u64,
    writer: Option<BufWriter<File>>,
    /// The next subject to write.
    next: usize,
    /// Subjects that were done before an earlier one.
    early: BTreeMap<usize, Line>,
    /// The lines of two runs would be mixed.
    _lock: FileLock,
}

impl StateFile {
    /// Opens the file of an audit by these rules, or begins one.
    pub(super) fn open(path: &Path, rules: &str) -> Result<Self, Failure> {
        let unreadable = |error| Failure::unreadable(path, WHAT, error);
        let lock = lock_of(path)?;
        let mut options = OpenOptions::new();
        let opened = options.read(true).append(true).create(true).open(path);
        let file = opened.map_err(|error| Failure::unwritable(path, WHAT, error))?;
        let mut reader = BufReader::new(file);
        let expected = Header {
            rules: Digest::sha256(rules.as_bytes()).to_string(),
        };
        let (mut complete, mut text) = (0, String::new());
        let read = next_line(&mut reader, &mut text).map_err(unreadable)?;
        if text.ends_with('\n') {
            if serde_json::from_str::<Header>(&text).ok().as_ref() != Some(&expected) {
                return Err(other_audit(path));
            }
            complete = read as u64;
        } else if !serde_json::to_string(&expected).is_ok_and(|whole| whole.starts_with(&text)) {
            // Not even the beginning of ours: somebody else's file is never overwritten.
            return Err(other_audit(path));
        }
        let mut file = Self {
            path: path.to_owned(),
            reader,
            complete,
            writer: None,
            next: 0,
            early: BTreeMap::new(),
            _lock: lock,
        };
        if complete == 0 {
            let header = serde_json::to_string(&expected);
            let header = header.map_err(io::Error::from);
            file.begin_writing()
                .and_then(|()| file.write(&header?))
                .map_err(|error| Failure::unwritable(path, WHAT, error))?;
        }
        Ok(file)
    }

    /// The verdicts on the next subject, if the file has them and they are final.
    ///
    /// # Errors
    /// If the file has another subject in its place: the list has changed since.
    pub(super) fn recall(
        &mut self,
        subject: &AuditSubject,
    ) -> Result<Option<Vec<AuditResult>>, Failure> {
        if self.writer.is_some() {
            return Ok(None);
        }
        let mut text = String::new();
        let read = next_line(&mut self.reader, &mut text);
        let read = read.map_err(|error| Failure::unreadable(&self.path, WHAT, error))?;
        if !text.ends_with('\n') {
            // The end, or a line that was cut short when the run was interrupted.
            let begun = self.begin_writing();
            begun.map_err(|error| Failure::unwritable(&self.path, WHAT, error))?;
            return Ok(None);
        }
        let line = serde_json::from_str::<Line>(&text).ok();
        match line.filter(|line| line.is_of(subject)) {
            Some(line) => {
                self.complete += read as u64;
                self.next += 1;
                Ok((!line.is_open()).then_some(line.results))
            }
            None => {
                let message = format!(
                    "{} is of an audit of another list: expected {} at line {}",
                    self.path.display(),
                    name(subject),
                    self.next + 2
                );
                Err(Failure::new(Kind::Usage, message).hint(BEGIN_ANEW))
            }
        }
    }

    /// Keeps the verdicts on a subject, unless the file has a line for it.
    pub(super) fn keep(
        &mut self,
        position: usize,
        subject: &AuditSubject,
        results: &[AuditResult],
    ) -> Result<(), Failure> {
        if position < self.next {
            return Ok(());
        }
        let line = Line {
            subject: name(subject),
            results: results.to_vec(),
        };
        self.early.insert(position, line);
        while let Some(line) = self.early.remove(&self.next) {
            let text = serde_json::to_string(&line).map_err(io::Error::from);
            let written = text.and_then(|text| self.write(&text));
            written.map_err(|error| Failure::unwritable(&self.path, WHAT, error))?;
            self.next += 1;
        }
        Ok(())
    }

    /// Goes on behind the last complete line.
    fn begin_writing(&mut self) -> io::Result<()> {
        let mut file = self.reader.get_ref().try_clone()?;
        file.set_len(self.complete)?;
        file.seek(SeekFrom::End(0))?;
        self.writer = Some(BufWriter::new(file));
        Ok(())
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let Some(writer) = &mut self.writer else {
            return Err(io::Error::other("the file is still read"));
        };
        writer.write_all(line.as_bytes())?;
        writer.write_all(b"\n")?;
        // A run that is killed loses no more than what it was at.
        writer.flush()
    }
}

const BEGIN_ANEW: &str = "remove the file, or name another one with --state";

/// Keeps other runs from the file at `path`. They are not waited for: an audit can take hours.
fn lock_of(path: &Path) -> Result<FileLock, Failure> {
    let taken = FileLock::beside(path).and_then(|beside| FileLock::try_take(&beside));
    let taken = taken.map_err(|error| Failure::unwritable(path, WHAT, error))?;
    taken.ok_or_else(|| {
        let message = format!("another run is writing the {WHAT} {}", path.display());
        Failure::new(Kind::Machine, message)
            .hint("wait until the other run ends, or name another file with --state")
    })
}

fn other_audit(path: &Path) -> Failure {
    let message = format!(
        "{} is no state of this audit: it is of another policy, of other flags, or another kind of file",
        path.display()
    );
    Failure::new(Kind::Usage, message).hint(BEGIN_ANEW)
}

/// What a subject is called in the file.
fn name(subject: &AuditSubject) -> String {
    match (subject.gallery(), subject.entry()) {
        (Some(gallery), Some(entry)) => format!("{gallery}@{entry} {subject}"),
        (_, _) => subject.to_string(),
    }
}
