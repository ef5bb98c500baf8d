//! What is mounted inside an installation.
//!
//! A directory with a mount in it can be moved, and the mount moves with it. A volume mounted inside an
//! installation would then be removed with the old installation. So we look for mounts before
//! anything is fetched. Some systems have no list of mounts. There, removing stops at a mount and
//! never enters it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Linux's list of what this process sees mounted (proc_pid_mountinfo(5)).
const LIST: &str = "/proc/self/mountinfo";

/// The first mount below `name` in `parent`, if there is one. `None` too on a system without a list of mounts.
///
/// # Errors
/// The system's error, if `parent` can't be found, or if the list is there and can't be read.
pub(super) fn mounted_below(parent: &Path, name: &Path) -> io::Result<Option<PathBuf>> {
    match read(Path::new(LIST))? {
        Some(list) => Ok(first_below(&list, &parent.canonicalize()?.join(name))),
        None => Ok(None),
    }
}

/// What is in the list; `None` on a system without one.
fn read(list: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(list) {
        Ok(list) => Ok(Some(list)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn first_below(list: &[u8], directory: &Path) -> Option<PathBuf> {
    let mut mounts = list.split(|byte| *byte == b'\n').filter_map(mount_point);
    mounts.find(|mount| mount != directory && mount.starts_with(directory))
}

/// The fifth field of a line, in which blanks, line breaks and backslashes are octal.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let mut field = line.split(|byte| *byte == b' ').nth(4)?;
    let mut path = Vec::new();
    while let Some((first, rest)) = field.split_first() {
        let octal = field.get(1..4).filter(|_| *first == b'\\');
        let decoded = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        path.push(decoded.unwrap_or(*first));
        field = match decoded {
            Some(_) => field.get(4..).unwrap_or_default(),
            None => rest,
        };
    }
    Some(OsString::from_vec(path).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] = b"21 1 8:1 / / rw - ext4 /dev/sda rw
22 21 0:5 / /srv/app rw - tmpfs none rw
23 21 0:6 / /srv/app-2/data rw - tmpfs none rw
24 22 0:7 / /srv/app/my\\040data\\134 rw,nosuid shared:1 - tmpfs none rw
25 22 0:8 / /srv/app/other rw - tmpfs none rw
";

    #[test]
    fn the_first_mount_below_a_directory_is_found_and_no_other() {
        let found = |path: &str| first_below(LIST, Path::new(path));
        assert_eq!(found("/srv/app"), Some("/srv/app/my data\\".into()));
        assert_eq!(found("/srv/app/other"), None);
        assert_eq!(found("/srv/app-2"), Some("/srv/app-2/data".into()));
        assert_eq!(found("/srv/ap"), None);
        assert_eq!(first_below(b"", Path::new("/srv/app")), None);
        assert_eq!(first_below(b"1 2 3", Path::new("/srv/app")), None);
    }

    #[test]
    fn a_list_that_can_not_be_read_is_no_empty_list() {
        let directory = tempfile::tempdir().unwrap();
        let error = read(directory.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        assert_eq!(read(&directory.path().join("none")).unwrap(), None);
    }
}
