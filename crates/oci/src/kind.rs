//! The kinds of failures. All our crates sort their errors by this one list.

use std::error::Error;
use std::io;

use rustix::io::Errno;
use serde::Serialize;

/// The kind of a failure. A program makes an exit code or a status from it.
///
/// Each library's error types have a method `kind()` that names every variant, so that a new
/// variant doesn't compile until its kind is chosen. For the same reason this enum isn't
/// `#[non_exhaustive]`: a caller's `match` needs no `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// A bug in this program. No input should cause it.
    Internal,
    /// A problem of this machine: a full disk, no permission, too many open files, no memory.
    Machine,
    /// The command line, a setting or an input file can't be used.
    Usage,
    /// There is no signature of an accepted kind.
    Unsigned,
    /// The policy, the gallery or the lock file requires something else.
    Policy,
    /// A signature, certificate, log entry, digest or archive is invalid.
    Invalid,
    /// An image, tag, platform, entry or file doesn't exist.
    NotFound,
    /// What is installed is not what its record or the lock file says.
    Differs,
    /// A registry or service answered, and would answer the same again: the login is missing or refused, the request is
    /// refused, or the answer is none that can be used.
    Rejected,
    /// A network, registry or service failed. It may work later.
    Unreachable,
}

impl ErrorKind {
    /// The kind of an HTTP status that brings no content, of a server that has content.
    pub fn of_status(status: u16) -> Self {
        match StatusMeaning::of(status) {
            StatusMeaning::Absent => Self::NotFound,
            StatusMeaning::NotNow | StatusMeaning::NotAble => Self::Unreachable,
            StatusMeaning::Refused => Self::Rejected,
        }
    }

    /// The kind of an error when reading a file that the user named: the name or the permissions
    /// are wrong, unless the machine has a problem.
    pub fn of_input(error: &io::Error) -> Self {
        match MachineFault::of(error) {
            None | Some(MachineFault::Permission) => Self::Usage,
            Some(_) => Self::Machine,
        }
    }

    /// The kind of a network error: the server's or the network's fault, unless this machine ran
    /// out of something. "No permission" counts as a network error, because a firewall causes it.
    pub fn of_network(error: &(dyn Error + 'static)) -> Self {
        match MachineFault::of(error) {
            None | Some(MachineFault::Permission) => Self::Unreachable,
            Some(_) => Self::Machine,
        }
    }

    /// The kind of an error when reading or writing content: the content is invalid, unless the
    /// machine has a problem.
    pub fn of_content(error: &io::Error) -> Self {
        match MachineFault::of(error) {
            None => Self::Invalid,
            Some(_) => Self::Machine,
        }
    }
}

/// What an HTTP status says that brings no content. This is the one place that sorts statuses, for registries, web servers
/// and signing services: what is asked again, which source is asked next, and the kind of the failure follow from it.
///
/// Not `#[non_exhaustive]`, so that callers must handle each value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusMeaning {
    /// It isn't there.
    Absent,
    /// The server can't answer now. The same request may succeed later.
    NotNow,
    /// The server can't do this at all. Another one may.
    NotAble,
    /// The server answers, and the answer is no content.
    Refused,
}

impl StatusMeaning {
    /// The meaning of a status that is none of success.
    pub fn of(status: u16) -> Self {
        match status {
            404 | 410 => Self::Absent,
            // "Not implemented" doesn't change within minutes.
            501 | 505 => Self::NotAble,
            408 | 425 | 429 | 500.. => Self::NotNow,
            _ => Self::Refused,
        }
    }
}

/// What one source's failure means for other sources of the same content.
///
/// Not `#[non_exhaustive]`, so that callers must handle each value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// The source doesn't have the content or can't be reached. Try the next source.
    TryNext,
    /// The source's content is invalid. Try only other copies of the same digest.
    TrySameDigest,
    /// No other source would help.
    End,
}

