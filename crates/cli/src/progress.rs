//! Progress on a terminal: one line for what is going on, one bar for the bytes.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use countersign_download::Event;
use countersign_oci::Digest;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{self, Output};
use crate::printable;

/// Draws what a long command is doing; draws nothing where no terminal is.
pub(crate) struct Progress {
    /// Whether a person reads standard error.
    tells: bool,
    bar: ProgressBar,
    layers: Mutex<HashMap<Digest, (u64, u64)>>,
}

impl Progress {
    pub(crate) fn new(output: &Output, message: impl Into<String>) -> Self {
        let bar = if output.shows_progress() {
            let bar = ProgressBar::new_spinner().with_message(printable::lines(&message.into()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        } else {
            ProgressBar::hidden()
        };
        Self {
            tells: output.tells(),
            bar,
            layers: Mutex::new(HashMap::new()),
        }
    }

    /// Says what is going on now.
    pub(crate) fn say(&self, message: impl Into<String>) {
        self.bar.set_message(printable::lines(&message.into()));
    }

    /// Says what a person has to know, also where no terminal is.
    fn tell(&self, line: &str) {
        if self.tells {
            self.bar.suspend(|| {
                // Where standard error is closed, nobody is left to tell.
                let _ = writeln!(io::stderr(), "{}", printable::lines(line));
            });
        }
    }

    /// Shows how far an installation is.
    pub(crate) fn installing(&self, event: &Event) {
        match event {
            Event::Waiting { path } => self.tell(&format!(
                "waiting: another run installs to {}",
                path.display()
            )),
            Event::Resolved { digest } => self.say(format!("verifying {digest}")),
            Event::Verified { .. } | Event::Unverified { .. } => self.say("unpacking"),
            Event::ArchiveProgress { bytes, .. } => {
                self.say(format!("fetching, {}", output::bytes(*bytes)));
            }
            Event::LayerProgress {
                digest,
                bytes,
                size,
            } => self.transferred(digest, *bytes, *size),
            _ => {}
        }
    }

    /// Of the blob `digest`, `bytes` of `size` have come.
    pub(crate) fn transferred(&self, digest: &Digest, bytes: u64, size: u64) {
        let Ok(mut layers) = self.layers.lock() else {
            return;
        };
        layers.insert(digest.clone(), (bytes, size));
        let (position, length) = layers
            .values()
            .fold((0, 0), |(a, b), (bytes, size)| (a + bytes, b + size));
        if self.bar.length().is_none()
            && let Ok(style) = ProgressStyle::with_template(
                "{spinner} {msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}",
            )
        {
            self.bar.set_style(style);
        }
        self.bar.set_length(length);
        self.bar.set_position(position);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
