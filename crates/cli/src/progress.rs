//! Progress on a terminal: one row that says what is going on, how much of the bytes has come, how
//! fast, and how long the rest takes. With `--verbose`, a line a step as well. Several installations at
//! once have a row each ([`Board`]). Without a terminal, a line at the start and the end of each long step ([`LongSteps`]).

mod board;
mod steps;

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_download::Event;
use countersign_oci::{Copied, Digest};
use countersign_sign::CopyEvent;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{self, Output};
use crate::printable;
use board::Row;
use steps::LongSteps;

pub(crate) use board::Board;

/// A terminal with so many columns has room for a bar.
const WIDE: u16 = 80;
const STEP: &str = "{spinner} {wide_msg}";
const NARROW: &str = "{spinner} {wide_msg} {percent:>3}% {bytes_per_sec} {eta}";
const WITH_BAR: &str =
    "{spinner} {wide_msg} {bar:20} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
/// Where nobody knows how much will come.
const ENDLESS: &str = "{spinner} {wide_msg} {bytes} {bytes_per_sec}";

/// Who reads standard error.
#[derive(Debug, Clone, Copy)]
struct Reader {
    /// Whether it is a person.
    tells: bool,
    /// Whether that person wants to know of each step.
    steps: bool,
    /// Whether it is read later, in a log.
    logs: bool,
}

impl Reader {
    fn of(output: &Output) -> Self {
        Self {
            tells: output.tells(),
            steps: output.tells_steps(),
            // With `--verbose` each step is told as it begins.
            logs: output.tells() && !output.tells_steps() && !output.shows_progress(),
        }
    }
}

/// Draws what a long command is doing; draws nothing where no terminal is.
pub(crate) struct Progress {
    reader: Reader,
    bar: ProgressBar,
    layers: Mutex<HashMap<Digest, (u64, u64)>>,
    /// Set if it is one of several.
    row: Option<Row>,
    /// Set if nothing is drawn, and somebody reads.
    long: Option<LongSteps>,
}

impl Progress {
    pub(crate) fn new(output: &Output, message: impl Into<String>) -> Self {
        let bar = ProgressBar::with_draw_target(None, target(output));
        Self::of(Reader::of(output), bar, None, message)
    }

    fn of(reader: Reader, bar: ProgressBar, row: Option<Row>, message: impl Into<String>) -> Self {
        let long = reader.logs.then(|| {
            let name = row.as_ref().map(|row| format!("{}: ", row.name()));
            let name = name.unwrap_or_default();
            LongSteps::new(Arc::new(move |line| {
                // Where standard error is closed, nobody is left to tell.
                let _ = writeln!(io::stderr(), "{name}{line}");
            }))
        });
        let progress = Self {
            reader,
            bar,
            layers: Mutex::new(HashMap::new()),
            row,
            long,
        };
        progress.look(STEP);
        progress.say(message);
        if !progress.bar.is_hidden() {
            progress.bar.enable_steady_tick(Duration::from_millis(100));
        }
        progress
    }

    /// Says what is going on now: the next step.
    pub(crate) fn say(&self, message: impl Into<String>) {
        let message = printable::lines(&message.into());
        if self.reader.steps {
            self.line(&message);
        }
        self.begin(&message);
    }

    /// Begins a step without a line for it.
    fn begin(&self, printable: &str) {
        self.set_message(printable);
        if let Some(long) = &self.long {
            long.begin(printable);
        }
    }

    /// Says that a step has ended, which says so itself.
    fn verdict(&self, message: &str) {
        if self.reader.steps {
            self.line(message);
        }
        self.set_message(message);
        if let Some(long) = &self.long {
            // Layers may be fetched meanwhile.
            long.end_if(|message| message.starts_with("verifying "));
        }
    }

    fn set_message(&self, printable: &str) {
        self.bar.set_message(self.named(printable));
    }

    /// A line that says which of several it is about.
    fn named(&self, line: &str) -> String {
        match &self.row {
            Some(row) => format!("{}: {line}", row.name()),
            None => line.to_owned(),
        }
    }

