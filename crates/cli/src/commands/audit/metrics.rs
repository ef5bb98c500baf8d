//! `--metrics`: counts in the text format of Prometheus.

use std::fmt::Write as _;

use countersign_download::State;
use jiff::Timestamp;

use super::tally::Tally;

/// The counts, each state on a line of its own, also those that were not found: a line that disappears looks like a
/// scrape that failed.
pub(super) fn text(tally: &Tally, now: Timestamp) -> String {
    let mut text = String::from(
        "# HELP countersign_audit_images Images by what the last audit found.\n\
         # TYPE countersign_audit_images gauge\n",
    );
    // Writing to a text does not fail.
    for state in State::ALL.iter().copied() {
        let (name, count) = (state.as_str(), tally.of(state));
        let _ = writeln!(text, "countersign_audit_images{{state=\"{name}\"}} {count}");
    }
    let _ = write!(
        text,
        "# HELP countersign_audit_finished_seconds When the last audit ended.\n\
         # TYPE countersign_audit_finished_seconds gauge\n\
         countersign_audit_finished_seconds {}\n",
        now.as_second()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_line() {
        let text = text(&Tally::default(), Timestamp::UNIX_EPOCH);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.count(), State::ALL.len() + 1);
        assert!(text.contains("countersign_audit_images{state=\"proven\"} 0\n"));
        assert!(text.ends_with("countersign_audit_finished_seconds 0\n"));
    }
}
