//! Names of the formats that this crate reads and `countersign-sign` writes. They stand here alone, so that what is
//! written and what is read are the same.

/// Media type of a Sigstore bundle, version 0.3 (sigstore/protobuf-specs): of the layer, and in the bundle.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The annotation of a signature's manifest in which cosign and others state the predicate type.
pub const PREDICATE_TYPE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";
/// Media type of the payload that a bundle's envelope has (DSSE `payloadType`).
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The `_type` of a statement (in-toto attestation framework, "Statement", v1).
pub const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";

/// Media type of a layer with the payload of a legacy signature (`pkg/oci` of sigstore/cosign).
pub const SIMPLE_SIGNING_LAYER: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The `critical.type` of that payload, for the signature of an image.
pub const SIMPLE_SIGNING_TYPE: &str = "cosign container image signature";
/// The layer's annotation with the signature.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// The layer's annotation with the signer's certificate.
pub const CERTIFICATE_ANNOTATION: &str = "dev.sigstore.cosign/certificate";
/// The layer's annotation with the log entry.
pub const LOG_BUNDLE_ANNOTATION: &str = "dev.sigstore.cosign/bundle";
