//! What goes to standard output and standard error.
//!
//! JSON mode writes one document. A result that can't be written is kept and fails the run, except where
//! whoever read it closed the pipe. Everything that others wrote is made printable first.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::builder::StyledStr;
use serde::Serialize;
use serde_json::Value;

use crate::arguments::terminal::{Format, TerminalArguments, Verbosity};
use crate::environment::Environment;
use crate::failure::{Failure, Kind, Label, worst};
use crate::json::document::{OutputDocument, Streamed};
use crate::json::error::{FailedRun, Tags};
use crate::json::results::Results;
use crate::json::signing::SignResult;
use crate::printable;
use crate::terminal::{self, ColorWhen, Colours, Role};

/// Where results and failures are written, and how.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    verbosity: Verbosity,
    stdout: Colours,
    stderr: Colours,
    /// The first error in writing a result.
    lost: RefCell<Option<io::Error>>,
    /// What became of each manifest before a failure ended the run, and of the tags.
    before_failure: RefCell<(Vec<SignResult>, Option<Tags>)>,
    /// What results failed by, so far.
    failed: RefCell<Vec<Kind>>,
    /// References whose verdicts are still to come, by their positions.
    not_judged: RefCell<BTreeMap<usize, String>>,
    /// Whether something is done that stays if the run is ended: an entry is installed, say.
    done: Cell<bool>,
    /// The JSON of results so far, for the document of a failure that ends the run.
    kept: RefCell<String>,
    /// Warnings of files of configuration that are not used, for the document of a failure that ends the run.
    unused: RefCell<Vec<String>>,
    /// The document whose results are written one by one, if there is one.
    results: Results,
}

/// Who was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Person,
    Nobody,
}

impl Output {
    pub(crate) fn new(arguments: &TerminalArguments, environment: &Environment) -> Self {
        let when = match arguments.color {
            ColorWhen::Auto => environment.colours(),
            flag @ (ColorWhen::Always | ColorWhen::Never) => flag,
        };
        Self {
            format: arguments.output,
            verbosity: arguments.verbosity(),
            stdout: Colours::of(&io::stdout(), when),
            stderr: Colours::of(&io::stderr(), when),
            lost: RefCell::new(None),
            before_failure: RefCell::default(),
            failed: RefCell::default(),
            not_judged: RefCell::default(),
            done: Cell::default(),
            kept: RefCell::default(),
            unused: RefCell::default(),
            results: Results::default(),
        }
    }

    /// Whether progress may be drawn: for a person, at a terminal.
    pub(crate) fn shows_progress(&self) -> bool {
        self.tells() && io::stderr().is_terminal()
    }

    /// Whether lines for a person go to standard error, beside errors.
    pub(crate) fn tells(&self) -> bool {
        self.format == Format::Human && self.verbosity > Verbosity::Errors
    }

    /// Whether each step is told.
    pub(crate) fn tells_steps(&self) -> bool {
        self.format == Format::Human && self.verbosity >= Verbosity::Steps
    }

    /// Whether the libraries' diagnostics are written, if the environment doesn't say.
    pub(crate) fn diagnoses(&self) -> bool {
        self.verbosity >= Verbosity::Diagnostics
    }

    /// What diagnostics are painted with.
    pub(crate) fn stderr_colours(&self) -> Colours {
        self.stderr
    }

    /// The columns of the terminal that results are shown on; `None` where there is none.
    pub(crate) fn width(&self) -> Option<u16> {
        terminal::width()
    }

    /// One result: what was done. Its text is written at once, for a person, the first line as a
    /// headline; its JSON is left to [`Self::document`].
    pub(crate) fn result(&self, text: &str) {
        if !self.tells() {
            return;
        }
        let text = printable::lines(text);
        match text.split_once('\n') {
            Some((headline, details)) if !headline.starts_with(' ') => {
                let headline = self.stdout.paint(Role::Headline, headline);
                self.write(&format!("{headline}\n{details}"));
            }
            _ => self.write(&text),
        }
    }

    /// What the command is there to print, for a person; `--quiet` leaves it.
    pub(crate) fn answer(&self, text: &str) {
        if self.format == Format::Human {
            self.write(&printable::lines(text));
        }
    }

