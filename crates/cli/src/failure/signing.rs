//! What is said of signing.

use countersign_policy::Violation;

use super::{Failure, Kind};

const CLOCK: &str = "set this machine's clock, best by NTP, and sign again";

/// What ended a run that needs digests. Where the registry does not have what a name without a digest stands for, the
/// digest is what is missing: nobody has to have typed the tag that was asked for.
pub(crate) fn needing_digests(
    error: countersign_sign::Error,
    references: &[countersign_oci::Reference],
) -> Failure {
    let unpinned = references.iter().filter(|one| one.digest().is_none());
    let names: Vec<String> = unpinned.map(|one| one.location().to_string()).collect();
    match error.kind() {
        Kind::NotFound if !names.is_empty() => {
            let names = names.join(" and ");
            let message = format!("expected a digest in each image, found none in {names}");
            Failure::caused(Kind::Usage, message, error)
                .hint("name each image as NAME@DIGEST, with the digest that the push printed")
        }
        _ => error.into(),
    }
}

impl From<countersign_sign::TokenError> for Failure {
    fn from(error: countersign_sign::TokenError) -> Self {
        use countersign_sign::TokenError;
        let kind = error.kind();
        match error {
            TokenError::Expired { .. } => Self::new(kind, error)
                .hint("get a new token right before signing: most live for five to ten minutes")
                .hint("if the token is new, this machine's clock is fast: set it"),
            TokenError::Clock(_) => Self::new(kind, error).hint(CLOCK),
            TokenError::Audience { .. } => Self::new(kind, error)
                .hint("ask the issuer for a token with the audience `sigstore`"),
            _ => Self::new(kind, error)
                .hint("pass --identity-token TOKEN or @FILE; SIGSTORE_ID_TOKEN holds the token itself, never @FILE"),
        }
    }
}

impl From<countersign_sign::LoginError> for Failure {
    fn from(error: countersign_sign::LoginError) -> Self {
        use countersign_sign::LoginError;
        let kind = error.kind();
        let hint = match &error {
            LoginError::NoBrowser => "pass --login device, and log in with a browser elsewhere",
            LoginError::NoDevices => "pass --login browser",
            LoginError::Refused { .. } => {
                "run the same command again, and log in with an account that the issuer accepts"
            }
            LoginError::Late { .. } | LoginError::CodeExpired => {
                "run the same command again, and log in with a browser while it waits"
            }
            LoginError::OtherLogin => "run the same command again",
            LoginError::OtherIssuer { .. } => {
                "name the issuer as its tokens do: in the signing config, or by --oidc-issuer URL"
            }
            LoginError::Listener(_) => "pass --login device, which needs no port on this machine",
            _ => return Self::new(kind, error),
        };
        Self::new(kind, error).hint(hint)
    }
}

impl From<countersign_sign::Error> for Failure {
    fn from(error: countersign_sign::Error) -> Self {
        use countersign_sign::Error as SignError;
        let kind = error.kind();
        let hint = match &error {
            SignError::Registry(_)
            | SignError::Trust(_)
            | SignError::Token(_)
            | SignError::Login(_)
            | SignError::Merge(_)
            | SignError::Copy(_)
            | SignError::Publication(_) => return passed_on(error),
            SignError::Renewal(_) => Some(
                "run the same command again, a CI's in a new job: it signs what is not signed yet",
            ),
            SignError::Annotations(_) => Some("give each annotation a key and a value"),
            SignError::ByTag { pinned } => {
                let words: Vec<_> = pinned.iter().map(ToString::to_string).collect();
                return Self::new(kind, error)
                    .hint(format!(
                        "compare with the digest that the push printed; if they are the same, run `countersign sign {}` with the same flags",
                        words.join(" ")
                    ))
                    .hint("or pass --by-tag to sign whatever the registry answers")
                    .pinned(words);
            }
            SignError::Tag {
                reference, found, ..
            } => {
                let untagged = match reference.digest() {
                    Some(digest) => format!("{}@{digest}", reference.location()),
                    None => reference.to_string(),
                };
                let first = match found {
                    Some(_) => "find out which of the two digests your build pushed",
                    None => "push the tag first",
                };
                let hint = format!(
                    "{first}, or sign without the tag: {untagged}; if your build sets the tag after signing, pass --tag-later",
                );
                return Self::new(kind, error).hint(hint);
            }
            SignError::Services { .. } => Some(
                "correct the signing config, leave out --rekor-version if it is there, or pass --fulcio-url URL with --rekor-url URL in the place of the config (and --tsa-url URL for Rekor 2)",
            ),
            SignError::Format { .. } => Some(
                "pass --format bundle; for simple signing, name a log of Rekor version 1 with --rekor-version 1 or --rekor-url URL, and allow `simple_signing` in the policy's `signature_formats`",
            ),
            SignError::Service {
                service, status, ..
            } => service_hint(*service, *status, kind),
            SignError::Refused { .. } => Some(
                "an installer would refuse this image too: check that the trusted root belongs to the signing services, and that the policy names the signer",
            ),
            SignError::FurtherCheck(_) => {
                Some("read what the other program says; what is signed stays signed")
            }
            SignError::Policy { source, .. } => Some(policy_hint(source)),
            SignError::Clock { .. } => Some(CLOCK),
            SignError::Bundle { .. } => {
                Some("use the trusted root of the Sigstore instance that signed")
            }
            SignError::NotListed { .. } => Some(
                "sign again; if it fails again, the registry's support for referrers has a fault",
            ),
            SignError::Limit { .. } | SignError::Entry { .. } => {
                Some("sign the images of the index one by one, by digest")
            }
            _ => None,
        };
        Self::new(kind, error).hinted(hint)
    }
}

