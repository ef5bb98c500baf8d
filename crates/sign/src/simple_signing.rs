//! Signatures in the legacy form, "simple signing", as cosign 2 writes them.
//!
//! The signed payload is a layer of the manifest at the tag `sha256-HEX.sig`. The signature, the certificate
//! with its chain, and the log entry are annotations of the layer. The entry counts by the log's signed entry
//! timestamp, which only a Rekor v1 log gives.
//!
//! Source: `pkg/oci` and `pkg/cosign/bundle` of sigstore/cosign; `pkg/signature/payload` of sigstore/sigstore.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_oci::{CosignTag, Descriptor, Digest, Registry, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::names::{
    CERTIFICATE_ANNOTATION, LOG_BUNDLE_ANNOTATION, SIGNATURE_ANNOTATION, SIMPLE_SIGNING_LAYER,
    SIMPLE_SIGNING_TYPE,
};
use countersign_verify::{Failure, Limits, TrustedRoot, VerifiedDocument, verify_simple_signing};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use sigstore_types::{DerCertificate, SignatureBytes};

use crate::error::Error;
use crate::log::PromisedEntry;
use crate::statement;

/// A signed payload, and the annotations that go with it.
pub(crate) struct SimpleSignature {
    pub(crate) payload: Bytes,
    layer: Descriptor,
}

/// The payload, with its keys in cosign's order.
#[derive(Serialize)]
struct Payload<'a> {
    critical: Critical<'a>,
    /// `null` without annotations, as with cosign.
    optional: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct Critical<'a> {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    type_: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

/// What is signed: the image's digest, its name, and the annotations.
pub(crate) fn payload(
    image: &ResolvedImage,
    annotations: &BTreeMap<String, String>,
) -> Result<Bytes, serde_json::Error> {
    let payload = Payload {
        critical: Critical {
            identity: Identity {
                docker_reference: statement::name(image.requested()),
            },
            image: Image {
                docker_manifest_digest: image.digest().to_string(),
            },
            type_: SIMPLE_SIGNING_TYPE,
        },
        optional: Some(annotations).filter(|annotations| !annotations.is_empty()),
    };
    serde_json::to_vec(&payload).map(Bytes::from)
}

impl SimpleSignature {
    /// `chain` is the PEM of the certificates above the signer's own.
    pub(crate) fn new(
        payload: Bytes,
        signature: &SignatureBytes,
        certificate: &DerCertificate,
        chain: &[String],
        entry: &PromisedEntry,
    ) -> Self {
        let log = json!({
            "SignedEntryTimestamp": entry.verification.signed_entry_timestamp,
            "Payload": {
                "body": entry.body,
                "integratedTime": entry.integrated_time,
                "logIndex": entry.log_index,
                "logID": entry.log_id,
            },
        });
        let chain: Vec<String> = chain
            .iter()
            .map(|pem| format!("{}\n", pem.trim_end()))
            .collect();
        let annotations = [
            (SIGNATURE_ANNOTATION, STANDARD.encode(signature.as_bytes())),
            (
                CERTIFICATE_ANNOTATION,
                format!("{}\n", certificate.to_pem().trim_end()),
            ),
            ("dev.sigstore.cosign/chain", chain.concat()),
            (LOG_BUNDLE_ANNOTATION, log.to_string()),
        ];
        let layer = Descriptor {
            annotations: annotations
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            ..Descriptor::of(SIMPLE_SIGNING_LAYER, &payload)
        };
        Self { payload, layer }
    }

    /// Judges this signature alone, by `policy`.
    pub(crate) fn judge(
        &self,
        image: &ResolvedImage,
        trusted_root: &TrustedRoot,
        policy: &Policy,
    ) -> Result<VerifiedDocument, Failure> {
        let payload = self.payload.clone();
        let now = Timestamp::now();
        verify_simple_signing(image, &self.layer, payload, trusted_root, policy, now)
    }

    /// Adds the signature to those that the image has. Returns the digest of the manifest that holds them.
    pub(crate) async fn push(
        &self,
        registry: &Registry,
        image: &ResolvedImage,
    ) -> Result<Digest, Error> {
        let repository = image.reference().location().writable()?;
        registry.push_blob(repository, self.payload.clone()).await?;
        let tag = image.digest().tag_beside(CosignTag::Signatures);
        // A verifier tries no more.
        let limit = Limits::default().candidates;
        let appended =
            registry.append_layers(repository, &tag, std::slice::from_ref(&self.layer), limit);
        Ok(appended.await?)
    }
}

#[cfg(test)]
mod tests {
    use countersign_oci::Repository;

    use super::*;

    #[test]
    fn the_payload_has_cosigns_form() {
        let repository: Repository = "registry.example/app".parse().unwrap();
        let index = Bytes::from_static(br#"{"schemaVersion":2,"manifests":[]}"#);
        let image = ResolvedImage::from_bytes(&repository.into(), index, None).unwrap();
        let text = |annotations: &BTreeMap<String, String>| {
            String::from_utf8(payload(&image, annotations).unwrap().to_vec()).unwrap()
        };
        let critical = concat!(
            r#"{"critical":{"identity":{"docker-reference":"registry.example/app"},"#,
            r#""image":{"docker-manifest-digest":"sha256:bc5857ac9458293d5111ab85c952172cd7f56bceb4e3014ddc4cafac8927b313"},"#,
            r#""type":"cosign container image signature"},"optional":"#,
        );
        assert_eq!(text(&BTreeMap::new()), format!("{critical}null}}"));
        let annotations = BTreeMap::from([("build".to_owned(), "42".to_owned())]);
        assert_eq!(
            text(&annotations),
            format!(r#"{critical}{{"build":"42"}}}}"#)
        );
    }
}
