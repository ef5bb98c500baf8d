//! What an installation did to what was there before, in one word.
//!
//! It is for people and scripts. `replace` decides what may be replaced, and doesn't ask here.

use crate::age::Order;
use crate::content::Content;
use crate::grounds::Grounds;
use crate::record::Recorded;

/// What an installation did to what was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// There was nothing.
    New,
    /// The same content is there again.
    Reinstalled,
    /// What was there had no signature that was checked. Now it has one.
    NowVerified,
    /// It was signed later than what was there.
    Upgraded,
    /// It was signed before what was there.
    RolledBack,
    /// It is other content: another entry, an image of another repository, or nothing says which is newer.
    Replaced,
}

impl Replacement {
    /// What putting `found` in the place of `installed` is.
    pub(crate) fn of(installed: Option<&Recorded>, found: Content<'_>) -> Self {
        let Some(installed) = installed else {
            return Self::New;
        };
        let is_signed = |grounds: &Grounds| matches!(grounds, Grounds::Signature { .. });
        if is_signed(found.grounds) && !is_signed(&installed.grounds) {
            return Self::NowVerified;
        }
        if installed.digest == *found.digest {
            return Self::Reinstalled;
        }
        match found.grounds.age().after(installed.grounds.age()) {
            Order::Later => Self::Upgraded,
            Order::Older { .. } => Self::RolledBack,
            Order::Undated { .. } | Order::Unknown => Self::Replaced,
        }
    }
}
