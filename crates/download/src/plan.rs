//! What installing an entry would do: from where, in which order, on what proof.
//!
//! A [`Plan`] is for a gallery's entry, or for one image by itself. It is made without asking any
//! registry. Its sources are in the order in which they are tried. Its one [`Requirement`] is for all
//! of them.

mod error;
mod locked;

use std::fmt;

use countersign_oci::http::HostKind;
use countersign_oci::{AddressLimit, Reference, excerpt};
use countersign_policy::{EntryContent, Gallery, GalleryEntry, GalleryIndex, Policy};

use crate::capability::{Capability, EntryError, ResolvedEntry};
use crate::fallback::FallbackTags;
use crate::gallery::{Location, Origin};
use crate::limits::Limits;
use crate::lock::LockedEntry;
use crate::options::PrivateAddresses;
use crate::planned::{PlannedSource, Role};
use crate::requirement::{Integrity, Requirement, RequirementKind, UNPROVEN};
use crate::source::{Server, Source};

pub(crate) use locked::Locked;

pub use error::PlanError;

/// A gallery with its index, and the machine and the rules to plan by.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// The gallery; its policy becomes the plan's requirement.
    pub gallery: &'a Gallery,
    /// The gallery's index.
    pub index: &'a GalleryIndex,
    /// Where the index is from, for errors. A kit says that of itself.
    pub location: &'a Location,
    /// Who had it: only one that is itself a file of this machine may name others, and only the server's place says how
    /// far inside the index may lead.
    pub origin: Origin,
    /// What the machine has.
    pub capability: &'a Capability,
    /// What becomes of content that nothing vouches for.
    pub integrity: Integrity,
    /// Tags to fall back to.
    pub fallbacks: &'a FallbackTags,
    /// Whether an index from elsewhere may name private addresses.
    pub private_addresses: PrivateAddresses,
}

/// What installing one entry of a gallery, or one image, would do.
///
/// Made by a [`Planner`], or by [`Plan::of_image`]; what is required can't be changed afterwards:
///
/// ```compile_fail,E0616
/// fn weaken(plan: &mut countersign_download::Plan, other: countersign_download::Requirement) {
///     plan.requirement = other;
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    name: String,
    listed: Option<Listed>,
    sources: Vec<PlannedSource>,
    requirement: Requirement,
    integrity: Integrity,
    locked: Option<Box<Locked>>,
    address_limit: Option<AddressLimit>,
}

/// Where a gallery lists what the plan is for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    gallery: String,
    /// The file that names the gallery.
    file: Option<String>,
    via: Vec<String>,
    entry: GalleryEntry,
}

