//! An image as the command line names it: in a registry, or in an image layout on this machine.

use std::error::Error;

use countersign_oci::{LayoutPath, Reference};

/// Reads `ocifile://path`, whose path may be relative as any on a command line may, or a reference.
///
/// # Errors
/// What is wrong with the path or with the reference.
pub(crate) fn parse(text: &str) -> Result<Reference, Box<dyn Error + Send + Sync>> {
    match text.strip_prefix("ocifile://") {
        Some("") => Err("expected a path after ocifile://, found nothing".into()),
        Some(path) => Ok(LayoutPath::new(&std::path::absolute(path)?)?.into()),
        None => Ok(text.parse()?),
    }
}
