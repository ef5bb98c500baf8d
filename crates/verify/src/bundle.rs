//! Sigstore bundles, bounded before they are parsed in depth.
//!
//! A [`SignedBundle`] has the one shape in which images are signed: version 0.3, one certificate,
//! one DSSE envelope with one signature, a few log entries and timestamps without repetition. It
//! proves nothing yet.

use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use sigstore_types::{Bundle, DerCertificate, SignatureContent};

use countersign_oci::{Digest, excerpt};

use crate::failure::Failure;
use crate::statement::Statement;

/// How the layer of a signature manifest calls a bundle, of whatever version.
pub(crate) const BUNDLE_MEDIA_TYPE_PREFIX: &str = "application/vnd.dev.sigstore.bundle";
const BUNDLE_V03: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The same version, as bundles were labelled before the label changed.
const BUNDLE_V03_OLD: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// One log and one authority suffice, and today's signers use one or two of each. Every one costs
/// a signature check, and counts for nothing when repeated (CVE-2024-45395).
const LOG_ENTRIES_MAX: usize = 8;
const TIMESTAMPS_MAX: usize = 8;
/// The path in a tree of 2^64 leaves.
const PROOF_HASHES_MAX: usize = 64;

/// A bundle of the shape that an image's signature has, and what it states.
#[derive(Debug)]
pub(crate) struct SignedBundle {
    pub(crate) bundle: Bundle,
    pub(crate) certificate: DerCertificate,
    pub(crate) statement: Statement,
}

impl SignedBundle {
    /// Parses a bundle whose statement must be about `digest`.
    ///
    /// # Errors
    /// The first thing that is not as it has to be.
    pub(crate) fn about(
        digest: &Digest,
        bytes: &[u8],
        predicate_types: &[String],
    ) -> Result<Self, Failure> {
        let malformed = |error: &dyn std::error::Error| Failure::Malformed {
            part: "bundle",
            detail: excerpt(&error.to_string()),
        };
        let text = std::str::from_utf8(bytes).map_err(|error| malformed(&error))?;
        let shape: Shape = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        shape.check_bounds()?;
        let bundle = Bundle::from_json(text).map_err(|error| malformed(&error))?;
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err(Failure::Content {
                found: "a message signature",
            });
        };
        if envelope.payload_type != IN_TOTO {
            return Err(Failure::PayloadType {
                expected: IN_TOTO,
                found: excerpt(&envelope.payload_type),
            });
        }
        let statement = Statement::about(digest, envelope.payload.as_bytes(), predicate_types)?;
        shape.check_material()?;
        check_repetition(&bundle)?;
        let certificate = bundle
            .signing_certificate()
            .cloned()
            .ok_or(Failure::NoCertificate {
                found: "nothing in its place",
            })?;
        Ok(Self {
            bundle,
            certificate,
            statement,
        })
    }
}

/// What a bundle holds, counted without being kept. Fields are named, so that repeated ones and
/// a bundle with two contents are errors here and can't be read in two ways further on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    media_type: Option<String>,
    verification_material: Material,
    dsse_envelope: Option<IgnoredAny>,
    message_signature: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
    public_key: Option<IgnoredAny>,
    tlog_entries: Option<Items<Entry>>,
    timestamp_verification_data: Option<Timestamps>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Timestamps {
    rfc3161_timestamps: Option<Items<IgnoredAny>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Entry {
    inclusion_proof: Option<Proof>,
}

#[derive(Deserialize, Default)]
struct Proof {
    hashes: Option<Items<IgnoredAny>>,
}

impl Shape {
    fn check_bounds(&self) -> Result<(), Failure> {
        let bounded = |what, found: usize, limit| {
            if found > limit {
                return Err(Failure::TooMany { what, limit, found });
            }
            Ok(())
        };
        let entries = self.verification_material.tlog_entries.as_ref();
        let timestamps = self
            .verification_material
            .timestamp_verification_data
            .as_ref();
        bounded(
            "log entries",
            entries.map_or(0, |entries| entries.count),
            LOG_ENTRIES_MAX,
        )?;
        bounded(
            "timestamps",
            timestamps
                .and_then(|data| data.rfc3161_timestamps.as_ref())
                .map_or(0, |timestamps| timestamps.count),
            TIMESTAMPS_MAX,
        )?;
        let longest_proof = entries
            .into_iter()
            .flat_map(|entries| &entries.kept)
            .filter_map(|entry| entry.inclusion_proof.as_ref()?.hashes.as_ref())
            .map(|hashes| hashes.count)
            .max();
        bounded(
            "hashes in an inclusion proof",
            longest_proof.unwrap_or(0),
            PROOF_HASHES_MAX,
        )?;
        match (&self.dsse_envelope, &self.message_signature) {
            (Some(_), None) => Ok(()),
            (None, Some(_)) => Err(Failure::Content {
                found: "a message signature",
            }),
            (Some(_), Some(_)) => Err(Failure::Content {
                found: "an envelope and a message signature",
            }),
            (None, None) => Err(Failure::Content { found: "neither" }),
        }
    }

    fn check_material(&self) -> Result<(), Failure> {
        match self.media_type.as_deref() {
            Some(BUNDLE_V03 | BUNDLE_V03_OLD) => {}
            other => {
                return Err(Failure::BundleVersion {
                    expected: BUNDLE_V03,
                    found: excerpt(other.unwrap_or("no media type")),
                });
            }
        }
        let material = &self.verification_material;
        match (
            &material.certificate,
            &material.x509_certificate_chain,
            &material.public_key,
        ) {
            (Some(_), None, None) => Ok(()),
            (None, Some(_), None) => Err(Failure::NoCertificate {
                found: "a certificate chain",
            }),
            (None, None, Some(_)) => Err(Failure::NoCertificate {
                found: "a public key",
            }),
            (None, None, None) => Err(Failure::NoCertificate { found: "nothing" }),
            _ => Err(Failure::NoCertificate {
                found: "several kinds of key material",
            }),
        }
    }
}

/// Refuses what counts only once (GHSA-9vcr-p3rj-q5q6): the same place in a log, the same entry in
/// one log, the same timestamp.
fn check_repetition(bundle: &Bundle) -> Result<(), Failure> {
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
    Ok(())
}

/// A list that is counted whole and kept up to a few.
struct Items<T> {
    kept: Vec<T>,
    count: usize,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Counting<T> {
            type Value = Items<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<T>, A::Error> {
                let mut items = Items {
                    kept: Vec::new(),
                    count: 0,
                };
                while items.count < LOG_ENTRIES_MAX {
                    let Some(item) = seq.next_element()? else {
                        return Ok(items);
                    };
                    items.kept.push(item);
                    items.count += 1;
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    items.count += 1;
                }
                Ok(items)
            }
        }

        deserializer.deserialize_seq(Counting(std::marker::PhantomData))
    }
}
