//! Whether admitted content may take the place of what is installed: the one rule for installing,
//! reinstalling and upgrading.
//!
//! | installed | found | what becomes of it |
//! |---|---|---|
//! | nothing | anything | it is installed |
//! | a record that can't be read | anything | refused; unless a signature is required and [`Downgrade::Allow`] is given |
//! | stronger grounds | weaker grounds | refused, always |
//! | a signature | another digest, by an older signature | refused, unless [`Downgrade::Allow`] is given |
//! | a signature with a proven time | another digest, by a signature without one | refused, unless [`Downgrade::Allow`] is given |
//! | the same digest, for the same platform, on grounds as strong | | kept, unless [`WhenSame::Reinstall`] is given, or it is another entry of a gallery |
//! | anything else | | it is replaced |
//!
//! One content may have several good signatures, and a registry lists them in any order. So of the same digest an older
//! signature, or one without a proven time, is no error, and changes nothing of the record: it keeps the proof and the time
//! that it has ([`keeps_grounds`]), also if it is another entry of a gallery. [`WhenSame::Reinstall`] writes the files anew,
//! and keeps that proof. [`Downgrade::Allow`] gives it up, if something is put in place.
//!
//! The ages of signatures are compared by the times that nobody but the signer can move
//! ([`Evidence::earliest`](countersign_verify::Evidence::earliest)).

use countersign_oci::Platform;

use crate::age::Order;
use crate::content::Content;
use crate::options::{Downgrade, InstallOptions, WhenSame};
use crate::record::Recorded;
use crate::requirement::{Requirement, RequirementKind};

/// What is at the place to install to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TargetState {
    /// No installation.
    Empty,
    /// An installation, and its record.
    Recorded(Box<Recorded>),
    /// An installation whose record can't be read.
    Unreadable(Unreadable),
}

/// Why a record can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It says too little.
    Damaged { why: String },
    /// It has the form of a later version.
    Later { version: u32 },
}

/// What becomes of admitted content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is put in place.
    Install,
    /// It is there already.
    Keep,
    /// It proves less than what is installed.
    Weaker,
    /// Nothing proves when it was signed, and of what is installed something does.
    Undated { installed: jiff::Timestamp },
    /// It was signed before what is installed.
    Older {
        installed: jiff::Timestamp,
        found: jiff::Timestamp,
    },
}

impl TargetState {
    /// Why nothing may be installed here by what is required; `None` where something may. To be asked
    /// before any source.
    ///
    /// Without a record neither ages nor grounds can be compared. A signature is the strongest grounds.
    /// If a signature is required, and [`Downgrade::Allow`] says that its age doesn't matter, anything
    /// may be replaced.
    pub(super) fn not_replaceable(
        &self,
        requirement: &Requirement,
        downgrade: Downgrade,
    ) -> Option<Unreadable> {
        match self {
            Self::Empty | Self::Recorded(_) => None,
            Self::Unreadable(why) => match (requirement.kind(), downgrade) {
                (RequirementKind::Signature(_), Downgrade::Allow) => None,
                (RequirementKind::Signature(_), Downgrade::Refuse)
                | (RequirementKind::Digest(_) | RequirementKind::None, _) => Some(why.clone()),
            },
        }
    }

    /// What the record says, where there is one that can be read.
    pub(super) fn recorded(&self) -> Option<&Recorded> {
        match self {
            Self::Recorded(recorded) => Some(recorded),
            Self::Empty | Self::Unreadable(_) => None,
        }
    }
}

/// What becomes of `found` where `installed` is. `platform` is what an image was asked for; `None` for content that is for
/// no platform.
pub(super) fn decide(
    installed: &Recorded,
    found: Content<'_>,
    platform: Option<&Platform>,
    options: InstallOptions,
) -> Decision {
    if found.grounds.weaker_than(&installed.grounds) {
        return Decision::Weaker;
    }
    let same_digest = installed.digest == *found.digest;
    let order = match found.grounds.age().after(installed.grounds.age()) {
        Order::Older { installed, found } if !same_digest => {
            Some(Decision::Older { installed, found })
        }
        Order::Undated { installed } if !same_digest => Some(Decision::Undated { installed }),
        Order::Older { .. } | Order::Undated { .. } | Order::Later | Order::Unknown => None,
    };
    match (order, options.downgrade) {
        (Some(refused), Downgrade::Refuse) => return refused,
        (Some(_), Downgrade::Allow) | (None, _) => {}
    }
    // On stronger grounds than before the same content is installed anew: its record tells.
    // An image by itself may be for another platform than the one asked for: only its configuration tells.
    let same = same_digest
        && platform.is_none_or(|wanted| installed.is_for(wanted))
        && !installed.grounds.weaker_than(found.grounds);
    match options.same {
        WhenSame::Keep if same => Decision::Keep,
        WhenSame::Keep | WhenSame::Reinstall => Decision::Install,
    }
}

/// Whether the record keeps its grounds, though `found` is put in place: it is the same content, and by the proof that was
/// found less would be known of its time.
pub(super) fn keeps_grounds(
    installed: &Recorded,
    found: Content<'_>,
    downgrade: Downgrade,
) -> bool {
    let (known, age) = (installed.grounds.age(), found.grounds.age());
    downgrade == Downgrade::Refuse && installed.digest == *found.digest && age.says_less_than(known)
}

#[cfg(test)]
mod tests;
