//! What a person is told of an installation: its digest, its grounds and its evidence, in aligned
//! lines.

use std::path::Path;

use countersign_download::{
    CheckResult, Grounds, Installed, Outcome, Provenance, Recorded, Replacement, UNPROVEN,
};
use countersign_oci::{Digest, Reference};
use countersign_policy::{BoundName, COSIGN_SIGN_PREDICATE, Policy, SignatureFormat};
use countersign_verify::{Evidence, SignedBy};

use super::check;
use crate::output::{self, Output};
use crate::printable;

/// What became of `name`. `source` is what holds the digest.
pub(super) fn outcome_text(
    name: &str,
    outcome: &Outcome,
    directory: &Path,
    source: &str,
    check: Option<&CheckResult>,
) -> String {
    let directory = printable::path(directory);
    match outcome {
        Outcome::Installed {
            installed,
            replacement,
            replaced,
            ..
        } => {
            let (verb, how, old) = match replacement {
                Replacement::New => ("installed", String::new(), "before"),
                Replacement::Reinstalled => ("reinstalled", String::new(), "before"),
                Replacement::NowVerified => ("now verified:", String::new(), "before"),
                Replacement::Upgraded => ("upgraded", String::new(), "before"),
                Replacement::RolledBack => ("rolled back", String::new(), "before"),
                // It is another image, or which of the two is newer is not known.
                Replacement::Replaced => {
                    let now = installed.provenance.as_ref();
                    (
                        "installed",
                        in_place_of(replaced.as_deref(), now),
                        "replaced",
                    )
                }
            };
            let Installed { files, bytes, .. } = **installed;
            let mut text = format!(
                "{verb} {name} in {directory}{how}: {}, {}\n",
                output::counted(files, "file", "files"),
                output::bytes(bytes)
            );
            if let Some(replaced) = replaced {
                text.push_str(&format!("  {old:<11}{}\n", replaced.digest));
            }
            text.push_str(&digest_text(
                &installed.digest,
                installed.reference.as_ref(),
            ));
            text.push_str(&details(&installed.grounds, installed.provenance.as_ref()));
            text
        }
        // Without a check the files may be others by now: nobody has looked at them.
        Outcome::Unchanged { recorded, .. } => format!(
            "{name} in {directory} is up to date by its record, which has the same digest as {source}\n{}  \
             files      {}\n",
            digest_text(&recorded.digest, recorded.reference.as_ref()),
            match check {
                None => "not checked; --check compares them, --reinstall replaces them".to_owned(),
                Some(check) => format!("as they were unpacked: {}", check::counts(check)),
            }
        ),
    }
}

/// What was, or would be, replaced: the image and its platform.
///
/// `now` is where the new content is from. Content without a reference, such as a directory's, may be from the same place.
pub(super) fn in_place_of(replaced: Option<&Recorded>, now: Option<&Provenance>) -> String {
    let Some(replaced) = replaced else {
        return String::new();
    };
    let source = |from: &Provenance| (from.entry.clone(), from.source.clone());
    let before = replaced.provenance.as_ref().map(source);
    if replaced.reference.is_none() && before.is_some() && before == now.map(source) {
        return ", in place of its earlier content".to_owned();
    }
    format!(", in place of {}", replaced.describe())
}

/// Tells what is to know of what was installed, even where nobody reads the results.
pub(super) fn warn(output: &Output, name: &str, outcome: &Outcome) {
    let Outcome::Installed { installed, .. } = outcome else {
        return;
    };
    match installed.grounds {
        Grounds::Nothing => output.warning(&format!("{name} is unverified: {UNPROVEN}")),
        Grounds::Signature { .. } | Grounds::Digest => {}
    }
    for warning in &installed.warnings {
        output.warning(&format!("{name}: {warning}"));
    }
}

/// What an installation is: an image, by its reference, or content that is none.
pub(super) fn digest_text(digest: &Digest, reference: Option<&Reference>) -> String {
    let what = if reference.is_some() {
        "image"
    } else {
        "archive"
    };
    format!("  {what:<9}  {digest}\n")
}

