//! The in-toto statement that a bundle's envelope holds.
//!
//! A [`Statement`] is about exactly one subject, which has the digest of the image. It does not say who made
//! it; the rest of the crate proves that.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use countersign_oci::{Algorithm, Digest, excerpt};
use countersign_policy::Policy;

use crate::failure::Failure;

/// The only accepted statement type. No tool signs images with the older
/// `https://in-toto.io/Statement/v0.1`: cosign's bundles have always used v1.
pub(crate) const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";

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
}

impl Statement {
    /// Parses a DSSE payload.
    ///
    /// The predicate type is checked first. So an attestation is reported as an attestation, even if
    /// something else is wrong with it.
    ///
    /// # Errors
    /// [`Failure::Attestation`], [`Failure::StatementType`], [`Failure::SubjectCount`],
    /// [`Failure::SubjectDigest`], [`Failure::TooMany`], or [`Failure::Malformed`] for anything that isn't a statement.
    pub(crate) fn about(digest: &Digest, payload: &[u8], policy: &Policy) -> Result<Self, Failure> {
        let wire: Wire = serde_json::from_slice(payload).map_err(|error| Failure::Malformed {
            part: "in-toto statement",
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
        if wire.statement_type != STATEMENT_V1 {
            return Err(Failure::StatementType {
                expected: STATEMENT_V1,
                found: excerpt(&wire.statement_type),
            });
        }
        let subject = match (wire.subject.first, wire.subject.count) {
            (Some(subject), 1) => subject,
            (_, found) => return Err(Failure::SubjectCount { found }),
        };
        let found = match digest.algorithm() {
            Algorithm::Sha256 => subject.digest.sha256,
            Algorithm::Sha512 => subject.digest.sha512,
            // `SubjectDigest` below has no field for other algorithms.
            _ => None,
        };
        // Compared as text, so a digest in capital letters is refused. No tool writes one.
        if found.as_deref() != Some(digest.hex()) {
            return Err(Failure::SubjectDigest {
                expected: digest.clone(),
                found: found.map_or_else(
                    || format!("no {} digest", digest.algorithm()),
                    |hex| format!("{}:{}", digest.algorithm(), excerpt(&hex)),
                ),
            });
        }
        let annotations = subject.annotations.unwrap_or_default().into_texts()?;
        Ok(Self {
            predicate_type: wire.predicate_type,
            subject_name: subject.name.filter(|name| !name.is_empty()),
            annotations,
        })
    }
}

/// The fields are named, so a repeated field is an error. Otherwise two readers could use different ones.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "_type")]
    statement_type: String,
    predicate_type: String,
    #[serde(default)]
    subject: Subjects,
}

#[derive(Deserialize)]
struct Subject {
    name: Option<String>,
    digest: SubjectDigest,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct SubjectDigest {
    sha256: Option<String>,
    sha512: Option<String>,
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

/// A list. All entries are counted, and only the first is kept: there must not be a second.
#[derive(Default)]
struct Subjects {
    first: Option<Subject>,
    count: usize,
}

impl<'de> Deserialize<'de> for Subjects {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First;

        impl<'de> Visitor<'de> for First {
            type Value = Subjects;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of subjects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Subjects, A::Error> {
                let mut subjects = Subjects {
                    first: seq.next_element()?,
                    count: 0,
                };
                if subjects.first.is_some() {
                    subjects.count = 1;
                    while seq.next_element::<IgnoredAny>()?.is_some() {
                        subjects.count += 1;
                    }
                }
                Ok(subjects)
            }
        }

        deserializer.deserialize_seq(First)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

    fn digest() -> Digest {
        Digest::sha256(b"image")
    }

    fn parse(json: &str) -> Result<Statement, Failure> {
        let text = "issuer: https://gitlab.com\nidentity: somebody@example.org";
        let policy = Policy::from_yaml(text, "policy.yaml").unwrap();
        Statement::about(&digest(), json.as_bytes(), &policy)
    }

    fn statement(kind: &str, subject: &str) -> String {
        format!(r#"{{"_type":"{kind}","predicateType":"{SIGN}","subject":{subject}}}"#)
    }

    fn subject() -> String {
        format!(r#"{{"digest":{{"sha256":"{}"}}}}"#, digest().hex())
    }

    #[test]
    fn an_annotation_that_is_there_twice_is_refused() {
        let subject = format!(
            r#"[{{"digest":{{"sha256":"{}"}},"annotations":{{"k":"v","k":"w"}}}}]"#,
            digest().hex()
        );
        let error = parse(&statement(STATEMENT_V1, &subject)).unwrap_err();
        let Failure::Malformed { part, detail } = error else {
            panic!("{error:?}");
        };
        assert_eq!(part, "in-toto statement");
        assert!(
            detail.starts_with("an annotation is there twice"),
            "{detail}"
        );
    }

    #[test]
    fn cosigns_statement_with_and_without_predicate_and_annotations_is_read() {
        let plain = parse(&statement(STATEMENT_V1, &format!("[{}]", subject()))).unwrap();
        assert_eq!(plain.subject_name, None);
        assert!(plain.annotations.is_empty());
        let annotated = format!(
            r#"[{{"name":"r/i","digest":{{"sha256":"{}"}},"annotations":{{"k":"v","n":1}}}}]"#,
            digest().hex()
        );
        let annotated = parse(&statement(STATEMENT_V1, &annotated)).unwrap();
        assert_eq!(annotated.subject_name.as_deref(), Some("r/i"));
        assert_eq!(
            annotated.annotations,
            BTreeMap::from([("k".into(), "v".into())])
        );
    }

    #[test]
    fn another_predicate_type_is_an_attestation_before_all_else() {
        let sbom = r#"{"_type":"x","predicateType":"https://spdx.dev/Document","subject":[]}"#;
        assert!(matches!(
            parse(sbom),
            Err(Failure::Attestation { found, .. }) if found == "https://spdx.dev/Document"
        ));
    }

    #[test]
    fn odd_statement_types_are_refused() {
        for kind in [
            "",
            "https://in-toto.io/Statement/v0.1",
            "https://in-toto.io/Statement/v1.0",
        ] {
            let json = statement(kind, &format!("[{}]", subject()));
            assert!(matches!(
                parse(&json),
                Err(Failure::StatementType { found, .. }) if found == kind
            ));
        }
    }

    #[test]
    fn exactly_one_subject_is_accepted() {
        let count = |subjects: &str| match parse(&statement(STATEMENT_V1, subjects)) {
            Err(Failure::SubjectCount { found }) => found,
            other => panic!("{other:?}"),
        };
        assert_eq!(count("[]"), 0);
        assert_eq!(count(&format!("[{0},{0}]", subject())), 2);
        let many = vec![subject(); 5_000].join(",");
        assert_eq!(count(&format!("[{many}]")), 5_000);
    }

    #[test]
    fn the_subject_has_the_images_digest_by_the_images_algorithm() {
        let other = r#"[{"digest":{"sha256":"00"}}]"#;
        let none = r#"[{"digest":{"sha512":"00"}}]"#;
        for subjects in [other, none] {
            assert!(matches!(
                parse(&statement(STATEMENT_V1, subjects)),
                Err(Failure::SubjectDigest { expected, .. }) if expected == digest()
            ));
        }
    }

    #[test]
    fn a_field_that_stands_twice_is_refused() {
        let twice = format!(
            r#"[{{"digest":{{"sha256":"00","sha256":"{}"}}}}]"#,
            digest().hex()
        );
        assert!(matches!(
            parse(&statement(STATEMENT_V1, &twice)),
            Err(Failure::Malformed {
                part: "in-toto statement",
                ..
            })
        ));
    }
}
