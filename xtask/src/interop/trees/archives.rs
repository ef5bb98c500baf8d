//! Archives of known trees, by everything that writes tar.

use std::fs::{self, File, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::programs::Programs;
use crate::command::Command;

/// 2255, which eleven octal digits have no room for.
const FAR: u64 = 8_993_980_800;
/// 2023.
const ORDINARY: u64 = 1_700_000_000;

/// An archive, and who reads it.
pub(super) struct Archive {
    /// Of the writer and format.
    pub(super) name: &'static str,
    pub(super) source: Source,
    pub(super) readers: Readers,
    /// Writes a directory to a file.
    pub(super) writer: fn(&Programs, &str, &str) -> Command,
}

/// A tree to be archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// What fits in the oldest headers.
    Plain,
    /// With long names, a time far away and files with holes.
    Full,
}

/// Who reads an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    All,
    /// GNU tar's old sparse files are of a type that no peer takes, and have one meaning.
    CountersignAlone,
}

pub(super) const ARCHIVES: &[Archive] = &[
    by("GNU tar, v7", Source::Plain, |_, from, to| {
        gnu(&["--format=v7", "--exclude=./run/fifo"], from, to)
    }),
    by("GNU tar, ustar", Source::Plain, |_, from, to| {
        gnu(&["--format=ustar"], from, to)
    }),
    by("GNU tar, gnu", Source::Full, |_, from, to| {
        gnu(&["--format=gnu"], from, to)
    }),
    by("GNU tar, posix", Source::Full, |_, from, to| {
        gnu(&["--format=posix"], from, to)
    }),
    by("GNU tar, sparse 0.0", Source::Full, |_, from, to| {
        gnu(
            &["--format=posix", "--sparse", "--sparse-version=0.0"],
            from,
            to,
        )
    }),
    by("GNU tar, sparse 0.1", Source::Full, |_, from, to| {
        gnu(
            &["--format=posix", "--sparse", "--sparse-version=0.1"],
            from,
            to,
        )
    }),
    by("GNU tar, sparse 1.0", Source::Full, |_, from, to| {
        gnu(
            &["--format=posix", "--sparse", "--sparse-version=1.0"],
            from,
            to,
        )
    }),
    Archive {
        readers: Readers::CountersignAlone,
        ..by("GNU tar, old sparse", Source::Full, |_, from, to| {
            gnu(&["--format=gnu", "--sparse"], from, to)
        })
    },
    by("GNU tar, absolute names", Source::Full, |_, from, to| {
        gnu(&["--absolute-names", r"--transform=s,^\.,,S"], from, to)
    }),
    by("bsdtar, pax", Source::Full, |programs, from, to| {
        bsdtar(programs, "pax", from, to)
    }),
    by("bsdtar, gnutar", Source::Plain, |programs, from, to| {
        bsdtar(programs, "gnutar", from, to)
    }),
    by("bsdtar, ustar", Source::Plain, |programs, from, to| {
        bsdtar(programs, "ustar", from, to)
    }),
    by("busybox tar", Source::Plain, |programs, from, to| {
        programs
            .debian("busybox")
            .args(["tar", "-C", from, "-cf", to, "."])
    }),
    by("python, pax", Source::Full, |_, from, to| {
        python("PAX_FORMAT", from, to)
    }),
    by("python, gnu", Source::Full, |_, from, to| {
        python("GNU_FORMAT", from, to)
    }),
    by("python, ustar", Source::Plain, |_, from, to| {
        python("USTAR_FORMAT", from, to)
    }),
    by("Go, pax", Source::Full, |programs, from, to| {
        go(programs, "pax", from, to)
    }),
    by("Go, gnu", Source::Full, |programs, from, to| {
        go(programs, "gnu", from, to)
    }),
    by("Go, never closed", Source::Full, |programs, from, to| {
        go(programs, "open", from, to)
    }),
];

const fn by(
    name: &'static str,
    source: Source,
    writer: fn(&Programs, &str, &str) -> Command,
) -> Archive {
    Archive {
        name,
        source,
        readers: Readers::All,
        writer,
    }
}

fn gnu(flags: &[&str], from: &str, to: &str) -> Command {
    let command = Command::new("tar").inherit_environment().args(flags);
    command.args(["-C", from, "-cf", to, "."])
}

