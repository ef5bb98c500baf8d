//! Opens directories below a root, and never outside it.
//!
//! Symbolic links in a path are followed as in a container, where our root is the root directory.
//! Layers need that: if an image has the link `lib -> usr/lib`, a later layer may write to `lib/…`, and
//! with `var/run -> /run` to `var/run/…`. An absolute target begins at our root. `..` in our root is our
//! root.
//!
//! On Linux the kernel resolves paths (`openat2(2)` with `RESOLVE_IN_ROOT`). On other systems, and if
//! the call is missing or forbidden, we open one component after the other with `O_NOFOLLOW`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::{Errno, Result};

#[cfg(target_os = "linux")]
use crate::directory::lacks_openat2;

/// The maximum number of links in a path, as in the kernel (`MAXSYMLINKS`).
const LINKS: usize = 40;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// How paths are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolver {
    #[cfg(target_os = "linux")]
    Kernel,
    Walk,
}

impl Resolver {
    /// The best way for this system. [`Self::open`] changes it if the kernel turns out not to support it.
    pub(super) fn best() -> Self {
        #[cfg(target_os = "linux")]
        return Self::Kernel;
        #[cfg(not(target_os = "linux"))]
        return Self::Walk;
    }

    /// Opens the directory at `path` (not empty, relative) below `root`.
    ///
    /// # Errors
    /// `ELOOP`, if links lead back to each other; others as for `open(2)`.
    pub(super) fn open(&mut self, root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
        #[cfg(target_os = "linux")]
        if *self == Self::Kernel {
            use rustix::fs::{ResolveFlags, openat2};
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            match openat2(root, path, DIRECTORY, Mode::empty(), resolve) {
                Err(errno) if lacks_openat2(errno) => {
                    tracing::debug!("openat2 is not available, walking instead");
                    *self = Self::Walk;
                }
                // Something was renamed at the same time, so the kernel can't be sure of the path.
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
        walk(root, path, |_, _| Ok(()))
    }
}

/// Opens the entry `name` of `directory`, if it is a directory and not a link to one.
pub(super) fn open_child(directory: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    openat(directory, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// Opens one component after the other. `check` is asked about each that is there, by its directory and its name.
pub(super) fn walk(
    root: BorrowedFd<'_>,
    path: &[u8],
    check: impl Fn(BorrowedFd<'_>, &[u8]) -> Result<()>,
) -> Result<OwnedFd> {
    // The open directories from the root to where we are. With them `..` needs no system call.
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut pending: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    push_components(&mut pending, path);
    while let Some(component) = pending.pop() {
        if component == b".." {
            way.pop();
            continue;
        }
        let here = way.last().map_or(root, OwnedFd::as_fd);
        match open_child(here, &component) {
            Ok(directory) => {
                check(here, &component)?;
                way.push(directory);
            }
            // Which of the two errors a link causes depends on the system.
            Err(error @ (Errno::LOOP | Errno::NOTDIR)) => {
                let target = readlinkat(here, component.as_slice(), Vec::new())
                    .map_err(|_| error)?
                    .into_bytes();
                check(here, &component)?;
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP);
                }
                if target.starts_with(b"/") {
                    way.clear();
                }
                push_components(&mut pending, &target);
            }
            Err(error) => return Err(error),
        }
    }
    match way.pop() {
        Some(directory) => Ok(directory),
        None => open_child(root, b"."),
    }
}

/// Puts a path's components on the stack, with the first one on top.
fn push_components(pending: &mut Vec<Vec<u8>>, path: &[u8]) {
    let components = path.split(|&byte| byte == b'/').rev();
    let named = components.filter(|component| !matches!(*component, b"" | b"."));
    pending.extend(named.map(<[u8]>::to_vec));
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    /// Both ways must give the same result.
    fn open_both(root: &std::path::Path, path: &str) -> Result<u64> {
        let top = File::open(root).unwrap();
        let results = [Resolver::best(), Resolver::Walk].map(|mut resolver| {
            let opened = resolver.open(top.as_fd(), path.as_bytes());
            opened.map(|fd| File::from(fd).metadata().unwrap().ino())
        });
        assert_eq!(results[0], results[1], "{path}");
        results[0]
    }

    #[test]
    fn links_are_followed_as_in_a_root_directory() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        fs::create_dir_all(root.join("usr/lib/deep")).unwrap();
        fs::create_dir_all(root.join("within")).unwrap();
        fs::create_dir_all(outer.path().join("outside")).unwrap();
        fs::create_dir_all(outer.path().join("within")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        for (target, name) in [
            ("usr/lib", "lib"),
            ("../../usr", "usr/lib/up"),
            ("../outside", "climbs"),
            ("usr/../../outside", "climbs_later"),
            ("../../within", "climbs_in_vain"),
            ("/usr", "absolute"),
            ("//usr/./lib/", "absolute_odd"),
            ("/absolute/lib", "absolute_twice"),
            ("/", "top"),
            ("..", "usr/top"),
            ("loop2", "loop1"),
            ("/loop1", "loop2"),
            ("nowhere", "dangling"),
            ("/etc", "dangling_absolute"),
            ("file", "to_file"),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
        let inode = |path: &str| Ok(fs::metadata(root.join(path)).unwrap().ino());
        for (path, there) in [
            ("usr/lib", "usr/lib"),
            ("lib/deep", "usr/lib/deep"),
            ("lib/up/lib/deep", "usr/lib/deep"),
            ("absolute", "usr"),
            ("absolute/lib/deep", "usr/lib/deep"),
            ("absolute_odd/deep", "usr/lib/deep"),
            ("absolute_twice/up/lib", "usr/lib"),
            ("top", ""),
            ("top/usr/top/lib", "usr/lib"),
            ("climbs_in_vain", "within"),
        ] {
            assert_eq!(open_both(&root, path), inode(there), "{path}");
        }
        for path in ["climbs", "climbs_later", "dangling", "dangling_absolute"] {
            assert_eq!(open_both(&root, path), Err(Errno::NOENT), "{path}");
        }
        assert_eq!(open_both(&root, "loop1/x"), Err(Errno::LOOP));
        for path in ["to_file", "file/x", "to_file/../usr"] {
            assert_eq!(open_both(&root, path), Err(Errno::NOTDIR), "{path}");
        }
    }
}
