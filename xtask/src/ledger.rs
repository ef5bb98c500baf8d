//! The tested cases and their results.

use anyhow::ensure;

/// What became of a case that did not fail.
#[derive(Debug)]
pub(crate) enum Seen {
    /// What was seen.
    Passed(String),
    /// Why this machine can't play it.
    Skipped(&'static str),
}

impl From<String> for Seen {
    fn from(seen: String) -> Self {
        Self::Passed(seen)
    }
}

/// Counts cases and prints each as it ends.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    passed: usize,
    skipped: usize,
    failures: Vec<String>,
}

impl Ledger {
    /// Tries one case. `check` prints the commands that it runs and says what it saw.
    pub(crate) fn case<S: Into<Seen>>(
        &mut self,
        title: &str,
        check: impl FnOnce() -> anyhow::Result<S>,
    ) {
        let number = self.passed + self.skipped + self.failures.len() + 1;
        println!("\n{number}. {title}");
        match check().map(Into::into) {
            Ok(Seen::Passed(seen)) => {
                self.passed += 1;
                println!("  ok: {seen}");
            }
            Ok(Seen::Skipped(reason)) => {
                self.skipped += 1;
                println!("  skipped: {reason}");
            }
            Err(error) => {
                println!("  FAILED: {error:#}");
                self.failures.push(format!("{number}. {title}"));
            }
        }
    }

    /// The titles of the cases that failed.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Prints how many cases there were of each kind.
    ///
    /// # Errors
    /// When one failed, or none was played.
    pub(crate) fn close(&self) -> anyhow::Result<()> {
        let failed = self.failures.len();
        match self.skipped {
            0 => println!("{} passed, {failed} failed", self.passed),
            skipped => println!("{} passed, {failed} failed, {skipped} skipped", self.passed),
        }
        ensure!(failed == 0, "{failed} cases failed");
        ensure!(self.passed > 0, "no case was played");
        Ok(())
    }
}
