//! The statement that is signed: in-toto, version 1, as cosign writes it.

use std::collections::BTreeMap;

use countersign_oci::{Digest, Reference, ResolvedImage};
use countersign_policy::COSIGN_SIGN_PREDICATE;
use countersign_verify::names::STATEMENT_V1;
use serde::Serialize;

/// An in-toto statement about one image (in-toto attestation framework, "Statement", v1), with
/// cosign's predicate type and empty predicate.
///
/// cosign itself writes no subject name; we write the repository, so that a policy can bind it and
/// because sigstore-python refuses a subject without one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Statement<'a> {
    #[serde(rename = "_type")]
    type_: &'static str,
    subject: [StatementSubject<'a>; 1],
    predicate_type: &'static str,
    predicate: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct StatementSubject<'a> {
    name: String,
    digest: BTreeMap<&'static str, &'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

impl<'a> Statement<'a> {
    pub(crate) fn new(image: &'a ResolvedImage, annotations: &'a BTreeMap<String, String>) -> Self {
        let digest: &Digest = image.digest();
        Self {
            type_: STATEMENT_V1,
            subject: [StatementSubject {
                name: name(image.requested()),
                digest: BTreeMap::from([(digest.algorithm().as_str(), digest.hex())]),
                annotations,
            }],
            predicate_type: COSIGN_SIGN_PREDICATE,
            predicate: BTreeMap::new(),
        }
    }
}

/// The repository, and the tag where the image was asked for by one.
pub(crate) fn name(asked: &Reference) -> String {
    match asked.tag() {
        Some(tag) => format!("{}:{tag}", asked.location()),
        None => asked.location().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_statement_has_cosigns_form_and_a_name() {
        let repository: countersign_oci::Repository = "registry.example/app".parse().unwrap();
        let location = repository.into();
        let index = Bytes::from_static(br#"{"schemaVersion":2,"manifests":[]}"#);
        let image = ResolvedImage::from_bytes(&location, index, None).unwrap();
        let annotations = BTreeMap::from([("build".to_owned(), "42".to_owned())]);
        let json = serde_json::to_string_pretty(&Statement::new(&image, &annotations)).unwrap();
        insta::assert_snapshot!(json, @r#"
        {
          "_type": "https://in-toto.io/Statement/v1",
          "subject": [
            {
              "name": "registry.example/app",
              "digest": {
                "sha256": "bc5857ac9458293d5111ab85c952172cd7f56bceb4e3014ddc4cafac8927b313"
              },
              "annotations": {
                "build": "42"
              }
            }
          ],
          "predicateType": "https://sigstore.dev/cosign/sign/v1",
          "predicate": {}
        }
        "#);
    }

    #[test]
    fn a_tag_that_was_asked_for_is_part_of_the_name_and_a_digest_is_not() {
        for (asked, expected) in [
            ("registry.example/app:v1", "registry.example/app:v1"),
            ("registry.example/app", "registry.example/app:latest"),
        ] {
            let asked: Reference = asked.parse().unwrap();
            assert_eq!(name(&asked), expected);
            let digest = Digest::sha256(b"{}");
            assert_eq!(name(&asked.pinned_to(digest)), expected);
        }
    }
}
