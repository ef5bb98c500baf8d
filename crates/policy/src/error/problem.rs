//! What can be wrong with a policy or gallery file.

use countersign_oci::{DigestError, ReferenceError};

use super::KeyPath;
use crate::image_pattern::PatternError;
use crate::matcher::RegexError;
use crate::public_key::PublicKeyError;

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Neither key of a pair is there.
    #[error("expected `{exact}` or `{regex}`, found neither; add one of them")]
    Neither {
        /// The key for an exact value.
        exact: &'static str,
        /// The key for a pattern.
        regex: &'static str,
    },
    /// Both keys of a pair are there.
    #[error("expected `{exact}` or `{regex}`, found both; keep the one that you mean")]
    Both {
        /// The key for an exact value.
        exact: String,
        /// The key for a pattern.
        regex: String,
    },
    /// `identities`, and a key of one signer beside it.
    #[error(
        "expected `identities` or one signer's `{key}`, found both; move that signer into `identities`"
    )]
    SignerBesideIdentities {
        /// The key beside the list.
        key: &'static str,
    },
    /// `require`, and a key beside it that belongs into its entries.
    #[error("expected `require` or `{key}`, found both; move `{key}` into an entry of `require`")]
    BesideRequire {
        /// The key beside the list.
        key: &'static str,
    },
    /// Two equal entries of `require`.
    #[error("`require[{first}]` requires the same proof; remove one of the two")]
    SameProof {
        /// Position of the first one, counted from 0.
        first: usize,
    },
    /// `key`, and beside it a key of the policy that is about certificates.
    #[error(
        "expected `key` or `{key}`, found both; a signature by a key has no certificate, so it has no issuer, \
         no identity and no claims"
    )]
    BesideKey {
        /// The key of the policy beside `key`.
        key: &'static str,
    },
    /// `ignore_tlog` without a key.
    #[error(
        "`ignore_tlog` is allowed beside `key` only: without a log, nothing proves that a certificate was valid \
         when it signed; remove it"
    )]
    IgnoreTlogWithoutKey,
    /// A condition on the time of a signature beside `ignore_tlog`.
    #[error(
        "`{key}` is not allowed beside `ignore_tlog`: without a log, nothing proves when a signature was made; \
         remove one of the two"
    )]
    NoTime {
        /// The condition.
        key: &'static str,
    },
    /// Not a public key.
    #[error("{}{reason}", .file.as_ref().map_or_else(String::new, |file| format!("the file `{file}`: ")))]
    PublicKey {
        /// The file with the text, if it is in one.
        file: Option<String>,
        /// Why not.
        reason: PublicKeyError,
    },
    /// The file of a key can't be read.
    #[error("the file of the key `{found}` can't be read: {reason}")]
    KeyFile {
        /// The path as it is written.
        found: String,
        /// Why not.
        reason: String,
    },
    /// A text, list or mapping with nothing in it.
    #[error("expected {expected}, found nothing; fill it in, or remove the key")]
    Empty {
        /// What belongs there.
        expected: &'static str,
    },
    /// A pattern that doesn't compile.
    #[error("`{found}` is not a usable regular expression: {reason}")]
    Regex {
        /// The pattern.
        found: String,
        /// Why not.
        reason: RegexError,
    },
    /// A text that is not a time, or a time that could mean several instants.
    #[error("expected an RFC 3339 time such as {example}, found `{found}`{}", .missing.advice())]
    Timestamp {
        /// The text.
        found: String,
        /// What to write instead, by what the text says.
        example: String,
        /// What it lacks.
        missing: TimestampFault,
    },
    /// An unknown key. It could be a condition that is spelt wrong, so it is never ignored.
    #[error("unknown key `{found}`; {}: {}", hint(.nearest.as_deref(), "valid here"), .valid.join(", "))]
    UnknownKey {
        /// The key.
        found: String,
        /// The valid key that resembles it.
        nearest: Option<String>,
        /// Every valid key.
        valid: Vec<String>,
    },
    /// A key is missing.
    #[error("the key `{key}` is missing; add it")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// The same key twice.
    #[error("the key `{key}` appears twice; keep one")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A value of another form.
    #[error(
        "expected {expected}{}",
        .found.as_ref().map_or_else(String::new, |found| format!(", found {found}"))
    )]
    Form {
        /// What belongs there.
        expected: String,
        /// What is there, if that is known.
        found: Option<String>,
    },
    /// Not a digest.
    #[error("{0}")]
    Digest(DigestError),
    /// Not the name of a repository.
    #[error("expected a repository such as ghcr.io/acme/app: {reason}")]
    Repository {
        /// The text.
        found: String,
        /// Why not.
        reason: ReferenceError,
    },
    /// Not a URL by which a TUF repository can be asked.
    #[error(
        "expected an http or https URL such as https://tuf-repo-cdn.sigstore.dev, found `{found}`"
    )]
    Url {
        /// The text.
        found: String,
    },
    /// `trust` in no form, in several, or in half of one.
    #[error(
        "expected `public-good`, `github`, `trusted_root` alone, or `tuf_url` together with `tuf_root`, found {found}"
    )]
    Trust {
        /// The keys that are there.
        found: String,
    },
    /// Not a pattern of images.
    #[error("`{found}` is not a pattern of images: {reason}")]
    ImagePattern {
        /// The text.
        found: String,
        /// Why not.
        reason: PatternError,
    },
    /// A rule that has neither `verification` nor `allow`, or has both.
    #[error("expected `verification`, or `allow: true` with a `reason`, found {found}")]
    Demand {
        /// The keys that are there.
        found: String,
    },
    /// Two keys of which only one may be there.
    #[error("expected `{one}` or `{other}`, found both; keep the one that you mean")]
    Exclusive {
        /// The one.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// Not YAML (and so not JSON either).
    #[error("the file can't be read as YAML or JSON: {reason}")]
    Syntax {
        /// What the parser says.
        reason: String,
    },
    /// The file exceeds a bound on size, depth, aliases or merge keys.
    #[error("the file exceeds a limit: {reason}")]
    Budget {
        /// Which, and how far.
        reason: String,
    },
    /// `verification` beside `galleries`.
    #[error(
        "expected `verification` or `galleries`, found both; give each gallery its own \
         `verification`"
    )]
    PolicyBesideGalleries,
    /// It is the index of a gallery, and no list of galleries.
    #[error(
        "this is an index (its entries have `uri` or `capabilities`), and no gallery file; in a gallery file, name the \
         index by `url`, such as `url: file:index.yaml`"
    )]
    Index,
    /// It is a list of policies, where a list is one of galleries.
    #[error(
        "a list is read as galleries, and this entry is a policy: write its keys without the `-` in front; for several \
         signers, write one policy with `identities`, a list where each entry has its own issuer and identity"
    )]
    PolicyInList,
    /// The keys of the block stand beside it.
    #[error(
        "`{key}` is empty, and its keys stand beside it: indent `{beside}` and the other keys of the policy further \
         than `{key}`"
    )]
    NotIndented {
        /// The key of the block.
        key: &'static str,
        /// The first key that belongs into it.
        beside: String,
    },
    /// Two galleries have one name.
    #[error("a second gallery is named `{name}`; rename one of them")]
    DuplicateGallery {
        /// The name.
        name: String,
    },
    /// The file has no `verification`.
    #[error(
        "found no policy; expected a `verification:` block with `issuer` and `identity` or `key`, or a list \
         of galleries that have one"
    )]
    NoPolicy,
    /// One policy is needed, and the galleries of the file have different ones.
    #[error("the galleries have different policies; name one of them: {}", quoted(.names))]
    SeveralPolicies {
        /// The galleries' names.
        names: Vec<String>,
    },
}

