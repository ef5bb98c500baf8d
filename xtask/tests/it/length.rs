//! No file is longer than a person reads in one go, and each module is where it is looked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace;

const LONGEST: usize = 450;

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
    assert!(long.is_empty(), "over {LONGEST} lines, so split: {long:#?}");
}

#[test]
fn a_module_with_files_below_it_is_beside_their_folder() {
    let mut wrong = BTreeSet::new();
    for root in sources() {
        wrong.extend(files(&root).into_iter().filter(|f| f.ends_with("mod.rs")));
    }
    assert!(wrong.is_empty(), "call it foo.rs, beside foo/: {wrong:#?}");
}

/// The `src` of each crate and of xtask.
fn sources() -> Vec<PathBuf> {
    let mut sources = vec![workspace().join("xtask/src")];
    for entry in fs::read_dir(workspace().join("crates")).unwrap() {
        sources.push(entry.unwrap().path().join("src"));
    }
    sources
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
