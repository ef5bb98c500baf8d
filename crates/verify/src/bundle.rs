//! Sigstore bundles. Their size is checked before they are decoded.
//!
//! A [`SignedBundle`] has the one accepted form: version 0.3, one certificate or a hint at a key, one DSSE
//! envelope with one signature, and a few log entries and timestamps, none of them twice. Or it was put
//! together from a legacy signature ([`crate::simple_signing`]). It does not prove anything yet.

mod der;
mod wire;

use serde::Deserialize;
use serde::de::IgnoredAny;
use sigstore_types::bundle::Rfc3161Timestamp;
use sigstore_types::{Bundle, DerCertificate};

use countersign_oci::{Digest, excerpt, from_object_alone};
use countersign_policy::{Policy, SignatureFormat};

pub(crate) use self::der::check_certificate;
use self::wire::{AcceptedVersion, Bounded, Decodable, OneKey, Wire};
use crate::failure::{Failure, MalformedPart};
use crate::names::IN_TOTO;
use crate::simple_signing::{self, SimpleSigning};
use crate::statement::Statement;

/// The media type of a bundle's layer begins with this, in every version.
pub(crate) const BUNDLE_MEDIA_TYPE_PREFIX: &str = "application/vnd.dev.sigstore.bundle";
/// The older media type of the same version.
const BUNDLE_V03_OLD: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";

/// A bundle in the accepted form, and its statement.
#[derive(Debug)]
pub(crate) struct SignedBundle {
    pub(crate) bundle: Bundle,
    pub(crate) material: KeyMaterial,
    pub(crate) statement: Statement,
    content: SignedContent,
}

/// With what a bundle says that its signature verifies.
#[derive(Debug)]
pub(crate) enum KeyMaterial {
    /// With the key in this certificate.
    Certificate(DerCertificate),
    /// With a key that is not in the bundle.
    Key,
}

/// What the signature in a bundle is of.
#[derive(Debug)]
enum SignedContent {
    /// The envelope in the bundle.
    Envelope,
    /// The payload of a legacy signature.
    SimpleSigning(bytes::Bytes),
}

/// Evidence that a signature was stored in the legacy form. Only [`SignedBundle::legacy_form`] makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LegacyForm(());

impl SignedBundle {
    /// Parses a bundle whose statement must be about `digest`.
    ///
    /// The statement is read first. So an attestation is reported as an attestation, even if the rest of
    /// the bundle is broken.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn about(digest: &Digest, bytes: &[u8], policy: &Policy) -> Result<Self, Failure> {
        let text = std::str::from_utf8(bytes).map_err(|error| malformed(&error))?;
        let outline: Outline = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        let payload = outline.into_payload()?;
        let statement = Statement::about(digest, &payload, policy)?;

        Self::read(text, statement, SignedContent::Envelope, |bounded| {
            bounded.check_version()
        })
    }

    /// Puts a legacy signature together as a bundle. Its payload must be about `digest`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn of_simple_signing(
        digest: &Digest,
        stored: &SimpleSigning,
    ) -> Result<Self, Failure> {
        let statement = simple_signing::statement(digest, stored.payload())?;
        let content = SignedContent::SimpleSigning(stored.payload().clone());
        Self::read(&stored.assemble()?, statement, content, |bounded| {
            bounded.check_assembled_version()
        })
    }

    fn read(
        text: &str,
        statement: Statement,
        content: SignedContent,
        check_version: impl Fn(Bounded<'_>) -> Result<AcceptedVersion, Failure>,
    ) -> Result<Self, Failure> {
        let wire: Wire = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        let bounded = wire.check_bounds()?;
        let version = check_version(bounded)?;
        let key = bounded.check_key()?;
        let decodable = bounded.check_der(&key)?;
        let bundle = decode(text, &version, &decodable)?;
        let Distinct(bundle) = check_repetition(bundle)?;
        let material = match key {
            OneKey::Named(_) => KeyMaterial::Key,
            OneKey::Certificate(_) => {
                let certificate = bundle.signing_certificate().cloned();
                KeyMaterial::Certificate(certificate.ok_or(Failure::CertificateLost)?)
            }
        };
        Ok(Self {
            bundle,
            material,
            statement,
            content,
        })
    }

    /// The form in which the signature was stored.
    pub(crate) fn format(&self) -> SignatureFormat {
        match self.content {
            SignedContent::Envelope => SignatureFormat::Bundle,
            SignedContent::SimpleSigning(_) => SignatureFormat::SimpleSigning,
        }
    }

    /// Evidence that the signature was stored in the legacy form, if it was.
    pub(crate) fn legacy_form(&self) -> Option<LegacyForm> {
        match self.content {
            SignedContent::Envelope => None,
            SignedContent::SimpleSigning(_) => Some(LegacyForm(())),
        }
    }

    /// The signed bytes, if they are not in the bundle.
    pub(crate) fn detached_payload(&self) -> Option<&[u8]> {
        match &self.content {
            SignedContent::Envelope => None,
            SignedContent::SimpleSigning(payload) => Some(payload),
        }
    }

    pub(crate) fn timestamps(&self) -> &[Rfc3161Timestamp] {
        let material = &self.bundle.verification_material;
        &material.timestamp_verification_data.rfc3161_timestamps
    }
}

