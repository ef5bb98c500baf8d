//! What a publication that failed had done.

use std::fmt;

use countersign_oci::{ErrorKind, Reference};

use crate::error::Error;
use crate::outcome::{Signed, Unsigned};

/// A publication that did not end, and where it left the tags.
#[derive(Debug)]
#[non_exhaustive]
pub struct PublicationFailure {
    /// What went wrong.
    pub error: Error,
    /// The tags that name the signed image now.
    pub moved: Vec<Reference>,
    /// The tag that was being written when it went wrong, if it is not clear what it names.
    pub unclear: Option<Reference>,
    /// The tags that are where they were.
    pub left: Vec<Reference>,
    /// What has a signature that the consumer accepts, in order.
    pub signed: Vec<Signed>,
    /// What has none, in order. Empty if it was not known yet what there is to sign.
    pub unsigned: Vec<Unsigned>,
}

impl PublicationFailure {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }
}

/// As [`Stopped`](crate::Stopped), it says what its cause says.
impl fmt::Display for PublicationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for PublicationFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}
