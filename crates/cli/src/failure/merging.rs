//! What is said of merging.

use countersign_sign::{MergeError, MergeFailure};

use super::{Failure, Kind};
use crate::json::error::Tags;

impl From<MergeError> for Failure {
    fn from(error: MergeError) -> Self {
        let kind = error.kind();
        let hint = match &error {
            MergeError::Nothing { .. } => {
                "name the images to merge, by digest: NAME@DIGEST, or --digests-from DIR"
            }
            MergeError::SamePlatform { .. } => "give one image for each platform",
            MergeError::NoPlatform { .. } => {
                "build the image with its platform, as `docker buildx build --platform` does"
            }
            MergeError::Entry { .. } => "merge the images of the index one by one, by digest",
            MergeError::Target { .. } => "pass --tag NAME:TAG",
            MergeError::Unproven { .. } => {
                "run the same command again; if it stays so, the registry did not keep what was pushed"
            }
            MergeError::TagMoved { .. } => {
                "another job may have set the tag, or the registry shows old tags for a while: look at the tag, and run the same command again"
            }
            _ => return Self::new(kind, error),
        };
        Self::new(kind, error).hint(hint)
    }
}

impl From<MergeFailure> for Failure {
    fn from(failure: MergeFailure) -> Self {
        let texts = |tags: &[countersign_oci::Reference]| -> Vec<String> {
            tags.iter().map(ToString::to_string).collect()
        };
        let MergeFailure {
            error,
            moved,
            unclear,
            left,
            ..
        } = failure;
        let usage = error.kind() == Kind::Usage;
        let mut told = Self::from(error);
        if moved.is_empty() && unclear.is_none() {
            if !usage {
                told =
                    told.hint("no tag was changed; run the same command again to go on from here");
            }
        } else {
            told = told.hint(format!(
                "tags that name the merged image now: {}; run the same command again for the others",
                match moved.is_empty() {
                    true => "none for certain".to_owned(),
                    false => texts(&moved).join(", "),
                }
            ));
        }
        told.with_tags(Tags {
            written: texts(&moved),
            unclear: texts(unclear.as_slice()),
            not_written: texts(&left),
        })
    }
}
