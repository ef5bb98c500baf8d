//! The steps of signing, as progress tells them.

use countersign_sign::{PublicationEvent, SigningEvent};

use super::report::Notes;
use crate::progress::Progress;

/// Says what happens to a manifest, and notes it.
pub(in crate::commands) fn signing(progress: &Progress, notes: &Notes, event: &SigningEvent) {
    notes.take(event);
    match event {
        SigningEvent::Signed { image, .. } => {
            progress.say(format!("pushing the signature of {image}"));
        }
        SigningEvent::Pushed { image, .. } => progress.say(format!("verifying {image}")),
        SigningEvent::Begun { .. } => {}
        SigningEvent::Verified { .. } => progress.say("signing"),
    }
}

/// Says what happens to images that are signed before their tags are written.
pub(in crate::commands) fn publishing(
    progress: &Progress,
    notes: &Notes,
    event: &PublicationEvent,
) {
    notes.take_tags(event);
    match event {
        PublicationEvent::Copied { blob, .. } => progress.say(format!("copied {blob}")),
        PublicationEvent::Pushed { index } => progress.say(format!("signing {index}")),
        PublicationEvent::Signing(event) => signing(progress, notes, event),
        PublicationEvent::Planned { .. } => {}
        PublicationEvent::Proven => progress.say("writing the tags"),
        PublicationEvent::Tagging { tag } => progress.say(format!("writing {tag}")),
        PublicationEvent::Tagged { tag } => progress.say(format!("tagged {tag}")),
    }
}
