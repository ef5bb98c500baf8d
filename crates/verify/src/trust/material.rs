//! One trusted root, parsed and checked.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{DerCertificate, Sha256Hash};
use sigstore_verify::crypto::{Keyring, VerificationKey};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use super::description::RootDescription;
use super::keys::UnusableKeys;
use super::{TrustError, authority};
use crate::failure::Failure;

/// The media type of a trusted root begins with this, in every version.
const MEDIA_TYPE_PREFIX: &str = "application/vnd.dev.sigstore.trustedroot";

/// The trusted root of one instance.
pub(super) struct TrustMaterial {
    verifier: sigstore_verify::Verifier,
    logs: Keyring,
    transparency_log: Option<TransparencyLog>,
    certificate_log: Option<CertificateLog>,
    unusable: UnusableKeys,
    /// The root as it was read, to describe it.
    read: TrustedRoot,
    /// Names (DER) of all certificate authorities and of what stands above them.
    authority_names: BTreeSet<Vec<u8>>,
    /// DER of the certificates of all timestamp authorities.
    timestamp_certificates: BTreeSet<Vec<u8>>,
}

/// The root has a transparency log.
#[derive(Clone, Copy)]
struct TransparencyLog;

/// The root has a certificate transparency log.
#[derive(Clone, Copy)]
struct CertificateLog;

/// Evidence that a root has no transparency log, so that its bundles have no entry in one. Only
/// [`RootInUse::no_log`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoLog(());

impl TrustMaterial {
    /// See [`TrustedRoot::from_json`](super::TrustedRoot::from_json). This is for one of them.
    pub(super) fn from_json(name: &str, json: &str) -> Result<Self, TrustError> {
        let malformed = |detail: String| TrustError::Malformed {
            name: name.to_owned(),
            detail,
        };
        let mut root =
            TrustedRoot::from_json(json).map_err(|error| malformed(error.to_string()))?;
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
        let read = root.clone();
        let unusable = UnusableKeys::take_from(&mut root, name);
        check_complete(&root, &unusable, name)?;
        Self::of(&root, unusable, read).map_err(|error| malformed(error.to_string()))
    }

    /// See [`TrustedRoot::empty`](super::TrustedRoot::empty).
    pub(super) fn empty() -> Result<Self, TrustError> {
        let malformed = |error: &dyn std::error::Error| TrustError::Malformed {
            name: "empty".to_owned(),
            detail: error.to_string(),
        };
        let json = json!({ "mediaType": format!("{MEDIA_TYPE_PREFIX}+json;version=0.1") });
        let root = TrustedRoot::from_json(&json.to_string()).map_err(|error| malformed(&error))?;
        let empty = Self::of(&root, UnusableKeys::default(), root.clone());
        let empty = empty.map_err(|error| malformed(&error))?;
        Ok(Self {
            // So that no signature can do without.
            transparency_log: Some(TransparencyLog),
            certificate_log: Some(CertificateLog),
            ..empty
        })
    }

    fn of(
        root: &TrustedRoot,
        unusable: UnusableKeys,
        read: TrustedRoot,
    ) -> Result<Self, sigstore_verify::Error> {
        let authorities = root.timestamp_authorities.iter();
        let timestamp_certificates = authorities
            .flat_map(|authority| &authority.cert_chain.certificates)
            .map(|certificate| certificate.raw_bytes.as_bytes().to_vec())
            .collect();
        let authorities = root.certificate_authorities.iter();
        let authority_names = authorities
            .flat_map(|authority| &authority.cert_chain.certificates)
            .filter_map(|certificate| name_of(&certificate.raw_bytes, |of| &of.subject))
            .collect();
        Ok(Self {
            verifier: sigstore_verify::Verifier::new(root)?,
            logs: root.rekor_keys()?,
            transparency_log: (!root.tlogs.is_empty()).then_some(TransparencyLog),
            certificate_log: (!root.ctlogs.is_empty()).then_some(CertificateLog),
            unusable,
            read,
            authority_names,
            timestamp_certificates,
        })
    }

    pub(super) fn describe(&self) -> RootDescription {
        RootDescription::of(&self.read, &self.unusable)
    }

