//! Proof that the transparency log has the signature. These are the checks that `sigstore-verify` does not
//! make.
//!
//! `sigstore-verify` accepts a checkpoint that *any* trusted log signed. If an entry states a value twice, it
//! reads only one of the two. Here each entry is checked against its own log, and the two values are
//! compared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sigstore_types::bundle::InclusionProof;
use sigstore_types::{Checkpoint, KindVersion, Sha256Hash, SignatureBytes, TransparencyLogEntry};

use countersign_oci::excerpt;

use crate::bundle::LegacyForm;
use crate::failure::{Failure, MalformedPart};
use crate::genuine::Genuine;
use crate::log_entries::{Provable, is_rekor_v2};
use crate::trust::RootInUse;

/// Proof that each log entry of a bundle is in the log that it names. Only [`prove`] makes one.
#[derive(Debug)]
pub(crate) struct LogProven {
    first: EntryProven,
}

impl LogProven {
    /// Index of the first entry in its log.
    pub(crate) fn index(&self) -> u64 {
        self.first.index
    }

    /// ID of that log, in hex.
    pub(crate) fn id(&self) -> &str {
        &self.first.id
    }
}

/// Proof that one entry is in its own log, or that the log has promised to include it. Only [`prove_entry`]
/// and, for legacy signatures, [`prove_promised_entry`] make one.
#[derive(Debug)]
struct EntryProven {
    /// Index of the entry in its log.
    index: u64,
    /// ID of that log, in hex.
    id: String,
}

/// The log's promise to include the entry of a legacy signature, which `sigstore-verify` has checked. Only
/// [`check_promise`] makes one.
struct Promise;

/// Proof that the log which an entry names signed the entry's checkpoint. Only [`check_own_signature`]
/// makes one.
struct OwnSignature;

/// Proof that an entry does not contradict its checkpoint. Only [`check_agreement`] makes one.
struct Agreement;

/// Checks what `sigstore-verify` has not checked of the entries. It has accepted them before: the bundle is
/// genuine.
///
/// In a bundle, each entry needs an inclusion proof. A legacy signature never has one. For that form alone, the log's
/// promise is enough.
///
/// # Errors
/// [`Failure::NoInclusionProof`], [`Failure::CheckpointLog`], [`Failure::LogNotInUse`], [`Failure::Disagreement`], or
/// [`Failure::Malformed`] for a checkpoint in a form that logs do not write.
pub(crate) fn prove(
    provable: Provable<'_>,
    genuine: &Genuine<'_>,
    root: RootInUse<'_>,
) -> Result<LogProven, Failure> {
    let entries = provable.into_entries();
    let proven: Vec<EntryProven> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| match genuine.signed().legacy_form() {
            None => prove_entry(index, entry, root),
            Some(legacy) => prove_promised_entry(index, entry, root, legacy),
        })
        .collect::<Result<_, _>>()?;
    let first = proven.into_iter().next();
    Ok(LogProven {
        first: first.ok_or(Failure::NoInclusionProof { index: 0 })?,
    })
}

/// Proves the entry at `index` in the bundle.
fn prove_entry(
    index: usize,
    entry: &TransparencyLogEntry,
    root: RootInUse<'_>,
) -> Result<EntryProven, Failure> {
    let proof = entry.inclusion_proof.as_ref();
    let (proof, checkpoint) = proof
        .and_then(|proof| Some((proof, proof.checkpoint.checkpoint()?)))
        .ok_or(Failure::NoInclusionProof { index })?;
    let own = check_own_signature(entry, proof.checkpoint.envelope(), checkpoint, root)?;
    let agreement = check_agreement(entry, proof, checkpoint)?;
    Ok(EntryProven::by(entry, own, agreement))
}

/// Proves the entry at `index` of a legacy signature.
fn prove_promised_entry(
    index: usize,
    entry: &TransparencyLogEntry,
    root: RootInUse<'_>,
    legacy: LegacyForm,
) -> Result<EntryProven, Failure> {
    let promise = check_promise(index, entry, root, legacy)?;
    Ok(EntryProven::promised(entry, promise))
}

/// Checks that the entry has a promise with a time, is of the kind that legacy signatures have, and is of a log whose
/// key is in use. `sigstore-verify` has checked the promise's signature with the key of the log that the entry names.
fn check_promise(
    index: usize,
    entry: &TransparencyLogEntry,
    root: RootInUse<'_>,
    _: LegacyForm,
) -> Result<Promise, Failure> {
    if entry.inclusion_promise.is_none() || entry.integrated_time.is_none() {
        return Err(Failure::NoInclusionPromise { index });
    }
    if entry.kind_version != KindVersion::HashedRekordV001 {
        return Err(Failure::EntryKind {
            index,
            expected: "hashedrekord 0.0.1",
            found: format!(
                "{} {}",
                entry.kind_version.kind(),
                entry.kind_version.version()
            ),
        });
    }
    let id = entry.log_id.key_id.as_bytes();
    let key = Sha256Hash::try_from(id).ok();
    match key.and_then(|id| root.log_key(&id)) {
        Some(_) => Ok(Promise),
        None => Err(root
            .log_not_in_use(id)
            .unwrap_or_else(|| Failure::UnknownLog {
                index,
                id: excerpt(&hex::encode(id)),
            })),
    }
}

impl EntryProven {
    fn by(entry: &TransparencyLogEntry, _: OwnSignature, _: Agreement) -> Self {
        Self::of(entry)
    }

    /// As [`by`](Self::by), for the entry of a legacy signature.
    fn promised(entry: &TransparencyLogEntry, _: Promise) -> Self {
        Self::of(entry)
    }

