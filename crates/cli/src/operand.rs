//! Operands of the command line: an image, in a registry or in an image layout on this machine, or a
//! name.

use std::error::Error;
use std::ffi::OsString;

use countersign_oci::{LayoutPath, Reference, printable};

use crate::failure::{Failure, Kind};

/// Reads `ocifile://path`, whose path may be relative as any on a command line may, or a reference.
///
/// # Errors
/// What is wrong with the path or with the reference.
pub(crate) fn image(text: &str) -> Result<Reference, Box<dyn Error + Send + Sync>> {
    match text.strip_prefix("ocifile://") {
        Some("") => Err("there is no path after ocifile://".into()),
        Some(path) => Ok(LayoutPath::new(&std::path::absolute(path)?)?.into()),
        None => Ok(text.parse()?),
    }
}

/// An operand that is a text. A path may hold any bytes, a name may not.
pub(crate) fn text(operand: OsString, what: &str) -> Result<String, Failure> {
    operand.into_string().map_err(|operand| {
        let found = printable(&operand.to_string_lossy());
        let message = format!("expected a {what} in UTF-8, found `{found}`");
        Failure::new(Kind::Usage, message).hint("check the encoding of the terminal or the script")
    })
}
