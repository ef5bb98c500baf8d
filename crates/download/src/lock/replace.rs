//! What may take the place of what is locked: the rule of `carry_out/replace.rs`, by what a lock keeps.
//!
//! | locked | found | what becomes of it |
//! |---|---|---|
//! | nothing | anything | it is locked |
//! | stronger grounds | weaker grounds | refused, always |
//! | a signature | an older signature of another digest | refused, unless [`Downgrade::Allow`] is given |
//! | a signature with a proven time | one without, of another digest | refused, unless [`Downgrade::Allow`] is given |
//! | a signature with a proven time | an older one or one without a time, of the same digest | the entry stays as it is, unless [`Downgrade::Allow`] is given |
//! | anything else | | it takes the other's place |
//!
//! One content may have several good signatures, and a registry lists them in any order. An entry that stays keeps its
//! signer too: a time is that of the signature that it is beside.

use countersign_oci::excerpt;

use super::{Key, Lock, LockedEntry, LockedError, LockedGrounds};
use crate::age::{Age, Order};
use crate::grounds::Strength;
use crate::options::Downgrade;

impl Lock {
    /// Puts an entry in. Returns the one of the same name and platform whose place it takes. If that is of the same digest, by
    /// a signature with a later proven time, it is what stays, unless `downgrade` allows an older one. It is returned then
    /// too.
    ///
    /// # Errors
    /// As [`Self::require_replaceable`]; then nothing is changed.
    pub fn insert(
        &mut self,
        entry: LockedEntry,
        downgrade: Downgrade,
    ) -> Result<Option<LockedEntry>, LockedError> {
        self.require_replaceable(&entry, downgrade)?;
        let staying = self.same(&entry);
        let staying = staying.filter(|locked| locked.stays(&entry, downgrade));
        // No time is less than any.
        let staying = staying.max_by_key(|locked| locked.grounds.signed_at());
        let entry = staying.cloned().unwrap_or(entry);
        let mut replaced = self.entries.remove(&entry.key());
        let others: Vec<Key> = self.same(&entry).map(LockedEntry::key).collect();
        for key in others {
            let other = self.entries.remove(&key);
            replaced = replaced.or(other);
        }
        self.put(entry);
        Ok(replaced)
    }

    /// What is locked for the name and the platform of `entry`, by whatever name of the platform.
    fn same(&self, entry: &LockedEntry) -> impl Iterator<Item = &LockedEntry> {
        let same =
            |locked: &&LockedEntry| locked.name == entry.name && locked.is_for(&entry.platform);
        self.entries().filter(same)
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
        let mut same = self.same(entry);
        same.try_for_each(|locked| locked.require_replaceable_by(entry, downgrade))
    }
}

impl LockedEntry {
    /// Whether it stays where `found` is put in: it is the same content, and by what was found less would be known of its
    /// time.
    fn stays(&self, found: &Self, downgrade: Downgrade) -> bool {
        downgrade == Downgrade::Refuse
            && self.digest == found.digest
            && found.grounds.age().says_less_than(self.grounds.age())
    }

