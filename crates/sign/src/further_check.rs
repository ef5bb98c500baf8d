//! A check by somebody else's verifier, after the consumer's own.

use std::error::Error as StdError;
use std::pin::Pin;

use crate::outcome::Signed;

/// What a further check of what was signed will say. An error of it may be shown.
pub type FurtherVerdict =
    Pin<Box<dyn Future<Output = Result<(), Box<dyn StdError + Send + Sync>>> + Send>>;

/// Checks all that a run signed.
pub(crate) type FurtherCheck = Box<dyn Fn(Vec<Signed>) -> FurtherVerdict + Send + Sync>;
