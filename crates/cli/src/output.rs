//! What goes to standard output and standard error.

use std::io::{IsTerminal, Write};

use serde_json::Value;

use crate::arguments::Format;
use crate::failure::Failure;

/// Where results and failures are written, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether progress may be drawn: for a person, at a terminal.
    pub(crate) fn shows_progress(&self) -> bool {
        self.format == Format::Human && std::io::stderr().is_terminal()
    }

    /// One result: its text is written at once, for a person; its JSON is left to
    /// [`Self::document`].
    pub(crate) fn result(&self, text: &str) {
        if self.format == Format::Human {
            write(&mut std::io::stdout(), text);
        }
    }

    /// One failure, for a person.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.format == Format::Human {
            write(&mut std::io::stderr(), &failure.to_text());
        }
    }

    /// The one JSON document of this run, where JSON was asked for.
    pub(crate) fn document(&self, document: &Value) {
        if self.format == Format::Json {
            write(&mut std::io::stdout(), &format!("{document:#}\n"));
        }
    }
}

/// A closed pipe is no reason to fail: whoever closed it wants no more.
fn write(to: &mut impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes());
    let _ = to.flush();
}

/// `1234567` as `1.2 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
