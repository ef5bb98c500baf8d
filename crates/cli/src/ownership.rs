//! Who can have written a file: a check for files that nobody named.

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
    let (owner, mode) = (metadata.uid(), metadata.mode());
    let path = path.display();
    if !owners.contains(&owner) {
        let expected = match owners {
            [ROOT, ..] => "root".to_owned(),
            [me, ..] => format!("user {me} or root"),
            [] => "nobody".to_owned(),
        };
        let message = format!("the {what} {path} belongs to user {owner}: expected {expected}");
        return Err(Failure::new(Kind::Usage, message)
            .hint("what somebody else wrote is not used unless you name it"));
    }
    // A user's own group has the user's number. Any other may have members.
    let by_group = mode & GROUP_WRITES != 0 && metadata.gid() != owner;
    let by_all = mode & OTHERS_WRITE != 0;
    if by_all || by_group {
        let who = if by_all { "everybody" } else { "its group" };
        let message = format!(
            "the {what} {path} can be written to by {who} (mode {:o})",
            mode & 0o7777
        );
        return Err(Failure::new(Kind::Usage, message).hint(format!(
            "look at what it says, then run `chmod go-w {path}`"
        )));
    }
    Ok(())
}
