//! The public API of the libraries, kept as a listing in `fixtures/api`, so that a change to it is seen in review.
//!
//! rustdoc describes a crate in JSON, whose form changes with its version. So the toolchain is the one of
//! `rust-toolchain.toml` (`RUSTC_BOOTSTRAP` allows that), and `public-api` is of the version that reads this form.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use public_api::PublicApi;

use crate::command::workspace;

const LIBRARIES: [&str; 5] = ["oci", "policy", "verify", "download", "sign"];
const DIRECTORY: &str = "fixtures/api";

/// Writes the listings.
///
/// # Errors
/// When a library doesn't build.
pub(crate) fn write() -> anyhow::Result<()> {
    fs::create_dir_all(workspace().join(DIRECTORY))?;
    let descriptions = describe()?;
    for library in LIBRARIES {
        let listing = listing(&descriptions, library)?;
        let file = format!("{DIRECTORY}/{library}.txt");
        println!("{file}: {} lines", listing.lines().count());
        fs::write(workspace().join(file), listing)?;
    }
    Ok(())
}

/// Compares the listings with what is there.
///
/// # Errors
/// When one is no longer right.
pub(crate) fn check() -> anyhow::Result<()> {
    let descriptions = describe()?;
    let mut changed = Vec::new();
    for library in LIBRARIES {
        let file = format!("{DIRECTORY}/{library}.txt");
        let committed = fs::read_to_string(workspace().join(&file)).unwrap_or_default();
        let differences = differences(&committed, &listing(&descriptions, library)?);
        if differences.is_empty() {
            println!("{file}: nothing changed");
        } else {
            println!("{file}:\n{differences}");
            changed.push(library);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    bail!(
        "the public API of {} changed, see above. If that is meant, run `cargo xtask api` and commit what it \
         writes. Say it in CHANGELOG.md.",
        changed.join(", ")
    )
}

/// Lets rustdoc describe all libraries, in one run, which builds what they depend on once. Returns the directory of the
/// descriptions.
fn describe() -> anyhow::Result<PathBuf> {
    let target = workspace().join("target/api");
    let packages = LIBRARIES.map(|library| format!("--package=countersign-{library}"));
    let status = std::process::Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(["doc", "--locked", "--quiet", "--no-deps", "--lib"])
        .args(packages)
        .args([Path::new("--target-dir"), &target])
        .env("RUSTDOCFLAGS", "-Zunstable-options --output-format=json")
        .env("RUSTC_BOOTSTRAP", "1")
        .status()
        .context("cargo can't be run")?;
    ensure!(status.success(), "the libraries can't be described");
    Ok(target.join("doc"))
}

/// Every public item of a library that was described, one a line, in order. Traits that the compiler or a blanket gives
/// are left out; derived ones count: a proof must not become `Clone`.
fn listing(descriptions: &Path, library: &str) -> anyhow::Result<String> {
    let package = format!("countersign-{library}");
    let json = descriptions.join(format!("{}.json", package.replace('-', "_")));
    let api: PublicApi = public_api::Builder::from_rustdoc_json(json)
        .sorted(true)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()
        .with_context(|| format!("the description of {package} can't be read"))?;
    let mut listing = String::new();
    for item in api.items() {
        writeln!(listing, "{item}")?;
    }
    Ok(listing)
}

/// Lines that are gone (`-`) and new (`+`). Both listings are sets.
fn differences(before: &str, now: &str) -> String {
    let lines = |text: &str| -> std::collections::BTreeSet<String> {
        text.lines().map(str::to_owned).collect()
    };
    let (before, now) = (lines(before), lines(now));
    let mut differences = String::new();
    for line in before.difference(&now) {
        let _ = writeln!(differences, "- {line}");
    }
    for line in now.difference(&before) {
        let _ = writeln!(differences, "+ {line}");
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_and_what_is_new_is_shown() {
        assert_eq!(differences("a\nb\n", "b\na\n"), "");
        assert_eq!(differences("a\nb\n", "b\nc\n"), "- a\n+ c\n");
    }
}