    /// Says how many images were audited so far.
    pub(crate) fn audited(&self, count: u64) {
        self.bar.set_message(format!("auditing: {count} so far"));
    }

    /// Says what a person has to know, also where no terminal is.
    pub(crate) fn tell(&self, line: &str) {
        if self.reader.tells {
            self.line(&printable::lines(line));
        }
    }

    /// Writes something while nothing is drawn.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Says what a person has to do, or the run can't go on: told whatever the verbosity is.
    pub(crate) fn ask(&self, lines: &str) {
        self.line(&printable::lines(lines));
    }

    fn line(&self, printable: &str) {
        self.bar.suspend(|| {
            // Where standard error is closed, nobody is left to tell.
            let _ = writeln!(io::stderr(), "{}", self.named(printable));
        });
    }

    /// Shows how far an installation is.
    pub(crate) fn installing(&self, event: &Event) {
        match event {
            Event::Waiting { path } => self.tell(&format!(
                "waiting: another run installs to {}",
                path.display()
            )),
            Event::Resolved { digest } => {
                // Another source begins anew.
                if let Ok(mut layers) = self.layers.lock() {
                    layers.clear();
                }
                self.look(STEP);
                self.say(format!("verifying {digest}"));
            }
            Event::Verified { digest } => self.verdict(&format!("verified {digest}")),
            Event::Unverified { digest } => self.verdict(&format!("not verified: {digest}")),
            Event::ArchiveProgress {
                source,
                bytes,
                size,
            } => self.archive(source, *bytes, *size),
            Event::LayerProgress {
                digest,
                bytes,
                size,
            } => {
                let (position, length) =
                    self.transferred("fetching", "layer", digest, *bytes, *size);
                if position == length {
                    self.begin("unpacking");
                }
            }
            Event::LayerCached { digest } => {
                if self.reader.steps {
                    self.line(&format!("from the cache: {digest}"));
                }
            }
            Event::LayerExtracted { digest } => {
                if self.reader.steps {
                    self.line(&format!("unpacked {digest}"));
                }
            }
        }
    }

    /// Shows how far a copy is.
    pub(crate) fn copying(&self, event: &CopyEvent) {
        match event {
            CopyEvent::Blob {
                digest,
                bytes,
                size,
            } => {
                self.transferred("copying", "blob", digest, *bytes, *size);
            }
            CopyEvent::BlobDone {
                digest,
                size,
                copied,
            } => {
                self.transferred("copying", "blob", digest, *size, *size);
                if self.reader.steps {
                    let how = match copied {
                        Copied::Present => "already there",
                        Copied::Mounted => "mounted",
                        Copied::Sent => "copied",
                    };
                    self.line(&format!("{how}: {digest}"));
                }
            }
            CopyEvent::Verifying { image } => {
                self.look(STEP);
                self.say(format!("verifying {image}"));
            }
            CopyEvent::Tagging { tag } => self.say(format!("writing {tag}")),
            CopyEvent::Listing { image } => self.say(format!("listing {image}")),
        }
    }

    /// Of the tarball `source`, `bytes` have come.
    fn archive(&self, source: &str, bytes: u64, size: Option<u64>) {
        if self.bar.position() == 0 {
            self.look(if size.is_some() {
                bytes_template()
            } else {
                ENDLESS
            });
            self.say(format!("fetching {source}"));
        }
        if let Some(size) = size {
            self.bar.set_length(size);
            if let Some(row) = &self.row {
                row.transferred(bytes, size);
            }
        }
        self.bar.set_position(bytes);
    }

