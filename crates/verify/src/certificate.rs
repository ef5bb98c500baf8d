//! The identity and the claims in a signing certificate.
//!
//! Nothing here verifies the certificate.

use countersign_policy::{CertificateClaims, Claim};
use sigstore_types::DerCertificate;
use sigstore_verify::crypto::{CertificateInfo, FulcioCiClaims};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::ext::pkix::{SignedCertificateTimestampList, SubjectAltName};

use crate::failure::{Failure, MalformedPart};

/// The type of a user's name at Fulcio, `name!domain`, as an alternative name.
const USER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// The one identity in `certificate`. It must be an email address, a URI or a user's name of Fulcio. So sigstore-go
/// and cosign read it.
///
/// A certificate with several identities is refused: `sigstore-verify` reports only the first, so a policy
/// would not check the others. A repeated extension is refused for the same reason (RFC 5280, section 4.2,
/// forbids it).
///
/// # Errors
/// [`Failure::Identity`] with all names found, or [`Failure::Malformed`].
pub(crate) fn identity(certificate: &DerCertificate) -> Result<String, Failure> {
    let malformed = |detail: String| Failure::Malformed {
        part: MalformedPart::Certificate,
        detail,
    };
    let certificate = Certificate::from_der(certificate.as_bytes())
        .map_err(|error| malformed(error.to_string()))?;
    let extensions = certificate.tbs_certificate.extensions.as_deref();
    for (at, extension) in extensions.unwrap_or_default().iter().enumerate() {
        let mut earlier = extensions.unwrap_or_default().iter().take(at);
        if earlier.any(|other| other.extn_id == extension.extn_id) {
            return Err(malformed(format!(
                "extension {} is there twice",
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
        [name @ GeneralName::OtherName(other)] => {
            user_name(other).ok_or_else(|| Failure::Identity {
                found: vec![describe(name)],
            })
        }
        names => Err(Failure::Identity {
            found: names.iter().map(describe).collect(),
        }),
    }
}

/// The user's name in an other name. Other types, and other kinds of text, are none: readers differ on them.
fn user_name(name: &OtherName) -> Option<String> {
    if name.type_id != USER_NAME {
        return None;
    }
    let text = name.value.decode_as::<Utf8StringRef<'_>>().ok()?;
    Some(text.as_str().to_owned()).filter(|text| !text.is_empty())
}

/// IDs of the certificate logs whose timestamps are in the certificate. Empty if there are none, or if they
/// can't be read.
pub(crate) fn certificate_logs(certificate: &DerCertificate) -> Vec<[u8; 32]> {
    let embedded = Certificate::from_der(certificate.as_bytes())
        .and_then(|certificate| {
            certificate
                .tbs_certificate
                .get::<SignedCertificateTimestampList>()
        })
        .ok()
        .flatten()
        .and_then(|(_critical, list)| list.parse_timestamps().ok());
    embedded
        .unwrap_or_default()
        .iter()
        .filter_map(|timestamp| timestamp.parse_timestamp().ok())
        .map(|timestamp| timestamp.log_id.key_id)
        .collect()
}

/// The certificate's claims about the CI job.
pub(crate) fn claims(info: &CertificateInfo) -> CertificateClaims {
    let claims = &info.ci_claims;
    Claim::ALL
        .into_iter()
        .map(|claim| (claim, value(claims, claim).cloned()))
        .collect()
}

fn value(claims: &FulcioCiClaims, claim: Claim) -> Option<&String> {
    let value = match claim {
        Claim::BuildSignerUri => &claims.build_signer_uri,
        Claim::BuildSignerDigest => &claims.build_signer_digest,
        Claim::RunnerEnvironment => &claims.runner_environment,
        Claim::SourceRepositoryUri => &claims.source_repository_uri,
        Claim::SourceRepositoryDigest => &claims.source_repository_digest,
        Claim::SourceRepositoryRef => &claims.source_repository_ref,
        Claim::SourceRepositoryIdentifier => &claims.source_repository_identifier,
        Claim::SourceRepositoryOwnerUri => &claims.source_repository_owner_uri,
        Claim::SourceRepositoryOwnerIdentifier => &claims.source_repository_owner_identifier,
        Claim::BuildConfigUri => &claims.build_config_uri,
        Claim::BuildConfigDigest => &claims.build_config_digest,
        Claim::BuildTrigger => &claims.build_trigger,
        Claim::RunInvocationUri => &claims.run_invocation_uri,
        Claim::SourceRepositoryVisibilityAtSigning => {
            &claims.source_repository_visibility_at_signing
        }
        Claim::DeploymentEnvironment => &claims.deployment_environment,
        Claim::TokenSubject => &claims.token_subject,
    };
    value.as_ref()
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

#[cfg(test)]
mod tests {
    use super::*;
    use x509_cert::der::asn1::{Any, Ia5String, OctetString};
    use x509_cert::der::{Encode, oid::AssociatedOid};
    use x509_cert::ext::Extension;

    /// A certificate that names `names`, its signature no longer good.
    fn naming(names: &[Vec<GeneralName>]) -> DerCertificate {
        let json = sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
        let root = sigstore_trust_root::TrustedRoot::from_json(json).unwrap();
        let der = root.fulcio_certs().remove(0);
        let mut certificate = Certificate::from_der(der.as_bytes()).unwrap();
        let extensions = certificate.tbs_certificate.extensions.as_mut().unwrap();
        for names in names {
            let value = SubjectAltName(names.clone()).to_der().unwrap();
            extensions.push(Extension {
                extn_id: SubjectAltName::OID,
                critical: true,
                extn_value: OctetString::new(value).unwrap(),
            });
        }
        DerCertificate::new(certificate.to_der().unwrap())
    }

    fn email(text: &str) -> GeneralName {
        GeneralName::Rfc822Name(Ia5String::new(text).unwrap())
    }

    fn uri(text: &str) -> GeneralName {
        GeneralName::UniformResourceIdentifier(Ia5String::new(text).unwrap())
    }

    fn host(text: &str) -> GeneralName {
        GeneralName::DnsName(Ia5String::new(text).unwrap())
    }

    #[test]
    fn one_email_address_or_uri_is_the_identity() {
        assert_eq!(identity(&naming(&[vec![email("a@b.c")]])).unwrap(), "a@b.c");
        assert_eq!(
            identity(&naming(&[vec![uri("https://a")]])).unwrap(),
            "https://a"
        );
    }

    fn other(type_id: &str, value: Any) -> GeneralName {
        GeneralName::OtherName(OtherName {
            type_id: ObjectIdentifier::new(type_id).unwrap(),
            value,
        })
    }

    fn utf8(text: &str) -> Any {
        Any::encode_from(&Utf8StringRef::new(text).unwrap()).unwrap()
    }

    const FULCIOS: &str = "1.3.6.1.4.1.57264.1.7";

    #[test]
    fn one_user_name_of_fulcio_is_the_identity() {
        let name = other(FULCIOS, utf8("ci!example.org"));
        assert_eq!(
            identity(&naming(&[vec![name.clone()]])).unwrap(),
            "ci!example.org"
        );
        let two = naming(&[vec![name, email("evil@b.c")]]);
        assert!(matches!(identity(&two), Err(Failure::Identity { found }) if found.len() == 2));
    }

    #[test]
    fn another_type_or_form_of_other_name_is_none() {
        let ia5 = Any::encode_from(&Ia5String::new("ci!example.org").unwrap()).unwrap();
        for name in [
            // Microsoft's user principal name.
            other("1.3.6.1.4.1.311.20.2.3", utf8("ci!example.org")),
            other("1.3.6.1.4.1.57264.1.8", utf8("ci!example.org")),
            other(FULCIOS, ia5),
            other(FULCIOS, Any::null()),
            other(FULCIOS, utf8("")),
        ] {
            let found = identity(&naming(&[vec![name]]));
            assert!(
                matches!(&found, Err(Failure::Identity { found }) if found == &["a name of another type"]),
                "{found:?}"
            );
        }
    }

    #[test]
    fn any_other_number_or_kind_of_names_is_none() {
        let found = |names: &[Vec<GeneralName>]| match identity(&naming(names)) {
            Err(Failure::Identity { found }) => found,
            other => panic!("{other:?}"),
        };
        assert_eq!(found(&[]), Vec::<String>::new());
        assert_eq!(found(&[vec![]]), Vec::<String>::new());
        assert_eq!(found(&[vec![host("a.b")]]), ["host a.b"]);
        let two = vec![email("good@b.c"), email("evil@b.c")];
        assert_eq!(found(&[two]), ["good@b.c", "evil@b.c"]);
        let mixed = vec![uri("https://a"), host("a.b")];
        assert_eq!(found(&[mixed]), ["https://a", "host a.b"]);
    }

    #[test]
    fn an_extension_that_stands_twice_is_refused() {
        let twice = naming(&[vec![email("good@b.c")], vec![email("evil@b.c")]]);
        assert!(matches!(
            identity(&twice),
            Err(Failure::Malformed {
                part: MalformedPart::Certificate,
                ..
            })
        ));
    }
}
