//! An entry in systemd's journal, by its native protocol: a datagram with a field a line.
//!
//! The protocol is `systemd.journal-fields(7)` and "Native Journal Protocol" in systemd's documentation. An entry of
//! ours is a few kilobytes, so it always fits into one datagram.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use serde::Serialize;

use super::PROGRAM;

/// Stands before the names of our own fields.
const PREFIX: &str = "COUNTERSIGN_";

/// How important an entry is, as `syslog(3)` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// Of what was refused, or would be.
    Warning,
    Informational,
}

impl Priority {
    fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "4",
            Self::Informational => "6",
        }
    }
}

/// The entry: `line` for a person, and each field of `verdict` by its name.
pub(super) fn entry(
    line: &str,
    priority: Priority,
    verdict: &impl Serialize,
) -> io::Result<Vec<u8>> {
    let verdict = serde_json::to_value(verdict)?;
    let mut bytes = Vec::new();
    add(&mut bytes, "MESSAGE", line.trim_end());
    add(&mut bytes, "PRIORITY", priority.as_str());
    add(&mut bytes, "SYSLOG_IDENTIFIER", PROGRAM);
    for (name, value) in verdict.as_object().into_iter().flatten() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        add(
            &mut bytes,
            &format!("{PREFIX}{}", name.to_ascii_uppercase()),
            &text,
        );
    }
    Ok(bytes)
}

/// Sends an entry to the socket.
pub(super) fn send(socket: &Path, entry: &[u8]) -> io::Result<()> {
    UnixDatagram::unbound()?.send_to(entry, socket).map(|_| ())
}

/// `NAME=value`. A value of several lines has its length before it, so that no line of it is taken for a field.
fn add(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_is_one_of_the_journal_and_no_value_can_bring_another() {
        let verdict = json!({
            "allowed": false, "verdict": "refused", "rule": 2, "identity": "a\nPRIORITY=0",
        });
        let entry = entry("refused: why\n", Priority::Warning, &verdict).unwrap();
        let mut expected =
            b"MESSAGE=refused: why\nPRIORITY=4\nSYSLOG_IDENTIFIER=countersign-image-verifier\n"
                .to_vec();
        expected.extend_from_slice(
            b"COUNTERSIGN_ALLOWED=false\nCOUNTERSIGN_VERDICT=refused\nCOUNTERSIGN_RULE=2\nCOUNTERSIGN_IDENTITY\n",
        );
        expected.extend_from_slice(&12_u64.to_le_bytes());
        expected.extend_from_slice(b"a\nPRIORITY=0\n");
        assert_eq!(
            String::from_utf8_lossy(&entry),
            String::from_utf8_lossy(&expected)
        );
    }
}
