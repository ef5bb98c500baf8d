//! Whom to believe: certificate authorities, logs and timestamp authorities.
//!
//! A [`TrustedRoot`] is parsed and checked once and then shared. Where it comes from is the
//! caller's to say: this module reads no environment and picks no directory.

mod authority;
mod keys;
mod tuf;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use countersign_oci::ErrorKind;
use countersign_oci::http::Connection;
use countersign_policy::{Policy, Trust};
use jiff::Timestamp;
use sigstore_trust_root::SigstoreInstance;
use sigstore_types::Sha256Hash;
use sigstore_verify::crypto::{Keyring, VerificationKey};
use url::Url;

use self::keys::UnusableKeys;
pub use tuf::TufError;

/// What every trusted root's media type begins with, whatever its version.
const MEDIA_TYPE_PREFIX: &str = "application/vnd.dev.sigstore.trustedroot";

/// Where the trusted root comes from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TrustSource {
    /// Contents of a `trusted_root.json`, and its name for errors.
    File {
        /// What to call it in errors: the file's path, say.
        name: String,
        /// The contents.
        json: String,
    },
    /// A TUF repository.
    Tuf {
        /// Where its metadata is.
        url: Url,
        /// A `root.json` of it, got in a way that is trusted. Newer ones are reached from it.
        root: Vec<u8>,
        /// Where verified metadata is kept, for this repository alone.
        cache: PathBuf,
        /// Whether to do without the network, from the cache.
        offline: bool,
    },
    /// The public-good instance, through TUF, by the `root.json` that is built in.
    PublicGood {
        /// Where verified metadata is kept, for this repository alone.
        cache: PathBuf,
        /// Whether to do without the network, from the cache.
        offline: bool,
    },
}

/// Trust material, parsed and checked. Shared; cheap to clone.
///
/// A policy that names an instance of its own ([`Policy::trust`]) is judged by no other root: the
/// caller, who loads it, says so with [`TrustedRoot::for_trust`].
#[derive(Clone)]
pub struct TrustedRoot {
    inner: Arc<Inner>,
    trust: Option<Arc<Trust>>,
}

struct Inner {
    verifier: sigstore_verify::Verifier,
    logs: Keyring,
    unusable: UnusableKeys,
    /// DER of the certificates of all timestamp authorities.
    timestamp_certificates: BTreeSet<Vec<u8>>,
}

impl TrustedRoot {
    /// Parses a `trusted_root.json` (Sigstore's protobuf specifications, `TrustedRoot`), which
    /// `name` names in errors.
    ///
    /// # Errors
    /// When it isn't one, or lacks what every signature is checked against: a certificate
    /// authority, a certificate log and a transparency log. A log whose key is of a kind that isn't
    /// supported is left out, with a warning.
    pub fn from_json(name: &str, json: &str) -> Result<Self, TrustError> {
        let malformed = |detail: String| TrustError::Malformed {
            name: name.to_owned(),
            detail,
        };
        let mut root = sigstore_trust_root::TrustedRoot::from_json(json)
            .map_err(|error| malformed(error.to_string()))?;
        if !root.media_type.starts_with(MEDIA_TYPE_PREFIX) {
            return Err(malformed(format!(
                "expected the media type {MEDIA_TYPE_PREFIX}+json;version=0.1, found {:?}",
                root.media_type
            )));
        }
        authority::narrow(&mut root.certificate_authorities, |authority| {
            let chain = authority.cert_chain.certificates.iter();
            let chain = chain.map(|certificate| certificate.raw_bytes.clone());
            (chain.collect(), &mut authority.valid_for)
        })
        .map_err(|error| malformed(format!("a certificate authority: {error}")))?;
        authority::narrow(&mut root.timestamp_authorities, |authority| {
            let chain = authority.cert_chain.certificates.iter();
            let chain = chain.map(|certificate| certificate.raw_bytes.clone());
            (chain.collect(), &mut authority.valid_for)
        })
        .map_err(|error| malformed(format!("a timestamp authority: {error}")))?;
        let authorities = root.timestamp_authorities.iter();
        let timestamp_certificates = authorities
            .flat_map(|authority| &authority.cert_chain.certificates)
            .map(|certificate| certificate.raw_bytes.as_bytes().to_vec())
            .collect();
        let unusable = UnusableKeys::take_from(&mut root, name);
        check_complete(&root, &unusable, name)?;
        let verifier =
            sigstore_verify::Verifier::new(&root).map_err(|error| malformed(error.to_string()))?;
        let logs = root
            .rekor_keys()
            .map_err(|error| malformed(error.to_string()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                verifier,
                logs,
                unusable,
                timestamp_certificates,
            }),
            trust: None,
        })
    }

    /// The same, as the root that a policy's `trust` stands for: it was read from the file, or from
    /// the TUF repository, that `trust` names.
    #[must_use]
    pub fn for_trust(self, trust: Trust) -> Self {
        Self {
            trust: Some(Arc::new(trust)),
            ..self
        }
    }

    /// This root, where `policy` may be judged by it: it names none, or this one.
    pub(crate) fn serving(&self, policy: &Policy, now: Timestamp) -> Option<RootInUse<'_>> {
        let serves = policy.trust().is_none() || policy.trust() == self.trust.as_deref();
        serves.then_some(RootInUse {
            root: &self.inner,
            now,
        })
    }

    /// Loads the trusted root that `source` names. TUF repositories are reached by `connection`, which
    /// may be a registry client's ([`Registry::connection`](countersign_oci::Registry::connection)).
    ///
    /// A file is parsed. A TUF repository is asked when its cache is older than a day or no longer
    /// valid; what the process has loaded is shared by all who name the same repository, root and
    /// cache, and is fetched once however many ask at the same time. A failure is not remembered.
    /// When the repository can't be reached, a cache that is still valid serves on.
    ///
    /// # Errors
    /// [`TrustError`]. Offline, when the cache is missing, damaged or expired.
    pub async fn load(source: &TrustSource, connection: &Connection) -> Result<Self, TrustError> {
        Self::load_at(source, connection, Timestamp::now()).await
    }

    /// As [`Self::load`], where it is `now` (TUF specification, section 5.1: the update's start time):
    /// that decides what has expired and when to ask again.
    ///
    /// # Errors
    /// As of [`Self::load`].
    pub async fn load_at(
        source: &TrustSource,
        connection: &Connection,
        now: Timestamp,
    ) -> Result<Self, TrustError> {
        match source {
            TrustSource::File { name, json } => Self::from_json(name, json),
            TrustSource::Tuf {
                url,
                root,
                cache,
                offline,
            } => {
                tuf::Repository::new(url.as_str(), root, cache, connection)
                    .load(now, *offline)
                    .await
            }
            TrustSource::PublicGood { cache, offline } => {
                let instance = SigstoreInstance::PublicGood;
                tuf::Repository::new(instance.tuf_url(), instance.tuf_root(), cache, connection)
                    .load(now, *offline)
                    .await
            }
        }
    }
}

