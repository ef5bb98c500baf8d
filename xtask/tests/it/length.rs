//! No file is longer than a person reads in one go, no line of prose is wider than a screen, and each module is where it is
//! looked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace;

const LONGEST: usize = 450;
/// Characters in a line of prose.
const WIDEST: usize = 120;

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

/// So that whoever changes a sentence wraps its paragraph, and a diff shows what was changed.
#[test]
fn prose_is_wrapped() {
    let mut wide = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let page = page.strip_prefix(workspace()).unwrap().display();
        let mut is_code = false;
        for (number, line) in (1..).zip(text.lines()) {
            let begin = line.trim_start();
            if begin.starts_with("```") {
                is_code = !is_code;
            }
            let is_table = begin.starts_with('|');
            let is_prose = !is_code && !is_table && !line.starts_with("    ");
            if is_prose && line.chars().count() > WIDEST {
                wide.push(format!("{page}:{number}"));
            }
        }
    }
    assert!(
        wide.is_empty(),
        "over {WIDEST} characters outside of tables and code, so wrap: {wide:#?}"
    );
}

/// The pages in Markdown.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for directory in ["", "docs", "docs/ci", "fixtures"] {
        for entry in fs::read_dir(workspace().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    assert!(pages.len() > 10, "{pages:?}");
    pages
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
