//! Which entries of a lock a run installs.

use countersign_oci::Platform;

use super::{Lock, LockedError};
use crate::entry_name::EntryName;

impl Lock {
    /// The entries to install on `platform`, each with its gallery: those of `names`, in their order,
    /// or all of them where there are no names. A name without a gallery gets the lock's. One with a
    /// gallery keeps it: [`Plan::locked`](crate::Plan::locked) refuses a gallery that isn't the lock's.
    ///
    /// # Errors
    /// Those of [`Lock::entry`], for the first name that the lock doesn't have for `platform`.
    pub fn select(
        &self,
        names: &[EntryName],
        platform: &Platform,
    ) -> Result<Vec<EntryName>, LockedError> {
        let with_gallery = |name: &EntryName| {
            let entry = self.entry(name.name(), platform)?;
            let gallery = name.gallery().unwrap_or(&entry.gallery);
            Ok(EntryName::in_gallery(gallery, name.name()))
        };
        if !names.is_empty() {
            return names.iter().map(with_gallery).collect();
        }
        let mut locked: Vec<&str> = self.entries().map(|entry| entry.name.as_str()).collect();
        // Several platforms of one name stand side by side.
        locked.dedup();
        let select = |name| {
            let entry = self.entry(name, platform)?;
            Ok(EntryName::in_gallery(&entry.gallery, name))
        };
        locked.into_iter().map(select).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{LockedEntry, LockedGrounds};

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    /// `name`, `gallery` and `platform` of each entry.
    fn lock(entries: &[(&str, &str, &str)]) -> Lock {
        let mut lock = Lock::new();
        for (name, gallery, on) in entries {
            lock.put(LockedEntry {
                name: (*name).to_owned(),
                platform: platform(on),
                gallery: (*gallery).to_owned(),
                entry: (*name).to_owned(),
                source: "quay.io/acme/app:1".to_owned(),
                index: None,
                digest: countersign_oci::Digest::sha256(name.as_bytes()),
                grounds: LockedGrounds::Nothing,
            });
        }
        lock
    }

    #[test]
    fn what_a_run_installs_of_a_lock() {
        let of_two = [
            ("chat", "acme", "linux/amd64"),
            ("chat", "acme", "linux/arm64"),
            ("draw", "other", "linux/amd64"),
        ];
        let (amd64, arm64) = ("linux/amd64", "linux/arm64");
        for (names, on, expected) in [
            (&[][..], amd64, "acme@chat other@draw"),
            (&["draw", "chat"], amd64, "other@draw acme@chat"),
            (&["acme@chat"], amd64, "acme@chat"),
            // The plan is refused, with both galleries in the error.
            (&["other@chat"], amd64, "other@chat"),
            // Naming an entry twice is for the plans to refuse.
            (&["chat", "chat"], amd64, "acme@chat acme@chat"),
            (&["chat"], arm64, "acme@chat"),
            (&["draw"], arm64, "another platform"),
            (&[], arm64, "another platform"),
            (&["chat", "sing"], amd64, "unknown"),
            (&["acme@sing"], amd64, "unknown"),
        ] {
            let asked: Vec<EntryName> = names.iter().map(|name| EntryName::from(*name)).collect();
            let found = match lock(&of_two).select(&asked, &platform(on)) {
                Ok(selected) => {
                    let texts: Vec<_> = selected.iter().map(ToString::to_string).collect();
                    texts.join(" ")
                }
                Err(LockedError::Unknown { .. }) => "unknown".into(),
                Err(LockedError::Platform { .. }) => "another platform".into(),
                Err(other) => other.to_string(),
            };
            assert_eq!(found, expected, "{names:?} on {on}");
        }
        assert_eq!(Lock::new().select(&[], &platform(amd64)), Ok(Vec::new()));
    }
}
