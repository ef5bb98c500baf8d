//! What an image verifier goes by: which images a node may pull, and who must have signed them.
//!
//! A rule has patterns of images, and either a `verification` block or `allow: true` with a reason. The first rule
//! that matches an image counts. An image that no rule matches is refused, unless `default: allow` stands there.
//! Unknown keys are errors, as in a policy file.

mod duration;
mod explain;
mod files;
mod forms;
mod mirrors;
mod mistakes;
mod ruling;
mod spec;
mod values;
mod weakness;

use std::time::Duration;

use countersign_oci::Repository;
use serde_json::Value;

pub use self::files::NamedFile;
use self::mirrors::Mirrors;
pub use self::ruling::{RuleMatch, Ruling};
use self::spec::{ConfigSpec, RuleSpec, TufSpec};
pub use self::weakness::Weakness;
use crate::age::Age;
use crate::error::{KeyPath, PolicyError, Problem};
use crate::image_pattern::ImagePattern;
use crate::instance::SigstoreInstance;
use crate::keys::VERIFICATION;
use crate::nearest::nearest;
use crate::policy::{KeyReader, Policy, Trust, no_key_files};
use crate::schema::root_schema;
use crate::source::Source;
use crate::spec::PolicySpec;

const RULES: &str = "rules";
/// Keys that no policy file has at top level.
const OWN_KEYS: [&str; 3] = [RULES, "default", "mode"];
/// Keys of which only one may be there.
const EXCLUSIVE: [[&str; 2]; 5] = [
    ["trust", "trusted_root"],
    ["trust", "tuf"],
    ["trusted_root", "tuf"],
    ["log_file", "journal_socket"],
    ["log_bytes", "journal_socket"],
];

/// The configuration of an image verifier, read and checked whole. Paths are as written: a relative path is
/// relative to the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageVerifierConfig {
    /// What becomes of an image that no rule matches.
    pub default: Unmatched,
    /// Whether a refusal is carried out, where the rule doesn't say it.
    pub mode: Mode,
    /// Where the trusted root comes from, for policies that don't say it. `None` is the public-good instance.
    pub trust: Option<Trust>,
    /// Logins for registries.
    pub login_file: Option<String>,
    /// More certificate authorities for TLS with registries.
    pub ca_file: Option<String>,
    /// How long a verdict may take.
    pub deadline: Duration,
    /// The directory for caches.
    pub state_directory: Option<String>,
    /// How long a signature that was found counts. `None` keeps no signature.
    pub cache_age: Option<Age>,
    /// Where decisions are written.
    pub log_file: Option<String>,
    /// How many bytes that file may have.
    pub log_bytes: u64,
    /// The socket of systemd's journal, if decisions go there, and to no file.
    pub journal_socket: Option<String>,
    /// The rules. The first that matches counts.
    pub rules: Vec<ImageRule>,
    mirrors: Mirrors,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRule {
    /// Which images it is for. One match is enough. Never empty.
    pub images: Vec<ImagePattern>,
    /// Whether a refusal is carried out, if the rule says it.
    pub mode: Option<Mode>,
    /// What has to be true of the images.
    pub demand: Demand,
}

/// What a rule demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// A signature that this policy accepts.
    Signature(Box<Policy>),
    /// Nothing.
    Nothing {
        /// Why.
        reason: String,
    },
}

/// What becomes of an image that no rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    /// It is refused.
    Deny,
    /// It is allowed.
    Allow,
}

impl Unmatched {
    const ALL: [Self; 2] = [Self::Deny, Self::Allow];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

/// Whether a refusal is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Enforce,
    /// It is only told.
    Warn,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Enforce, Self::Warn];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
        }
    }
}

