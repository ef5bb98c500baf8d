//! What goes to standard output and standard error.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use serde_json::Value;

use crate::failure::Failure;
use crate::printable;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for a person; progress on standard error if it is a terminal
    Human,
    /// One JSON document on standard output, for success and failure alike
    Json,
}

/// Where results and failures are written, and how.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    /// The first error in writing a result.
    lost: RefCell<Option<io::Error>>,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            lost: RefCell::new(None),
        }
    }

    /// Whether progress may be drawn: for a person, at a terminal.
    pub(crate) fn shows_progress(&self) -> bool {
        self.format == Format::Human && std::io::stderr().is_terminal()
    }

    /// Whether lines for a person go to standard error.
    pub(crate) fn tells(&self) -> bool {
        self.format == Format::Human
    }

    /// One result: its text is written at once, for a person; its JSON is left to
    /// [`Self::document`].
    pub(crate) fn result(&self, text: &str) {
        if self.format == Format::Human {
            self.write(&printable::lines(text));
        }
    }

    /// One failure, for a person.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.note_text(&failure.to_text());
    }

    /// That results are lost: told on standard error in JSON mode too, because the document is what
    /// can't be written.
    pub(crate) fn lost_result(&self, failure: &Failure) {
        let _ = io::stderr().write_all(printable::lines(&failure.to_text()).as_bytes());
    }

    /// What a person has to know even if nobody reads the results: on standard error. JSON has it in
    /// a field.
    pub(crate) fn warning(&self, warning: &str) {
        self.note_text(&format!("warning: {}\n", warning.replace('\n', "\n    ")));
    }

    /// What is going on, on standard error.
    pub(crate) fn note(&self, line: &str) {
        self.note_text(&format!("{line}\n"));
    }

    fn note_text(&self, text: &str) {
        if self.format == Format::Human {
            // Where standard error is closed, nobody is left to tell.
            let _ = io::stderr().write_all(printable::lines(text).as_bytes());
        }
    }

    /// The one JSON document of this run, where JSON was asked for.
    pub(crate) fn document(&self, document: &Value) {
        if self.format == Format::Json {
            self.write(&printable::json(&format!("{document:#}\n")));
        }
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
            self.lost.borrow_mut().get_or_insert(error);
        }
    }
}

/// `1234567` as `1.2 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
