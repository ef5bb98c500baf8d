//! Lock files: what exactly was installed and who had signed it, so that it can be installed again.
//!
//! A [`Lock`] is a text for version control: sorted YAML, and the same entries always give the same
//! bytes. It pins the digests and the signer of each name and platform. There is one entry for each
//! platform and not for each index: two platforms of one name may be locked at different times and
//! have different signers, and some content has no index.
//!
//! A lock never authorises an installation: [`Plan::locked`](crate::Plan::locked) makes it one more
//! condition of a plan, whose own requirement stays. A [`LockFile`] reads and writes it.

mod error;
mod file;
mod format;
mod replace;
mod selection;

use std::collections::BTreeMap;
use std::fmt;

use countersign_oci::{Digest, Platform};
use countersign_policy::{BoundName, nearest};

use crate::age::Age;
use crate::grounds::{Grounds, LockedSigner};
use crate::record::{Recorded, is_one_platform};

pub use error::{LockError, LockValueError, LockedError};
pub use file::{LockFile, LockFileError};

/// What a lock file says: an entry for each name and platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    entries: BTreeMap<Key, LockedEntry>,
}

/// A name and a platform's text: what a lock has one entry for, in the order of the file.
type Key = (String, String);

/// One installation, pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockedEntry {
    /// The name that was asked for.
    pub name: String,
    /// The platform that was asked for.
    pub platform: Platform,
    /// The gallery's name.
    pub gallery: String,
    /// The entry that the name led to.
    pub entry: String,
    /// The source that served it, as the plan had it. It is for people, and says which of a
    /// repository's tags it was. The next time, the plan decides which sources are asked.
    pub source: String,
    /// Digest of the index that named the content, if it was found by one.
    pub index: Option<Digest>,
    /// Digest of the platform's manifest, or of the archive's bytes.
    pub digest: Digest,
    /// What it was admitted on.
    pub grounds: LockedGrounds,
}

/// What a locked installation was admitted on, and has to be again, by the same signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockedGrounds {
    /// A signature that the gallery's policy accepted.
    Signature {
        /// Whose it was.
        signer: LockedSigner,
        /// Whose the other proofs were, if the policy required several, in the policy's order.
        further: Vec<LockedSigner>,
        /// Whether the policy binds names and a proof names no tag: it then counts for every tag of the
        /// repository. For people: nothing is compared with it.
        any_tag: bool,
        /// Since when all its proofs are there: the oldest of their [earliest
        /// times](countersign_verify::Evidence::earliest). `None` if nothing proves that of one. What was signed before
        /// does not take its place.
        signed_at: Option<jiff::Timestamp>,
    },
    /// The digest that the gallery's index names.
    Digest,
    /// Nothing: it was installed unverified.
    Nothing,
}

impl Lock {
    /// A lock that says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the longest text that is read: 8 MiB. LocalAI's whole gallery, locked for four
    /// platforms, has a fourth of it.
    pub const BYTES_MAX: usize = 8 << 20;