impl Problem {
    /// The path to show. If the key itself is the problem, it is the path of the mapping, because the problem
    /// names the key.
    pub(crate) fn scope(&self, path: KeyPath) -> KeyPath {
        match self.about() {
            About::Key(_) => path.parent(),
            About::Text | About::Second(_) | About::Lack | About::LackBeside | About::Value => path,
        }
    }

    /// Whether it is a problem of the text and not of a value in it.
    pub(crate) fn is_of_the_text(&self) -> bool {
        matches!(self.about(), About::Text)
    }

    /// What it is about. The match names every variant, so a new one does not compile until it is added here.
    pub(crate) fn about(&self) -> About<'_> {
        match self {
            Self::Syntax { .. } | Self::Budget { .. } => About::Text,
            Self::UnknownKey { found: key, .. } | Self::DuplicateKey { key } => About::Key(key),
            Self::Both { regex, .. } => About::Second(regex),
            Self::Neither { .. }
            | Self::MissingKey { .. }
            | Self::Empty { .. }
            | Self::NoPolicy
            | Self::Trust { .. }
            | Self::Demand { .. } => About::Lack,
            Self::IgnoreTlogWithoutKey => About::LackBeside,
            Self::SignerBesideIdentities { .. }
            | Self::BesideRequire { .. }
            | Self::SameProof { .. }
            | Self::BesideKey { .. }
            | Self::NoTime { .. }
            | Self::PublicKey { .. }
            | Self::KeyFile { .. }
            | Self::Regex { .. }
            | Self::Timestamp { .. }
            | Self::Form { .. }
            | Self::Digest(_)
            | Self::Repository { .. }
            | Self::Url { .. }
            | Self::ImagePattern { .. }
            | Self::Exclusive { .. }
            | Self::PolicyBesideGalleries
            | Self::Index
            | Self::PolicyInList
            | Self::NotIndented { .. }
            | Self::DuplicateGallery { .. }
            | Self::SeveralPolicies { .. } => About::Value,
        }
    }
}

/// What a problem is about, beside the value at its path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'a> {
    /// The text as a whole, and no value in it.
    Text,
    /// This key of the mapping.
    Key(&'a str),
    /// The second of two keys of the mapping, of which only one may be there.
    Second(&'a str),
    /// Something that is missing in the mapping. If a part of it was left out, that part may be what is missing.
    Lack,
    /// Something that is missing beside it.
    LackBeside,
    /// The value alone.
    Value,
}

/// What is missing from a text that should be a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimestampFault {
    /// The time of day: it is a date alone.
    NoTime,
    /// The time zone: there is neither `Z` nor an offset.
    NoOffset,
    /// The day or the time of day: it has the form, and there is no such time.
    NoSuchTime,
    /// Everything: it is not a time.
    NotATime,
}

impl TimestampFault {
    fn advice(self) -> &'static str {
        match self {
            Self::NoTime => ": a date has no time of day; add a time and `Z`",
            Self::NoOffset => ": it has no time zone; add `Z` for UTC",
            Self::NoSuchTime => ": it has the right form, but there is no such day or time of day",
            Self::NotATime => "",
        }
    }
}

/// ``did you mean `…`? Valid here``, or ``valid here``.
fn hint(nearest: Option<&str>, list: &str) -> String {
    let Some(nearest) = nearest else {
        return list.to_owned();
    };
    let mut letters = list.chars();
    let capital = letters.next().map(|c| c.to_ascii_uppercase());
    let list: String = capital.into_iter().chain(letters).collect();
    format!("did you mean `{nearest}`? {list}")
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
