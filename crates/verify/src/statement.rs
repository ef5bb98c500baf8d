//! The in-toto statement that a bundle's envelope holds.
//!
//! A [`Statement`] is about the image. A signature has one subject; another attestation may have several, and one
//! of them must be the image. It does not say who made it; the rest of the crate proves that.

mod subjects;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use countersign_oci::{Digest, excerpt, from_object_alone};
use countersign_policy::{COSIGN_SIGN_PREDICATE, Policy};

use self::subjects::Subjects;
use crate::failure::{Failure, MalformedPart};
use crate::names::STATEMENT_V1;
use crate::predicate::Predicate;

/// The older type of statements. `cosign attest` writes it. Its fields are the same. No tool signs images with it:
/// cosign's signatures in bundles have always used [`STATEMENT_V1`].
const STATEMENT_V01: &str = "https://in-toto.io/Statement/v0.1";

/// The most annotations of one subject. `sign -a` gets each one from the command line.
const ANNOTATIONS_MAX: usize = 256;

/// What the signer states about the image ([in-toto Statement v1][spec]).
///
/// [spec]: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) predicate_type: String,
    /// The subject's name; cosign writes none.
    pub(crate) subject_name: Option<String>,
    /// The subject's annotations. Only strings are kept: a policy can only require strings.
    pub(crate) annotations: BTreeMap<String, String>,
    /// What the statement says of its subjects. A legacy signature has no statement, and no predicate.
    pub(crate) predicate: Option<Predicate>,
}

impl Statement {
    /// Parses a DSSE payload.
    ///
    /// The predicate type is checked first. So an attestation is reported as an attestation, even if
    /// something else is wrong with it.
    ///
    /// # Errors
    /// [`Failure::Attestation`], [`Failure::StatementType`], [`Failure::SubjectCount`],
    /// [`Failure::SubjectDigest`], [`Failure::SubjectRepeated`], [`Failure::TooMany`], or
    /// [`Failure::Malformed`] for anything that isn't a statement.
    pub(crate) fn about(digest: &Digest, payload: &[u8], policy: &Policy) -> Result<Self, Failure> {
        let wire: Wire = serde_json::from_slice(payload).map_err(|error| Failure::Malformed {
            part: MalformedPart::Statement,
            detail: excerpt(&error.to_string()),
        })?;
        // `Policy::judge` checks this again, because any caller can call it. This early check reports an
        // attestation as an attestation, even if its bundle is broken.
        if !policy.is_signature_type(&wire.predicate_type) {
            return Err(Failure::Attestation {
                expected: policy.predicate_types().to_vec(),
                found: excerpt(&wire.predicate_type),
            });
        }
        let subject = if wire.predicate_type == COSIGN_SIGN_PREDICATE {
            require_type(&wire.statement_type, &[STATEMENT_V1])?;
            wire.subject.only(digest)?
        } else {
            require_type(&wire.statement_type, &[STATEMENT_V1, STATEMENT_V01])?;
            wire.subject.one_of_several(digest)?
        };
        let annotations = subject.annotations.unwrap_or_default().into_texts()?;
        Ok(Self {
            predicate_type: wire.predicate_type,
            subject_name: subject.name.filter(|name| !name.is_empty()),
            annotations,
            predicate: Some(Predicate::new(wire.predicate)?),
        })
    }
}

/// The fields are named, so a repeated field is an error. Otherwise two readers could use different ones.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(remote = "Self")]
struct Wire {
    #[serde(rename = "_type")]
    statement_type: String,
    predicate_type: String,
    #[serde(default)]
    subject: Subjects,
    predicate: Option<Box<RawValue>>,
}

from_object_alone!(Wire);

fn require_type(found: &str, accepted: &'static [&'static str]) -> Result<(), Failure> {
    if accepted.contains(&found) {
        return Ok(());
    }
    Err(Failure::StatementType {
        expected: accepted,
        found: excerpt(found),
    })
}

/// Annotations. All are counted, and at most `ANNOTATIONS_MAX` are kept. If a value is not a string, only
/// its key is kept.
#[derive(Default)]
pub(crate) struct Annotations {
    first: BTreeMap<String, Option<String>>,
    count: usize,
}

impl Annotations {
    /// The annotations whose values are strings.
    ///
    /// # Errors
    /// [`Failure::TooMany`].
    pub(crate) fn into_texts(self) -> Result<BTreeMap<String, String>, Failure> {
        if self.count > ANNOTATIONS_MAX {
            return Err(Failure::TooMany {
                what: "annotations of the subject",
                limit: ANNOTATIONS_MAX,
                found: self.count,
            });
        }
        let annotations = self.first.into_iter();
        Ok(annotations
            .filter_map(|(key, value)| Some((key, value?)))
            .collect())
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First;

        impl<'de> Visitor<'de> for First {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut annotations = Annotations::default();
                while let Some(key) = map.next_key::<String>()? {
                    annotations.count += 1;
                    if annotations.count > ANNOTATIONS_MAX {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let value = match map.next_value()? {
                        serde_json::Value::String(value) => Some(value),
                        _ => None,
                    };
                    // Readers written in Go refuse a repeated key.
                    if annotations.first.insert(key, value).is_some() {
                        return Err(A::Error::custom("an annotation is there twice"));
                    }
                }
                Ok(annotations)
            }
        }

        deserializer.deserialize_map(First)
    }
}

#[cfg(test)]
mod tests;
