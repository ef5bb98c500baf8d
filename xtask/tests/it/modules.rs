//! What each file of a crate needs of the others.
//!
//! What a file needs is what its paths name: in `use`, in code, and within macros. A name that a
//! module passes on (`pub use`) counts for the file that defines it. Tests may need anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

/// A module's path in its crate. The root's is empty.
pub(crate) type Name = Vec<String>;

/// What each file needs: the file, and one name that it takes from there.
pub(crate) type Needs = BTreeMap<Name, BTreeMap<Name, String>>;

/// A crate's modules that are files.
pub(crate) struct Modules {
    files: BTreeMap<Name, File>,
}

#[derive(Default)]
struct File {
    /// Paths that it names, from the crate's root on.
    paths: Vec<Name>,
    /// Names that it has from elsewhere, with the path that each stands for.
    passed_on: BTreeMap<String, Name>,
}

impl Modules {
    pub(crate) fn read(root: &Path) -> Self {
        let mut modules = Self {
            files: BTreeMap::new(),
        };
        modules.file(&Name::new(), root, root.parent().unwrap());
        modules
    }

    /// Reads a file and those of the modules that it declares, which are in `below`.
    fn file(&mut self, name: &Name, path: &Path, below: &Path) {
        let text = fs::read_to_string(path).unwrap();
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut reader = Reader {
            file: File::default(),
            module: name.clone(),
            declared: Vec::new(),
        };
        reader.visit_file(&parsed);
        self.files.insert(name.clone(), reader.file);
        for child in reader.declared {
            let inner = below.join(child.strip_prefix(name.as_slice()).unwrap().join("/"));
            let flat = inner.with_extension("rs");
            let path = if flat.exists() {
                flat
            } else {
                inner.join("mod.rs")
            };
            self.file(&child, &path, &inner);
        }
    }

    pub(crate) fn needs(&self) -> Needs {
        let mut needs = Needs::new();
        for (name, file) in &self.files {
            for path in &file.paths {
                let (found, item) = self.defined(path, 8);
                // A module and what is below it are one thing, seen from afar.
                if !found.starts_with(name) && !name.starts_with(&found) {
                    let from = needs.entry(name.clone()).or_default();
                    from.entry(found).or_insert(item);
                }
            }
        }
        needs
    }

    /// The file that defines what a path names, and the name there.
    fn defined(&self, path: &[String], steps: usize) -> (Name, String) {
        let length = (0..=path.len())
            .rev()
            .find(|length| self.files.contains_key(&path[..*length]))
            .unwrap_or(0);
        let (module, rest) = path.split_at(length);
        let item = rest.first().cloned().unwrap_or_else(|| "itself".into());
        let here = (module.to_vec(), item.clone());
        let file = &self.files[module];
        if steps == 0 || rest.is_empty() {
            return here;
        }
        if let Some(target) = file.passed_on.get(&item) {
            let target = [target.as_slice(), &rest[1..]].concat();
            return if target == path {
                here
            } else {
                self.defined(&target, steps - 1)
            };
        }
        here
    }
}

/// Collects what one file names.
struct Reader {
    file: File,
    /// The module that is being read: the file's, or one within it.
    module: Name,
    declared: Vec<Name>,
}

impl Reader {
    /// A path from the root on, when it starts with `crate`, `self`, `super`, or a module's name that
    /// the file declares.
    fn absolute(&self, path: &[String]) -> Option<Name> {
        let mut base = self.module.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|first| first == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            child => {
                let mut name = base.clone();
                name.push(child.to_owned());
                if !self.declared.contains(&name) {
                    return None;
                }
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    fn names(&mut self, path: &[String]) {
        if let Some(path) = self.absolute(path) {
            self.file.paths.push(path);
        }
    }

    fn import(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.import(&with(&path.ident), &path.tree),
            UseTree::Group(group) => {
                for item in &group.items {
                    self.import(before, item);
                }
            }
            UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().cloned().unwrap_or_default();
                self.bring(&last, before);
            }
            UseTree::Name(name) => self.bring(&name.ident.to_string(), &with(&name.ident)),
            UseTree::Rename(rename) => {
                self.bring(&rename.rename.to_string(), &with(&rename.ident));
            }
            UseTree::Glob(_) => self.names(before),
        }
    }

    /// `name` stands for `path` from here on.
    fn bring(&mut self, name: &str, path: &[String]) {
        if let Some(path) = self.absolute(path) {
            self.file.paths.push(path.clone());
            self.file.passed_on.insert(name.to_owned(), path);
        }
    }

    /// Paths among the tokens of a macro, which need not be Rust otherwise.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if path.is_empty() || colons == 2 => {
                    path.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    self.names(&std::mem::take(&mut path));
                    path.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            self.names(&std::mem::take(&mut path));
            colons = 0;
        }
        self.names(&path);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_file(&mut self, file: &'ast syn::File) {
        // Before paths are read, so that one may begin with a module's name.
        self.declare(&file.items);
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let Some((_, items)) = &module.content else {
            return;
        };
        self.module.push(module.ident.to_string());
        self.declare(items);
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|part| part.ident.to_string());
        let segments: Vec<String> = segments.collect();
        if segments.len() > 1 {
            self.names(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

impl Reader {
    fn declare(&mut self, items: &[Item]) {
        for item in items {
            if let Item::Mod(module) = item
                && module.content.is_none()
                && !is_for_tests(item)
            {
                let mut name = self.module.clone();
                name.push(module.ident.to_string());
                self.declared.push(name);
            }
        }
    }
}

/// Whether an item is `#[cfg(test)]`: tests may use anything.
fn is_for_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|condition| condition == "test")
    })
}
