//! The text of a lock file, read within bounds and written sorted.

use std::collections::BTreeMap;
use std::str::FromStr;

use countersign_oci::excerpt;
use countersign_policy::{Position, nearest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{
    DeserializeError, Location, MessageFormatter as _, Spanned, UserMessageFormatter,
};

use super::{Key, Lock, LockError, LockValueError, LockedEntry, LockedGrounds, LockedSigner};

const VERSION: u64 = 1;
/// The most events that the parser may report: scalars, starts and ends. An entry has 30.
const EVENTS_MAX: usize = 500_000;
/// Nesting of lists and mappings. Ours nest 4 deep.
const DEPTH_MAX: usize = 8;

const HEADER: &str = "\
# Written by `countersign install --lock`, to be kept under version control: what
# `countersign install --from-lock` installs, and whose signature it has to carry.
";

pub(super) fn parse(text: &str) -> Result<Lock, LockError> {
    if text.len() > Lock::BYTES_MAX {
        return Err(LockError::TooLarge {
            limit: Lock::BYTES_MAX,
            found: text.len(),
        });
    }
    // First the version alone: what else a later one may have is not to be called unknown.
    let Versioned { version } = document(text)?;
    if version.value != VERSION {
        return Err(LockError::Version {
            position: position(&version.referenced),
            expected: VERSION,
            found: version.value,
        });
    }
    let Document { entries, .. } = document(text)?;
    let mut places: BTreeMap<Key, Position> = BTreeMap::new();
    let mut lock = Lock::new();
    for spec in entries {
        let place = position(&spec.name.referenced);
        let entry = spec.checked()?;
        if let Some(first) = places.insert(entry.key(), place) {
            return Err(LockError::Duplicate {
                position: place,
                name: excerpt(&entry.name),
                platform: Box::new(entry.platform),
                first,
            });
        }
        lock.put(entry);
    }
    Ok(lock)
}

pub(super) fn write(lock: &Lock) -> Result<String, LockError> {
    let document = Written {
        version: VERSION,
        entries: lock.entries().map(WrittenEntry::of).collect(),
    };
    // A line for each value, whatever its length: that is what diffs are read by.
    let options = serde_saphyr::ser_options! {
        prefer_block_scalars: false,
    };
    serde_saphyr::to_string_with_options(&document, options)
        .map(|text| format!("{HEADER}{text}"))
        .map_err(|error| LockError::Write {
            reason: error.to_string(),
        })
}

#[derive(Deserialize)]
struct Versioned {
    version: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "version")]
    _version: u64,
    entries: Vec<EntrySpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntrySpec {
    name: Spanned<String>,
    platform: Spanned<String>,
    gallery: Spanned<String>,
    entry: Spanned<String>,
    source: Spanned<String>,
    index: Option<Spanned<String>>,
    digest: Spanned<String>,
    grounds: Spanned<GroundsSpec>,
    signer: Option<SignerSpec>,
    #[serde(default)]
    further_signers: Vec<SignerSpec>,
    #[serde(default)]
    any_tag: bool,
    signed_at: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignerSpec {
    issuer: Option<Spanned<String>>,
    identity: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
}

impl SignerSpec {
    /// A key, or an issuer and an identity. `place` is of the entry's `grounds`.
    fn checked(self, place: Position) -> Result<LockedSigner, LockError> {
        let missing = |key| LockError::Missing {
            position: place,
            key,
            grounds: GroundsSpec::Signature.as_str(),
        };
        match (self.key, self.issuer, self.identity) {
            (Some(key), None, None) => Ok(LockedSigner::Key {
                key: value("key", &key)?,
            }),
            (None, Some(issuer), Some(identity)) => Ok(LockedSigner::Certificate {
                issuer: filled("issuer", issuer)?,
                identity: filled("identity", identity)?,
            }),
            (None, None, _) => Err(missing("issuer")),
            (None, Some(_), None) => Err(missing("identity")),
            (Some(key), Some(_), _) | (Some(key), None, Some(_)) => Err(fault(
                "key",
                &key.referenced,
                LockValueError::KeyAndIdentity,
            )),
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GroundsSpec {
    Signature,
    Digest,
    Nothing,
}

impl GroundsSpec {
    fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Digest => "digest",
            Self::Nothing => "nothing",
        }
    }
}

impl EntrySpec {
    fn checked(self) -> Result<LockedEntry, LockError> {
        Ok(LockedEntry {
            grounds: grounds(
                &self.grounds,
                self.signer,
                self.further_signers,
                self.any_tag,
                self.signed_at,
            )?,
            name: filled("name", self.name)?,
            platform: value("platform", &self.platform)?,
            gallery: filled("gallery", self.gallery)?,
            entry: filled("entry", self.entry)?,
            source: filled("source", self.source)?,
            index: self.index.map(|text| value("index", &text)).transpose()?,
            digest: value("digest", &self.digest)?,
        })
    }
}

fn grounds(
    grounds: &Spanned<GroundsSpec>,
    signer: Option<SignerSpec>,
    further: Vec<SignerSpec>,
    any_tag: bool,
    signed_at: Option<Spanned<String>>,
) -> Result<LockedGrounds, LockError> {
    let place = position(&grounds.referenced);
    let (spec, grounds) = (grounds.value, grounds.value.as_str());
    let out_of_place = |key| LockError::OutOfPlace {
        position: place,
        key,
        grounds,
    };
    if !further.is_empty() && signer.is_none() {
        return Err(out_of_place("further_signers"));
    }
    if any_tag && signer.is_none() {
        return Err(out_of_place("any_tag"));
    }
    match (spec, signer, signed_at) {
        (GroundsSpec::Signature, None, _) => Err(LockError::Missing {
            position: place,
            key: "signer",
            grounds,
        }),
        (GroundsSpec::Signature, Some(signer), signed_at) => Ok(LockedGrounds::Signature {
            signer: signer.checked(place)?,
            further: further
                .into_iter()
                .map(|signer| signer.checked(place))
                .collect::<Result<_, _>>()?,
            any_tag,
            signed_at: signed_at.map(|text| time("signed_at", &text)).transpose()?,
        }),
        (GroundsSpec::Digest | GroundsSpec::Nothing, Some(_), _) => Err(out_of_place("signer")),
        (GroundsSpec::Digest | GroundsSpec::Nothing, None, Some(_)) => {
            Err(out_of_place("signed_at"))
        }
        (GroundsSpec::Digest, None, None) => Ok(LockedGrounds::Digest),
        (GroundsSpec::Nothing, None, None) => Ok(LockedGrounds::Nothing),
    }
}

fn value<T>(key: &'static str, text: &Spanned<String>) -> Result<T, LockError>
where
    T: FromStr,
    LockValueError: From<T::Err>,
{
    let parsed = text.value.parse::<T>();
    parsed.map_err(|error| fault(key, &text.referenced, error.into()))
}

fn time(key: &'static str, text: &Spanned<String>) -> Result<jiff::Timestamp, LockError> {
    text.value.parse().map_err(|source| {
        let found = excerpt(&text.value);
        fault(
            key,
            &text.referenced,
            LockValueError::Time { found, source },
        )
    })
}

fn filled(key: &'static str, text: Spanned<String>) -> Result<String, LockError> {
    if text.value.trim().is_empty() {
        return Err(fault(key, &text.referenced, LockValueError::Empty));
    }
    Ok(text.value)
}

fn fault(key: &'static str, location: &Location, fault: LockValueError) -> LockError {
    LockError::Value {
        position: position(location),
        key,
        fault,
    }
}

fn document<T: DeserializeOwned>(text: &str) -> Result<T, LockError> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| refused(&error))
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_events: EVENTS_MAX,
            max_nodes: EVENTS_MAX,
            // We write none, and what is written once is read where it stands.
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
            max_total_scalar_bytes: Lock::BYTES_MAX,
            max_total_comment_bytes: Lock::BYTES_MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        emit_comments: false,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn refused(error: &serde_saphyr::Error) -> LockError {
    let place = error.location().as_ref().map(position);
    let error = error.without_snippet();
    match (error, place) {
        (
            DeserializeError::SerdeUnknownField {
                field, expected, ..
            },
            Some(position),
        ) => LockError::UnknownKey {
            position,
            nearest: nearest(field, expected.iter().copied()),
            found: excerpt(field),
            valid: expected.clone(),
        },
        (error, position) => LockError::Syntax {
            position,
            reason: excerpt(&UserMessageFormatter.format_message(error)),
        },
    }
}

fn position(location: &Location) -> Position {
    Position {
        line: location.line(),
        column: location.column(),
    }
}

#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    entries: Vec<WrittenEntry<'a>>,
}

#[derive(Serialize)]
struct WrittenEntry<'a> {
    name: &'a str,
    platform: String,
    gallery: &'a str,
    entry: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<String>,
    digest: String,
    grounds: GroundsSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<&'a LockedSigner>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    further_signers: &'a [LockedSigner],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    any_tag: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<String>,
}

impl<'a> WrittenEntry<'a> {
    fn of(entry: &'a LockedEntry) -> Self {
        let (grounds, signer, signed_at) = match &entry.grounds {
            LockedGrounds::Signature {
                signer, signed_at, ..
            } => {
                let signed_at = signed_at.map(|time| time.to_string());
                (GroundsSpec::Signature, Some(signer), signed_at)
            }
            LockedGrounds::Digest => (GroundsSpec::Digest, None, None),
            LockedGrounds::Nothing => (GroundsSpec::Nothing, None, None),
        };
        let (further_signers, any_tag) = match &entry.grounds {
            LockedGrounds::Signature {
                further, any_tag, ..
            } => (further.as_slice(), *any_tag),
            LockedGrounds::Digest | LockedGrounds::Nothing => (&[][..], false),
        };
        Self {
            name: &entry.name,
            platform: entry.platform.to_string(),
            gallery: &entry.gallery,
            entry: &entry.entry,
            source: &entry.source,
            index: entry.index.as_ref().map(ToString::to_string),
            digest: entry.digest.to_string(),
            grounds,
            signer,
            further_signers,
            any_tag,
            signed_at,
        }
    }
}
