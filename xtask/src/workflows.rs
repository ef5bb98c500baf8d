//! The shell of the actions and workflows in `.github` and `docs/ci`, run by bash against a registry and a Sigstore
//! on loopback. Only what GitHub alone has is stood in for: its runner and what hands out tokens.

mod definition;
mod merge;
mod pages;
mod release;
mod runner;
mod sign;
mod stage;

use anyhow::ensure;

use self::stage::Stage;
use crate::command::{Profile, build_countersign};
use crate::ledger::Ledger;

/// Runs every case, and prints what came of it.
///
/// # Errors
/// When a case failed, or the servers can't be started.
pub(crate) fn run() -> anyhow::Result<()> {
    println!("Building countersign …");
    let countersign = build_countersign(Profile::Debug)?;
    let stage = Stage::set(&countersign)?;
    let mut ledger = Ledger::default();
    sign::run(&stage, &mut ledger);
    merge::run(&stage, &mut ledger);
    release::run(&stage, &mut ledger);
    pages::run(&stage, &mut ledger);
    let failures = ledger.failures();
    println!("\n{} passed, {} failed", ledger.passed(), failures.len());
    ensure!(
        failures.is_empty(),
        "not every case went as it should; see above"
    );
    Ok(())
}
