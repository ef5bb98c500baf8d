//! What is said of registries.
//!
//! A hint only advises: it never changes what failed.

use countersign_oci::http::{HostKind, RedirectRefused};
use countersign_oci::{Error as RegistryError, Location, NoSuchPlatform, StatusMeaning};

use super::{Failure, Kind, layout};

const WRONG_PLATFORM: &str = "pass the platform that the image has to --platform";

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let hint = match &error {
            RegistryError::Platform(lack) => Some(no_such_platform(lack)),
            RegistryError::WrongPlatform { .. } => Some(WRONG_PLATFORM),
            RegistryError::Layout { source, layout } => layout::hint(source, layout),
            RegistryError::NotFound { what } if what.contains('@') => Some(
                "check the name and the digest; without a login, a registry may say this of a private repository",
            ),
            RegistryError::NotFound { .. } => Some(
                "check the name and the tag; without a login, a registry may say this of a private repository",
            ),
            RegistryError::Unauthorized { .. } => {
                Some("log in with `docker login` or `podman login`; countersign uses these logins")
            }
            RegistryError::DigestMismatch { what, .. }
            | RegistryError::SizeMismatch { what, .. } => Some(match what.location() {
                Location::Registry(_) => {
                    "do not use it: the registry, or a server between, sent other bytes than the digest names"
                }
                Location::Layout(_) => layout::CHANGED,
            }),
            RegistryError::Limit { .. } | RegistryError::Manifest { .. } => {
                Some("report the message to the image's publisher or to the registry")
            }
            RegistryError::Network { url, .. }
                if error.kind() == Kind::Unreachable && url.starts_with("http://") =>
            {
                Some("check the host name, the port, the network and the proxy")
            }
            RegistryError::Network { .. } if error.kind() == Kind::Unreachable => Some(
                "check the host name, the network and the proxy; a name without a host is on Docker Hub; a registry without TLS needs --plain-http",
            ),
            RegistryError::TooSlow { .. } => {
                Some("try again later, or from a faster network; a registry nearer to you may help")
            }
            RegistryError::Redirect { reason, .. } => Some(redirect_hint(*reason)),
            RegistryError::Protocol { .. } => Some(
                "check that this is the address of a registry: login pages and proxies answer like this",
            ),
            RegistryError::NoReferrers { .. } => Some(
                "the signature was pushed, but nobody can find it; use a registry with the referrers API of OCI 1.1, or one that accepts the tag",
            ),
            RegistryError::Status { status, .. } => Some(status_hint(*status)),
            RegistryError::Contended { .. } => {
                Some("wait until nobody else signs this image, then try again")
            }
            RegistryError::Full { unit: "layers", .. } => Some(
                "a verifier tries no more signatures of one image: delete those that nobody needs, or pass --format bundle",
            ),
            RegistryError::Full { .. } => {
                Some("delete the signatures and attestations of this image that nobody needs")
            }
            RegistryError::Credentials { .. } => Some(
                "correct the credential file or the helper, or log in again with `docker login` or `podman login`",
            ),
            RegistryError::Configuration { .. } => {
                Some("check --registry-ca and the proxy's variables")
            }
            _ => None,
        };
        Self::new(error.kind(), error).hinted(hint)
    }
}

/// What to do about a redirect that isn't followed.
pub(super) fn redirect_hint(reason: RedirectRefused) -> &'static str {
    match reason {
        RedirectRefused::Inward {
            to: HostKind::Private,
            ..
        } => {
            "if this is your own network and you expect the redirect, pass --allow-private-redirects; for an address in a gallery's index, pass --allow-private-addresses"
        }
        RedirectRefused::Inward { .. }
        | RedirectRefused::HttpsRequired
        | RedirectRefused::Nowhere
        | RedirectRefused::TooMany { .. }
        | RedirectRefused::NotRepeated { .. }
        | RedirectRefused::Secret
        | RedirectRefused::Spent => {
            "the server redirects to a place that is not allowed; tell its operator, or use another server"
        }
    }
}

/// What to do about an answer that is an error.
fn status_hint(status: u16) -> &'static str {
    const TOO_MANY_REQUESTS: u16 = 429;
    match StatusMeaning::of(status) {
        StatusMeaning::NotNow if status == TOO_MANY_REQUESTS => {
            "the registry wants fewer requests: log in, or try again later"
        }
        StatusMeaning::NotNow => {
            "the registry has a problem: try again later, or tell its operator"
        }
        StatusMeaning::NotAble => "the registry can't do this: tell its operator",
        StatusMeaning::Absent | StatusMeaning::Refused => {
            "check the reference; if it is right, report the answer to the registry's operator"
        }
    }
}

/// What to do if an index has no image for a platform.
fn no_such_platform(lack: &NoSuchPlatform) -> &'static str {
    if lack.available.is_empty() {
        "the index lists nothing for a platform: check the name and the tag; if they are right, tell its publisher"
    } else {
        "choose one of these with --platform"
    }
}

impl From<NoSuchPlatform> for Failure {
    fn from(error: NoSuchPlatform) -> Self {
        let hint = no_such_platform(&error);
        Self::new(Kind::NotFound, error).hint(hint)
    }
}