impl Consequence {
    /// What an HTTP status says about other sources, if it brings no content. A caller decides only about 401 and 403:
    /// some registries answer so for an image that doesn't exist, but a web server that answers so
    /// for a tarball refuses access to it.
    pub fn of_status(status: u16) -> Self {
        match StatusMeaning::of(status) {
            StatusMeaning::Absent | StatusMeaning::NotNow | StatusMeaning::NotAble => Self::TryNext,
            // Perhaps another copy's answer is the content.
            StatusMeaning::Refused => Self::TrySameDigest,
        }
    }
}

/// How an error is sorted: its row in a library's table of errors. Each error type makes it with one
/// match that names every variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sorted {
    kind: ErrorKind,
    consequence: Consequence,
}

impl Sorted {
    /// An error of this kind and consequence. A problem of the machine ends the search: a full disk
    /// stays full, whichever source serves the bytes.
    pub fn new(kind: ErrorKind, consequence: Consequence) -> Self {
        let consequence = if kind == ErrorKind::Machine {
            Consequence::End
        } else {
            consequence
        };
        Self { kind, consequence }
    }

    /// What kind of failure it is.
    pub fn kind(self) -> ErrorKind {
        self.kind
    }

    /// What it means for other sources of the same content.
    pub fn consequence(self) -> Consequence {
        self.consequence
    }
}

/// Problems of a machine, as its operating system reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MachineFault {
    /// The file system is full: no bytes or no inodes (`ENOSPC`), or the quota is used up
    /// (`EDQUOT`).
    Full,
    /// The file is larger than the file system or the process's limit allows (`EFBIG`).
    FileTooLarge,
    /// Too many open files in this process (`EMFILE`) or on this machine (`ENFILE`).
    Descriptors,
    /// No more memory (`ENOMEM`, `ENOBUFS`).
    Memory,
    /// This user lacks permission (`EACCES`, `EPERM`).
    Permission,
    /// The file system is mounted read-only (`EROFS`).
    ReadOnly,
    /// The disk can't be read or written (`EIO`).
    Device,
    /// The file system can't do this (`EOPNOTSUPP`): it has no symbolic links, say.
    Unsupported,
    /// The server of a network file system no longer knows the file (`ESTALE`).
    Stale,
}

impl MachineFault {
    /// The problem that `error` or one of its causes reports, if there is one.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        // Chains of causes are short; the limit is for a chain that forms a circle.
        for _ in 0..32 {
            let error = next?;
            let found = error.downcast_ref::<io::Error>().and_then(Self::of_io);
            if found.is_some() {
                return found;
            }
            next = match error.downcast_ref::<io::Error>().map(io::Error::get_ref) {
                // An `io::Error` doesn't list the error that it wraps as a cause, only that error's
                // own cause.
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
            Some(Errno::OPNOTSUPP) => return Some(Self::Unsupported),
            Some(Errno::STALE) => return Some(Self::Stale),
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

    #[test]
    fn a_status_that_may_pass_or_says_not_found_leads_to_the_next_source() {
        for status in 300..600 {
            let expected = match status {
                404 | 408 | 410 | 425 | 429 | 500..=599 => Consequence::TryNext,
                _ => Consequence::TrySameDigest,
            };
            assert_eq!(Consequence::of_status(status), expected, "{status}");
            // What is asked again may be there later, and is also asked elsewhere.
            let kind = ErrorKind::of_status(status);
            let status = reqwest::StatusCode::from_u16(status).unwrap();
            if crate::http::status_may_pass(status) {
                assert_eq!(expected, Consequence::TryNext, "{status}");
                assert_eq!(kind, ErrorKind::Unreachable, "{status}");
            }
        }
    }

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
            (Errno::OPNOTSUPP, Some(MachineFault::Unsupported)),
            (Errno::STALE, Some(MachineFault::Stale)),
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
    fn a_problem_of_the_machine_leaves_no_source_to_try() {
        for consequence in [
            Consequence::TryNext,
            Consequence::TrySameDigest,
            Consequence::End,
        ] {
            let machine = Sorted::new(ErrorKind::Machine, consequence);
            assert_eq!(machine.consequence(), Consequence::End);
            let other = Sorted::new(ErrorKind::Unreachable, consequence);
            assert_eq!(other.consequence(), consequence);
        }
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
