//! No two files of a crate need each other, but a module and what is below it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::PathBuf;

use crate::modules::{Modules, Name, Needs};
use crate::workspace;

#[test]
fn files_of_a_crate_need_each_other_in_one_direction_only() {
    let mut wrong = String::new();
    for (name, root) in crates() {
        let modules = Modules::read(&root);
        let circles = circles(&modules.needs());
        for circle in circles {
            wrong += &format!("{name}:\n{}", shown(&modules, &circle));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn a_circle_is_found_and_its_edges_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("lib.rs", "mod a; mod b; mod c; pub use c::Shown;");
    write("a.rs", "use crate::b::B; pub struct A(B);");
    write(
        "b.rs",
        "pub struct B; fn f() { println!(\"{}\", crate::Shown); }",
    );
    write("c.rs", "pub struct Shown(super::a::A);");
    let modules = Modules::read(&directory.path().join("lib.rs"));
    let found = circles(&modules.needs());
    assert_eq!(found.len(), 1);
    let told = shown(&modules, &found[0]);
    for edge in ["a needs b (B)", "b needs c (Shown)", "c needs a (A)"] {
        assert!(told.contains(edge), "{edge} in {told}");
    }
    write(
        "c.rs",
        "pub struct Shown; #[cfg(test)] mod tests { use crate::a::A; }",
    );
    let modules = Modules::read(&directory.path().join("lib.rs"));
    assert!(circles(&modules.needs()).is_empty());
}

/// Sets of files that all need each other, directly or through one another.
fn circles(needs: &Needs) -> Vec<BTreeSet<Name>> {
    let reached: BTreeMap<&Name, BTreeSet<&Name>> = needs
        .keys()
        .map(|from| (from, reachable(needs, from)))
        .collect();
    let mut circles: Vec<BTreeSet<Name>> = Vec::new();
    for from in needs.keys() {
        let circle: BTreeSet<Name> = reached[from]
            .iter()
            .filter(|to| reached.get(**to).is_some_and(|back| back.contains(from)))
            .map(|to| (*to).clone())
            .collect();
        if !circle.is_empty() && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

/// All that `from` needs, with what that needs.
fn reachable<'a>(needs: &'a Needs, from: &Name) -> BTreeSet<&'a Name> {
    let mut found = BTreeSet::new();
    let mut next: VecDeque<&Name> = needs
        .get(from)
        .into_iter()
        .flat_map(BTreeMap::keys)
        .collect();
    while let Some(name) = next.pop_front() {
        if found.insert(name) {
            next.extend(needs.get(name).into_iter().flat_map(BTreeMap::keys));
        }
    }
    found
}

/// The edges within a circle, one a line.
fn shown(modules: &Modules, circle: &BTreeSet<Name>) -> String {
    let needs = modules.needs();
    let mut text = String::new();
    for from in circle {
        for (to, item) in needs.get(from).into_iter().flatten() {
            if circle.contains(to) {
                let [from, to] = [from, to].map(|name| match name.as_slice() {
                    [] => "the root".to_owned(),
                    name => name.join("::"),
                });
                text += &format!("    {from} needs {to} ({item})\n");
            }
        }
    }
    text
}

/// Each crate's name and the root of its library, or else of its program.
fn crates() -> Vec<(String, PathBuf)> {
    let directories = fs::read_dir(workspace().join("crates")).unwrap();
    let mut directories: Vec<PathBuf> = directories.map(|entry| entry.unwrap().path()).collect();
    directories.push(workspace().join("xtask"));
    directories.sort();
    let mut roots = Vec::new();
    for directory in directories {
        let name = directory
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let sources = ["src/lib.rs", "src/main.rs"].map(|file| directory.join(file));
        let found: Vec<_> = sources.into_iter().filter(|root| root.exists()).collect();
        assert!(!found.is_empty(), "{name} has neither lib.rs nor main.rs");
        roots.extend(found.into_iter().map(|root| (name.clone(), root)));
    }
    roots
}
