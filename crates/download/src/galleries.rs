//! All galleries of one file: which of them a name belongs to, and so whose policy decides.
//!
//! A bare name belongs to the first gallery that has it. If another gallery with another policy has it
//! too, the order of the file would decide who must have signed. Such a name is refused, and has to be
//! written as `gallery@name`.

use countersign_oci::{Platform, excerpt};
use countersign_policy::{Gallery, GalleryEntry};

use crate::capability::{Capability, EntryError, entries_of};
use crate::entry_name::EntryName;
use crate::fallback::FallbackTags;
use crate::gallery::FetchedIndex;
use crate::lock::Lock;
use crate::options::PrivateAddresses;
use crate::plan::{Plan, PlanError, Planner};
use crate::requirement::Integrity;

/// Galleries with their indexes, in the order of their file, and the rules for making plans.
#[derive(Debug)]
pub struct Galleries {
    fetched: Vec<(Gallery, FetchedIndex)>,
    /// What the machine has.
    pub capability: Capability,
    /// What becomes of content that nothing vouches for.
    pub integrity: Integrity,
    /// Tags to fall back to.
    pub fallbacks: FallbackTags,
    /// Whether an index from elsewhere may name private addresses.
    pub private_addresses: PrivateAddresses,
}

impl Galleries {
    /// These galleries. A name is looked for in their order.
    pub fn new(
        fetched: Vec<(Gallery, FetchedIndex)>,
        capability: Capability,
        integrity: Integrity,
        fallbacks: FallbackTags,
    ) -> Self {
        Self {
            fetched,
            capability,
            integrity,
            fallbacks,
            private_addresses: PrivateAddresses::default(),
        }
    }

    /// The galleries with their indexes, in order.
    pub fn fetched(&self) -> &[(Gallery, FetchedIndex)] {
        &self.fetched
    }

    /// The plan for the entry of this name.
    ///
    /// # Errors
    /// [`PlanError::NoGallery`]; [`PlanError::UnknownGallery`]; [`PlanError::UnknownName`] where none of several
    /// galleries has it; [`PlanError::Ambiguous`] where galleries with
    /// different policies know a bare name; [`PlanError::UnreadableName`] where another gallery may know it; those
    /// of [`Planner::plan`].
    pub fn plan(&self, name: &EntryName) -> Result<Plan, PlanError> {
        if let Some(gallery) = name.gallery() {
            return self.planner(gallery)?.plan(name.name());
        }
        let name = name.name();
        let mut known: Option<(&Gallery, Result<Plan, PlanError>)> = None;
        let (mut unknown, mut others) = (Vec::new(), Vec::new());
        let mut unreadable = Vec::new();
        for planner in self.planners() {
            let plan = match planner.plan(name) {
                Err(error) if is_unknown(&error) => {
                    unknown.push(error);
                    let mut entries = planner.index.entries().iter();
                    if entries.any(GalleryEntry::may_have_any_name) {
                        unreadable.push(planner.gallery);
                    }
                    continue;
                }
                plan => plan,
            };
            match &known {
                None => known = Some((planner.gallery, plan)),
                Some((first, _)) if first.policy != planner.gallery.policy => {
                    others.push(excerpt(&planner.gallery.name));
                }
                Some(_) => {}
            }
        }
        match known {
            Some((first, _)) if !others.is_empty() => Err(PlanError::Ambiguous {
                name: excerpt(name),
                galleries: std::iter::once(excerpt(&first.name))
                    .chain(others)
                    .collect(),
            }),
            Some((first, plan)) => match unreadable.iter().find(|one| one.policy != first.policy) {
                None => plan,
                Some(other) => Err(PlanError::UnreadableName {
                    name: excerpt(name),
                    gallery: excerpt(&first.name),
                    unreadable: excerpt(&other.name),
                }),
            },
            None => Err(self.unknown(name, unknown)),
        }
    }

    /// As [`plan`](Self::plan) for a name with its gallery, but for the entry `kept` where the name leads to it by some
    /// capability. It is how an upgrade stays with what was chosen.
    ///
    /// # Errors
    /// Those of [`plan`](Self::plan).
    pub fn plan_keeping(&self, name: &EntryName, kept: &str) -> Result<Plan, PlanError> {
        match name.gallery() {
            Some(gallery) => self.planner(gallery)?.plan_keeping(name.name(), kept),
            None => self.plan(name),
        }
    }

    /// As [`plan`](Self::plan), for what `lock` has of the name and `platform`: its digests and its signer, and nothing else.
    ///
    /// # Errors
    /// Those of [`plan`](Self::plan); [`PlanError::Locked`] with those of [`Plan::locked`].
    pub fn plan_locked(
        &self,
        name: &EntryName,
        lock: &Lock,
        platform: &Platform,
    ) -> Result<Plan, PlanError> {
        Ok(self.plan(name)?.locked(lock, platform)?)
    }

