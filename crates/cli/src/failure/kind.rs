//! The kinds of failure as a user meets them: an exit code, a line of help, and what to do when
//! nothing better is known.

use countersign_oci::{ErrorKind, MachineFault};

/// A row of the table of exit codes in `--help` and `docs/scripting.md`.
pub(crate) struct ExitCode {
    pub(crate) code: u8,
    pub(crate) meaning: &'static str,
}

/// Every exit code, in order. `--help` is made from this table; the page's is tested against it.
pub(crate) const EXIT_CODES: &[ExitCode] = &[
    ExitCode {
        code: 0,
        meaning: "done",
    },
    ExitCode {
        code: exit_code(ErrorKind::Internal),
        meaning: "a problem of this machine (full disk, no permission, no memory), or a bug in countersign",
    },
    ExitCode {
        code: exit_code(ErrorKind::Usage),
        meaning: "wrong usage, or an input file that can't be used",
    },
    ExitCode {
        code: exit_code(ErrorKind::Unsigned),
        meaning: "no signature that can be used",
    },
    ExitCode {
        code: exit_code(ErrorKind::Policy),
        meaning: "signed, but refused by the policy; also a failed `policy check --strict`, `policy test` or `doctor`",
    },
    ExitCode {
        code: exit_code(ErrorKind::Invalid),
        meaning: "invalid signature, certificate, log entry, digest or archive",
    },
    ExitCode {
        code: exit_code(ErrorKind::NotFound),
        meaning: "image, tag, platform, entry or installation not found",
    },
    ExitCode {
        code: exit_code(ErrorKind::Unreachable),
        meaning: "the network, a registry or a service failed: the same command may work later",
    },
    ExitCode {
        code: exit_code(ErrorKind::Differs),
        meaning: "what is installed is not what its record or the lock file says (`check`, `--check`)",
    },
    ExitCode {
        code: exit_code(ErrorKind::Rejected),
        meaning: "login missing, refused or expired; or another answer that stays the same, such as a redirect that is not followed",
    },
    ExitCode {
        code: 129,
        meaning: "ended by SIGHUP: the terminal was closed",
    },
    ExitCode {
        code: 130,
        meaning: "ended by Ctrl-C (SIGINT)",
    },
    ExitCode {
        code: 143,
        meaning: "ended by SIGTERM",
    },
];

/// The exit code of a failure of this kind.
pub(crate) const fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Internal | ErrorKind::Machine => 1,
        ErrorKind::Usage => 2,
        ErrorKind::Unsigned => 3,
        ErrorKind::Policy => 4,
        ErrorKind::Invalid => 5,
        ErrorKind::NotFound => 6,
        ErrorKind::Unreachable => 7,
        ErrorKind::Differs => 8,
        ErrorKind::Rejected => 9,
    }
}

/// The failure that decides the exit code of a run with several: the one with the lowest
/// [`rank`].
pub(crate) fn worst(failures: &[ErrorKind]) -> Option<ErrorKind> {
    failures.iter().copied().min_by_key(|kind| rank(*kind))
}

/// What is refused comes first, as nobody should use it; then what is at fault here; then what the
/// command asked for and isn't there. `Unreachable` is last, so that a script that tries again on its
/// exit code does so only where nothing else failed.
const fn rank(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid => 0,
        ErrorKind::Policy => 1,
        ErrorKind::Unsigned => 2,
        ErrorKind::Differs => 3,
        ErrorKind::Internal => 4,
        ErrorKind::Machine => 5,
        ErrorKind::Usage => 6,
        ErrorKind::Rejected => 7,
        ErrorKind::NotFound => 8,
        ErrorKind::Unreachable => 9,
    }
}

