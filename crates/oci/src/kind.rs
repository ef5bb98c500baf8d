//! What kind of failure an error is: the one list that the errors of all our crates are sorted by.

use std::error::Error;
use std::io;

use rustix::io::Errno;
use serde::Serialize;

/// What kind of failure an error is. A program turns it into an exit code or a status.
///
/// Each library's error types have a `kind()` that names every variant, so that a new variant does
/// not compile until somebody has said what kind it is. This list is complete for the same reason:
/// it is not `#[non_exhaustive]`, so a caller's `match` needs no `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// A bug in this program: no input should lead here.
    Internal,
    /// The machine that this runs on: a full disk, no permission, no descriptors, no memory.
    Machine,
    /// The command line, a setting or an input file can't be used.
    Usage,
    /// No signature of a kind that counts.
    Unsigned,
    /// Not what the policy, the gallery or the lock file asks for.
    Policy,
    /// A signature, certificate, log entry, digest or archive does not hold.
    Invalid,
    /// No such image, tag, platform, entry or file.
    NotFound,
    /// A network, registry or service does not answer as it should, or refuses a login.
    Unreachable,
}

impl ErrorKind {
    /// The kind of an error in reading a file that somebody named: the name is wrong, or the file
    /// may not be read by us, unless the machine itself is at fault.
    pub fn of_input(error: &io::Error) -> Self {
        match MachineFault::of(error) {
            None | Some(MachineFault::Permission) => Self::Usage,
            Some(_) => Self::Machine,
        }
    }

    /// The kind of an error in talking to somebody over a network: theirs or the network's, unless
    /// this machine has run out of something. A firewall answers with "no permission", and that is
    /// the network's.
    pub fn of_network(error: &(dyn Error + 'static)) -> Self {
        match MachineFault::of(error) {
            None | Some(MachineFault::Permission) => Self::Unreachable,
            Some(_) => Self::Machine,
        }
    }

    /// The kind of an error in reading or writing content: the content does not hold, unless the
    /// machine is at fault.
    pub fn of_content(error: &io::Error) -> Self {
        match MachineFault::of(error) {
            None => Self::Invalid,
            Some(_) => Self::Machine,
        }
    }
}

/// What the failure of one source means for the other sources of the same content.
///
/// Not `#[non_exhaustive]`, so that whoever loops over sources decides on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// The source doesn't have it or can't be reached: the next may serve it.
    TryNext,
    /// What it serves doesn't hold: only other copies of the same digest may be tried.
    TrySameDigest,
    /// No other source would do better.
    End,
}

/// What can be wrong with a machine, as its operating system says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MachineFault {
    /// The file system has no room: no bytes or no inodes (`ENOSPC`), or none within a quota
    /// (`EDQUOT`).
    Full,
    /// The file is larger than the file system or the process's limit allows (`EFBIG`).
    FileTooLarge,
    /// No more open files in this process (`EMFILE`) or on this machine (`ENFILE`).
    Descriptors,
    /// No more memory (`ENOMEM`, `ENOBUFS`).
    Memory,
    /// This user may not do it (`EACCES`, `EPERM`).
    Permission,
    /// The file system is mounted read-only (`EROFS`).
    ReadOnly,
    /// The disk can't be read or written (`EIO`).
    Device,
}

impl MachineFault {
    /// The fault that `error` or one of its causes reports, if one does.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        // Chains are short; the bound is for one that leads back to itself.
        for _ in 0..32 {
            let error = next?;
            let found = error.downcast_ref::<io::Error>().and_then(Self::of_io);
            if found.is_some() {
                return found;
            }
            next = match error.downcast_ref::<io::Error>().map(io::Error::get_ref) {
                // What an `io::Error` wraps is not among its causes: its cause is the wrapped
                // error's cause.
                Some(Some(wrapped)) => Some(wrapped),
                _ => error.source(),
            };
        }
        None
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE | Errno::NFILE) => return Some(Self::Descriptors),
            Some(Errno::IO) => return Some(Self::Device),
            Some(Errno::NOBUFS) => return Some(Self::Memory),
            _ => {}
        }
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Full),
            io::ErrorKind::FileTooLarge => Some(Self::FileTooLarge),
            io::ErrorKind::OutOfMemory => Some(Self::Memory),
            io::ErrorKind::PermissionDenied => Some(Self::Permission),
            io::ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.raw_os_error())
    }

    #[test]
    fn the_system_s_numbers_are_told_apart() {
        for (errno, expected) in [
            (Errno::NOSPC, Some(MachineFault::Full)),
            (Errno::DQUOT, Some(MachineFault::Full)),
            (Errno::FBIG, Some(MachineFault::FileTooLarge)),
            (Errno::MFILE, Some(MachineFault::Descriptors)),
            (Errno::NFILE, Some(MachineFault::Descriptors)),
            (Errno::NOMEM, Some(MachineFault::Memory)),
            (Errno::NOBUFS, Some(MachineFault::Memory)),
            (Errno::ACCESS, Some(MachineFault::Permission)),
            (Errno::PERM, Some(MachineFault::Permission)),
            (Errno::ROFS, Some(MachineFault::ReadOnly)),
            (Errno::IO, Some(MachineFault::Device)),
            (Errno::NOENT, None),
            (Errno::CONNREFUSED, None),
            (Errno::TIMEDOUT, None),
        ] {
            assert_eq!(MachineFault::of(&raw(errno)), expected, "{errno}");
        }
    }

    #[test]
    fn a_fault_is_found_below_other_errors() {
        let wrapped = io::Error::other(io::Error::other(raw(Errno::MFILE)));
        assert_eq!(MachineFault::of(&wrapped), Some(MachineFault::Descriptors));
        let error = crate::Error::Network {
            url: "https://registry.example/v2/".into(),
            source: Box::new(wrapped),
        };
        assert_eq!(MachineFault::of(&error), Some(MachineFault::Descriptors));
        assert_eq!(error.kind(), ErrorKind::Machine);
    }

    #[test]
    fn no_permission_is_the_machine_s_fault_only_where_we_write() {
        let error = raw(Errno::ACCESS);
        assert_eq!(ErrorKind::of_input(&error), ErrorKind::Usage);
        assert_eq!(ErrorKind::of_network(&error), ErrorKind::Unreachable);
        assert_eq!(ErrorKind::of_content(&error), ErrorKind::Machine);
    }

    #[test]
    fn a_machine_that_ran_out_is_at_fault_wherever_it_shows() {
        for errno in [Errno::NOSPC, Errno::MFILE, Errno::NOMEM, Errno::IO] {
            let error = raw(errno);
            assert_eq!(ErrorKind::of_input(&error), ErrorKind::Machine);
            assert_eq!(ErrorKind::of_network(&error), ErrorKind::Machine);
            assert_eq!(ErrorKind::of_content(&error), ErrorKind::Machine);
        }
    }
}