    /// A plan for all that `lock` has, in the order of its names. If one of them can't be planned, there is none: so all
    /// is known before anything is installed.
    ///
    /// # Errors
    /// [`PlanError::Locked`], if the lock has a name for other platforms alone; those of
    /// [`plan_locked`](Self::plan_locked), for the first that fails.
    pub fn plan_all_locked(
        &self,
        lock: &Lock,
        platform: &Platform,
    ) -> Result<Vec<Plan>, PlanError> {
        let names = lock.select(&[], platform)?.into_iter();
        names
            .map(|name| self.plan_locked(&name, lock, platform))
            .collect()
    }

    /// The entries with content that `name` stands for, whatever this machine has: those that a meta entry leads to, for
    /// each capability. None if no gallery has the name.
    pub fn entries_of(&self, name: &EntryName) -> Vec<&GalleryEntry> {
        let is_meant = |gallery: &Gallery| name.gallery().is_none_or(|one| one == gallery.name);
        let fetched = self.fetched.iter();
        let meant = fetched.filter(|(gallery, _)| is_meant(gallery));
        meant
            .flat_map(|(_, fetched)| entries_of(&fetched.index, name.name()))
            .collect()
    }

    fn planner(&self, gallery: &str) -> Result<Planner<'_>, PlanError> {
        let planner = self.planners().find(|one| one.gallery.name == gallery);
        planner.ok_or_else(|| PlanError::UnknownGallery {
            expected: self.names().collect(),
            found: excerpt(gallery),
        })
    }

    /// What is said of a name that no gallery has: what each of them says.
    fn unknown(&self, name: &str, mut said: Vec<PlanError>) -> PlanError {
        if said.len() < 2 {
            return said.pop().unwrap_or(PlanError::NoGallery);
        }
        let nearest = said.into_iter().find_map(|error| match error {
            PlanError::Entry {
                source: EntryError::Unknown { nearest, .. },
                ..
            } => nearest,
            _ => None,
        });
        PlanError::UnknownName {
            name: excerpt(name),
            galleries: self.names().collect(),
            nearest,
        }
    }

    /// A plan for each entry of each gallery, with the gallery and the entry.
    pub fn plan_all(
        &self,
    ) -> impl Iterator<Item = (&Gallery, &GalleryEntry, Result<Plan, PlanError>)> {
        self.planners().flat_map(|planner| {
            let entries = planner.index.entries().iter();
            entries.map(move |entry| (planner.gallery, entry, planner.plan_entry(entry)))
        })
    }

    pub(crate) fn planners(&self) -> impl Iterator<Item = Planner<'_>> {
        self.fetched.iter().map(|(gallery, fetched)| Planner {
            gallery,
            index: &fetched.index,
            location: &fetched.location,
            origin: fetched.origin,
            capability: &self.capability,
            integrity: self.integrity,
            fallbacks: &self.fallbacks,
            private_addresses: self.private_addresses,
        })
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.fetched
            .iter()
            .map(|(gallery, _)| excerpt(&gallery.name))
    }
}

