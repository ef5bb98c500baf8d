//! What is said of registries.

use countersign_oci::Error as RegistryError;

use super::{Failure, Kind, layout};

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let (kind, hint) = match &error {
            RegistryError::Layout { source, .. } => (layout::kind(source), layout::hint(source)),
            RegistryError::NotFound { what } if layout::is_layout(what) => {
                (Kind::NotFound, Some(layout::NOT_FOUND))
            }
            RegistryError::DigestMismatch { what, .. }
            | RegistryError::SizeMismatch { what, .. }
                if layout::is_layout(what) =>
            {
                (Kind::Invalid, Some(layout::CHANGED))
            }
            RegistryError::NotFound { .. } => (
                Kind::NotFound,
                Some(
                    "check the name and the tag; a registry also answers so for a private repository without a login",
                ),
            ),
            RegistryError::Unauthorized { .. } => (
                Kind::Unreachable,
                Some(
                    "log in with `docker login` or `podman login`; countersign reads the same credential files and helpers",
                ),
            ),
            RegistryError::DigestMismatch { .. } | RegistryError::SizeMismatch { .. } => (
                Kind::Invalid,
                Some(
                    "the registry, or something between, serves other bytes than those asked for; do not use them",
                ),
            ),
            RegistryError::Limit { .. } | RegistryError::Manifest { .. } => (Kind::Invalid, None),
            RegistryError::Network { .. } => (
                Kind::Unreachable,
                Some(
                    "check the host's name, the network and the proxy; a name without a host is Docker Hub's, and a registry without TLS needs --plain-http unless it is on a loopback address",
                ),
            ),
            RegistryError::Redirect { .. } => (
                Kind::Unreachable,
                Some(
                    "the server leads elsewhere than it may; ask whoever runs it, or name the other server yourself if you trust it",
                ),
            ),
            RegistryError::Protocol { .. } => (
                Kind::Unreachable,
                Some(
                    "check that this is a registry's address: login pages and proxies answer like this",
                ),
            ),
            RegistryError::NoReferrers { .. } => (
                Kind::Unreachable,
                Some(
                    "the manifest was pushed, but nobody can find it; keep the image in a registry with the referrers API of OCI 1.1, or in one that takes the tag",
                ),
            ),
            RegistryError::Status { .. } => (Kind::Unreachable, None),
            RegistryError::Credentials { .. } | RegistryError::Configuration { .. } => {
                (Kind::Usage, None)
            }
            _ => (Kind::Internal, None),
        };
        let failure = Self::new(kind, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<countersign_oci::NoSuchPlatform> for Failure {
    fn from(error: countersign_oci::NoSuchPlatform) -> Self {
        Self::new(Kind::NotFound, error).hint("choose one of these with --platform")
    }
}
