//! `cargo xtask` and the tests of the workspace ask for the same features of each library, so that it is built once.

use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn xtask_asks_for_the_features_that_the_workspace_asks_for() {
    let whole = libraries(&["--workspace", "--edges", "normal,build,dev"]);
    let ours = libraries(&["--package", "xtask", "--edges", "normal,build"]);
    assert!(ours.len() > 100, "{ours:?}");
    let other: Vec<_> = ours.difference(&whole).collect();
    assert!(
        other.is_empty(),
        "`cargo xtask` would build these once more: add the crate that asks for their other features to the second list \
         in xtask/Cargo.toml: {other:#?}"
    );
}

/// Each library that these parts of the workspace need, with its version and features.
fn libraries(which: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none"])
        .args(["--format", "{p} with {f}"])
        .args(which)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("cargo writes text");
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)"));
    lines.map(ToOwned::to_owned).collect()
}
