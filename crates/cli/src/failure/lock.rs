//! What is said of lock files, and of what is not as locked.

use super::{Failure, Kind};

impl From<countersign_download::LockError> for Failure {
    fn from(error: countersign_download::LockError) -> Self {
        Self::new(Kind::Usage, error)
    }
}

impl From<countersign_download::LockedError> for Failure {
    fn from(error: countersign_download::LockedError) -> Self {
        use countersign_download::LockedError;
        let (kind, hint) = match &error {
            LockedError::Unknown { .. } => (
                Kind::NotFound,
                "install it with --lock first, and what there is now is locked",
            ),
            LockedError::Platform { .. } => (
                Kind::NotFound,
                "install it for this platform with --lock first; what is locked for the others stays as it is",
            ),
            LockedError::Gallery { .. } => (
                Kind::Usage,
                "pass the file with the gallery that it was locked from, or install it with --lock again",
            ),
            LockedError::Entry { .. } => (
                Kind::Policy,
                "pass the --capability that it was locked for; if the gallery has changed and this is wanted, install it with --lock again",
            ),
            LockedError::Digest { .. } => (
                Kind::Policy,
                "if the gallery's content is the one that is wanted, install it with --lock again",
            ),
            LockedError::Weaker { .. } => (
                Kind::Policy,
                "somebody took it out of the gallery: put the `verification` block, or the `sha256`, back",
            ),
            LockedError::Unverified { .. } => (
                Kind::Policy,
                "give the gallery a `verification` block, and install it with --lock again",
            ),
            LockedError::Signer { .. } => (
                Kind::Policy,
                "if the policy is right, do not use what is locked: install with --lock again",
            ),
            _ => return Self::new(Kind::Internal, error),
        };
        Self::new(kind, error).hint(hint)
    }
}