/// What to do about a failure of this kind of which nothing more is known.
pub(super) fn usual_hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Internal => {
            "this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug"
        }
        ErrorKind::Machine => {
            "correct the problem that the system reports, then run the same command again"
        }
        ErrorKind::Usage => {
            "correct the mistake that the message names; `countersign COMMAND --help` explains each option"
        }
        ErrorKind::Unsigned => {
            "sign the image in its CI with `countersign sign` or `cosign sign` (cosign 3, or 2.6 with --new-bundle-format)"
        }
        ErrorKind::Policy => {
            "do not use it, unless you know why it differs; then change the policy"
        }
        ErrorKind::Invalid => {
            "do not use it: it is damaged, or somebody changed it; tell the publisher"
        }
        ErrorKind::NotFound => "check the spelling, and whether it was published",
        ErrorKind::Differs => {
            "find out who changed it; `countersign upgrade --reinstall` fetches and verifies it again"
        }
        ErrorKind::Rejected => {
            "check the login and the address: the same command would get the same answer"
        }
        ErrorKind::Unreachable => {
            "check the network and the proxy, and whether the service works; then try again"
        }
    }
}

/// What to do about a machine's fault.
pub(super) fn machine_hint(fault: MachineFault) -> &'static str {
    match fault {
        MachineFault::Full => {
            "the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again"
        }
        MachineFault::FileTooLarge => {
            "the file is larger than this file system or `ulimit -f` allows: raise the limit, or use another directory"
        }
        MachineFault::Descriptors => {
            "too many files are open: raise the limit with `ulimit -n`, or end other programs"
        }
        MachineFault::Memory => {
            "there is no memory left: end other programs, or give this one more"
        }
        MachineFault::Permission => {
            "you have no permission: check the owner and the permissions of the directory"
        }
        MachineFault::ReadOnly => {
            "the file system is mounted read-only: use another directory, or mount it for writing"
        }
        MachineFault::Device => {
            "the disk can't be read or written: check it (`dmesg`) before you go on"
        }
        MachineFault::Unsupported => {
            "this file system can't do that, such as make a symbolic link: use a directory on another one"
        }
        MachineFault::Stale => {
            "the file server no longer knows the file: look whether it works, mount it again, then run the same command again"
        }
    }
}

/// The table of exit codes for `--help`.
pub(crate) fn exit_codes_help() -> String {
    let mut text = "Exit codes:".to_owned();
    for ExitCode { code, meaning } in EXIT_CODES {
        text.push_str(&format!("\n  {code:<4} {meaning}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_scripting_has_the_same_exit_codes() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scripting.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, table) = page.split_once("| Code | Meaning |\n|---|---|\n").unwrap();
        let (table, _) = table.split_once("\n\n").unwrap();
        let expected: Vec<String> = EXIT_CODES
            .iter()
            .map(|ExitCode { code, meaning }| format!("| {code} | {meaning} |"))
            .collect();
        assert_eq!(table.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_worst_of_several_failures_is_the_first_of_the_order_on_the_page() {
        const ORDER: [ErrorKind; 10] = [
            ErrorKind::Invalid,
            ErrorKind::Policy,
            ErrorKind::Unsigned,
            ErrorKind::Differs,
            ErrorKind::Internal,
            ErrorKind::Machine,
            ErrorKind::Usage,
            ErrorKind::Rejected,
            ErrorKind::NotFound,
            ErrorKind::Unreachable,
        ];
        assert_eq!(worst(&[]), None);
        for (position, kind) in ORDER.into_iter().enumerate() {
            for milder in ORDER.into_iter().skip(position) {
                assert_eq!(worst(&[milder, kind]), Some(kind));
                assert_eq!(worst(&[kind, milder]), Some(kind));
            }
        }
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scripting.md");
        let page = std::fs::read_to_string(page).unwrap().replace('\n', " ");
        let (_, order) = page.split_once("in this order: ").unwrap();
        let (order, _) = order.split_once('.').unwrap();
        let codes = order.split(", ").map(|one| one.split(' ').next().unwrap());
        let mut expected: Vec<String> = ORDER.map(|kind| exit_code(kind).to_string()).to_vec();
        // A bug and the machine have one code.
        expected.dedup();
        assert_eq!(codes.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn each_exit_code_stands_in_the_table_once() {
        let mut codes: Vec<u8> = EXIT_CODES.iter().map(|row| row.code).collect();
        assert!(codes.is_sorted());
        codes.dedup();
        assert_eq!(codes.len(), EXIT_CODES.len());
    }
}