impl<'a> Planner<'a> {
    /// The plan for the entry that `name` stands for.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn plan(&self, name: &str) -> Result<Plan, PlanError> {
        let resolved = ResolvedEntry::by_name(self.index, name, self.capability);
        self.planned(name, resolved)
    }

    /// As [`plan`](Self::plan), but for the entry `kept` where the name leads to it by some capability: what was
    /// chosen for an installation stays chosen.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn plan_keeping(&self, name: &str, kept: &str) -> Result<Plan, PlanError> {
        let resolved = ResolvedEntry::by_name_keeping(self.index, name, kept, self.capability);
        self.planned(name, resolved)
    }

    /// The plan for an entry of the index, by itself: also for one whose name an earlier entry has.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn plan_entry(&self, entry: &'a GalleryEntry) -> Result<Plan, PlanError> {
        let resolved = ResolvedEntry::of(self.index, entry, self.capability);
        self.planned(&entry.name, resolved)
    }

    fn planned(
        &self,
        name: &str,
        resolved: Result<ResolvedEntry<'_>, EntryError>,
    ) -> Result<Plan, PlanError> {
        let resolved = resolved.map_err(|source| PlanError::Entry {
            gallery: excerpt(&self.gallery.name),
            source,
        })?;
        let entry = resolved.entry();
        let sources = self.sources(entry)?;
        let all: Vec<Source> = sources.iter().map(|s| s.source.clone()).collect();
        let requirement = Requirement::of(self.gallery.policy.as_ref(), &all, self.integrity)
            .map_err(|source| PlanError::Requirement {
                entry: excerpt(&entry.name),
                gallery: excerpt(&self.gallery.name),
                source,
            })?;
        Ok(Plan {
            name: name.to_owned(),
            listed: Some(Listed {
                gallery: self.gallery.name.clone(),
                file: None,
                via: resolved.via().iter().map(|e| e.name.clone()).collect(),
                entry: entry.clone(),
            }),
            sources,
            requirement,
            integrity: self.integrity,
            locked: None,
            address_limit: self.address_limit(),
        })
    }

    fn sources(&self, entry: &GalleryEntry) -> Result<Vec<PlannedSource>, PlanError> {
        if entry.mirrors.len() > Limits::MIRRORS {
            return Err(PlanError::Mirrors {
                entry: excerpt(&entry.name),
                limit: Limits::MIRRORS,
                found: entry.mirrors.len(),
            });
        }
        // An empty text is as good as none, as for the uri.
        let sha256 = entry.sha256.as_deref().filter(|text| !text.is_empty());
        let primary = match entry.content() {
            EntryContent::At(place) => Some(place),
            // It was resolved to one with content.
            EntryContent::Meta | EntryContent::Unreadable(_) => None,
        };
        let mirrors = entry.mirrors.iter().map(String::as_str);
        let named = primary.into_iter().chain(mirrors);
        let mut sources: Vec<Source> = Vec::new();
        for text in named {
            let source = Source::parse(text, sha256).map_err(|source| PlanError::Source {
                entry: excerpt(&entry.name),
                source,
            })?;
            let of_kit = self.origin == Origin::Kit;
            if source.is_local() && self.origin != Origin::File {
                let location = &self.location;
                return Err(PlanError::Local {
                    entry: excerpt(&entry.name),
                    location: if of_kit {
                        format!("the kit ({location})")
                    } else {
                        location.to_string()
                    },
                    found: Box::new(source),
                });
            }
            self.refuse_inward(entry, &source)?;
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        let fallbacks = self.fallbacks.sources(&sources);
        let roles = [Role::Primary]
            .into_iter()
            .chain(std::iter::repeat(Role::Mirror));
        let named = roles.zip(sources);
        let fallbacks = fallbacks.into_iter().map(|source| (Role::Fallback, source));
        Ok(named
            .chain(fallbacks)
            .map(|(role, source)| PlannedSource { role, source })
            .collect())
    }
}

impl Planner<'_> {
    /// Which addresses the index may name. `None` if any: it is a file of this machine, or of a kit, by which nobody is
    /// asked.
    pub(crate) fn address_limit(&self) -> Option<AddressLimit> {
        let from = match self.origin {
            Origin::File | Origin::Kit => return None,
            Origin::Server(server) | Origin::Cache(server) => server,
        };
        let kind = match self.private_addresses {
            PrivateAddresses::Allow => from.max(HostKind::Private),
            PrivateAddresses::Refuse => from,
        };
        let place = self.location.to_string();
        Some(AddressLimit { place, kind })
    }

    /// Refuses an address that is further inside than the index may name: whoever serves the index
    /// would choose which of our own services are asked. Fallback tags need no check: they are in the
    /// repositories of these sources. The addresses that a name resolves to are checked by the same
    /// limit when a request is sent.
    fn refuse_inward(&self, entry: &GalleryEntry, source: &Source) -> Result<(), PlanError> {
        let Some(AddressLimit { kind, .. }) = self.address_limit() else {
            return Ok(());
        };
        match source.server() {
            Server::Host(found) if found > kind => Err(PlanError::Inward {
                entry: excerpt(&entry.name),
                location: self.location.to_string(),
                found: Box::new(source.clone()),
                kind: found,
            }),
            // Files of this machine are refused to such an index by their own rule.
            Server::Host(_) | Server::Files => Ok(()),
        }
    }
}

