//! Whom a signing certificate names.
//!
//! Read only from certificates that verification has already tied to a trusted authority.

use std::collections::BTreeMap;

use sigstore_types::DerCertificate;
use sigstore_verify::crypto::{CertificateInfo, FulcioCiClaims};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::failure::Failure;

/// The one identity that `certificate` names, which has to be an email address or a URI.
///
/// A certificate that names several is refused: `sigstore-verify` reports the first of them, and
/// a policy that judges the first says nothing of the others. So is one with an extension that
/// stands twice, for the same reason (RFC 5280, section 4.2, forbids it).
///
/// # Errors
/// [`Failure::Identity`] with all names found, or [`Failure::Malformed`].
pub(crate) fn identity(certificate: &DerCertificate) -> Result<String, Failure> {
    let malformed = |detail: String| Failure::Malformed {
        part: "certificate",
        detail,
    };
    let certificate = Certificate::from_der(certificate.as_bytes())
        .map_err(|error| malformed(error.to_string()))?;
    let extensions = certificate.tbs_certificate.extensions.as_deref();
    for (at, extension) in extensions.unwrap_or_default().iter().enumerate() {
        let mut earlier = extensions.unwrap_or_default().iter().take(at);
        if earlier.any(|other| other.extn_id == extension.extn_id) {
            return Err(malformed(format!(
                "extension {} stands twice",
                extension.extn_id
            )));
        }
    }
    let names = certificate
        .tbs_certificate
        .get::<SubjectAltName>()
        .map_err(|error| malformed(error.to_string()))?
        .map(|(_critical, names)| names.0)
        .unwrap_or_default();
    match names.as_slice() {
        [GeneralName::Rfc822Name(email)] => Ok(email.to_string()),
        [GeneralName::UniformResourceIdentifier(uri)] => Ok(uri.to_string()),
        names => Err(Failure::Identity {
            found: names.iter().map(describe).collect(),
        }),
    }
}

/// The claims on the CI workload that a Fulcio certificate makes, those that are there, by the
/// names that Fulcio's list of extensions gives them, in snake case.
pub(crate) fn claims(info: &CertificateInfo) -> BTreeMap<String, String> {
    let FulcioCiClaims {
        build_signer_uri,
        build_signer_digest,
        runner_environment,
        source_repository_uri,
        source_repository_digest,
        source_repository_ref,
        source_repository_identifier,
        source_repository_owner_uri,
        source_repository_owner_identifier,
        build_config_uri,
        build_config_digest,
        build_trigger,
        run_invocation_uri,
        source_repository_visibility_at_signing,
        deployment_environment,
        token_subject,
        ..
    } = &info.ci_claims;
    [
        ("build_signer_uri", build_signer_uri),
        ("build_signer_digest", build_signer_digest),
        ("runner_environment", runner_environment),
        ("source_repository_uri", source_repository_uri),
        ("source_repository_digest", source_repository_digest),
        ("source_repository_ref", source_repository_ref),
        ("source_repository_identifier", source_repository_identifier),
        ("source_repository_owner_uri", source_repository_owner_uri),
        (
            "source_repository_owner_identifier",
            source_repository_owner_identifier,
        ),
        ("build_config_uri", build_config_uri),
        ("build_config_digest", build_config_digest),
        ("build_trigger", build_trigger),
        ("run_invocation_uri", run_invocation_uri),
        (
            "source_repository_visibility_at_signing",
            source_repository_visibility_at_signing,
        ),
        ("deployment_environment", deployment_environment),
        ("token_subject", token_subject),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
    .collect()
}

fn describe(name: &GeneralName) -> String {
    match name {
        GeneralName::Rfc822Name(email) => email.to_string(),
        GeneralName::UniformResourceIdentifier(uri) => uri.to_string(),
        GeneralName::DnsName(host) => format!("host {host}"),
        GeneralName::IpAddress(_) => "an IP address".into(),
        GeneralName::OtherName(_) => "a name of another type".into(),
        GeneralName::DirectoryName(name) => format!("directory name {name}"),
        GeneralName::RegisteredId(id) => format!("registered ID {id}"),
        GeneralName::EdiPartyName(_) => "an EDI party name".into(),
    }
}
