//! What is demanded of a bundle's log entries, before any cryptography.

use sigstore_types::{KindVersion, TransparencyLogEntry};

use crate::bundle::{KeyMaterial, SignedBundle};
use crate::failure::{Failure, LogKind};
use crate::trust::{NoLog, RootInUse};

/// Log entries that have everything that a proof needs. Only [`check_provable`] makes one.
#[derive(Debug)]
pub(crate) struct Provable<'a>(&'a [TransparencyLogEntry]);

impl<'a> Provable<'a> {
    /// The entries. There is at least one.
    pub(crate) fn into_entries(self) -> &'a [TransparencyLogEntry] {
        self.0
    }
}

/// What is demanded of a bundle's log entries. Only [`check_provable`] makes one.
#[derive(Debug)]
pub(crate) enum LogEntries<'a> {
    /// They must be proven.
    Demanded(Provable<'a>),
    /// There are none, and the trusted root has no log.
    None(Unlogged),
}

/// Evidence that a bundle has no log entry, and that its instance has no log. Only [`check_provable`] makes one.
#[derive(Debug)]
pub(crate) struct Unlogged(());

impl Unlogged {
    fn of(entries: &[TransparencyLogEntry], _: NoLog) -> Result<Self, Failure> {
        match entries.len() {
            0 => Ok(Self(())),
            found => Err(Failure::EntryWithoutLog { found }),
        }
    }
}

/// Checks, before any cryptography, that the entries have what a proof needs: a log with a supported kind of
/// key, and the log's promise if the log writes one. If the trusted root has no log, there must be no entry.
///
/// # Errors
/// [`Failure::UnsupportedLogKey`], [`Failure::NoInclusionPromise`], [`Failure::NoLogEntry`],
/// [`Failure::KeyNotLogged`], [`Failure::EntryWithoutLog`].
pub(crate) fn check_provable<'a>(
    signed: &'a SignedBundle,
    root: RootInUse<'_>,
) -> Result<LogEntries<'a>, Failure> {
    let entries = &signed.bundle.verification_material.tlog_entries;
    if let Some(no_log) = root.no_log() {
        return Unlogged::of(entries, no_log).map(LogEntries::None);
    }
    if entries.is_empty() {
        return Err(match signed.material {
            KeyMaterial::Certificate(_) => Failure::NoLogEntry,
            KeyMaterial::Key => Failure::KeyNotLogged,
        });
    }
    for (index, entry) in entries.iter().enumerate() {
        let id = entry.log_id.key_id.as_bytes();
        if let Some(kind) = root.unusable_log_key(id) {
            return Err(Failure::UnsupportedLogKey {
                log: LogKind::Signatures,
                id: hex::encode(id),
                kind: kind.to_owned(),
            });
        }
        // Rekor v1 always writes one, and every client keeps it. Without it nothing proves the time of
        // logging, and somebody could add a later timestamp to the signature.
        if !is_rekor_v2(entry) && entry.inclusion_promise.is_none() {
            return Err(Failure::NoInclusionPromise { index });
        }
    }
    Ok(LogEntries::Demanded(Provable(entries)))
}

/// Whether the entry is of Rekor v2, which states no time.
pub(crate) fn is_rekor_v2(entry: &TransparencyLogEntry) -> bool {
    entry.kind_version == KindVersion::HashedRekordV002
}
