//! The text of a file that is being read, and its tree, which knows where things are.

use serde::de::DeserializeOwned;

use crate::error::{KeyPath, Place, PolicyError, Problem};
use crate::keys::{OWN_KEYS, TEXTS};
use crate::nearest::meant;
use crate::node::Node;
use crate::policy::{KeyReader, Policy};
use crate::spec::PolicySpec;
use crate::yaml::{self, Bounds};
use crate::{age, timestamp};

/// A text being read, and its tree.
pub(crate) struct Source<'a> {
    text: &'a str,
    pub(crate) file_name: &'a str,
    pub(crate) tree: Node,
    read_key: KeyReader<'a>,
}

impl<'a> Source<'a> {
    /// Reads the tree. `file_name` is only for errors. Files of keys are read by `read_key`.
    pub(crate) fn new(
        text: &'a str,
        file_name: &'a str,
        read_key: KeyReader<'a>,
    ) -> Result<Self, PolicyError> {
        let tree = yaml::parse(text, file_name, &Bounds::POLICY)?;
        Ok(Self {
            text,
            file_name,
            tree,
            read_key,
        })
    }
}

impl Source<'_> {
    /// The text of a key that has to be there.
    pub(crate) fn required(
        &self,
        key: &'static str,
        text: Option<&str>,
        path: &KeyPath,
    ) -> Result<String, PolicyError> {
        match text {
            None => Err(self.error(path.clone(), Problem::MissingKey { key })),
            Some(text) if text.trim().is_empty() => {
                Err(self.error(path.key(key), Problem::Empty { expected: "a text" }))
            }
            Some(text) => Ok(text.to_owned()),
        }
    }

    /// The checked policy that `spec`, which stands at `path`, says.
    pub(crate) fn policy(&self, spec: &PolicySpec, path: &KeyPath) -> Result<Policy, PolicyError> {
        Policy::check(spec, path, self.read_key).map_err(|error| {
            let (place, problem) = error.into_parts();
            self.error(place.path, problem)
        })
    }

    /// The typed reading, its errors completed by what the tree knows. `around` are keys that may stand at top
    /// level too, in another shape of the file.
    pub(crate) fn typed<T: DeserializeOwned>(&self, around: &[&str]) -> Result<T, PolicyError> {
        let typed = yaml::parse(self.text, self.file_name, &Bounds::POLICY).map_err(|error| {
            let (place, mut problem) = self.tree.completed(error).into_parts();
            // A key at top level may be meant for the block or for what stands around it.
            if let (
                true,
                Problem::UnknownKey {
                    found,
                    nearest: near,
                    valid,
                },
            ) = (place.path.is_root(), &mut problem)
            {
                for key in around {
                    if !valid.iter().any(|valid| valid == key) {
                        valid.push((*key).to_owned());
                    }
                }
                *near = meant(found, valid.iter().map(String::as_str));
            }
            PolicyError::new(place, problem)
        })?;
        match self.tree.literal_of(&TEXTS, &OWN_KEYS) {
            None => Ok(typed),
            Some((path, found)) => {
                let problem = literal_problem(path.last_key(), found);
                Err(self.error(path, problem))
            }
        }
    }

    pub(crate) fn error(&self, path: KeyPath, problem: Problem) -> PolicyError {
        let place = Place {
            file: Some(self.file_name.to_owned()),
            position: Some(self.tree.position_of(&path)),
            path: problem.scope(path),
        };
        PolicyError::new(place, problem)
    }
}

/// What is wrong with a number, or `true` or `false`, as the value of a key that has a text.
fn literal_problem(key: Option<&str>, found: &Node) -> Problem {
    let text = found.text().unwrap_or_default();
    // In quotes it would be no better.
    let wrong = match key {
        Some("not_before") => timestamp::parse(text).err(),
        Some("min_age") => age::parse(text).err(),
        Some(_) | None => None,
    };
    wrong.unwrap_or_else(|| Problem::Form {
        expected: "a text in quotes".to_owned(),
        found: Some(found.describe()),
    })
}
