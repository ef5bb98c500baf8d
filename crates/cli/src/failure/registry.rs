//! What is said of registries.

use countersign_oci::http::{HostKind, RedirectRefused};
use countersign_oci::{Error as RegistryError, Location};

use super::{Failure, Kind, layout};

const NO_SUCH_PLATFORM: &str = "choose one of these with --platform";
const WRONG_PLATFORM: &str = "ask for the platform that there is with --platform";

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let hint = match &error {
            RegistryError::Platform(_) => Some(NO_SUCH_PLATFORM),
            RegistryError::WrongPlatform { .. } => Some(WRONG_PLATFORM),
            RegistryError::Layout { source, .. } => layout::hint(source),
            RegistryError::NotFound { .. } => Some(
                "check the name and the tag; a registry also answers so for a private repository without a login",
            ),
            RegistryError::Unauthorized { .. } => Some(
                "log in with `docker login` or `podman login`; countersign reads the same credential files and helpers",
            ),
            RegistryError::DigestMismatch { what, .. }
            | RegistryError::SizeMismatch { what, .. } => Some(match what.location() {
                Location::Registry(_) => {
                    "the registry, or something between, serves other bytes than those asked for; do not use them"
                }
                Location::Layout(_) => layout::CHANGED,
            }),
            RegistryError::Limit { .. } | RegistryError::Manifest { .. } => Some(
                "tell whoever published the image, or runs the registry, what the message says",
            ),
            RegistryError::Network { .. } if error.kind() == Kind::Unreachable => Some(
                "check the host's name, the network and the proxy; a name without a host is Docker Hub's, and a registry without TLS needs --plain-http unless it is on a loopback address",
            ),
            RegistryError::Redirect { reason, .. } => Some(redirect_hint(*reason)),
            RegistryError::Protocol { .. } => Some(
                "check that this is a registry's address: login pages and proxies answer like this",
            ),
            RegistryError::NoReferrers { .. } => Some(
                "the manifest was pushed, but nobody can find it; keep the image in a registry with the referrers API of OCI 1.1, or in one that takes the tag",
            ),
            RegistryError::Status { status, .. } => Some(status_hint(*status)),
            RegistryError::Contended { .. } => {
                Some("wait until nobody else signs this image, then try again")
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
            "if that is your own network, and the server may lead there, pass --allow-private-redirects; where a gallery's index leads there, pass --allow-private-addresses"
        }
        _ => "the server leads elsewhere than it may; tell whoever runs it, or use another server",
    }
}

/// What to do about an answer that is an error.
fn status_hint(status: u16) -> &'static str {
    match status {
        429 => "the registry wants fewer requests: log in, or try again later",
        500.. => "the registry has a fault: try again later, or tell whoever runs it",
        _ => "check the reference; if it is right, tell whoever runs the registry what it answers",
    }
}

impl From<countersign_oci::NoSuchPlatform> for Failure {
    fn from(error: countersign_oci::NoSuchPlatform) -> Self {
        Self::new(Kind::NotFound, error).hint(NO_SUCH_PLATFORM)
    }
}