fn malformed(error: &dyn std::error::Error) -> Failure {
    Failure::Malformed {
        part: MalformedPart::Bundle,
        detail: excerpt(&error.to_string()),
    }
}

/// The content of a bundle, without what proves it. The fields are named, so a repeated field or a second
/// content is an error here. No later reader can read it differently.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(remote = "Self")]
struct Outline {
    dsse_envelope: Option<Content>,
    message_signature: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(remote = "Self")]
struct Content {
    payload_type: String,
    payload: String,
}

from_object_alone!(Outline, Content);

impl Outline {
    /// The signed bytes. They must be an in-toto statement.
    fn into_payload(self) -> Result<Vec<u8>, Failure> {
        let content = match (self.dsse_envelope, self.message_signature) {
            (Some(content), None) => content,
            (None, Some(_)) => {
                return Err(Failure::Content {
                    found: "a message signature",
                });
            }
            (Some(_), Some(_)) => {
                return Err(Failure::Content {
                    found: "an envelope and a message signature",
                });
            }
            (None, None) => return Err(Failure::Content { found: "neither" }),
        };
        if content.payload_type != IN_TOTO {
            return Err(Failure::PayloadType {
                expected: IN_TOTO,
                found: excerpt(&content.payload_type),
            });
        }
        wire::decode(&content.payload, "the payload")
    }
}

/// A decoded bundle. Repetition is not checked yet. Only [`decode`] makes one.
struct Decoded(Bundle);

/// Decodes a bundle. The two values show that its version and its bounds were checked.
fn decode(text: &str, _: &AcceptedVersion, _: &Decodable) -> Result<Decoded, Failure> {
    Bundle::from_json(text)
        .map(Decoded)
        .map_err(|error| malformed(&error))
}

/// A bundle without repeated log entries or timestamps. Only [`check_repetition`] makes one.
struct Distinct(Bundle);

/// Refuses repetition (GHSA-9vcr-p3rj-q5q6): two entries with the same index in one log, the same entry twice
/// in one log, the same timestamp twice.
fn check_repetition(decoded: Decoded) -> Result<Distinct, Failure> {
    let Decoded(bundle) = decoded;
    let material = &bundle.verification_material;
    let entries = &material.tlog_entries;
    for (at, entry) in entries.iter().enumerate() {
        let again = entries.iter().skip(at + 1).any(|other| {
            other.log_id == entry.log_id
                && (other.log_index == entry.log_index
                    || other.canonicalized_body == entry.canonicalized_body)
        });
        if again {
            return Err(Failure::Repeated { what: "log entry" });
        }
    }
    let timestamps = &material.timestamp_verification_data.rfc3161_timestamps;
    for (at, timestamp) in timestamps.iter().enumerate() {
        if timestamps
            .iter()
            .skip(at + 1)
            .any(|other| other == timestamp)
        {
            return Err(Failure::Repeated { what: "timestamp" });
        }
    }
    Ok(Distinct(bundle))
}

pub(crate) fn at_most_bytes(what: &'static str, limit: usize, found: usize) -> Result<(), Failure> {
    if found > limit {
        return Err(Failure::TooLarge { what, limit, found });
    }
    Ok(())
}