    /// Whether one JSON document is all that is printed. Its results have to be kept until then.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A text as somebody else wrote it, for a file or a program. A terminal gets it printable.
    pub(crate) fn raw(&self, text: &str) {
        if io::stdout().is_terminal() {
            self.write(&printable::lines(text));
        } else {
            self.write(text);
        }
    }

    /// One failure, for a person.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.format == Format::Human {
            self.write_failure(failure);
        }
    }

    /// Remembers that a result failed, for the exit code of a run that a failure ends before its other results.
    pub(crate) fn remember_failed(&self, kind: Kind) {
        let mut failed = self.failed.borrow_mut();
        if !failed.contains(&kind) {
            failed.push(kind);
        }
    }

    /// Forgets them, where they are no results of this run.
    pub(crate) fn forget_failed(&self) {
        self.failed.borrow_mut().clear();
    }

    /// The worst kind by which results failed, and `kind`.
    pub(crate) fn worst_with(&self, kind: Kind) -> Kind {
        let mut failed = self.failed.borrow().clone();
        failed.push(kind);
        worst(&failed).unwrap_or(kind)
    }

    /// Says that results are lost. It goes to standard error in JSON mode too, because the document is what can't be
    /// written.
    pub(crate) fn lost_result(&self, failure: &Failure) {
        self.write_failure(failure);
    }

    fn write_failure(&self, failure: &Failure) {
        let mut text = String::new();
        for (label, said) in failure.said() {
            let (indent, name, role) = match label {
                Label::Error => ("", "error", Role::Error),
                Label::Cause => ("  ", "caused by", Role::Error),
                Label::Hint => ("  ", "hint", Role::Hint),
            };
            let name = self.stderr.paint(role, &format!("{name}:"));
            let said = printable::lines(&said.trim_end().replace('\n', "\n    "));
            text.push_str(&format!("{indent}{name} {said}\n"));
        }
        tell(&text);
    }

    /// A command line that can't be read, as clap explains it.
    pub(crate) fn usage(&self, said: &StyledStr) -> Told {
        if self.format != Format::Human {
            return Told::Nobody;
        }
        tell(&styled(said, self.stderr));
        Told::Person
    }

    /// Help, or the version, as clap writes it.
    pub(crate) fn help(&self, said: &StyledStr) {
        self.write(&styled(said, self.stdout));
    }

    /// What a person has to know even if nobody reads the results: on standard error. JSON has it in
    /// a field.
    pub(crate) fn warning(&self, warning: &str) {
        if self.tells() {
            let label = self.stderr.paint(Role::Warning, "warning:");
            let warning = printable::lines(&warning.replace('\n', "\n    "));
            tell(&format!("{label} {warning}\n"));
        }
    }

    /// Warns of a file of configuration that is not used. In JSON it is a hint of the first failure, which may be because of
    /// what that file says.
    pub(crate) fn unused(&self, warning: String) {
        self.warning(&warning);
        self.unused.borrow_mut().push(warning);
    }

    /// What was warned of by [`Self::unused`].
    pub(crate) fn hints_of_unused(&self) -> Vec<String> {
        self.unused.borrow().clone()
    }

    /// What is going on, on standard error.
    pub(crate) fn note(&self, line: &str) {
        if self.tells() {
            tell(&format!("{}\n", printable::lines(line)));
        }
    }

    /// Keeps the tags that this run is to write. Until more is known, each of them is as it was.
    pub(crate) fn plan_tags(&self, tags: Option<Tags>) {
        self.before_failure.borrow_mut().1 = tags;
    }

    /// Keeps what `sign` came to, for the document of a failure that ends the run. `tags` is `None` if none of them was
    /// begun.
    pub(crate) fn before_failure(&self, results: Vec<SignResult>, tags: Option<Tags>) {
        let mut kept = self.before_failure.borrow_mut();
        kept.0 = results;
        if tags.is_some() {
            kept.1 = tags;
        }
    }

    /// Whether the run ended before it knew what there was to sign.
    pub(crate) fn has_no_results(&self) -> bool {
        self.before_failure.borrow().0.is_empty()
    }

    /// Where the tags were when something ended the run.
    pub(crate) fn tags_before_failure(&self) -> Option<Tags> {
        self.before_failure.borrow_mut().1.take()
    }

    /// Keeps the references that are to be judged, in their order, to name those that weren't if something ends the run.
    pub(crate) fn judging(&self, references: impl Iterator<Item = String>) {
        *self.not_judged.borrow_mut() = references.enumerate().collect();
    }

    /// The one at this position, from 0, has its verdict.
    pub(crate) fn judged(&self, position: usize) {
        self.not_judged.borrow_mut().remove(&position);
    }

    /// Those that have none.
    pub(crate) fn not_judged(&self) -> Vec<String> {
        self.not_judged.take().into_values().collect()
    }

    /// Remembers that something is done that stays if the run is ended.
    pub(crate) fn remember_done(&self) {
        self.done.set(true);
    }

    /// Whether something is.
    pub(crate) fn has_done(&self) -> bool {
        self.done.get()
    }

    /// Keeps a result of a document that is printed at the end of the run. If a failure ends the run before, the document
    /// of that has it.
    pub(crate) fn keep_result<D: Streamed>(&self, result: &D::Result) {
        if self.is_json() {
            match self.results.next(result) {
                Ok(text) => self.kept.borrow_mut().push_str(&text),
                Err(error) => self.lose(error.into()),
            }
        }
    }

    /// The one JSON document of a run that a failure ended.
    pub(crate) fn failure_document(&self, failure: &Failure) {
        let mut error = failure.to_json();
        error.hints.extend(self.unused.take());
        // The code that the run ends with: what failed before counts too.
        error.exit_code = failure.exit_code_with(|kind| self.worst_with(kind));
        let failed = FailedRun {
            results: self.before_failure.take().0,
            error,
        };
        let kept = self.kept.take();
        match self.results.fail(&failed.error) {
            Some(text) => self.write_json(text.map(|text| kept + &text)),
            None => self.json(&failed),
        }
        self.line(&failed);
    }

    /// The one JSON document of this run, where JSON was asked for.
    pub(crate) fn document(&self, document: &impl OutputDocument) {
        self.json(document);
    }

    /// One JSON document of many, each on a line of its own, where lines were asked for.
    pub(crate) fn line(&self, document: &impl OutputDocument) {
        if self.format == Format::Jsonl {
            let text = serde_json::to_string(document);
            self.write_json(text.map(|text| text + "\n"));
        }
    }

    /// Whether lines were asked for.
    pub(crate) fn prints_lines(&self) -> bool {
        self.format == Format::Jsonl
    }

    /// One more result of the JSON document of this run, where JSON was asked for. It is written at once, so that a run
    /// with many results keeps none.
    pub(crate) fn next_result<D: Streamed>(&self, result: &D::Result) {
        if self.is_json() {
            self.write_json(self.results.next(result));
        }
    }

    /// Ends the document of [`Self::next_result`].
    pub(crate) fn end_results(&self) {
        if let Some(end) = self.results.end() {
            self.write(end);
        }
    }

    /// A JSON Schema: for a person and for a program alike.
    pub(crate) fn schema(&self, schema: &Value) {
        self.answer(&format!("{schema:#}\n"));
        self.json(schema);
    }

    fn json(&self, document: &impl Serialize) {
        if self.is_json() {
            let text = serde_json::to_string_pretty(document);
            self.write_json(text.map(|text| text + "\n"));
        }
    }

    fn write_json(&self, text: serde_json::Result<String>) {
        match text {
            Ok(text) => self.write(&printable::json(&text)),
            Err(error) => self.lose(error.into()),
        }
    }

    fn lose(&self, error: io::Error) {
        self.lost.borrow_mut().get_or_insert(error);
    }

    /// Why a result was not written, if one was not: a full disk, say.
    pub(crate) fn lost(&self) -> Option<io::Error> {
        self.lost.take()
    }

    /// A closed pipe is no reason to fail: whoever closed it wants no more.
    fn write(&self, text: &str) {
        let mut stdout = io::stdout();
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
        if let Err(error) = written
            && error.kind() != ErrorKind::BrokenPipe
        {
            self.lose(error);
        }
    }
}

/// To standard error. Where it is closed, nobody is left to tell.
fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn styled(said: &StyledStr, colours: Colours) -> String {
    match colours {
        Colours::Ansi => said.ansi().to_string(),
        Colours::Plain => said.to_string(),
    }
}

/// `1234567` as `1.2 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

/// `1 file`, `2 files`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
