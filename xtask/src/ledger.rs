//! The tested cases and their results.

/// Counts cases and prints each as it ends.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    passed: usize,
    failures: Vec<String>,
}

impl Ledger {
    /// Tries one case. `check` prints the commands that it runs and says what it saw.
    pub(crate) fn case(&mut self, title: &str, check: impl FnOnce() -> anyhow::Result<String>) {
        let number = self.passed + self.failures.len() + 1;
        println!("\n{number}. {title}");
        match check() {
            Ok(seen) => {
                self.passed += 1;
                println!("  ok: {seen}");
            }
            Err(error) => {
                println!("  FAILED: {error:#}");
                self.failures.push(format!("{number}. {title}"));
            }
        }
    }

    pub(crate) fn passed(&self) -> usize {
        self.passed
    }

    /// The titles of the cases that failed.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }
}
