//! Copies of registries.

use std::collections::BTreeMap;

use countersign_oci::Repository;

use crate::error::{KeyPath, Problem};

/// Stands for what is below a registry or a path while its name is checked.
const BELOW: &str = "/x/x";

/// Which copies are asked for what, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mirrors(BTreeMap<String, Vec<String>>);

impl Mirrors {
    pub(super) fn read(
        written: &BTreeMap<String, Vec<String>>,
        path: &KeyPath,
    ) -> Result<Self, (KeyPath, Problem)> {
        let mut mirrors = BTreeMap::new();
        for (of, copies) in written {
            let path = path.key(of);
            let checked = |text: &str, path: KeyPath| prefix(text).map_err(|error| (path, error));
            let at = |(index, copy): (usize, &String)| checked(copy, path.index(index));
            let copies = copies.iter().enumerate().map(at);
            let copies = copies.collect::<Result<Vec<_>, _>>()?;
            if copies.is_empty() {
                let expected = "at least one copy";
                return Err((path, Problem::Empty { expected }));
            }
            if mirrors.insert(checked(of, path.clone())?, copies).is_some() {
                let expected = "each name once".into();
                let found = Some(format!("`{of}` and another spelling of it"));
                return Err((path, Problem::Form { expected, found }));
            }
        }
        Ok(Self(mirrors))
    }

    /// The copies of `repository`, of the longest name that covers it.
    pub(super) fn of(&self, repository: &Repository) -> Vec<Repository> {
        let name = repository.to_string();
        let below = |of: &str| name.strip_prefix(of).filter(|rest| rest.starts_with('/'));
        let covering = self
            .0
            .iter()
            .filter_map(|(of, copies)| Some((of, copies, below(of)?)));
        let longest = covering.max_by_key(|(of, _, _)| of.len());
        let Some((_, copies, rest)) = longest else {
            return Vec::new();
        };
        // Too long together, if it is no name.
        let copies = copies
            .iter()
            .map(|copy| format!("{copy}{rest}").parse().ok());
        copies.flatten().collect()
    }
}

/// `HOST` or `HOST/PATH`, as the name of a repository below it begins.
fn prefix(text: &str) -> Result<String, Problem> {
    let wrong = |reason| Problem::Repository {
        found: text.to_owned(),
        reason,
    };
    let sample: Repository = format!("{text}{BELOW}").parse().map_err(wrong)?;
    let sample = sample.to_string();
    let host = text.split('/').next().unwrap_or(text);
    match sample.strip_suffix(BELOW) {
        // A name without a host has become one on Docker Hub.
        Some(prefix) if Repository::is_host(host) => Ok(prefix.to_owned()),
        _ => Err(Problem::Form {
            expected: "a registry's host, or a host and a path".into(),
            found: Some(format!("`{text}`")),
        }),
    }
}