/// On what grounds it is there, and from where.
pub(super) fn details(grounds: &Grounds, provenance: Option<&Provenance>) -> String {
    let mut text = grounds_text(grounds);
    if let Some(provenance) = provenance {
        let (role, source) = (provenance.role.as_str(), &provenance.source);
        text.push_str(&format!("  served by  the {role}, {source}\n"));
        for skipped in &provenance.skipped {
            let skipped = skipped.replace('\n', "\n             ");
            text.push_str(&format!("  not by     {skipped}\n"));
        }
    }
    text
}

/// What content was admitted on, in aligned lines.
fn grounds_text(grounds: &Grounds) -> String {
    match grounds {
        Grounds::Signature { .. } => proofs_text(grounds.all_evidence()),
        Grounds::Digest => "  proof      the digest that the gallery's index names\n".into(),
        Grounds::Nothing => format!("  unverified {UNPROVEN}\n"),
    }
}

/// What `bind_name` is worth for a legacy signature without a tag.
pub(super) const EVERY_TAG: &str =
    "binds the repository only: the signature names no tag, so it counts for every tag";

/// What was proven, in aligned lines. Several proofs have a line above each.
pub(super) fn proofs_text<'a>(proofs: impl IntoIterator<Item = &'a Evidence>) -> String {
    let proofs: Vec<&Evidence> = proofs.into_iter().collect();
    if let [only] = proofs.as_slice() {
        return evidence_text(only);
    }
    let count = proofs.len();
    let numbered = proofs.into_iter().zip(1..);
    numbered
        .map(|(proof, number)| {
            format!("  proof      {number} of {count}\n{}", evidence_text(proof))
        })
        .collect()
}

/// The file of each key that signed, by the name that the policy has, in aligned lines.
pub(super) fn key_files<'a>(
    proofs: impl IntoIterator<Item = &'a Evidence>,
    policy: &Policy,
) -> String {
    let requirements = policy.requirements();
    let mut text = String::new();
    for proof in proofs {
        let SignedBy::Key { key } = &proof.signer else {
            continue;
        };
        let mut keys = requirements.iter().flat_map(|one| one.keys());
        let named = keys.find(|one| one.key.fingerprint() == *key);
        if let Some(file) = named.and_then(|one| one.key.file()) {
            let line = format!("  key        from {}\n", countersign_oci::printable(file));
            if !text.contains(&line) {
                text.push_str(&line);
            }
        }
    }
    text
}

/// Who signed what and when, in aligned lines.
pub(super) fn evidence_text(evidence: &Evidence) -> String {
    let mut text = format!("  signed     {}\n", evidence.digest);
    if evidence.predicate_type != COSIGN_SIGN_PREDICATE {
        let of = countersign_oci::printable(&evidence.predicate_type);
        text.push_str(&format!("  type       {of}\n"));
    }
    let signer = countersign_oci::printable(&evidence.signer.to_string());
    text.push_str(&format!("  signer     {signer}\n"));
    if let Some(holder) = evidence.signer.certificate() {
        let issuer = countersign_oci::printable(&holder.issuer);
        text.push_str(&format!("  issuer     {issuer}\n"));
    }
    let times: Vec<String> = evidence.signed_at.iter().map(ToString::to_string).collect();
    match times.as_slice() {
        [] => text.push_str("  signed at  not known: the policy ignores the log\n"),
        times => text.push_str(&format!("  signed at  {}\n", times.join(", "))),
    }
    match evidence.log_index {
        Some(index) => text.push_str(&format!("  log entry  {index}\n")),
        None if evidence.signed_at.is_empty() => {}
        None => text.push_str(
            "  log entry  none: this instance has no log, and a timestamp authority proves the time\n",
        ),
    }
    match evidence.format {
        SignatureFormat::Bundle => {}
        SignatureFormat::SimpleSigning => {
            text.push_str("  form       simple signing, the legacy form of cosign");
            if evidence.log_index.is_some() {
                text.push_str(
                    ": the log has promised to include it, and no proof of that was checked",
                );
            }
            text.push('\n');
        }
    }
    if evidence.bound_name == Some(BoundName::Repository) {
        text.push_str(&format!("  name       {EVERY_TAG}\n"));
    }
    text
}