impl Plan {
    /// The plan for one image by itself, from where `reference` says and from nowhere else, if
    /// `policy` accepts a signature on its index or on the platform's manifest. Its name is the
    /// reference.
    pub fn of_image(reference: Reference, policy: Policy) -> Self {
        Self {
            name: reference.to_string(),
            listed: None,
            sources: vec![PlannedSource {
                role: Role::Primary,
                source: Source::Image { reference },
            }],
            requirement: Requirement::signature(policy),
            integrity: Integrity::Strict,
            locked: None,
            address_limit: None,
        }
    }

    /// Name of the gallery that has the entry; `None` for an image by itself.
    pub fn gallery(&self) -> Option<&str> {
        self.listed.as_ref().map(|listed| listed.gallery.as_str())
    }

    /// The same plan, whose gallery is named in `file`. It is recorded with what is installed, so that whoever upgrades it
    /// can find the gallery again. It decides nothing. Without effect on the plan of one image by itself.
    #[must_use]
    pub fn named_in(mut self, file: &str) -> Self {
        if let Some(listed) = &mut self.listed {
            listed.file = Some(file.to_owned());
        }
        self
    }

    /// The file that names the gallery, if that is to be recorded.
    pub(crate) fn gallery_file(&self) -> Option<&str> {
        self.listed.as_ref()?.file.as_deref()
    }

    /// The name that the plan was asked for by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The meta entries that led to the entry, in order.
    pub fn via(&self) -> &[String] {
        self.listed.as_ref().map_or(&[], |listed| &listed.via)
    }

    /// The entry whose content it is; `None` for an image by itself. What it says is the gallery's
    /// word, not proven.
    pub fn entry(&self) -> Option<&GalleryEntry> {
        self.listed.as_ref().map(|listed| &listed.entry)
    }

    /// Where to look for the content, in this order; never empty, the primary first.
    pub fn sources(&self) -> &[PlannedSource] {
        &self.sources
    }

    /// What has to be proven, whichever source serves.
    pub fn requirement(&self) -> &Requirement {
        &self.requirement
    }

    /// The mode that it was planned in.
    pub fn integrity(&self) -> Integrity {
        self.integrity
    }

    /// What the plan is locked to, if it is.
    pub fn lock(&self) -> Option<&LockedEntry> {
        self.locked_to().map(|locked| &locked.entry)
    }

    /// Which addresses its sources may have, also after their names are resolved. `None` if any.
    pub fn address_limit(&self) -> Option<&AddressLimit> {
        self.address_limit.as_ref()
    }

    pub(crate) fn locked_to(&self) -> Option<&Locked> {
        self.locked.as_deref()
    }

    /// The same plan with only these sources, and with the lock as one more condition.
    pub(crate) fn narrowed(self, sources: Vec<PlannedSource>, locked: Locked) -> Self {
        Self {
            sources,
            locked: Some(Box::new(locked)),
            ..self
        }
    }

    /// What a person should know before this is carried out.
    pub fn warning(&self) -> Option<&'static str> {
        match self.requirement.kind() {
            RequirementKind::None => Some(UNPROVEN),
            RequirementKind::Signature(_) | RequirementKind::Digest(_) => None,
        }
    }
}

/// Several lines, for a person, the last without a line break.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&excerpt(&self.name))?;
        let entry = self.entry().map(|entry| &entry.name);
        for step in self.via().iter().skip(1).chain(entry) {
            if *step != self.name {
                write!(f, " → {}", excerpt(step))?;
            }
        }
        for PlannedSource { role, source } in &self.sources {
            write!(f, "\n  {:<9}{source}", role.as_str())?;
        }
        write!(f, "\n  {:<9}{}", "requires", self.requirement)?;
        if let Some(entry) = self.lock() {
            write!(
                f,
                "\n  {:<9}to {}, {}",
                "locked",
                entry.requested(),
                entry.grounds
            )?;
        }
        if let Some(warning) = self.warning() {
            write!(f, "\n  {:<9}{warning}", "warning")?;
        }
        Ok(())
    }
}