    /// Reads a lock file's text, of [`Self::BYTES_MAX`] at most.
    ///
    /// # Errors
    /// [`LockError`]: the first thing that is wrong, and where. A text that is not understood whole
    /// is not used in part.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        format::parse(text)
    }

    /// The file's text. [`Self::parse`] makes an equal lock of it.
    ///
    /// # Errors
    /// Never in practice; serialisation can't know that.
    pub fn to_yaml(&self) -> Result<String, LockError> {
        format::write(self)
    }

    /// Puts an entry in, whatever it takes the place of.
    fn put(&mut self, entry: LockedEntry) {
        self.entries.insert(entry.key(), entry);
    }

    /// The entries, by name, then by platform.
    pub fn entries(&self) -> impl Iterator<Item = &LockedEntry> {
        self.entries.values()
    }

    /// The entry of this name for this platform, which may be written in another way: `linux/arm64` is `linux/arm64/v8`.
    ///
    /// # Errors
    /// [`LockedError::Unknown`] or [`LockedError::Platform`].
    pub fn entry(&self, name: &str, platform: &Platform) -> Result<&LockedEntry, LockedError> {
        let named = || self.entries().filter(|entry| entry.name == name);
        let text = platform.to_string();
        let same = || named().find(|entry| entry.is_for(platform));
        if let Some(found) = named()
            .find(|entry| entry.platform.to_string() == text)
            .or_else(same)
        {
            return Ok(found);
        }
        let name = countersign_oci::excerpt(name);
        let expected: Vec<Platform> = named().map(|entry| entry.platform.clone()).collect();
        if expected.is_empty() {
            let nearest = nearest(&name, self.entries().map(|entry| entry.name.as_str()));
            return Err(LockedError::Unknown { name, nearest });
        }
        Err(LockedError::Platform {
            name,
            expected,
            found: Box::new(platform.clone()),
        })
    }
}

impl LockedEntry {
    /// The digest that a registry is asked for: the index's if there is one, so that a signature on
    /// the index counts again, as does one on the manifest.
    pub fn requested(&self) -> &Digest {
        self.index.as_ref().unwrap_or(&self.digest)
    }

    /// Whether an installation is what is locked: the same entry of the same gallery, the same content and, if a signature
    /// is locked, by the same signers. The record says so; nothing is verified.
    pub fn is_met_by(&self, recorded: &Recorded) -> bool {
        let from = recorded.provenance.as_ref();
        let same_entry =
            from.is_none_or(|from| from.entry == self.entry && from.gallery == self.gallery);
        let signers = match &self.grounds {
            LockedGrounds::Signature { .. } => {
                let found = LockedGrounds::of(&recorded.grounds);
                self.grounds.signers().eq(found.signers())
            }
            LockedGrounds::Digest | LockedGrounds::Nothing => true,
        };
        self.digest == recorded.digest && same_entry && signers
    }

    /// Whether it is of this platform, by whatever name of it.
    fn is_for(&self, platform: &Platform) -> bool {
        is_one_platform(&self.platform, platform)
    }

    fn key(&self) -> Key {
        (self.name.clone(), self.platform.to_string())
    }
}

impl LockedGrounds {
    /// What a lock keeps of `grounds`.
    pub(crate) fn of(grounds: &Grounds) -> Self {
        match grounds {
            Grounds::Signature {
                evidence,
                further_evidence,
                ..
            } => Self::Signature {
                any_tag: grounds
                    .all_evidence()
                    .any(|one| one.bound_name == Some(BoundName::Repository)),
                signer: LockedSigner::of(evidence),
                further: further_evidence.iter().map(LockedSigner::of).collect(),
                signed_at: match grounds.age() {
                    Age::Since(time) => Some(time),
                    Age::Undated { .. } | Age::Unsigned => None,
                },
            },
            Grounds::Digest => Self::Digest,
            Grounds::Nothing => Self::Nothing,
        }
    }

    /// Whose the proofs were, all of them, in the policy's order. Empty if it was no signature.
    pub fn signers(&self) -> impl Iterator<Item = &LockedSigner> {
        let further = match self {
            Self::Signature { further, .. } => further.as_slice(),
            Self::Digest | Self::Nothing => &[],
        };
        self.signer().into_iter().chain(further)
    }

    /// Whose signature, if it was one.
    pub fn signer(&self) -> Option<&LockedSigner> {
        match self {
            Self::Signature { signer, .. } => Some(signer),
            Self::Digest | Self::Nothing => None,
        }
    }
}

/// In words, with its article; of a signature, whose it is.
impl fmt::Display for LockedGrounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature { signer, .. } => write!(f, "a signature by {signer}"),
            Self::Digest => f.write_str("a digest of the gallery's index"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

#[cfg(test)]
mod tests;
