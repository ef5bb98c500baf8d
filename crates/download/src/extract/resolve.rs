//! Opens directories below a root, and never outside it.
//!
//! Symbolic links on the way are followed as long as they stay inside: layers that were made on a
//! system with `lib -> usr/lib` write to `lib/…`. A link with an absolute target, or one that
//! climbs above the root, is refused (`EXDEV`), wherever it would lead: the installed tree isn't a
//! root directory to those who use it later.
//!
//! On Linux the kernel resolves (`openat2(2)` with `RESOLVE_BENEATH`); elsewhere, and where the
//! call is missing or forbidden by a sandbox, we walk component by component with `O_NOFOLLOW`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::{Errno, Result};

/// As many links as the kernel follows (`MAXSYMLINKS`).
const LINKS: usize = 40;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Which of the two ways is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolver {
    #[cfg(target_os = "linux")]
    Kernel,
    Walk,
}

impl Resolver {
    /// The best way there may be; it is given up for the other when the kernel hasn't got it.
    pub(super) fn best() -> Self {
        #[cfg(target_os = "linux")]
        return Self::Kernel;
        #[cfg(not(target_os = "linux"))]
        return Self::Walk;
    }

    /// Opens the directory at `path` (not empty, relative) below `root`.
    ///
    /// # Errors
    /// `EXDEV` when the way leads out, `ELOOP` when it leads in circles, else as `open(2)`.
    pub(super) fn open(&mut self, root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
        #[cfg(target_os = "linux")]
        if *self == Self::Kernel {
            use rustix::fs::{ResolveFlags, openat2};
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            match openat2(root, path, DIRECTORY, Mode::empty(), resolve) {
                Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG) => {
                    tracing::debug!("openat2 is not available, walking instead");
                    *self = Self::Walk;
                }
                // Something on this system was renamed meanwhile, so that the kernel can't tell.
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
        walk(root, path)
    }
}

/// Opens the entry `name` of `directory` if it is a directory itself, not a link to one.
pub(super) fn open_child(directory: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    openat(directory, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

fn walk(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    // The directories from the root down to where we are, so that `..` is a step back rather than
    // a question to the file system.
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut pending: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    push_components(&mut pending, path);
    while let Some(component) = pending.pop() {
        if component == b".." {
            way.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let here = way.last().map_or(root, OwnedFd::as_fd);
        match open_child(here, &component) {
            Ok(directory) => way.push(directory),
            // Which of the two a link gives depends on the system.
            Err(error @ (Errno::LOOP | Errno::NOTDIR)) => {
                let target = readlinkat(here, component.as_slice(), Vec::new())
                    .map_err(|_| error)?
                    .into_bytes();
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP);
                }
                if target.starts_with(b"/") {
                    return Err(Errno::XDEV);
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

/// Puts a path's components on the stack, the first on top.
fn push_components(pending: &mut Vec<Vec<u8>>, path: &[u8]) {
    let components = path.split(|&byte| byte == b'/').rev();
    let said = components.filter(|component| !matches!(*component, b"" | b"."));
    pending.extend(said.map(<[u8]>::to_vec));
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    /// Both ways must say the same about the same tree.
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
    fn links_are_followed_inside_and_refused_where_they_lead_out() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        fs::create_dir_all(root.join("usr/lib/deep")).unwrap();
        fs::create_dir(outer.path().join("outside")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        for (target, name) in [
            ("usr/lib", "lib"),
            ("../../usr", "usr/lib/up"),
            ("../outside", "climbs"),
            ("usr/../../outside", "climbs_later"),
            ("/usr", "absolute"),
            ("loop2", "loop1"),
            ("loop1", "loop2"),
            ("nowhere", "dangling"),
            ("file", "to_file"),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
        let inode = |path: &str| Ok(fs::metadata(root.join(path)).unwrap().ino());
        assert_eq!(open_both(&root, "usr/lib"), inode("usr/lib"));
        assert_eq!(open_both(&root, "lib/deep"), inode("usr/lib/deep"));
        assert_eq!(open_both(&root, "lib/up/lib/deep"), inode("usr/lib/deep"));
        for path in ["climbs", "climbs_later", "absolute", "absolute/lib"] {
            assert_eq!(open_both(&root, path), Err(Errno::XDEV), "{path}");
        }
        assert_eq!(open_both(&root, "loop1/x"), Err(Errno::LOOP));
        assert_eq!(open_both(&root, "dangling"), Err(Errno::NOENT));
        assert_eq!(open_both(&root, "to_file"), Err(Errno::NOTDIR));
        assert_eq!(open_both(&root, "file/x"), Err(Errno::NOTDIR));
    }
}
