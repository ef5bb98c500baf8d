//! What may take the place of what is locked: the rule of `carry_out/replace.rs`, by what a lock keeps.
//!
//! | locked | found | what becomes of it |
//! |---|---|---|
//! | nothing | anything | it is locked |
//! | stronger grounds | weaker grounds | refused, always |
//! | a signature | an older signature, of the same digest too | refused, unless [`Downgrade::Allow`] is given |
//! | a signature with a proven time | one without, of another digest | refused, unless [`Downgrade::Allow`] is given |
//! | a signature with a proven time | one without, of the same digest | it takes the other's place, and the time stays, unless [`Downgrade::Allow`] is given |
//! | anything else | | it takes the other's place |

use countersign_oci::excerpt;

use super::{Lock, LockedEntry, LockedError, LockedGrounds};
use crate::age::{Age, Order};
use crate::grounds::Strength;
use crate::options::Downgrade;

impl Lock {
    /// Puts an entry in. Returns the one of the same name and platform whose place it takes.
    ///
    /// # Errors
    /// As [`Self::require_replaceable`]; then nothing is changed.
    pub fn insert(
        &mut self,
        mut entry: LockedEntry,
        downgrade: Downgrade,
    ) -> Result<Option<LockedEntry>, LockedError> {
        self.require_replaceable(&entry, downgrade)?;
        if downgrade == Downgrade::Refuse
            && let Some(locked) = self.entries.get(&entry.key())
            && locked.digest == entry.digest
            && let LockedGrounds::Signature { signed_at, .. } = &mut entry.grounds
            && let LockedGrounds::Signature {
                signed_at: known, ..
            } = &locked.grounds
        {
            *signed_at = signed_at.or(*known);
        }
        Ok(self.put(entry))
    }

    /// Takes out all entries of this name, one for each platform, and returns them.
    pub fn remove(&mut self, name: &str) -> Vec<LockedEntry> {
        let (removed, kept) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|(_, entry)| entry.name == name);
        self.entries = kept;
        removed.into_values().collect()
    }

    /// Refuses an entry that may not take the place of the one of the same name and platform.
    ///
    /// # Errors
    /// [`LockedError::WeakerEntry`]; [`LockedError::Older`] and [`LockedError::Undated`], unless `downgrade` allows these.
    pub fn require_replaceable(
        &self,
        entry: &LockedEntry,
        downgrade: Downgrade,
    ) -> Result<(), LockedError> {
        let Some(locked) = self.entries.get(&entry.key()) else {
            return Ok(());
        };
        let name = || excerpt(&entry.name);
        if entry.grounds.strength() < locked.grounds.strength() {
            return Err(LockedError::WeakerEntry {
                name: name(),
                expected: locked.grounds.to_string(),
                found: entry.grounds.to_string(),
            });
        }
        let (expected, found) = (locked.digest.clone(), entry.digest.clone());
        let other = (locked.entry != entry.entry).then(|| excerpt(&locked.entry));
        let refused = match entry.grounds.age().after(locked.grounds.age()) {
            Order::Older {
                installed,
                found: found_at,
            } => LockedError::Older {
                name: name(),
                expected: Box::new(expected),
                found: Box::new(found),
                other,
                expected_at: installed,
                found_at,
            },
            // The time that is known is not given up for it: see `insert`.
            Order::Undated { .. } if locked.digest == entry.digest => return Ok(()),
            Order::Undated { installed } => LockedError::Undated {
                name: name(),
                expected,
                found,
                expected_at: installed,
            },
            Order::Later | Order::Unknown => return Ok(()),
        };
        match downgrade {
            Downgrade::Refuse => Err(refused),
            Downgrade::Allow => Ok(()),
        }
    }
}

impl LockedGrounds {
    fn age(&self) -> Age {
        match self {
            Self::Signature { signed_at, .. } => match signed_at {
                Some(time) => Age::Since(*time),
                None => Age::Undated { earliest: None },
            },
            Self::Digest | Self::Nothing => Age::Unsigned,
        }
    }

    fn strength(&self) -> Strength {
        match self {
            Self::Nothing => Strength::Nothing,
            Self::Digest => Strength::Digest,
            Self::Signature { .. } => Strength::Signature,
        }
    }
}
