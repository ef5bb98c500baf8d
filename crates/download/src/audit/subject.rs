//! What is audited: one image that somebody names, or one entry of a gallery with its sources.

use std::fmt;
use std::ptr;

use countersign_oci::{AddressLimit, Digest, Location, Platform, Reference};
use countersign_policy::{EntryContent, Gallery, GalleryEntry};

use super::verdict::{State, Verdict};
use super::{Audited, classify};
use crate::capability::leading_on;
use crate::galleries::Galleries;
use crate::plan::{Plan, Planner};
use crate::planned::{PlannedSource, Role};
use crate::requirement::{Integrity, Requirement, RequirementError, RequirementKind};
use crate::source::Source;

/// Which sources of an entry are audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichSources {
    /// Its `uri`.
    Primary,
    /// Its `uri` and its `mirrors`.
    Mirrors,
}

/// Something to audit.
#[derive(Debug, Clone)]
pub struct AuditSubject {
    gallery: Option<String>,
    entry: Option<String>,
    sources: Vec<SubjectSource>,
}

/// One source of a subject.
#[derive(Debug, Clone)]
pub(super) struct SubjectSource {
    role: Option<Role>,
    text: String,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// An image that has to be looked at.
    Image(Reference),
    /// The verdict is known without asking a registry.
    Settled(Verdict),
}

impl SubjectSource {
    /// The image as a source of a plan. One that no gallery lists is the only source.
    pub(super) fn planned(&self, image: &Reference) -> PlannedSource {
        PlannedSource {
            role: self.role.unwrap_or(Role::Primary),
            source: match image.location() {
                Location::Registry(_) => Source::Image {
                    reference: image.clone(),
                },
                Location::Layout(path) => Source::Layout { path: path.clone() },
            },
        }
    }

    pub(super) fn audited(
        &self,
        platform: Option<Platform>,
        digest: Option<&Digest>,
        verdict: Verdict,
    ) -> Audited {
        Audited {
            role: self.role,
            source: self.text.clone(),
            platform,
            digest: digest.cloned(),
            verdict,
        }
    }
}

impl AuditSubject {
    /// An image by itself.
    pub fn of_image(reference: Reference) -> Self {
        Self {
            gallery: None,
            entry: None,
            sources: vec![SubjectSource {
                role: None,
                text: reference.to_string(),
                what: What::Image(reference),
            }],
        }
    }

    /// A text that is no reference. It is counted all the same, so that nothing is left out in silence.
    pub fn unusable(text: String, reason: String) -> Self {
        Self {
            gallery: None,
            entry: None,
            sources: vec![SubjectSource {
                role: None,
                text,
                what: What::Settled(Verdict::short(State::Unusable, reason)),
            }],
        }
    }

    /// An entry of a gallery.
    fn of_entry(planner: &Planner<'_>, entry: &GalleryEntry, which: WhichSources) -> Self {
        let sources = match planner.plan_entry(entry) {
            Ok(plan) => sources(&plan, which),
            Err(error) => vec![SubjectSource {
                role: Some(Role::Primary),
                text: match entry.content() {
                    EntryContent::At(place) => place.to_owned(),
                    EntryContent::Meta | EntryContent::Unreadable(_) => entry.name.clone(),
                },
                what: What::Settled(Verdict::short(State::Unusable, classify::line(&error))),
            }],
        };
        Self {
            gallery: Some(planner.gallery.name.clone()),
            entry: Some(entry.name.clone()),
            sources,
        }
    }

    /// The gallery that lists it.
    pub fn gallery(&self) -> Option<&str> {
        self.gallery.as_deref()
    }

    /// Its name in the gallery.
    pub fn entry(&self) -> Option<&str> {
        self.entry.as_deref()
    }

    pub(super) fn sources(&self) -> &[SubjectSource] {
        &self.sources
    }
}

/// What is audited, as it is written.
impl fmt::Display for AuditSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sources.first().map_or("", |source| &source.text))
    }
}

fn sources(plan: &Plan, which: WhichSources) -> Vec<SubjectSource> {
    let wanted = |planned: &&PlannedSource| match planned.role {
        Role::Primary => true,
        Role::Mirror => which == WhichSources::Mirrors,
        Role::Fallback => false,
    };
    let one = |planned: &PlannedSource| SubjectSource {
        role: Some(planned.role),
        text: planned.source.to_string(),
        what: what(plan, planned),
    };
    plan.sources().iter().filter(wanted).map(one).collect()
}

fn what(plan: &Plan, planned: &PlannedSource) -> What {
    let uncovered = |reason: String| What::Settled(Verdict::short(State::Uncovered, reason));
    match plan.requirement().kind() {
        RequirementKind::Signature(_) => match planned.source.to_reference() {
            Some(reference) => What::Image(reference),
            None => uncovered(format!("{} can't have a signature", planned.source.kind())),
        },
        RequirementKind::Digest(_) => What::Settled(Verdict::digest()),
        RequirementKind::None => {
            let sources = std::slice::from_ref(&planned.source);
            match Requirement::of(None, sources, Integrity::Strict) {
                Ok(_) => uncovered("the sources of the entry differ in their digests".to_owned()),
                Err(error) => uncovered(lacking(&error)),
            }
        }
    }
}

/// What is lacking, whether or not an installation would ask for it.
fn lacking(error: &RequirementError) -> String {
    match error {
        RequirementError::NoPolicy { found } => {
            format!("the gallery has no `verification` block, so {found} can't be verified")
        }
        RequirementError::NoDigest { found } => format!("{found} has no `sha256`"),
        RequirementError::Unverifiable { found } => {
            format!("{} can't be verified: {found}", found.kind())
        }
        RequirementError::DigestsDiffer { .. }
        | RequirementError::Unsignable { .. }
        | RequirementError::NoSource => classify::line(error),
    }
}

/// A gallery's subjects, and by what they are judged.
pub struct GallerySubjects<'a> {
    planner: Planner<'a>,
    which: WhichSources,
}

impl<'a> GallerySubjects<'a> {
    /// The gallery, with its policy.
    pub fn gallery(&self) -> &'a Gallery {
        self.planner.gallery
    }

    /// Which addresses its index may name. `None` if it is a file of this machine, which may name any.
    pub fn address_limit(&self) -> Option<AddressLimit> {
        self.planner.address_limit()
    }

    /// Every entry that has content, whatever hardware it is for, and each that leads to none.
    pub fn subjects(&self) -> impl Iterator<Item = AuditSubject> + 'a {
        let Self { planner, which } = *self;
        // What a meta entry leads to is audited by itself.
        let leading_on = leading_on(planner.index);
        let is_audited = move |entry: &&GalleryEntry| !leading_on.contains(&ptr::from_ref(*entry));
        let entries = planner.index.entries().iter().filter(is_audited);
        entries.map(move |entry| AuditSubject::of_entry(&planner, entry, which))
    }
}

impl Galleries {
    /// What is there to audit, gallery by gallery.
    pub fn subjects(&self, which: WhichSources) -> impl Iterator<Item = GallerySubjects<'_>> {
        self.planners().map(move |planner| GallerySubjects {
            // What nothing covers is to be reported, not refused.
            planner: Planner {
                integrity: Integrity::Permissive,
                ..planner
            },
            which,
        })
    }
}