    /// Of the blob `digest`, `bytes` of `size` have come. All blobs are named before the first has
    /// any, so that the total stays. Returns how many bytes of all have come, and how many there are.
    fn transferred(
        &self,
        verb: &str,
        noun: &str,
        digest: &Digest,
        bytes: u64,
        size: u64,
    ) -> (u64, u64) {
        let Ok(mut layers) = self.layers.lock() else {
            return (0, u64::MAX);
        };
        let first = layers.is_empty();
        if first {
            self.look(bytes_template());
        }
        let new = layers.insert(digest.clone(), (bytes, size)).is_none();
        let (position, length) = layers
            .values()
            .fold((0, 0), |(a, b): (u64, u64), (bytes, size)| {
                (a.saturating_add(*bytes), b.saturating_add(*size))
            });
        if new {
            if self.reader.steps {
                let size = output::bytes(size);
                self.line(&format!("{verb} {digest}, {size}"));
            }
            if first {
                self.begin(verb);
            } else {
                self.set_message(verb);
            }
            if let Some(long) = &self.long {
                let (count, size) = (layers.len(), output::bytes(length));
                let plural = if count == 1 { "" } else { "s" };
                long.describe(&format!("{verb} {count} {noun}{plural}, {size}"));
            }
        }
        self.bar.set_length(length);
        self.bar.set_position(position);
        if let Some(row) = &self.row {
            row.transferred(position, length);
        }
        (position, length)
    }

    fn look(&self, template: &str) {
        look(&self.bar, template);
    }
}

/// A terminal, where a person wants to see progress.
fn target(output: &Output) -> ProgressDrawTarget {
    if output.shows_progress() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}

/// The row for bytes of which the number is known.
fn bytes_template() -> &'static str {
    let columns = terminal_size::terminal_size_of(io::stderr());
    match columns {
        Some((columns, _)) if columns.0 < WIDE => NARROW,
        _ => WITH_BAR,
    }
}

fn look(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(long) = &self.long {
            long.end();
        }
        self.bar.finish_and_clear();
        if let Some(row) = &self.row {
            row.end(&self.bar);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::InMemoryTerm;

    fn progress(terminal: &InMemoryTerm) -> Progress {
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let progress = Progress {
            reader: Reader {
                tells: true,
                steps: false,
                logs: false,
            },
            bar: ProgressBar::with_draw_target(None, target),
            layers: Mutex::new(HashMap::new()),
            row: None,
            long: None,
        };
        progress.look(STEP);
        progress
    }

    fn layer(name: &str, bytes: u64, size: u64) -> Event {
        Event::LayerProgress {
            digest: Digest::sha256(name.as_bytes()),
            bytes,
            size,
        }
    }

    #[test]
    fn every_template_takes_one_row_at_forty_columns() {
        let terminal = InMemoryTerm::new(10, 40);
        let progress = progress(&terminal);
        let digest = Digest::sha256(b"image");
        progress.installing(&Event::Resolved { digest });
        progress.bar.tick();
        assert!(terminal.contents().starts_with("⠁ verifying sha256:"));
        assert_eq!(terminal.contents().lines().count(), 1);

        progress.look(NARROW);
        progress
            .bar
            .set_message("fetching quay.io/example/application:v1");
        progress.bar.set_length(3 << 30);
        progress.bar.set_position(1 << 30);
        progress.bar.tick();
        let shown = terminal.contents();
        assert_eq!(shown.lines().count(), 1, "{shown}");
        assert!(shown.contains(" 33% "), "{shown}");
        assert!(shown.contains("/s "), "{shown}");
    }

    #[test]
    fn the_total_stays_where_all_layers_are_named_first() {
        let terminal = InMemoryTerm::new(10, 200);
        let progress = progress(&terminal);
        for event in [layer("a", 0, 100), layer("b", 0, 300)] {
            progress.installing(&event);
        }
        for (event, position) in [
            (layer("a", 50, 100), 50),
            (layer("b", 100, 300), 150),
            (layer("a", 100, 100), 200),
            (layer("b", 300, 300), 400),
        ] {
            progress.installing(&event);
            assert_eq!(progress.bar.length(), Some(400));
            assert_eq!(progress.bar.position(), position);
        }
        progress.bar.tick();
        let shown = terminal.contents();
        assert!(shown.contains("unpacking"), "{shown}");
        assert!(shown.contains("400 B/400 B"), "{shown}");
        assert!(shown.ends_with(" left"), "{shown}");
    }

    #[test]
    fn nothing_is_left_of_it() {
        let terminal = InMemoryTerm::new(10, 80);
        let progress = progress(&terminal);
        progress.say("working");
        progress.bar.tick();
        assert!(terminal.contents().contains("working"));
        drop(progress);
        assert_eq!(terminal.contents(), "");
    }
}