impl ImageVerifierConfig {
    /// Reads a file's text. `file_name` is only for errors.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line, column and the keys that lead there.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, PolicyError> {
        Self::parse_with_keys(text, file_name, &no_key_files)
    }

    /// As [`parse`](Self::parse). A `key` that is the path of a file is read by `read_key`.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line, column and the keys that lead there.
    pub fn parse_with_keys(
        text: &str,
        file_name: &str,
        read_key: KeyReader<'_>,
    ) -> Result<Self, PolicyError> {
        let source = Source::new(text, file_name, read_key)?;
        if source.tree.is_nothing() {
            let problem = Problem::MissingKey { key: RULES };
            return Err(source.error(KeyPath::default(), problem));
        }
        let spec: ConfigSpec = source.typed(&[])?;
        read(&source, &spec)
    }

    /// The JSON Schema (draft 2020-12) of such files, for editors. It never judges one.
    pub fn json_schema() -> Value {
        root_schema::<ConfigSpec>()
    }

    /// Whether `text` is such a configuration, and not a policy file, by the keys at its top level.
    pub fn is_one(text: &str) -> bool {
        Source::new(text, "", &no_key_files)
            .is_ok_and(|source| source.tree.keys().any(|key| OWN_KEYS.contains(&key)))
    }

    /// `enforce` if any rule, or all that no rule matches, is enforced.
    pub fn strictest_mode(&self) -> Mode {
        let own = self.rules.iter().filter_map(|rule| rule.mode);
        if own.chain([self.mode]).any(|mode| mode == Mode::Enforce) {
            Mode::Enforce
        } else {
            Mode::Warn
        }
    }

    /// Whether it says how registries are reached.
    pub(crate) fn needs_access(&self) -> bool {
        self.login_file.is_some() || self.ca_file.is_some() || self.mirrors != Mirrors::default()
    }

    /// The copies of a repository, in the order in which they are asked.
    pub fn mirrors(&self, repository: &Repository) -> Vec<Repository> {
        self.mirrors.of(repository)
    }
}

fn read(source: &Source<'_>, spec: &ConfigSpec) -> Result<ImageVerifierConfig, PolicyError> {
    // A key that is left out here does not compile.
    let ConfigSpec {
        default,
        mode,
        trust,
        trusted_root,
        tuf,
        login_file,
        ca_file,
        mirrors,
        deadline,
        state_directory,
        cache_age,
        log_file,
        log_bytes,
        journal_socket,
        rules,
    } = spec;
    only_one_of_each(source)?;
    let root = KeyPath::default();
    let failed = |(path, problem)| source.error(path, problem);
    let file = |key: &'static str, value: Option<&str>| {
        let present = value.is_some().then(|| source.required(key, value, &root));
        present.transpose()
    };
    let at = |key: &'static str| {
        let path = root.key(key);
        move |problem| source.error(path, problem)
    };
    Ok(ImageVerifierConfig {
        default: one_of(
            source,
            default.as_deref(),
            &root.key("default"),
            Unmatched::ALL,
            Unmatched::as_str,
        )?
        .unwrap_or(Unmatched::Deny),
        mode: read_mode(source, mode.as_deref(), &root)?.unwrap_or(Mode::Enforce),
        trust: read_trust(
            source,
            trust.as_deref(),
            trusted_root.as_deref(),
            tuf.as_ref(),
        )?,
        login_file: file("login_file", login_file.as_deref())?,
        ca_file: file("ca_file", ca_file.as_deref())?,
        mirrors: Mirrors::read(mirrors, &root.key("mirrors")).map_err(failed)?,
        deadline: values::deadline(deadline.as_deref()).map_err(at("deadline"))?,
        state_directory: file("state_directory", state_directory.as_deref())?,
        cache_age: values::cache_age(cache_age.as_deref()).map_err(at("cache_age"))?,
        log_file: file("log_file", log_file.as_deref())?,
        log_bytes: values::log_bytes(*log_bytes).map_err(at("log_bytes"))?,
        journal_socket: file("journal_socket", journal_socket.as_deref())?,
        rules: read_rules(source, rules.as_deref(), &root)?,
    })
}

fn read_rules(
    source: &Source<'_>,
    rules: Option<&[RuleSpec]>,
    root: &KeyPath,
) -> Result<Vec<ImageRule>, PolicyError> {
    let Some(rules) = rules else {
        return Err(source.error(root.clone(), Problem::MissingKey { key: RULES }));
    };
    let rules = rules.iter().enumerate();
    rules
        .map(|(index, rule)| read_rule(source, rule, &root.key(RULES).index(index)))
        .collect()
}

fn read_rule(
    source: &Source<'_>,
    spec: &RuleSpec,
    path: &KeyPath,
) -> Result<ImageRule, PolicyError> {
    let RuleSpec {
        images,
        mode,
        verification,
        allow,
        reason,
    } = spec;
    if images.is_empty() {
        return Err(source.error(path.clone(), Problem::MissingKey { key: "images" }));
    }
    let pattern = |(index, text): (usize, &String)| {
        text.parse().map_err(|reason| {
            let found = text.clone();
            let path = path.key("images").index(index);
            source.error(path, Problem::ImagePattern { found, reason })
        })
    };
    Ok(ImageRule {
        images: images
            .iter()
            .enumerate()
            .map(pattern)
            .collect::<Result<_, _>>()?,
        mode: read_mode(source, mode.as_deref(), path)?,
        demand: demand(
            source,
            verification.as_ref(),
            *allow,
            reason.as_deref(),
            path,
        )?,
    })
}

