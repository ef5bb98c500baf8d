//! Who can have written a file. [`Writers`] is the one answer: what is found is used by it, or refused, or told.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::failure::{Failure, Kind};

/// Root's number.
pub(crate) const ROOT: u32 = 0;
/// The mode's bit by which all others may write.
const OTHERS_WRITE: u32 = 0o002;
/// The mode's bit by which a group may write.
const GROUP_WRITES: u32 = 0o020;
/// That in a directory only who owns a file, or the directory, can replace it.
const STICKY: u32 = 0o1000;

/// Who can write a file, or into a directory, though only some should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Writers {
    /// The owner, if it is none of those who should be.
    pub(crate) stranger: Option<u32>,
    /// Who else, beside the owner.
    pub(crate) others: Option<Others>,
    /// Whether the others can put new files into the directory, and replace none.
    pub(crate) only_new: bool,
}

/// Who beside its owner can write a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// A group with the number of the owner, as many systems give each user. It may have other members.
    OwnGroup,
    /// Any other group.
    Group,
    /// Everybody.
    Everybody,
}

impl Writers {
    /// Who can write what `metadata` is of, which only `owners` should.
    pub(crate) fn of(metadata: &Metadata, owners: &[u32]) -> Self {
        let (owner, mode) = (metadata.uid(), metadata.mode());
        let others = match (mode & OTHERS_WRITE != 0, mode & GROUP_WRITES != 0) {
            (true, _) => Some(Others::Everybody),
            (false, true) if metadata.gid() == owner => Some(Others::OwnGroup),
            (false, true) => Some(Others::Group),
            (false, false) => None,
        };
        Self {
            stranger: (!owners.contains(&owner)).then_some(owner),
            others,
            only_new: metadata.is_dir() && mode & STICKY != 0,
        }
    }
}

/// The user that this runs as.
pub(crate) fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Refuses what belongs to nobody of `owners`, or what somebody else can write to. `what` says in errors what it is.
pub(crate) fn require_owner(
    path: &Path,
    what: &str,
    metadata: &Metadata,
    owners: &[u32],
) -> Result<(), Failure> {
    let path = path.display();
    let writers = Writers::of(metadata, owners);
    if let Some(owner) = writers.stranger {
        let expected = match owners {
            [ROOT, ..] => "root".to_owned(),
            [me, ..] => format!("user {me} or root"),
            [] => "nobody".to_owned(),
        };
        let message = format!("the {what} {path} belongs to user {owner}: expected {expected}");
        return Err(Failure::new(Kind::Usage, message)
            .hint("what somebody else wrote is not used unless you name it"));
    }
    let who = match writers.others {
        // Where each user has a group, this is the usual mode.
        None | Some(Others::OwnGroup) => return Ok(()),
        Some(Others::Group) => "its group",
        Some(Others::Everybody) => "everybody",
    };
    let message = format!(
        "the {what} {path} can be written to by {who} (mode {:o})",
        metadata.mode() & 0o7777
    );
    let look = if metadata.is_dir() {
        "look at the files in it"
    } else {
        "look at what it says"
    };
    let hint = format!("{look}, then run `chmod go-w {path}`");
    Err(Failure::new(Kind::Usage, message).hint(hint))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn who_can_write_is_told_by_owner_group_and_mode() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        let of = |mode, owners: &[u32]| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            Writers::of(&fs::metadata(path).unwrap(), owners)
        };
        let mine = fs::metadata(path).unwrap();
        let own_group = if mine.gid() == mine.uid() {
            Others::OwnGroup
        } else {
            Others::Group
        };
        let owners = [me()];
        for (mode, others, only_new) in [
            (0o700, None, false),
            (0o755, None, false),
            (0o775, Some(own_group), false),
            (0o757, Some(Others::Everybody), false),
            (0o777, Some(Others::Everybody), false),
            (0o1777, Some(Others::Everybody), true),
        ] {
            let writers = Writers {
                stranger: None,
                others,
                only_new,
            };
            assert_eq!(of(mode, &owners), writers, "{mode:o}");
        }
        assert_eq!(of(0o755, &[me() + 1]).stranger, Some(me()));
    }
}
