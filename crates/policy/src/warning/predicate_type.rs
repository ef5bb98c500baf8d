//! Predicate types by the names of cosign's flags, which no statement has.

use super::Warning;

/// The names that `cosign attest --type` knows, and the type that it writes for each (cosign 3.1,
/// `cmd/cosign/cli/options/predicate.go`).
const SHORT: [(&str, &str); 10] = [
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("link", "https://in-toto.io/Link/v1"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
    ("openvex", "https://openvex.dev/ns"),
];

/// The warning about a predicate type, if it is such a name.
pub(super) fn short_type(text: &str) -> Option<Warning> {
    let mut known = SHORT.into_iter();
    let (name, uri) = known.find(|(name, _)| name.eq_ignore_ascii_case(text))?;
    Some(Warning::ShortPredicateType { name, uri })
}
