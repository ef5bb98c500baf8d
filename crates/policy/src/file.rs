//! Policy files: one policy, or galleries that each have one.
//!
//! There are four forms, in YAML or JSON: a `verification:` block; the block's keys at top level; a document with
//! `galleries:`; and only a list of galleries, as LocalAI writes it. Unknown keys are errors everywhere: `policy` in the
//! place of `verification` would leave a gallery without a policy.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{KeyPath, Place, PolicyError, Problem};
use crate::forms;
use crate::keys::{DOCUMENT_KEYS, GALLERIES, VERIFICATION};
use crate::mistakes::mistakes;
use crate::node::{Node, is_of_one_signer};
use crate::policy::{KeyReader, Policy, no_key_files};
use crate::source::Source;
use crate::spec::{PolicySpec, filled, present};

/// A policy file, read and checked whole.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    file_name: String,
    require_integrity: bool,
    policy: Option<Policy>,
    galleries: Vec<Gallery>,
}

/// A gallery that a policy file names: where its index is, and who must have signed what it lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gallery {
    /// Unique in its file.
    pub name: String,
    /// Where the index is: `https://…`, `file:…` or `github:owner/repository/path@ref`.
    pub url: String,
    /// Where else the index is, in order of preference.
    pub mirrors: Vec<String>,
    /// What `verification` says; `None` leaves the gallery's images uncovered.
    pub policy: Option<Policy>,
}

impl PolicyFile {
    /// Reads a file's text. `file_name` is only for errors. No other file is read, so a `key` has to be PEM.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with file, line, column and the keys that lead there.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, PolicyError> {
        Self::parse_with_keys(text, file_name, &no_key_files)
    }

    /// As [`parse`](Self::parse). A `key` that is the path of a file is read by `read`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with file, line, column and the keys that lead there.
    pub fn parse_with_keys(
        text: &str,
        file_name: &str,
        read: KeyReader<'_>,
    ) -> Result<Self, PolicyError> {
        Source::new(text, file_name, read)?.read()
    }

    /// Everything that is wrong with a file's text, in the order of the file: at most 50 mistakes, and none if
    /// [`parse_with_keys`](Self::parse_with_keys) reads it.
    pub fn mistakes(text: &str, file_name: &str, read: KeyReader<'_>) -> Vec<PolicyError> {
        mistakes(text, file_name, |text| {
            Self::parse_with_keys(text, file_name, read).map(drop)
        })
    }

    /// Whether the file asks for strict mode: what can't be verified is refused, not warned of.
    pub fn require_integrity(&self) -> bool {
        self.require_integrity
    }

    /// The galleries, in the file's order; none where the file is one policy.
    pub fn galleries(&self) -> &[Gallery] {
        &self.galleries
    }

    /// The file's one policy: of its `verification` block, or of its galleries when all that have
    /// a policy have the same.
    ///
    /// # Errors
    ///
    /// [`Problem::NoPolicy`] or [`Problem::SeveralPolicies`].
    pub fn policy(&self) -> Result<&Policy, PolicyError> {
        let mut policies = self.covered().filter_map(|gallery| gallery.policy.as_ref());
        let Some(policy) = self.policy.as_ref().or_else(|| policies.next()) else {
            return Err(self.error(Problem::NoPolicy));
        };
        if policies.any(|other| other != policy) {
            let names = self.covered_names();
            return Err(self.error(Problem::SeveralPolicies { names }));
        }
        Ok(policy)
    }

    fn covered(&self) -> impl Iterator<Item = &Gallery> {
        self.galleries
            .iter()
            .filter(|gallery| gallery.policy.is_some())
    }

    fn covered_names(&self) -> Vec<String> {
        self.covered().map(|gallery| gallery.name.clone()).collect()
    }

    fn error(&self, problem: Problem) -> PolicyError {
        let place = Place {
            file: Some(self.file_name.clone()),
            ..Place::default()
        };
        PolicyError::new(place, problem)
    }
}

impl Policy {
    /// The one policy of a policy file's text, YAML or JSON: see [`PolicyFile::parse`] and
    /// [`PolicyFile::policy`].
    ///
    /// # Errors
    ///
    /// The errors of these two.
    pub fn from_yaml(text: &str, file_name: &str) -> Result<Self, PolicyError> {
        PolicyFile::parse(text, file_name)?.policy().cloned()
    }
}

/// A policy, or galleries that each have one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Document", transform = forms::verification_or_galleries)]
pub(crate) struct DocumentSpec {
    /// Strict mode: what can't be verified is refused, where otherwise there is a warning.
    require_integrity: bool,
    /// Who must have signed.
    #[serde(deserialize_with = "present")]
    #[schemars(with = "PolicySpec")]
    verification: Option<PolicySpec>,
    /// Galleries, each with a policy of its own.
    #[serde(deserialize_with = "filled")]
    #[schemars(length(min = 1))]
    galleries: Vec<GallerySpec>,
}

/// A gallery.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Gallery", extend("required" = ["name", "url"]))]
pub(crate) struct GallerySpec {
    /// What the gallery is called; unique in the file.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "forms::text")]
    name: Option<String>,
    /// Where the gallery's index is: `https://…`, `file:…` or `github:owner/repository/path@ref`.
    #[serde(deserialize_with = "present")]
    #[schemars(schema_with = "forms::text")]
    url: Option<String>,
    /// Where else the index is, in order of preference.
    mirrors: Vec<String>,
    /// Who must have signed what the gallery lists; without it, its images are uncovered.
    #[serde(deserialize_with = "present")]
    #[schemars(with = "PolicySpec")]
    verification: Option<PolicySpec>,
}

