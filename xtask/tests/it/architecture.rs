//! The dependency arrows between our crates are those of ARCHITECTURE.md, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

/// Each crate and the ones of ours that it may depend on, tests and build scripts apart.
const ARROWS: [(&str, &[&str]); 8] = [
    ("oci", &[]),
    ("policy", &["oci"]),
    ("verify", &["oci", "policy"]),
    ("download", &["oci", "policy", "verify"]),
    ("sign", &["oci", "policy", "verify"]),
    ("cli", &["download", "oci", "policy", "sign", "verify"]),
    ("sandbox", &["oci"]),
    // It uses `oci` and `sandbox` alone. The others are named for their features: see its Cargo.toml.
    (
        "xtask",
        &["download", "oci", "policy", "sandbox", "sign", "verify"],
    ),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

#[test]
fn crates_depend_on_each_other_only_downward() {
    let found = arrows();
    for (name, allowed) in ARROWS {
        let allowed: BTreeSet<String> = allowed.iter().map(ToString::to_string).collect();
        let found = found.get(name).cloned().unwrap_or_default();
        let beyond: Vec<_> = found.difference(&allowed).collect();
        assert!(beyond.is_empty(), "{name} must not depend on {beyond:?}");
    }
}

#[test]
fn every_crate_has_its_arrows_written_down() {
    let written: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).into()).collect();
    let found: BTreeSet<String> = arrows().into_keys().collect();
    assert_eq!(found, written);
}

/// Names of our crates, with the crates of ours that each needs to be built.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    metadata
        .packages
        .into_iter()
        .map(|package| {
            let needed = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
                .filter_map(|dependency| ours(&dependency.name))
                .collect();
            (ours(&package.name).unwrap_or(package.name), needed)
        })
        .collect()
}

/// The short name of one of our packages: `countersign-oci` is `oci`, `countersign` is `cli`.
fn ours(package: &str) -> Option<String> {
    match package.strip_prefix("countersign") {
        Some("") => Some("cli".into()),
        Some(rest) => rest.strip_prefix('-').map(Into::into),
        None => None,
    }
}
