//! The dependency arrows between our crates are those of ARCHITECTURE.md, and no others. Those of tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// Crates that `xtask` names for their features alone: see its Cargo.toml.
const FOR_FEATURES: [&str; 4] = ["download", "policy", "sign", "verify"];

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
fn crates_depend_on_each_other_as_the_page_shows() {
    let mut written = written();
    let xtask = written.get_mut("xtask").unwrap();
    xtask.extend(FOR_FEATURES.map(ToOwned::to_owned));
    assert_eq!(
        arrows(),
        written,
        "left: the crates; right: ARCHITECTURE.md"
    );
}

/// Paths on the page begin at the root, or in a crate's directory.
#[test]
fn files_that_the_page_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = include_str!("../../../ARCHITECTURE.md");
    let paths = page.split('`').skip(1).step_by(2);
    let paths: Vec<&str> = paths
        .filter(|text| {
            text.contains('/')
                && [".rs", ".md", ".toml", ".json"]
                    .iter()
                    .any(|end| text.ends_with(end))
        })
        .collect();
    assert!(paths.len() > 30, "{paths:?}");
    let is_there =
        |path: &str| root.join(path).is_file() || root.join("crates").join(path).is_file();
    let missing: Vec<&str> = paths.into_iter().filter(|path| !is_there(path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Each crate and those that its arrows lead to, by the lines of ARCHITECTURE.md that show them. In a line with two
/// arrows, the first crate has both.
fn written() -> BTreeMap<String, BTreeSet<String>> {
    let page = include_str!("../../../ARCHITECTURE.md");
    let begin = page.find("    cli ─▶").expect("the arrows of `cli`");
    let block = page[begin..].lines();
    let block = block.take_while(|line| line.starts_with("    "));
    let mut written: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for chain in block.flat_map(|line| line.trim_start().split("  ")) {
        // What stands in brackets, or after "and", is no crate.
        let (names, _) = chain.split_once('(').unwrap_or((chain, ""));
        let mut names = names.split("─▶").map(crates);
        while let Some(above) = names.next() {
            for one in above {
                let below = names.clone().flatten();
                written.entry(one).or_default().extend(below);
            }
        }
    }
    written
}

/// The crates of a list such as `sandbox, oci, and the built program`.
fn crates(list: &str) -> Vec<String> {
    let names = list.split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty() && !name.contains(' '));
    names.map(ToOwned::to_owned).collect()
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
