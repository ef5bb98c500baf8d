//! What is said of lock files, and of what is not as locked.
//!
//! A hint never advises to do without a lock.

use countersign_download::{LockError, LockFileError};

use super::{Failure, Kind};

/// What to do about a lock file that can't be read.
fn lock_hint(error: &LockError) -> &'static str {
    match error {
        LockError::Version { .. } => "a newer countersign wrote it: use that version",
        _ => "restore it from version control, or remove it and install with --lock again",
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error.kind() {
            Kind::Internal => Self::new(Kind::Internal, error),
            kind => {
                let hint = lock_hint(&error);
                Self::new(kind, error).hint(hint)
            }
        }
    }
}

impl From<LockFileError> for Failure {
    fn from(error: LockFileError) -> Self {
        let what = "lock file";
        match error {
            LockFileError::Read { path, source } => Self::unreadable(&path, what, source),
            LockFileError::Write { path, source } => Self::unwritable(&path, what, source),
            LockFileError::Locked(error) => error.into(),
            LockFileError::Unwritten(error) => error.into(),
            LockFileError::Text { ref fault, .. } => {
                let hint = lock_hint(fault);
                Self::new(error.kind(), error).hint(hint)
            }
            LockFileError::Busy { .. } => Self::new(error.kind(), error)
                .hint("wait until the other run ends, then run this again"),
            _ => Self::new(error.kind(), error),
        }
    }
}

impl From<countersign_download::LockedError> for Failure {
    fn from(error: countersign_download::LockedError) -> Self {
        use countersign_download::LockedError;
        let hint = match &error {
            LockedError::Unknown { .. } => Some("install it with --lock first"),
            LockedError::Platform { .. } => Some(
                "install it for this platform with --lock first; other platforms stay locked as they are",
            ),
            LockedError::Gallery { .. } => Some(
                "pass the gallery file that it was locked with, or install with --lock again, with --allow-older if that leaves it as it is",
            ),
            LockedError::Entry { .. } => Some(
                "if it was locked on other hardware, pass the --capability that it was locked with, or use a lock file for each kind of hardware (--lock=FILE), or name the entries that you want; if the gallery has changed and you want that, install with --lock again, with --allow-older if that leaves it as it is",
            ),
            LockedError::Digest { .. } => {
                Some("if you want the gallery's content, install with --lock again")
            }
            LockedError::Weaker { .. } => Some(
                "somebody removed it from the gallery: put the `verification` block or the `sha256` back; if nothing is to prove it any more, take it out of the lock file first: `countersign remove --lock=FILE NAME` (with the same --store; it also removes what is installed)",
            ),
            LockedError::WeakerEntry { .. } => Some(
                "put the gallery's `verification` block or the entry's `sha256` back, or install it from the gallery that it was locked from; if nothing is to prove it any more, take it out of the lock file first: `countersign remove --lock=FILE NAME` (with the same --store; it also removes what is installed)",
            ),
            LockedError::Older { other: Some(_), .. } => Some(
                "if that is for other hardware, use a lock file for each kind of hardware (--lock=FILE); if you want the older image, pass --allow-older",
            ),
            LockedError::Older { .. } => Some(
                "somebody may have moved the tag back, or the kit is an older one: --from-lock installs what is locked; if you want the older image, pass --allow-older",
            ),
            LockedError::Undated { .. } => Some(
                "the policy's `ignore_tlog` leaves out what proves the time; if you are sure that the image is the newer one, pass --allow-older",
            ),
            LockedError::Unverified { .. } => {
                Some("add a `verification` block to the gallery, then install with --lock again")
            }
            LockedError::Signer { .. } => Some(
                "if the policy is right, do not use what is locked: install with --lock again, with --allow-older if that leaves it as it is",
            ),
            _ => None,
        };
        Self::new(error.kind(), error).hinted(hint)
    }
}