/// What to do about a policy that would refuse what is to be signed.
fn policy_hint(violation: &Violation) -> &'static str {
    if matches!(violation, Violation::PredicateType { .. }) {
        return "the policy asks for an attestation, and `sign` makes none: for both, use `require` in the policy; `cosign attest` and GitHub's `actions/attest` make attestations";
    }
    "an installer would refuse this signature: compare the policy with the job that signs, the references and the annotations"
}

/// What to do about a signing service that failed.
fn service_hint(
    service: countersign_sign::Service,
    status: Option<u16>,
    kind: Kind,
) -> Option<&'static str> {
    let of_token =
        service == countersign_sign::Service::Fulcio && matches!(status, Some(400 | 401 | 403));
    // It never sees a token.
    let is_log = service == countersign_sign::Service::Rekor;
    match kind {
        Kind::Unreachable => Some(
            "check the network, the service's URL and its status; for the public instance: https://status.sigstore.dev",
        ),
        Kind::Rejected if of_token => Some(
            "check the identity token: that it is whole and has not expired, and that this certificate authority accepts its issuer; the same command would get the same answer",
        ),
        Kind::Rejected if is_log && status == Some(404) => Some(
            "check the URL of the log; if it is a log of Rekor version 2, pass --rekor-version 2 and --tsa-url URL",
        ),
        Kind::Rejected if is_log => Some(
            "check the URL of the log, and what it says; the same command would get the same answer",
        ),
        Kind::Rejected => Some(
            "check the service's URL, and that it accepts the issuer of the identity token; the same command would get the same answer",
        ),
        Kind::Internal
        | Kind::Machine
        | Kind::Usage
        | Kind::Unsigned
        | Kind::Policy
        | Kind::Invalid
        | Kind::NotFound
        | Kind::Differs => None,
    }
}

/// What another part says, which knows more of it.
fn passed_on(error: countersign_sign::Error) -> Failure {
    use countersign_sign::Error as SignError;
    match error {
        SignError::Registry(error) => error.into(),
        SignError::Trust(error) => error.into(),
        SignError::Token(error) => error.into(),
        SignError::Login(error) => error.into(),
        SignError::Merge(error) => error.into(),
        SignError::Copy(error) => error.into(),
        SignError::Publication(error) => error.into(),
        other => Failure::new(other.kind(), other),
    }
}

#[cfg(test)]
mod tests {
    use countersign_sign::Service;

    use super::*;

    #[test]
    fn what_is_said_of_a_log_is_about_logs_and_not_about_tokens() {
        for status in [400, 404] {
            let hint = service_hint(Service::Rekor, Some(status), Kind::Rejected).unwrap();
            assert!(!hint.contains("token"), "{hint}");
            assert_eq!(hint.contains("--rekor-version 2"), status == 404, "{hint}");
        }
    }
}