/// Whether the gallery has nothing by that name; any other error is about an entry that it has.
fn is_unknown(error: &PlanError) -> bool {
    match error {
        PlanError::Entry { source, .. } => match source {
            EntryError::Unknown { .. } => true,
            EntryError::Ambiguous { .. }
            | EntryError::NotForCapability { .. }
            | EntryError::MissingTarget { .. }
            | EntryError::Cycle { .. }
            | EntryError::TooManySteps { .. }
            | EntryError::Unreadable { .. }
            | EntryError::NoContent { .. } => false,
        },
        PlanError::Source { .. }
        | PlanError::NoGallery
        | PlanError::UnknownGallery { .. }
        | PlanError::UnknownName { .. }
        | PlanError::Ambiguous { .. }
        | PlanError::UnreadableName { .. }
        | PlanError::Local { .. }
        | PlanError::Inward { .. }
        | PlanError::Locked(_)
        | PlanError::Mirrors { .. }
        | PlanError::Requirement { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use countersign_policy::{GalleryIndex, PolicyFile};

    use super::*;
    use crate::gallery::Origin;

    const SIGNED: &str = "verification: {issuer: 'https://ci.example.org', identity: me}";
    const OTHER: &str = "verification: {issuer: 'https://ci.example.org', identity: you}";

    /// Galleries `a`, `b` and `c`: what each asks for, and which entries it has.
    fn galleries(of: &[(&str, &str)]) -> Galleries {
        let mut fetched = Vec::new();
        for ((rest, entries), name) in of.iter().zip(["a", "b", "c"]) {
            let comma = if rest.is_empty() { "" } else { ", " };
            let text = format!("[{{name: {name}, url: 'file:{name}.yaml'{comma}{rest}}}]");
            let file = PolicyFile::parse(&text, "galleries.yaml").unwrap();
            let index = FetchedIndex {
                index: GalleryIndex::parse(entries, "index.yaml").unwrap(),
                text: (*entries).into(),
                location: "file:index.yaml".parse().unwrap(),
                origin: Origin::File,
                skipped: Vec::new(),
            };
            fetched.push((file.galleries()[0].clone(), index));
        }
        let (capability, fallbacks) = (Capability::default(), FallbackTags::default());
        Galleries::new(fetched, capability, Integrity::Permissive, fallbacks)
    }

    const CHAT: &str = "[{name: chat, uri: 'quay.io/a/chat:1'}]";
    const CHAT_BY_ALIAS: &str = "[{name: chat-2, alias: chat, uri: 'quay.io/b/chat:2'}]";
    const DRAW: &str = "[{name: draw, uri: 'quay.io/c/draw:1'}]";

    #[test]
    fn a_name_that_galleries_of_different_policies_know_needs_its_gallery() {
        for (first, second) in [("", SIGNED), (SIGNED, ""), (SIGNED, OTHER)] {
            for entries in [CHAT, CHAT_BY_ALIAS] {
                let galleries = galleries(&[(first, CHAT), (OTHER, DRAW), (second, entries)]);
                let Err(PlanError::Ambiguous {
                    name,
                    galleries: of,
                }) = galleries.plan(&"chat".into())
                else {
                    panic!("{first} beside {second}: the order of the file decided");
                };
                assert_eq!((name.as_str(), of), ("chat", vec!["a".into(), "c".into()]));
                for (gallery, policy) in [("a", first), ("c", second)] {
                    let plan = galleries
                        .plan(&EntryName::in_gallery(gallery, "chat"))
                        .unwrap();
                    assert_eq!(plan.gallery(), Some(gallery));
                    assert_eq!(plan.requirement().policy().is_some(), !policy.is_empty());
                }
                assert_eq!(galleries.plan(&"draw".into()).unwrap().gallery(), Some("b"));
            }
        }
    }

    #[test]
    fn a_name_is_of_the_first_gallery_where_all_that_know_it_have_one_policy() {
        for policy in ["", SIGNED] {
            let galleries = galleries(&[(OTHER, DRAW), (policy, CHAT), (policy, CHAT_BY_ALIAS)]);
            assert_eq!(galleries.plan(&"chat".into()).unwrap().gallery(), Some("b"));
        }
    }

    #[test]
    fn an_entry_whose_name_cannot_be_read_may_have_any_name() {
        let broken = [
            "[{name: draw}, {name: [chat], uri: x}]",
            "[{name: draw}, {name: z, alias: [chat], uri: x}]",
            "[{name: draw}, {nmae: chat, uri: x}]",
            "[{name: draw}, [chat]]",
        ];
        for entries in broken {
            for of in [
                [(SIGNED, CHAT), (OTHER, entries)],
                [(OTHER, entries), (SIGNED, CHAT)],
            ] {
                let galleries = galleries(&of);
                let plan = galleries.plan(&"chat".into());
                assert!(
                    matches!(plan, Err(PlanError::UnreadableName { .. })),
                    "{entries}: {plan:?}"
                );
                let gallery = if of[0].1 == CHAT { "a" } else { "b" };
                galleries
                    .plan(&EntryName::in_gallery(gallery, "chat"))
                    .unwrap();
            }
            // The same policy judges both, whichever it is.
            let same = galleries(&[(SIGNED, CHAT), (SIGNED, entries)]);
            assert_eq!(same.plan(&"chat".into()).unwrap().gallery(), Some("a"));
        }
        // What is wrong with another key hides no name.
        let other = galleries(&[
            (SIGNED, CHAT),
            (OTHER, "[{name: draw}, {name: z, uri: []}]"),
        ]);
        other.plan(&"chat".into()).unwrap();
        let told = galleries(&[(SIGNED, CHAT), (OTHER, broken[0])]).plan(&"chat".into());
        assert_eq!(
            told.unwrap_err().to_string(),
            "the gallery `b` has an entry whose name can't be read, which may be `chat`: write a@chat for the one of `a`"
        );
    }

    #[test]
    fn a_file_without_galleries_is_told() {
        let plan = galleries(&[]).plan(&"chat".into());
        assert!(matches!(plan, Err(PlanError::NoGallery)), "{plan:?}");
    }

    #[test]
    fn a_gallery_or_a_name_that_is_not_there_is_told() {
        let galleries = galleries(&[(SIGNED, CHAT), ("", DRAW)]);
        let Err(PlanError::UnknownGallery { expected, found }) = galleries.plan(&"x@chat".into())
        else {
            panic!("a gallery of that name");
        };
        assert_eq!(
            (expected, found),
            (vec!["a".into(), "b".into()], "x".into())
        );
        let plan = galleries.plan(&"b@chat".into());
        let is_told = matches!(&plan, Err(error) if is_unknown(error));
        assert!(is_told, "{plan:?}");
        let told = galleries.plan(&"drwa".into()).unwrap_err().to_string();
        let expected = "none of the galleries a, b has an entry `drwa`; did you mean `draw`?";
        assert_eq!(told, expected);
    }
}
