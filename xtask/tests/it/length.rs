//! No file is longer than a person reads in one go.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace;

const LONGEST: usize = 450;
/// Files that are still longer than that. The list only gets shorter.
const TOO_LONG: [&str; 0] = [];

#[test]
fn no_file_is_longer_than_can_be_read_in_one_go() {
    let mut long = BTreeSet::new();
    for directory in ["crates", "xtask"] {
        for file in files(&workspace().join(directory)) {
            let text = fs::read_to_string(&file).unwrap();
            if text.lines().count() > LONGEST {
                let file = file.strip_prefix(workspace()).unwrap();
                long.insert(file.display().to_string());
            }
        }
    }
    let known = TOO_LONG.map(String::from).into();
    let new: Vec<_> = long.difference(&known).collect();
    assert!(new.is_empty(), "over {LONGEST} lines, so split: {new:#?}");
    let gone: Vec<_> = known.difference(&long).collect();
    assert!(
        gone.is_empty(),
        "not so long any more, so remove from TOO_LONG: {gone:#?}"
    );
}

/// All Rust files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
