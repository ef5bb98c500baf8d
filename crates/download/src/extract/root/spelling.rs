//! File systems where `A` and `a` are one name, or `é` as one character and as an `e` with an accent, as macOS has them.
//!
//! An image may have both. There the second would take the place of the first, or write into its directory. So what is
//! found at a name must have been made by that very spelling. This needs no rules about letters: the file system
//! says what it takes for the same.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, fstat, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;

use super::Directory;
use crate::extract::RESERVED;
use crate::extract::error::ArchiveError;
use crate::extract::name::EntryPath;

/// Stands for what was made by another spelling. No call that is given a path has this error.
pub(super) const OTHER_SPELLING: Errno = Errno::NOTTY;

/// Two spellings of a name in Unicode, in its normalization forms C and D (Unicode Standard Annex 15).
const FORMS: [&str; 2] = ["countersign-\u{e9}", "countersign-e\u{301}"];

/// What a file system takes for one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::extract) struct Same {
    /// Upper and lower case.
    pub(in crate::extract) case: bool,
    /// The forms in which Unicode writes a character.
    pub(in crate::extract) forms: bool,
}

/// What was made by which spelling. Kept only where it matters.
pub(super) struct Spellings {
    /// Hashes of the directory's inode and the name.
    made: Option<HashSet<u64>>,
    same: Same,
    hasher: RandomState,
}

impl Spellings {
    /// Tries it out in an empty directory.
    pub(super) fn probe(directory: &OwnedFd) -> Result<Self, Errno> {
        let [composed, decomposed] = FORMS;
        let spellings = Self::new(Same {
            case: are_one_name(directory, "countersign", "COUNTERSIGN")?,
            forms: match are_one_name(directory, composed, decomposed) {
                // It has no such names.
                Err(Errno::ILSEQ | Errno::INVAL) => false,
                found => found?,
            },
        });
        if spellings.matter() {
            // What the file system takes for our record's name is then there, and was not made by an entry. Only the
            // file system knows all that it takes for that.
            mkdirat(directory, RESERVED, Mode::RWXU)?;
        }
        Ok(spellings)
    }

    fn new(same: Same) -> Self {
        Self {
            made: (same.case || same.forms).then(HashSet::new),
            same,
            hasher: RandomState::new(),
        }
    }

    /// Whether two spellings are one name.
    pub(super) fn matter(&self) -> bool {
        self.made.is_some()
    }

    pub(super) fn make(&mut self, directory: u64, leaf: &[u8]) {
        let key = self.hasher.hash_one((directory, leaf));
        if let Some(made) = &mut self.made {
            made.insert(key);
        }
    }

    pub(super) fn remove(&mut self, directory: u64, leaf: &[u8]) {
        let key = self.hasher.hash_one((directory, leaf));
        if let Some(made) = &mut self.made {
            made.remove(&key);
        }
    }

    /// Whether what was found at this name was made by this spelling.
    pub(super) fn check(&self, directory: u64, leaf: &[u8]) -> Result<(), Errno> {
        let key = || self.hasher.hash_one((directory, leaf));
        match &self.made {
            Some(made) if !made.contains(&key()) => Err(OTHER_SPELLING),
            _ => Ok(()),
        }
    }

    /// The same in an open directory.
    pub(super) fn check_in(&self, directory: impl AsFd, leaf: &[u8]) -> Result<(), Errno> {
        if self.matter() {
            self.check(fstat(directory)?.st_ino as _, leaf)?;
        }
        Ok(())
    }

    /// Refuses the name of our record, even if links led to its directory.
    pub(super) fn check_reserved(
        &self,
        parent: &Directory,
        top: &Directory,
        leaf: &[u8],
        entry: &EntryPath,
    ) -> Result<(), ArchiveError> {
        let reserved = RESERVED.as_bytes();
        let is_reserved = if self.same.case {
            leaf.eq_ignore_ascii_case(reserved)
        } else {
            leaf == reserved
        };
        if parent.inode == top.inode && is_reserved {
            let name = entry.display();
            return Err(ArchiveError::ReservedName { name });
        }
        Ok(())
    }

    #[cfg(test)]
    pub(in crate::extract) fn force(&mut self, same: Same) {
        *self = Self::new(same);
    }
}

/// Whether a file with one of these names is found by the other.
fn are_one_name(directory: &OwnedFd, name: &str, other: &str) -> Result<bool, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::RUSR)?;
    let found = statat(directory, other, AtFlags::SYMLINK_NOFOLLOW);
    unlinkat(directory, name, AtFlags::empty())?;
    match found {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        // Nobody knows.
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_fails_does_not_tell_two_names_apart() {
        let there = tempfile::tempdir().unwrap();
        let directory = OwnedFd::from(std::fs::File::open(there.path()).unwrap());
        assert_eq!(are_one_name(&directory, "name", "name"), Ok(true));
        assert_eq!(are_one_name(&directory, "name", "other"), Ok(false));
        let too_long = "n".repeat(300);
        let found = are_one_name(&directory, "name", &too_long);
        assert_eq!(found, Err(Errno::NAMETOOLONG));
        // Nothing is left behind.
        assert_eq!(are_one_name(&directory, "name", "other"), Ok(false));
    }
}
