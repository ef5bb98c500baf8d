//! Several installations at once: a row each, and a row for all of them together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

use super::{Progress, Reader, STEP, bytes_template, look, target};
use crate::output::Output;
use crate::printable;

/// Draws a row for each installation, and the total below them. Draws nothing where no terminal is.
pub(crate) struct Board {
    reader: Reader,
    rows: MultiProgress,
    total: Arc<Total>,
}

/// The last row.
pub(super) struct Total {
    bar: ProgressBar,
    /// How many installations there are.
    count: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many have ended.
    ended: usize,
    /// Bytes that have come and bytes in all, by name.
    bytes: HashMap<String, (u64, u64)>,
}

/// What a row knows of the board that it is on.
pub(super) struct Row {
    /// The row begins with it.
    name: String,
    rows: MultiProgress,
    total: Arc<Total>,
}

impl Board {
    /// A board for `count` installations. For one, there is no total.
    pub(crate) fn new(output: &Output, count: usize) -> Self {
        Self::on(target(output), Reader::of(output), count)
    }

    fn on(target: ProgressDrawTarget, reader: Reader, count: usize) -> Self {
        let rows = MultiProgress::with_draw_target(target);
        let mut bar = ProgressBar::hidden();
        if count > 1 {
            bar = rows.add(ProgressBar::no_length());
            look(&bar, STEP);
            if !bar.is_hidden() {
                bar.enable_steady_tick(Duration::from_millis(100));
            }
        }
        let total = Arc::new(Total {
            bar,
            count,
            state: Mutex::default(),
        });
        total.say(0);
        Self {
            reader,
            rows,
            total,
        }
    }

    /// A row for the installation of `name`, until it is dropped.
    pub(crate) fn row(&self, name: &str) -> Progress {
        let bar = match self.total.count {
            0 | 1 => self.rows.add(ProgressBar::no_length()),
            _ => (self.rows).insert_before(&self.total.bar, ProgressBar::no_length()),
        };
        let row = (self.total.count > 1).then(|| Row {
            name: printable::lines(name),
            rows: self.rows.clone(),
            total: Arc::clone(&self.total),
        });
        Progress::of(self.reader, bar, row, format!("resolving {name}"))
    }

    /// Writes something while nothing is drawn.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.rows.suspend(write)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.total.bar.finish_and_clear();
    }
}

impl Row {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Of this installation, `position` bytes of `length` have come.
    pub(super) fn transferred(&self, position: u64, length: u64) {
        let Ok(mut state) = self.total.state.lock() else {
            return;
        };
        if state.bytes.is_empty() {
            look(&self.total.bar, bytes_template());
        }
        match state.bytes.get_mut(&self.name) {
            Some(bytes) => *bytes = (position, length),
            None => {
                let name = self.name.clone();
                state.bytes.insert(name, (position, length));
            }
        }
        let all = state.bytes.values();
        let (position, length) = all.fold((0, 0), |sum: (u64, u64), one| {
            (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1))
        });
        self.total.bar.set_length(length);
        self.total.bar.set_position(position);
    }

    /// Takes the row off the board.
    pub(super) fn end(&self, bar: &ProgressBar) {
        self.rows.remove(bar);
        if let Ok(mut state) = self.total.state.lock() {
            state.ended += 1;
            self.total.say(state.ended);
        }
    }
}

impl Total {
    fn say(&self, ended: usize) {
        let count = self.count;
        self.bar
            .set_message(format!("total: {ended} of {count} done"));
    }
}

#[cfg(test)]
mod tests {
    use countersign_download::Event;
    use countersign_oci::Digest;
    use indicatif::InMemoryTerm;

    use super::*;

    fn event(name: &str, bytes: u64) -> Event {
        Event::LayerProgress {
            digest: Digest::sha256(name.as_bytes()),
            bytes,
            size: 1 << 20,
        }
    }

    #[test]
    fn there_is_a_row_for_each_and_a_total_and_in_the_end_nothing() {
        let terminal = InMemoryTerm::new(10, 100);
        let reader = Reader {
            tells: true,
            steps: false,
            logs: false,
        };
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let board = Board::on(target, reader, 3);
        let rows = ["chat", "speech"].map(|name| board.row(name));
        rows[0].installing(&event("a", 0));
        rows[1].installing(&event("b", 0));
        rows[0].installing(&event("a", 1 << 20));
        rows[1].installing(&event("b", 1 << 18));
        let said = rows.each_ref().map(|row| row.bar.message());
        assert_eq!(said, ["chat: unpacking", "speech: fetching"]);
        let total = &board.total.bar;
        assert_eq!(total.position(), (1 << 20) + (1 << 18));
        assert_eq!(total.length(), Some(2 << 20));
        total.force_draw();
        let shown = terminal.contents();
        assert_eq!(shown.lines().count(), 3, "{shown}");
        assert!(shown.contains("total: 0 of 3 done"), "{shown}");
        drop(rows);
        total.force_draw();
        let shown = terminal.contents();
        assert!(shown.contains("total: 2 of 3 done"), "{shown}");
        assert_eq!(shown.lines().count(), 1, "{shown}");
        drop(board);
        assert_eq!(terminal.contents(), "");
    }
}
