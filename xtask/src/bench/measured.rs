//! What parts of the measurements came to, and the end of a run.

use anyhow::ensure;

/// What a part came to.
#[derive(Debug)]
pub(super) struct Measured {
    /// Targets that were missed.
    missed: Vec<String>,
    /// What was not measured, and why.
    skipped: Vec<String>,
    /// Whether anything was measured.
    is_played: bool,
}

impl From<Vec<String>> for Measured {
    fn from(missed: Vec<String>) -> Self {
        Self {
            missed,
            skipped: Vec::new(),
            is_played: true,
        }
    }
}

impl Measured {
    /// A part that this machine can't play.
    pub(super) fn skipped(reason: impl Into<String>) -> Self {
        Self {
            missed: Vec::new(),
            skipped: vec![reason.into()],
            is_played: false,
        }
    }

    /// This, without figures that this machine can't have.
    pub(super) fn without(mut self, reasons: impl IntoIterator<Item = String>) -> Self {
        self.skipped.extend(reasons);
        self
    }

    /// This and another one together.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.missed.extend(other.missed);
        self.skipped.extend(other.skipped);
        self.is_played |= other.is_played;
        self
    }

    /// Prints what was missed and what was skipped.
    ///
    /// # Errors
    /// When a target was missed, or nothing was measured.
    pub(super) fn close(&self) -> anyhow::Result<()> {
        for reason in &self.skipped {
            println!("skipped: {reason}");
        }
        for target in &self.missed {
            println!("missed: {target}");
        }
        ensure!(
            self.missed.is_empty(),
            "{} targets were missed",
            self.missed.len()
        );
        ensure!(self.is_played, "nothing was measured");
        println!(
            "{}",
            if self.skipped.is_empty() {
                "All targets were met."
            } else {
                "All targets of what was measured were met."
            }
        );
        Ok(())
    }

    /// This, of a part that was asked for by name.
    ///
    /// # Errors
    /// When nothing was measured.
    pub(super) fn wanted(self) -> anyhow::Result<Self> {
        ensure!(self.is_played, "{}", self.skipped.join("; "));
        Ok(self)
    }
}

/// Of targets, each with whether it was met, those that were not.
pub(super) fn not_met<const N: usize>(targets: [(bool, String); N]) -> Vec<String> {
    let missed = targets.into_iter().filter(|(met, _)| !met);
    missed.map(|(_, target)| target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_is_no_target_that_was_met() {
        let met = || Measured::from(Vec::new());
        let skipped = || Measured::skipped("no cosign");
        assert!(met().close().is_ok());
        let nothing = skipped().close().unwrap_err();
        assert_eq!(nothing.to_string(), "nothing was measured");
        assert!(skipped().and(met()).close().is_ok());
        let wanted = skipped().wanted().unwrap_err();
        assert_eq!(wanted.to_string(), "no cosign");
        let missed = not_met([(true, "a".to_owned()), (false, "b".to_owned())]);
        assert_eq!(missed, ["b"]);
        let missed = met().and(missed.into()).close().unwrap_err();
        assert_eq!(missed.to_string(), "1 targets were missed");
    }
}
