//! Go's archive/tar, which reads the same archives in a process of its own.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use crate::tree::{Entry, Kind};

/// Names the program; without it nothing is compared. `cargo xtask fuzz` builds it where there is Go.
const PROGRAM: &str = "COUNTERSIGN_FUZZ_ORACLE";

static ORACLE: LazyLock<Option<Mutex<Child>>> = LazyLock::new(|| {
    let program = std::env::var_os(PROGRAM)?;
    let child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    Some(Mutex::new(child.expect("the oracle can be started")))
});

/// What Go's reader finds in an archive.
pub enum Reading {
    Entries(Vec<Entry>),
    Refused,
    /// There is no such program here.
    Unknown,
}

pub fn read(archive: &[u8]) -> Reading {
    let Some(oracle) = &*ORACLE else {
        return Reading::Unknown;
    };
    let mut child = oracle.lock().expect("no thread panicked");
    let length = u32::try_from(archive.len()).expect("inputs are small");
    let stdin = child.stdin.as_mut().expect("it is a pipe");
    stdin.write_all(&length.to_be_bytes()).expect("it reads");
    stdin.write_all(archive).expect("it reads");
    stdin.flush().expect("it reads");
    let stdout = child.stdout.as_mut().expect("it is a pipe");
    let mut entries = Vec::new();
    loop {
        match bytes::<1>(stdout) {
            [0] => return Reading::Entries(entries),
            [1] => entries.push(entry(stdout)),
            _ => return Reading::Refused,
        }
    }
}

fn entry(from: &mut impl Read) -> Entry {
    let [flag] = bytes(from);
    let mode = u32::from_be_bytes(bytes(from));
    let [name, link, content] = std::array::from_fn(|_| {
        let length = u32::from_be_bytes(bytes(from)) as usize;
        let mut field = vec![0; length];
        from.read_exact(&mut field).expect("it answers whole");
        field
    });
    let kind = match flag {
        b'0' | b'S' => Kind::File(content),
        b'1' => Kind::Hardlink(link),
        b'2' => Kind::Symlink(link),
        b'3' | b'4' | b'6' => Kind::Special,
        b'5' => Kind::Directory,
        other => Kind::Unknown(other),
    };
    Entry { name, mode, kind }
}

fn bytes<const N: usize>(from: &mut impl Read) -> [u8; N] {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).expect("it answers whole");
    bytes
}
