//! A check by somebody else's verifier, after the consumer's own.

use std::error::Error as StdError;
use std::pin::Pin;

use crate::outcome::Signed;

/// A further check of what was signed, on its way. What it says may be shown.
pub type FurtherCheck =
    Pin<Box<dyn Future<Output = Result<(), Box<dyn StdError + Send + Sync>>> + Send>>;

/// Checks all that a run signed.
pub(crate) type CheckFurther = Box<dyn Fn(Vec<Signed>) -> FurtherCheck + Send + Sync>;