    fn require_replaceable_by(
        &self,
        entry: &Self,
        downgrade: Downgrade,
    ) -> Result<(), LockedError> {
        let locked = self;
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
        if locked.digest == entry.digest {
            // What is known of its time is not given up for it: see `insert`.
            return Ok(());
        }
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

    fn signed_at(&self) -> Option<jiff::Timestamp> {
        match self {
            Self::Signature { signed_at, .. } => *signed_at,
            Self::Digest | Self::Nothing => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    const EARLIER: &str = "2023-01-01T00:00:00Z";
    const KNOWN: &str = "2024-01-01T00:00:00Z";

    fn entry(platform: &str, content: &str, signed_at: &str) -> LockedEntry {
        LockedEntry {
            name: "chat".to_owned(),
            platform: platform.parse().unwrap(),
            gallery: "acme".to_owned(),
            entry: "chat".to_owned(),
            source: "quay.io/acme/chat:1".to_owned(),
            index: None,
            digest: countersign_oci::Digest::sha256(content.as_bytes()),
            grounds: LockedGrounds::Signature {
                signer: crate::grounds::LockedSigner::Certificate {
                    issuer: "https://ci.example.org".to_owned(),
                    identity: "release".to_owned(),
                },
                further: Vec::new(),
                any_tag: false,
                signed_at: Some(signed_at.parse().unwrap()),
            },
        }
    }

    /// An entry of `linux/arm64` by these signatures; `None` where nothing proves a time.
    fn signed(further: &[&str], signed_at: Option<&str>) -> LockedEntry {
        let signer = |identity: &str| crate::grounds::LockedSigner::Certificate {
            issuer: "https://ci.example.org".to_owned(),
            identity: identity.to_owned(),
        };
        LockedEntry {
            grounds: LockedGrounds::Signature {
                signer: signer("release"),
                further: further.iter().copied().map(signer).collect(),
                any_tag: false,
                signed_at: signed_at.map(|time| time.parse().unwrap()),
            },
            ..entry("linux/arm64", "same", KNOWN)
        }
    }

    /// The signers that a policy asks for may change: the time is not given up for them, unless that is allowed.
    #[test]
    fn other_proofs_of_the_same_digest_are_locked_where_no_time_is_lost_by_them() {
        let later = "2024-06-01T00:00:00Z";
        let (one, two): (&[&str], &[&str]) = (&[], &["scanner"]);
        let rows = [
            // locked, found: whether what is locked stays
            (one, Some(KNOWN), two, Some(EARLIER), true),
            (one, Some(KNOWN), two, None, true),
            (one, Some(KNOWN), two, Some(KNOWN), false),
            (one, Some(KNOWN), two, Some(later), false),
            (two, Some(KNOWN), one, Some(EARLIER), true),
            (two, Some(KNOWN), one, Some(later), false),
            (one, None, two, Some(EARLIER), false),
            (one, None, two, None, false),
            (one, None, one, None, false),
            (two, None, two, None, false),
        ];
        for (locked, locked_at, found, found_at, stays) in rows {
            let locked = signed(locked, locked_at);
            // Another entry of the gallery has the same content.
            let found = LockedEntry {
                entry: "renamed".to_owned(),
                ..signed(found, found_at)
            };
            for (downgrade, stays) in [(Downgrade::Refuse, stays), (Downgrade::Allow, false)] {
                let mut lock = Lock::new();
                lock.insert(locked.clone(), Downgrade::Refuse).unwrap();
                let before = lock.insert(found.clone(), downgrade).unwrap();
                assert_eq!(before.as_ref(), Some(&locked));
                let expected = if stays { &locked } else { &found };
                assert!(lock.entries().eq([expected]), "{locked:?} {found:?}");
            }
        }
    }

    /// Whatever a platform is called, it has one place, and nothing older gets into it.
    #[test]
    fn a_platform_has_one_place_by_all_its_names() {
        let rows = [
            // locked, found: refused, or what is there then
            ("linux/arm", "linux/arm", "same", KNOWN, "linux/arm"),
            ("linux/arm", "linux/arm/v7", "same", KNOWN, "linux/arm/v7"),
            ("linux/arm/v7", "linux/arm", "same", KNOWN, "linux/arm"),
            ("linux/arm", "linux/arm/v7", "same", EARLIER, "linux/arm"),
            ("linux/arm", "linux/arm/v7", "other", EARLIER, "refused"),
            ("linux/arm/v7", "linux/arm", "other", EARLIER, "refused"),
            (
                "linux/arm64",
                "linux/arm64/v8",
                "same",
                EARLIER,
                "linux/arm64",
            ),
            ("linux/arm64/v8", "linux/arm64", "other", EARLIER, "refused"),
            (
                "linux/arm64",
                "linux/amd64",
                "other",
                EARLIER,
                "linux/amd64 linux/arm64",
            ),
            (
                "linux/arm",
                "linux/arm/v6",
                "other",
                EARLIER,
                "linux/arm linux/arm/v6",
            ),
        ];
        for (locked, found, content, signed_at, expected) in rows {
            let mut lock = Lock::new();
            let before = entry(locked, "same", KNOWN);
            lock.insert(before.clone(), Downgrade::Refuse).unwrap();
            let found = entry(found, content, signed_at);
            let inserted = lock.insert(found.clone(), Downgrade::Refuse);
            let platforms: Vec<String> =
                lock.entries().map(|one| one.platform.to_string()).collect();
            let outcome = match &inserted {
                Ok(_) => platforms.join(" "),
                Err(_) => "refused".to_owned(),
            };
            assert_eq!(outcome, expected, "{locked} {found:?}");
            match inserted {
                Err(_) => assert!(lock.entries().eq([&before]), "{locked}"),
                Ok(replaced) if platforms.len() == 1 => {
                    assert_eq!(replaced, Some(before));
                    let there = lock.entries().next().unwrap();
                    assert_eq!(there.grounds.signed_at(), Some(KNOWN.parse().unwrap()));
                }
                Ok(replaced) => assert_eq!(replaced, None),
            }
            for name in [locked, &found.platform.to_string()] {
                assert!(lock.entry("chat", &name.parse().unwrap()).is_ok(), "{name}");
            }
        }
    }

    /// A file that was written before may have both.
    #[test]
    fn of_two_names_of_a_platform_neither_pin_is_moved_back() {
        let mut lock = Lock::new();
        lock.put(entry("linux/arm", "one", KNOWN));
        lock.put(entry("linux/arm/v7", "two", EARLIER));
        let exact = lock
            .entry("chat", &"linux/arm/v7".parse().unwrap())
            .unwrap();
        assert_eq!(exact.platform.to_string(), "linux/arm/v7");
        let between = entry("linux/arm/v7", "three", "2023-06-01T00:00:00Z");
        let refused = lock.insert(between, Downgrade::Refuse).unwrap_err();
        assert!(matches!(refused, LockedError::Older { .. }), "{refused:?}");
        let later = entry("linux/arm/v7", "three", "2024-06-01T00:00:00Z");
        lock.insert(later.clone(), Downgrade::Refuse).unwrap();
        assert!(lock.entries().eq([&later]));
    }
}
