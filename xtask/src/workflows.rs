//! The shell of the actions and workflows in `.github` and `docs/ci`, run by bash against a registry and a Sigstore
//! on loopback. Only what GitHub alone has is stood in for: its runner and what hands out tokens.

mod definition;
mod merge;
mod pages;
mod release;
mod runner;
mod scene;
mod sign;

use self::scene::Scene;
use crate::command::{Profile, build_countersign};
use crate::ledger::Ledger;

/// Runs every case, and prints what came of it.
///
/// # Errors
/// When a case failed, or the servers can't be started.
pub(crate) fn run() -> anyhow::Result<()> {
    println!("Building countersign …");
    let countersign = build_countersign(Profile::Debug)?;
    let scene = Scene::start(&countersign)?;
    let mut ledger = Ledger::default();
    sign::run(&scene, &mut ledger);
    merge::run(&scene, &mut ledger);
    release::run(&scene, &mut ledger);
    pages::run(&scene, &mut ledger);
    println!();
    ledger.close()
}