fn bsdtar(programs: &Programs, format: &str, from: &str, to: &str) -> Command {
    let command = programs.debian("bsdtar").args(["--format", format]);
    // Names that aren't UTF-8 are an error otherwise.
    let command = match format {
        "pax" => command.args(["--options", "hdrcharset=BINARY"]),
        _ => command,
    };
    command.args(["-C", from, "-cf", to, "."])
}

fn python(format: &str, from: &str, to: &str) -> Command {
    let script = "import sys, tarfile\n\
                  format = getattr(tarfile, sys.argv[3])\n\
                  with tarfile.open(sys.argv[2], 'w', format=format) as archive:\n    \
                  archive.add(sys.argv[1], '.')\n";
    let command = Command::new("python3").inherit_environment();
    command.args(["-c", script, from, to, format])
}

fn go(programs: &Programs, format: &str, from: &str, to: &str) -> Command {
    Command::new(&programs.peers).args(["write", format, from, to])
}

impl Source {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Full => "full",
        }
    }

    /// Makes the tree.
    ///
    /// # Errors
    /// When something can't be written.
    pub(super) fn make(self, top: &Path) -> anyhow::Result<()> {
        for directory in ["bin", "run", "var", "empty", "shared"] {
            fs::create_dir_all(top.join(directory))?;
        }
        file(&top.join("bin/tool"), b"#!/bin/sh\n", 0o755, ORDINARY)?;
        fs::hard_link(top.join("bin/tool"), top.join("bin/second"))?;
        fs::hard_link(top.join("bin/tool"), top.join("third"))?;
        symlink("tool", top.join("bin/link"))?;
        symlink("/run", top.join("var/run"))?;
        symlink("../../nowhere", top.join("var/dangling"))?;
        file(&top.join("private"), b"secret", 0o600, 1)?;
        file(&top.join("nothing"), b"", 0o444, ORDINARY)?;
        file(&top.join("anybody"), &[7; 1024], 0o666, ORDINARY)?;
        file(&top.join("a name with blanks"), &[9; 513], 0o640, ORDINARY)?;
        let latin1 = std::ffi::OsStr::from_bytes(b"caf\xe9");
        file(&top.join(latin1), b"latin1", 0o644, ORDINARY)?;
        fs::set_permissions(top.join("empty"), Permissions::from_mode(0o700))?;
        fs::set_permissions(top.join("shared"), Permissions::from_mode(0o1777))?;
        let fifo = [top.join("run/fifo")];
        Command::new("mkfifo")
            .inherit_environment()
            .args(fifo)
            .run()?
            .success()?;
        if self == Self::Plain {
            return Ok(());
        }
        let long = top.join("d".repeat(120)).join("e".repeat(120));
        fs::create_dir_all(&long)?;
        let deep = long.join("f".repeat(120));
        file(&deep, b"long", 0o644, ORDINARY)?;
        fs::hard_link(&deep, top.join("short"))?;
        symlink(Path::new("/").join("t".repeat(150)), top.join("long-link"))?;
        file(&top.join("far"), b"far", 0o644, FAR)?;
        file(&top.join("\u{e9}t\u{e9}"), b"utf8", 0o644, ORDINARY)?;
        holes(
            &top.join("holes"),
            &[(0, 5000), (1 << 20, 4096), (2 << 20, 3)],
            3 << 20,
        )?;
        holes(&top.join("one-hole"), &[], 1 << 20)?;
        // More data than the headers have room for.
        let many: Vec<_> = (0..40).map(|number| (number << 16, 4096)).collect();
        holes(&top.join("many-holes"), &many, 40 << 16)?;
        Ok(())
    }
}

fn file(path: &Path, content: &[u8], mode: u32, modified: u64) -> anyhow::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(modified))?;
    Ok(())
}

/// A file with data at these offsets, of these lengths.
fn holes(path: &Path, data: &[(u64, usize)], size: u64) -> anyhow::Result<()> {
    let mut file = File::create_new(path)?;
    for (offset, length) in data {
        file.seek(SeekFrom::Start(*offset))?;
        file.write_all(&vec![b'x'; *length])?;
    }
    file.set_len(size)?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(ORDINARY))?;
    Ok(())
}
