//! Admitted content, as it is compared with a lock and with what is installed.

use countersign_oci::Digest;

use crate::admitted::AdmittedImage;
use crate::grounds::Grounds;

/// Admitted content: its digests, and what it was admitted on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    /// The index that it was found by.
    pub(crate) index: Option<&'a Digest>,
    /// The platform's manifest, or the archive's bytes.
    pub(crate) digest: &'a Digest,
    pub(crate) grounds: &'a Grounds,
}

impl<'a> Content<'a> {
    pub(crate) fn of(image: &'a AdmittedImage) -> Self {
        Self {
            index: image.index(),
            digest: image.reference().digest(),
            grounds: image.grounds(),
        }
    }

    /// Content that is no image.
    pub(crate) fn archive(digest: &'a Digest, grounds: &'a Grounds) -> Self {
        Self {
            index: None,
            digest,
            grounds,
        }
    }
}