/// A trusted root in use: for a policy that may be judged by it, at one time. Only
/// [`TrustedRoot::serving`] makes one.
#[derive(Clone, Copy)]
pub(crate) struct RootInUse<'a> {
    root: &'a Inner,
    now: Timestamp,
}

impl<'a> RootInUse<'a> {
    pub(crate) fn verifier(self) -> &'a sigstore_verify::Verifier {
        &self.root.verifier
    }

    /// Whether this certificate, DER, is of a timestamp authority.
    pub(crate) fn has_timestamp_certificate(self, der: &[u8]) -> bool {
        self.root.timestamp_certificates.contains(der)
    }

    /// The kind of key that the transparency log with this ID has, if it is one that can't be used.
    pub(crate) fn unusable_log_key(self, id: &[u8]) -> Option<&'a str> {
        self.root.unusable.logs.get(id).map(String::as_str)
    }

    /// The same of a certificate transparency log.
    pub(crate) fn unusable_certificate_log_key(self, id: &[u8]) -> Option<&'a str> {
        self.root
            .unusable
            .certificate_logs
            .get(id)
            .map(String::as_str)
    }

    /// The key of the transparency log with this ID, if its time has come.
    pub(crate) fn log_key(self, id: &Sha256Hash) -> Option<&'a VerificationKey> {
        self.root.logs.key_started_by(id, self.now)
    }
}

/// Refuses a trusted root that lacks what every signature is checked against.
fn check_complete(
    root: &sigstore_trust_root::TrustedRoot,
    unusable: &UnusableKeys,
    name: &str,
) -> Result<(), TrustError> {
    let of_logs = |unusable: bool, what, supported| if unusable { supported } else { what };
    let needed = [
        (
            root.certificate_authorities.is_empty(),
            "certificate authority",
        ),
        (
            root.ctlogs.is_empty(),
            of_logs(
                !unusable.certificate_logs.is_empty(),
                "certificate transparency log",
                "certificate transparency log with a key of a supported kind",
            ),
        ),
        (
            root.tlogs.is_empty(),
            of_logs(
                !unusable.logs.is_empty(),
                "transparency log",
                "transparency log with a key of a supported kind",
            ),
        ),
    ];
    match needed.into_iter().find(|(empty, _)| *empty) {
        Some((_, missing)) => Err(TrustError::Incomplete {
            name: name.to_owned(),
            missing,
        }),
        None => Ok(()),
    }
}

impl fmt::Debug for TrustedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedRoot").finish_non_exhaustive()
    }
}

/// Why there is no trusted root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not a trusted root.
    #[error("{name} is not a trusted root: {detail}")]
    Malformed {
        /// Name of the file or target.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A trusted root by which no signature could be verified.
    #[error("the trusted root {name} can't be used: it has no {missing}")]
    Incomplete {
        /// Name of the file or target.
        name: String,
        /// What there is none of.
        missing: &'static str,
    },
    /// The TUF repository doesn't give one that can be trusted.
    #[error("the trusted root can't be loaded from {url}")]
    Tuf {
        /// The repository.
        url: String,
        /// Why not.
        #[source]
        source: TufError,
    },
}

impl TrustError {
    /// What kind of failure it is. The match names every variant, so a new one does not
    /// compile until it is added here.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } | Self::Incomplete { .. } => ErrorKind::Usage,
            Self::Tuf { source, .. } => source.kind(),
        }
    }
}