impl Source<'_> {
    fn read(&self) -> Result<PolicyFile, PolicyError> {
        let file = |require_integrity, policy, galleries| PolicyFile {
            file_name: self.file_name.to_owned(),
            require_integrity,
            policy,
            galleries,
        };
        let root = KeyPath::default();
        self.refuse_not_indented(&root)?;
        for path in [&root, &root.key(GALLERIES)] {
            let galleries = self.tree.follow(path).and_then(Node::items);
            for index in 0..galleries.map_or(0, <[Node]>::len) {
                self.refuse_not_indented(&path.index(index))?;
            }
        }
        if self.tree.is_nothing() {
            return Err(self.error(root, Problem::NoPolicy));
        }
        if self.tree.is_list() {
            self.refuse_other_lists()?;
            let galleries: Vec<GallerySpec> = self.typed(&DOCUMENT_KEYS)?;
            return Ok(file(false, None, self.galleries(&galleries, &root)?));
        }
        if !self.tree.keys().any(|key| DOCUMENT_KEYS.contains(&key)) {
            let spec: PolicySpec = self.typed(&DOCUMENT_KEYS)?;
            return Ok(file(false, Some(self.policy(&spec, &root)?), Vec::new()));
        }
        let DocumentSpec {
            require_integrity,
            verification,
            galleries,
        } = self.typed(&DOCUMENT_KEYS)?;
        let path = root.key(VERIFICATION);
        match (&verification, galleries.as_slice()) {
            (Some(_), [_, ..]) => Err(self.error(path, Problem::PolicyBesideGalleries)),
            (None, []) => Err(self.error(root, Problem::NoPolicy)),
            (Some(spec), []) => {
                let policy = self.policy(spec, &path)?;
                Ok(file(require_integrity, Some(policy), Vec::new()))
            }
            (None, galleries) => {
                let galleries = self.galleries(galleries, &root.key(GALLERIES))?;
                Ok(file(require_integrity, None, galleries))
            }
        }
    }

    fn galleries(
        &self,
        specs: &[GallerySpec],
        path: &KeyPath,
    ) -> Result<Vec<Gallery>, PolicyError> {
        let mut galleries: Vec<Gallery> = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let gallery = self.gallery(spec, &path.index(index))?;
            if galleries.iter().any(|other| other.name == gallery.name) {
                let problem = Problem::DuplicateGallery { name: gallery.name };
                return Err(self.error(path.index(index).key("name"), problem));
            }
            galleries.push(gallery);
        }
        Ok(galleries)
    }

    fn gallery(&self, spec: &GallerySpec, path: &KeyPath) -> Result<Gallery, PolicyError> {
        let GallerySpec {
            name,
            url,
            mirrors,
            verification,
        } = spec;
        let name = self.required("name", name.as_deref(), path)?;
        let url = self.required("url", url.as_deref(), path)?;
        let policy = verification
            .as_ref()
            .map(|policy| self.policy(policy, &path.key(VERIFICATION)))
            .transpose()?;
        Ok(Gallery {
            name,
            url,
            mirrors: mirrors.clone(),
            policy,
        })
    }

    /// Refuses a `verification` with nothing in it and its keys beside it, in the mapping at `path`.
    fn refuse_not_indented(&self, path: &KeyPath) -> Result<(), PolicyError> {
        let here = self.tree.follow(path);
        let empty = here.and_then(|here| here.value(VERIFICATION));
        if !empty.is_some_and(Node::is_nothing) {
            return Ok(());
        }
        let mut keys = here.into_iter().flat_map(Node::keys);
        match keys.find(|key| is_of_one_signer(key)) {
            Some(beside) => {
                let problem = Problem::NotIndented {
                    key: VERIFICATION,
                    beside: beside.to_owned(),
                };
                Err(self.error(path.key(VERIFICATION), problem))
            }
            None => Ok(()),
        }
    }

    /// Refuses an index, and a list of signers: messages about the keys of a gallery would mislead their author.
    fn refuse_other_lists(&self) -> Result<(), PolicyError> {
        let mut entries = self.tree.items().into_iter().flatten();
        let has = |entry: &Node, key: &str| entry.keys().any(|one| one == key);
        // One entry with a wrong key, such as `url`, makes no gallery file of an index.
        let any = |keys: &[&str]| {
            let mut entries = self.tree.items().into_iter().flatten();
            entries.any(|entry| keys.iter().any(|key| has(entry, key)))
        };
        let is_index = any(&["uri", "capabilities"]) && !any(&[VERIFICATION]);
        let is_policy = |entry: &Node| {
            let keys = || entry.keys();
            !keys().any(|key| key == "name" || key == "url") && keys().any(is_of_one_signer)
        };
        let root = KeyPath::default();
        match entries.next() {
            Some(_) if is_index => Err(self.error(root, Problem::Index)),
            Some(first) if is_policy(first) => Err(self.error(root, Problem::PolicyInList)),
            Some(_) | None => Ok(()),
        }
    }
}