    fn of(entry: &TransparencyLogEntry) -> Self {
        Self {
            index: entry.log_index.get(),
            id: hex::encode(entry.log_id.key_id.as_bytes()),
        }
    }
}

/// Checks that the log which the entry names signed the checkpoint, and with the name that the checkpoint
/// gives the log.
///
/// `sigstore-verify` has checked only that *any* trusted log signed it. There, the tree of one log can
/// prove an entry of another.
fn check_own_signature(
    entry: &TransparencyLogEntry,
    note: &str,
    checkpoint: &Checkpoint,
    root: RootInUse<'_>,
) -> Result<OwnSignature, Failure> {
    let id = entry.log_id.key_id.as_bytes();
    let own_key = Sha256Hash::try_from(id)
        .ok()
        .and_then(|id| root.log_key(&id));
    let signatures = note_signatures(note)?;
    let signed_by_own = own_key.is_some_and(|key| {
        signatures.iter().any(|signature| {
            names(checkpoint.origin(), signature.name)
                && id.starts_with(&signature.key_hint)
                && key
                    .verify(checkpoint.signed_data(), &signature.signature)
                    .is_ok()
        })
    });
    if signed_by_own {
        return Ok(OwnSignature);
    }
    let signers: Vec<&str> = signatures.iter().map(|signature| signature.name).collect();
    Err(root
        .log_not_in_use(id)
        .unwrap_or_else(|| Failure::CheckpointLog {
            expected: hex::encode(id),
            found: excerpt(&signers.join(", ")),
        }))
}

/// Whether the log with this origin signs as `name`. Rekor v1 adds a dash and the tree's ID to the origin.
fn names(origin: &str, name: &str) -> bool {
    origin
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(" - "))
}

/// A signature line of a note.
struct NoteSignature<'a> {
    name: &'a str,
    key_hint: [u8; 4],
    signature: SignatureBytes,
}

/// The signature lines, in exactly the form that logs write ([C2SP signed-note][spec]). `sigstore-types`
/// ignores spaces, and everything after a second empty line.
///
/// [spec]: https://c2sp.org/signed-note
fn note_signatures(note: &str) -> Result<Vec<NoteSignature<'_>>, Failure> {
    let malformed = || Failure::Malformed {
        part: MalformedPart::Checkpoint,
        detail: "expected lines of the form `— NAME SIGNATURE` after the one empty line".into(),
    };
    let (_, lines) = note.split_once("\n\n").ok_or_else(malformed)?;
    let lines = lines.strip_suffix('\n').ok_or_else(malformed)?;
    lines
        .split('\n')
        .map(|line| {
            let line = line.strip_prefix("— ")?;
            let (name, signature) = line.split_once(' ')?;
            let signature = BASE64.decode(signature).ok()?;
            let (key_hint, signature) = signature.split_first_chunk()?;
            Some(NoteSignature {
                name,
                key_hint: *key_hint,
                signature: SignatureBytes::new(signature.to_vec()),
            })
        })
        .collect::<Option<_>>()
        .ok_or_else(malformed)
}

/// Checks that the entry states the same values as its checkpoint.
fn check_agreement(
    entry: &TransparencyLogEntry,
    proof: &InclusionProof,
    checkpoint: &Checkpoint,
) -> Result<Agreement, Failure> {
    agree(
        "root hash of the log's tree",
        &checkpoint.root_hash().to_hex(),
        &proof.root_hash.to_hex(),
    )?;
    agree(
        "size of the log's tree",
        &checkpoint.tree_size(),
        &proof.tree_size,
    )?;
    if is_rekor_v2(entry) {
        // In Rekor v1 the two indexes differ: the proof's index is in one shard (the tree proves it),
        // the entry's index is in all shards (the promise proves it).
        agree(
            "index in the log",
            &entry.log_index.get(),
            &proof.log_index.get(),
        )?;
        // Rekor v2 states no time, and nothing would prove one.
        let time = entry.integrated_time.map_or(0, jiff::Timestamp::as_second);
        agree("time of logging", &0, &time)?;
    }
    Ok(Agreement)
}

fn agree<T: PartialEq + ToString>(
    what: &'static str,
    expected: &T,
    found: &T,
) -> Result<(), Failure> {
    if expected == found {
        return Ok(());
    }
    Err(Failure::Disagreement {
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_signs_as_its_origin_or_as_what_comes_before_the_trees_id() {
        assert!(names("rekor.example", "rekor.example"));
        assert!(names("rekor.example - 123", "rekor.example"));
        for other in ["rekor.exampl", "rekor", "", "rekor.example2", "other"] {
            assert!(!names("rekor.example - 123", other), "{other}");
        }
    }

    #[test]
    fn a_note_has_one_form() {
        let line = "— log AAAAAAA=\n";
        let read = |lines: &str| {
            let note = format!("log\n1\nroot\n\n{lines}");
            note_signatures(&note)
                .map(|signatures| signatures.len())
                .ok()
        };
        assert_eq!(read(line), Some(1));
        assert_eq!(read(&line.repeat(2)), Some(2));
        for other in [
            "",
            "\n",
            "— log AAAAAAA=",
            "— log  AAAAAAA=\n",
            " — log AAAAAAA=\n",
            "— log AAAAAAA= \n",
            "— log AAAAAAA=\r\n",
            "— log AAAAAAB=\n",
            "- log AAAAAAA=\n",
            "— log AAA=\n",
            "— log AAAAAAA=\n\n",
            "— log AAAAAAA=\n\nmore\n",
        ] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }
}