    pub(super) fn in_use(&self, now: Timestamp) -> RootInUse<'_> {
        RootInUse { root: self, now }
    }
}

/// A name in a certificate, as DER. None if the certificate can't be read.
fn name_of(
    certificate: &DerCertificate,
    name: fn(&x509_cert::TbsCertificate) -> &x509_cert::name::Name,
) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(certificate.as_bytes()).ok()?;
    name(&certificate.tbs_certificate).to_der().ok()
}

/// A trusted root that may be used for a policy, and the time. Only
/// [`TrustedRoot::serving`](super::TrustedRoot::serving) makes one.
#[derive(Clone, Copy)]
pub(crate) struct RootInUse<'a> {
    root: &'a TrustMaterial,
    now: Timestamp,
}

impl<'a> RootInUse<'a> {
    /// Evidence that this root has no transparency log.
    pub(crate) fn no_log(self) -> Option<NoLog> {
        match self.root.transparency_log {
            Some(TransparencyLog) => None,
            None => Some(NoLog(())),
        }
    }

    /// Whether certificates must be in a certificate transparency log.
    pub(crate) fn has_certificate_log(self) -> bool {
        self.root.certificate_log.is_some()
    }

    /// Whether a certificate authority of this root has the name that `certificate` says issued it.
    pub(crate) fn has_issuer_of(self, certificate: &DerCertificate) -> bool {
        name_of(certificate, |of| &of.issuer)
            .is_some_and(|issuer| self.root.authority_names.contains(&issuer))
    }

    pub(crate) fn verifier(self) -> &'a sigstore_verify::Verifier {
        &self.root.verifier
    }

    /// Whether this certificate (DER) belongs to a timestamp authority.
    pub(crate) fn has_timestamp_certificate(self, der: &[u8]) -> bool {
        self.root.timestamp_certificates.contains(der)
    }

    /// The kind of key of the transparency log with this ID, if that kind is not supported.
    pub(crate) fn unusable_log_key(self, id: &[u8]) -> Option<&'a str> {
        self.root.unusable.logs.get(id).map(String::as_str)
    }

    /// The same for a certificate transparency log.
    pub(crate) fn unusable_certificate_log_key(self, id: &[u8]) -> Option<&'a str> {
        self.root
            .unusable
            .certificate_logs
            .get(id)
            .map(String::as_str)
    }

    /// That a key of the transparency log with this ID is in use later than now, if that is so.
    pub(crate) fn log_not_in_use(self, id: &[u8]) -> Option<Failure> {
        let key = Sha256Hash::try_from(id).ok()?;
        let begins = self.root.logs.key_started_by(&key, Timestamp::MAX);
        let is_early = self.log_key(&key).is_none() && begins.is_some();
        is_early.then(|| Failure::LogNotInUse {
            id: hex::encode(id),
            at: self.now,
        })
    }

    /// The key of the transparency log with this ID, if it is valid by now.
    pub(crate) fn log_key(self, id: &Sha256Hash) -> Option<&'a VerificationKey> {
        self.root.logs.key_started_by(id, self.now)
    }
}

/// Refuses a trusted root without something that its signatures need.
fn check_complete(
    root: &TrustedRoot,
    unusable: &UnusableKeys,
    name: &str,
) -> Result<(), TrustError> {
    let needed = [
        (
            root.certificate_authorities.is_empty(),
            "certificate authority",
        ),
        // A root that lists logs is of an instance that has them. It is never taken for one without.
        (
            root.ctlogs.is_empty() && !unusable.certificate_logs.is_empty(),
            "certificate transparency log with a key of a supported kind",
        ),
        (
            root.tlogs.is_empty() && !unusable.logs.is_empty(),
            "transparency log with a key of a supported kind",
        ),
        (
            root.tlogs.is_empty() && root.timestamp_authorities.is_empty(),
            "transparency log and no timestamp authority, so nothing can prove when a signature was made",
        ),
    ];
    match needed.into_iter().find(|(lacks, _)| *lacks) {
        Some((_, missing)) => Err(TrustError::Incomplete {
            name: name.to_owned(),
            missing,
        }),
        None => Ok(()),
    }
}
