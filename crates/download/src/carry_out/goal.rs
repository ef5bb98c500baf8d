//! What a plan is carried out for: to install, or to know what an installation would do.
//!
//! Which source is asked, what it is asked for and what is admitted is the same for all of them.

use std::path::Path;

use countersign_oci::Reference;

use super::attempt::Attempt;
use crate::admitted::AdmittedImage;
use crate::error::Error;
use crate::install::Installer;
use crate::source::Tarball;
use crate::unpack::{Ahead, Selection};

/// What becomes of what a source has.
pub(super) trait Goal<V> {
    /// What a successful attempt comes to.
    type Output;

    /// What may be fetched of an image while it is verified; `None` if nothing of it is needed.
    fn ahead<'a>(
        &'a self,
        installer: &'a Installer<V>,
        attempt: &'a Attempt<'_>,
    ) -> Option<(Selection, Ahead<'a>)>;

    /// Goes on with an image that was admitted. `requested` is it as the source names it.
    async fn image(
        &self,
        installer: &Installer<V>,
        image: Box<AdmittedImage>,
        requested: &Reference,
        ahead: Option<Ahead<'_>>,
        attempt: &Attempt<'_>,
    ) -> Result<Self::Output, Error>;

    /// Goes on with an archive, of which nothing was fetched.
    async fn tarball(
        &self,
        installer: &Installer<V>,
        tarball: &Tarball,
        attempt: &Attempt<'_>,
    ) -> Result<Self::Output, Error>;

    /// Goes on with a directory, of which nothing was read.
    async fn directory(
        &self,
        installer: &Installer<V>,
        directory: &Path,
        attempt: &Attempt<'_>,
    ) -> Result<Self::Output, Error>;
}