/// Who must have signed, or why nobody has to.
fn demand(
    source: &Source<'_>,
    verification: Option<&PolicySpec>,
    allow: Option<bool>,
    reason: Option<&str>,
    path: &KeyPath,
) -> Result<Demand, PolicyError> {
    match (verification, allow, reason) {
        (Some(spec), None, None) => {
            let policy = source.policy(spec, &path.key(VERIFICATION))?;
            Ok(Demand::Signature(Box::new(policy)))
        }
        (None, Some(true), reason) => Ok(Demand::Nothing {
            reason: source.required("reason", reason, path)?,
        }),
        (None, Some(false), _) => {
            let problem = Problem::Form {
                expected: "`true`, or a `verification` in place of `allow`".into(),
                found: Some("`false`".into()),
            };
            Err(source.error(path.key("allow"), problem))
        }
        (verification, allow, reason) => {
            let keys = [
                (verification.is_some(), VERIFICATION),
                (allow.is_some(), "allow"),
                (reason.is_some(), "reason"),
            ];
            let present = keys.into_iter().filter(|(present, _)| *present);
            let found: Vec<String> = present.map(|(_, key)| format!("`{key}`")).collect();
            let problem = Problem::Demand {
                found: if found.is_empty() {
                    "neither".to_owned()
                } else {
                    found.join(" and ")
                },
            };
            Err(source.error(path.clone(), problem))
        }
    }
}

/// Refuses two keys that exclude each other.
fn only_one_of_each(source: &Source<'_>) -> Result<(), PolicyError> {
    let there = |key: &str| source.tree.keys().any(|found| found == key);
    for [one, other] in EXCLUSIVE {
        if there(one) && there(other) {
            let path = KeyPath::default().key(other);
            return Err(source.error(path, Problem::Exclusive { one, other }));
        }
    }
    Ok(())
}

/// Where the trusted root comes from. At most one of the three keys is there.
fn read_trust(
    source: &Source<'_>,
    instance: Option<&str>,
    trusted_root: Option<&str>,
    tuf: Option<&TufSpec>,
) -> Result<Option<Trust>, PolicyError> {
    let root = KeyPath::default();
    let all = SigstoreInstance::ALL;
    let path = root.key("trust");
    let named = one_of(source, instance, &path, all, SigstoreInstance::name)?;
    if let Some(instance) = named {
        return Ok(Some(Trust::Instance(instance)));
    }
    if trusted_root.is_some() {
        let file = source.required("trusted_root", trusted_root, &root)?;
        return Ok(Some(Trust::TrustedRoot { file }));
    }
    let Some(TufSpec { url, root: file }) = tuf else {
        return Ok(None);
    };
    let path = root.key("tuf");
    let text = source.required("url", url.as_deref(), &path)?;
    let url = Trust::tuf_url(&text);
    let url = url.map_err(|problem| source.error(path.key("url"), problem))?;
    let root_file = source.required("root", file.as_deref(), &path)?;
    Ok(Some(Trust::Tuf { url, root_file }))
}

fn read_mode(
    source: &Source<'_>,
    text: Option<&str>,
    path: &KeyPath,
) -> Result<Option<Mode>, PolicyError> {
    one_of(source, text, &path.key("mode"), Mode::ALL, Mode::as_str)
}

/// The one of `all` that `text` names.
fn one_of<T: Copy, const N: usize>(
    source: &Source<'_>,
    text: Option<&str>,
    path: &KeyPath,
    all: [T; N],
    name: fn(T) -> &'static str,
) -> Result<Option<T>, PolicyError> {
    let Some(text) = text else {
        return Ok(None);
    };
    if let Some(found) = all.into_iter().find(|one| name(*one) == text) {
        return Ok(Some(found));
    }
    let names = all.map(name);
    let meant =
        nearest(text, names).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    let problem = Problem::Form {
        expected: names.map(|name| format!("`{name}`")).join(" or "),
        found: Some(format!("`{text}`{meant}")),
    };
    Err(source.error(path.clone(), problem))
}
