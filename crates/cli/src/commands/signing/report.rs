//! What was signed and what wasn't, told whatever ends the run: success, a failure, a signal or
//! `--timeout`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_oci::{Digest, PinnedReference, Platform, Reference, Repository};
use countersign_policy::SignatureFormat;
use countersign_sign::{PublicationEvent, Reached, Signed, SigningEvent, SigningOutcome, Unsigned};

use super::super::text::evidence_text;
use crate::json::error::Tags;
use crate::json::signing::SignResult;
use crate::output::Output;

/// Told when it is dropped, unless it was told before.
pub(in crate::commands) struct SigningReport<'a> {
    output: &'a Output,
    notes: Notes,
}

/// How far each manifest is, in the order of the references.
#[derive(Clone, Default)]
pub(in crate::commands) struct Notes {
    all: Arc<Mutex<Vec<Note>>>,
    /// Where the tags are, if any are to be written.
    tags: Arc<Mutex<Option<Tags>>>,
}

enum Note {
    Signed(Box<Signed>),
    Unsigned(Box<Unsigned>),
}

impl Note {
    fn text(&self) -> String {
        match self {
            Self::Signed(one) => signed_text(one),
            Self::Unsigned(one) => unsigned_text(one),
        }
    }

    fn result(&self) -> SignResult {
        match self {
            Self::Signed(one) => one.as_ref().into(),
            Self::Unsigned(one) => one.as_ref().into(),
        }
    }
}

impl<'a> SigningReport<'a> {
    pub(in crate::commands) fn new(output: &'a Output) -> Self {
        Self {
            output,
            notes: Notes::default(),
        }
    }

    /// What takes the run's events.
    pub(in crate::commands) fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// Tells a person what became of each manifest, and returns it for a program.
    pub(in crate::commands) fn finish(self) -> Vec<SignResult> {
        self.tell()
    }

    /// The references that have a signature, and none with a tag in its name.
    pub(in crate::commands) fn without_tag(&self) -> Vec<Reference> {
        let mut found: Vec<Reference> = Vec::new();
        for note in self.notes.lock().iter() {
            let Note::Signed(signed) = note else { continue };
            let name = signed.evidence.subject_name.as_deref();
            let names_tag = name.is_some_and(|name| name.parse::<Repository>().is_err());
            if !names_tag && !found.contains(&signed.reference) {
                found.push(signed.reference.clone());
            }
        }
        found
    }

    /// Tells nothing: all went well, and something else tells of it.
    pub(in crate::commands) fn dismiss(self) {
        drop(self.notes.take_all());
    }

    fn tell(&self) -> Vec<SignResult> {
        let notes = self.notes.take_all();
        for note in &notes {
            self.output.result(&note.text());
        }
        notes.iter().map(Note::result).collect()
    }
}

impl Drop for SigningReport<'_> {
    fn drop(&mut self) {
        let tags = self.notes.tags.lock();
        let tags = tags.unwrap_or_else(PoisonError::into_inner).take();
        self.output.before_failure(self.tell(), tags);
    }
}

impl Notes {
    /// Whether it is known which manifests are to be signed.
    pub(in crate::commands) fn are_begun(&self) -> bool {
        !self.lock().is_empty()
    }

    pub(in crate::commands) fn take(&self, event: &SigningEvent) {
        let mut all = self.lock();
        match event {
            SigningEvent::Begun { subjects } => {
                all.extend(subjects.iter().cloned().map(Box::new).map(Note::Unsigned));
            }
            SigningEvent::Signed { image, format } => {
                reach(&mut all, image, *format, Reached::NotPushed);
            }
            SigningEvent::Pushed { image, format, .. } => {
                reach(&mut all, image, *format, Reached::NotVerified);
            }
            SigningEvent::Verified { signed } => {
                let of = |note: &&mut Note| match note {
                    Note::Unsigned(one) => {
                        one.digest == signed.digest
                            && one.reference == signed.reference
                            && one.format == signed.evidence.format
                    }
                    Note::Signed(_) => false,
                };
                if let Some(note) = all.iter_mut().find(of) {
                    *note = Note::Signed(signed.clone());
                }
            }
        }
    }

    pub(in crate::commands) fn take_tags(&self, event: &PublicationEvent) {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            PublicationEvent::Planned { tags: planned } => {
                *tags = Some(Tags::planned(planned.iter().cloned()));
            }
            PublicationEvent::Tagging { tag } => {
                if let Some(tags) = tags.as_mut() {
                    let tag = tag.to_string();
                    tags.not_written.retain(|other| *other != tag);
                    tags.unclear.push(tag);
                }
            }
            PublicationEvent::Tagged { tag } => {
                if let Some(tags) = tags.as_mut() {
                    let tag = tag.to_string();
                    tags.unclear.retain(|other| *other != tag);
                    tags.written.push(tag);
                }
            }
            PublicationEvent::Copied { .. }
            | PublicationEvent::Pushed { .. }
            | PublicationEvent::Signing(_)
            | PublicationEvent::Proven => {}
        }
    }

    /// In the order of the references, what is signed first.
    fn take_all(&self) -> Vec<Note> {
        let mut notes = std::mem::take(&mut *self.lock());
        notes.sort_by_key(|note| match note {
            Note::Signed(_) => 0,
            Note::Unsigned(_) => 1,
        });
        notes
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Note>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reach(all: &mut [Note], image: &PinnedReference, format: SignatureFormat, reached: Reached) {
    for note in all {
        if let Note::Unsigned(one) = note
            && one.format == format
            && one.digest == *image.digest()
            && one.reference.location() == image.location()
        {
            one.reached = reached;
        }
    }
}

fn signed_text(signed: &Signed) -> String {
    let what = match signed.outcome {
        SigningOutcome::AlreadySigned => "already signed",
        SigningOutcome::Signed => "signed",
    };
    format!(
        "{what} {}\n  signature  {}\n{}",
        name(&signed.reference, signed.platform.as_ref()),
        signed.signature_manifest,
        evidence_text(&signed.evidence)
    )
}

fn unsigned_text(unsigned: &Unsigned) -> String {
    let Unsigned {
        reference,
        platform,
        digest,
        format,
        reached,
        ..
    } = unsigned;
    let what = match reached {
        Reached::NotPushed => "not signed (the signature may have been pushed)",
        Reached::NotVerified => "not verified (the signature was pushed)",
        Reached::NotSigned => "not signed by this run",
    };
    let form = match format {
        SignatureFormat::Bundle => "",
        SignatureFormat::SimpleSigning => "  form       simple signing\n",
    };
    format!(
        "{what}: {}\n{}{form}",
        name(reference, platform.as_ref()),
        digest_text(digest)
    )
}

fn digest_text(digest: &Digest) -> String {
    format!("  digest     {digest}\n")
}

fn name(reference: &Reference, platform: Option<&Platform>) -> String {
    match platform {
        Some(platform) => format!("{reference} ({platform})"),
        None => reference.to_string(),
    }
}
