//! Plans, of small galleries, of one in the shape of LocalAI's, and of LocalAI's own where that is.

mod addresses;

use std::collections::BTreeSet;
use std::path::Path;

use countersign_download::{
    Capability, EntryError, FallbackTags, Integrity, Location, Origin, Plan, PlanError, Planner,
    PrivateAddresses, Requirement, RequirementError, RequirementKind, Role, Source, SourceError,
};
use countersign_oci::http::HostKind;
use countersign_policy::{EntryContent, Gallery, GalleryEntry, GalleryIndex, PolicyFile};
use insta::assert_snapshot;

/// LocalAI's index lies beside the workspace, where it is there at all: it is not ours to copy.
const LOCALAI: &str = "../shared/galleries/localai-backends.yaml";

const COVERED: &str = r#"
- name: localai
  url: https://example.org/index.yaml
  verification:
    issuer: https://token.actions.githubusercontent.com
    identity_regex: https://github\.com/mudler/LocalAI/.+
"#;

const UNCOVERED: &str = "[{name: plain, url: https://example.org/index.yaml}]";

fn gallery(text: &str) -> Gallery {
    let file = PolicyFile::parse(text, "galleries.yaml").unwrap();
    file.galleries()[0].clone()
}

fn index(text: &str) -> GalleryIndex {
    GalleryIndex::parse(text, "index.yaml").unwrap()
}

fn localai() -> Option<GalleryIndex> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(LOCALAI);
    if !path.exists() {
        eprintln!("skipped: {LOCALAI} is not there");
        return None;
    }
    Some(index(&std::fs::read_to_string(path).unwrap()))
}

/// A gallery in the shape of LocalAI's, with the same things in it.
fn own() -> GalleryIndex {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gallery.yaml");
    index(&std::fs::read_to_string(path).unwrap())
}

/// What varies between tests, with what most of them want.
struct Case {
    gallery: Gallery,
    index: GalleryIndex,
    location: Location,
    origin: Origin,
    capability: Capability,
    integrity: Integrity,
    fallbacks: FallbackTags,
    private_addresses: PrivateAddresses,
}

impl Case {
    fn new(gallery_text: &str, index: GalleryIndex) -> Self {
        Self {
            gallery: gallery(gallery_text),
            index,
            location: "file:index.yaml".parse().unwrap(),
            origin: Origin::File,
            capability: Capability::default(),
            integrity: Integrity::Strict,
            fallbacks: FallbackTags::default(),
            private_addresses: PrivateAddresses::Refuse,
        }
    }

    /// The index is from there, and from a server that is where its name says.
    fn from(&mut self, location: &str) {
        self.location = location.parse().unwrap();
        self.origin = match &self.location {
            Location::File(_) => Origin::File,
            Location::Url(url) => Origin::Server(HostKind::of(url)),
            Location::GitHub(_) => Origin::Server(HostKind::Public),
        };
    }

    fn planner(&self) -> Planner<'_> {
        Planner {
            gallery: &self.gallery,
            index: &self.index,
            location: &self.location,
            origin: self.origin,
            capability: &self.capability,
            integrity: self.integrity,
            fallbacks: &self.fallbacks,
            private_addresses: self.private_addresses,
        }
    }

    fn plan(&self, name: &str) -> Result<Plan, PlanError> {
        self.planner().plan(name)
    }
}

fn roles(plan: &Plan) -> Vec<Role> {
    plan.sources().iter().map(|source| source.role).collect()
}

/// How many images the gallery has, and how many mirrors they have.
fn images_and_mirrors(index: GalleryIndex) -> (usize, usize) {
    let case = Case::new(COVERED, index);
    let mut images = 0;
    let mut mirrors = 0;
    for entry in case.index.entries().iter().filter(|e| !is_meta(e)) {
        let plan = case.planner().plan_entry(entry).unwrap();
        for planned in plan.sources() {
            let Source::Image { reference } = &planned.source else {
                panic!("{planned:?}");
            };
            let registry = match planned.role {
                Role::Primary => "quay.io",
                _ => "docker.io",
            };
            let repository = reference.location().writable().unwrap();
            assert_eq!(repository.registry(), registry);
        }
        assert_eq!(plan.sources()[0].role, Role::Primary);
        assert_eq!(plan.requirement().policy(), case.gallery.policy.as_ref());
        assert!(plan.via().is_empty());
        images += 1;
        mirrors += plan.sources().len() - 1;
    }
    (images, mirrors)
}

#[test]
fn every_image_of_a_gallery_has_a_plan_with_its_mirrors() {
    assert_eq!(images_and_mirrors(own()), (14, 12));
    if let Some(index) = localai() {
        assert_eq!(images_and_mirrors(index), (893, 892));
    }
}

/// How many plans the entries without content have, one for each kind of hardware that they name.
fn plans_by_capability(index: GalleryIndex) -> usize {
    let mut case = Case::new(COVERED, index);
    let mut planned = 0;
    for entry in case.index.clone().entries().iter().filter(|e| is_meta(e)) {
        for (key, target) in &entry.capabilities {
            case.capability = key.parse().unwrap();
            let plan = case.plan(&entry.name).unwrap();
            assert_eq!(&plan.entry().unwrap().name, target);
            assert_eq!(plan.via(), std::slice::from_ref(&entry.name));
            planned += 1;
        }
    }
    planned
}

#[test]
fn every_meta_entry_leads_somewhere_for_each_capability_it_has() {
    assert_eq!(plans_by_capability(own()), 14);
    if let Some(index) = localai() {
        let planned = plans_by_capability(index);
        assert!(planned > 800, "{planned}");
    }
}

/// The plans of an entry for each capability, and of `others` without any.
fn representative_plans(index: GalleryIndex, name: &str, others: &[&str]) -> String {
    let mut case = Case::new(COVERED, index);
    case.fallbacks = FallbackTags::localai();
    let mut text = String::new();
    let capabilities = [
        "default",
        "nvidia",
        "nvidia-cuda-12",
        "nvidia-cuda-13",
        "nvidia-l4t",
        "nvidia-l4t-cuda-12",
        "nvidia-l4t-cuda-13",
        "amd",
        "intel",
        "metal",
        "vulkan",
    ];
    for capability in capabilities {
        case.capability = capability.parse().unwrap();
        let plan = case.plan(name).unwrap();
        text.push_str(&format!("{capability}: {plan}\n"));
    }
    case.capability = Capability::default();
    for name in others {
        text.push_str(&format!("{}\n", case.plan(name).unwrap()));
    }
    text
}

#[test]
fn representative_plans_of_a_gallery() {
    let others = ["chat-development", "sycl-draw"];
    assert_snapshot!(representative_plans(own(), "chat", &others));
}

#[test]
fn representative_plans_of_localai_s_gallery() {
    let Some(index) = localai() else { return };
    let others = [
        "llama-cpp-development",
        "intel-sycl-f32-stablediffusion-ggml",
        "vllm",
    ];
    assert_snapshot!(representative_plans(index, "llama-cpp", &others));
}

/// The index isn't ours to copy, so of all its plans there is a digest alone: of what `gallery
/// show` prints, for each capability that the index knows. The plans go to a file in the
/// target directory, which `diff` compares with that of another version.
#[test]
fn every_plan_of_localai_s_gallery_is_as_it_was() {
    let Some(index) = localai() else { return };
    let mut case = Case::new(COVERED, index);
    case.fallbacks = FallbackTags::localai();
    let entries = case.index.entries().to_vec();
    let capabilities: BTreeSet<&str> = entries
        .iter()
        .flat_map(|entry| entry.capabilities.keys().map(String::as_str))
        .collect();
    let mut text = String::new();
    for capability in capabilities {
        case.capability = capability.parse().unwrap();
        text.push_str(&format!("# {capability}\n"));
        for entry in &entries {
            // What an entry with content plans does not hang on the capability.
            if is_meta(entry) || capability == "default" {
                match case.planner().plan_entry(entry) {
                    Ok(plan) => text.push_str(&format!("{plan}\n")),
                    Err(PlanError::Entry { source, .. }) => text.push_str(&format!("{source}\n")),
                    Err(other) => panic!("{}: {other:?}", entry.name),
                }
            }
        }
    }
    let seen = Path::new(env!("CARGO_TARGET_TMPDIR")).join("localai-plans.txt");
    std::fs::write(&seen, &text).unwrap();
    let found = countersign_oci::Digest::sha256(text.as_bytes());
    let lines = text.lines().count();
    assert_eq!(
        (lines, found.to_string().as_str()),
        (
            16_160,
            "sha256:54298d24a451131f2d62b0cc646c09e37e2e7f93366e033be1d17ea0184bcea4"
        ),
        "the plans of LocalAI's gallery have changed, or its index has: keep {}, let this test \
         write it again at a commit where it passes, and compare the two with `diff`; if the change \
         is meant, put what was found in place of what was expected",
        seen.display()
    );
}

#[test]
fn an_entry_that_is_for_other_machines_says_for_which() {
    let case = Case::new(COVERED, own());
    let error = case.plan("film").unwrap_err();
    let PlanError::Entry {
        source: EntryError::NotForCapability { capabilities, .. },
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(capabilities, ["nvidia", "nvidia-cuda-13"]);
}

#[test]
fn sources_are_tried_primary_mirrors_then_fallbacks_each_once() {
    let index = index(
        "
- name: app
  uri: quay.io/acme/app:latest-cpu
  mirrors: [acme/app:latest-cpu, oci://quay.io/acme/app:latest-cpu]
",
    );
    let mut case = Case::new(COVERED, index);
    case.fallbacks = FallbackTags::new(vec!["latest-*=master-*".parse().unwrap()]);
    let plan = case.plan("app").unwrap();
    assert_eq!(
        roles(&plan),
        [Role::Primary, Role::Mirror, Role::Fallback, Role::Fallback]
    );
    assert_snapshot!(plan, @r"
    app
      primary  quay.io/acme/app:latest-cpu
      mirror   docker.io/acme/app:latest-cpu
      fallback quay.io/acme/app:master-cpu
      fallback docker.io/acme/app:master-cpu
      requires a signature that the policy accepts
    ");
}

#[test]
fn strict_mode_refuses_an_uncovered_image_and_permissive_mode_warns() {
    let index = index("[{name: app, uri: quay.io/acme/app:1}]");
    let mut case = Case::new(UNCOVERED, index);
    let error = case.plan("app").unwrap_err();
    assert!(
        matches!(
            error,
            PlanError::Requirement {
                source: RequirementError::NoPolicy { .. },
                ..
            }
        ),
        "{error:?}"
    );
    case.integrity = Integrity::Permissive;
    let plan = case.plan("app").unwrap();
    assert_eq!(plan.requirement().kind(), &RequirementKind::None);
    assert_snapshot!(plan, @r"
    app
      primary  quay.io/acme/app:1
      requires nothing
      warning  nothing proves who made this content, or that it is unchanged
    ");
}

#[test]
fn a_mirror_can_not_weaken_what_the_primary_must_prove() {
    for mirror in ["file:///srv/app", "https://example.org/app.tar"] {
        let index = index(&format!(
            "[{{name: app, uri: 'quay.io/acme/app:1', mirrors: ['{mirror}']}}]"
        ));
        let mut case = Case::new(COVERED, index);
        case.integrity = Integrity::Permissive;
        let error = case.plan("app").unwrap_err();
        let PlanError::Requirement {
            source: RequirementError::Unsignable { found },
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(found.to_string(), mirror);
    }
}

#[test]
fn a_plan_s_requirement_is_that_of_all_its_sources() {
    let index = index("[{name: app, uri: 'quay.io/acme/app:latest-1', mirrors: ['acme/app:1']}]");
    for (gallery, integrity) in [
        (COVERED, Integrity::Strict),
        (COVERED, Integrity::Permissive),
        (UNCOVERED, Integrity::Permissive),
    ] {
        let mut case = Case::new(gallery, index.clone());
        case.integrity = integrity;
        case.fallbacks = FallbackTags::localai();
        let plan = case.plan("app").unwrap();
        let sources: Vec<Source> = plan.sources().iter().map(|s| s.source.clone()).collect();
        assert_eq!(sources.len(), 4);
        let alone = Requirement::of(case.gallery.policy.as_ref(), &sources, integrity);
        assert_eq!(plan.requirement(), &alone.unwrap());
        assert_eq!(plan.integrity(), integrity);
    }
}

#[test]
fn a_source_that_can_not_be_read_names_its_entry() {
    let index = index("[{name: app, uri: 'quay.io/acme/app:1', mirrors: ['ftp://a/b']}]");
    let error = Case::new(COVERED, index).plan("app").unwrap_err();
    let PlanError::Source { entry, source } = error else {
        panic!("{error:?}");
    };
    assert_eq!(entry, "app");
    assert!(matches!(source, SourceError::Scheme { found } if found == "ftp"));
}

#[test]
fn a_host_of_mirrors_is_refused() {
    let mirrors: Vec<String> = (0..33).map(|n| format!("acme/app:{n}")).collect();
    let index = index(&format!(
        "[{{name: app, uri: 'quay.io/acme/app:1', mirrors: ['{}']}}]",
        mirrors.join("','")
    ));
    let error = Case::new(COVERED, index).plan("app").unwrap_err();
    assert!(
        matches!(
            error,
            PlanError::Mirrors {
                limit: 32,
                found: 33,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn names_of_an_index_do_not_reach_a_terminal_raw() {
    let index = index("[{name: \"app\\e[2J\", uri: 'quay.io/acme/app:1'}]");
    let plan = Case::new(COVERED, index).plan("app\u{1b}[2J").unwrap();
    assert!(!plan.to_string().contains('\u{1b}'));
}

fn is_meta(entry: &GalleryEntry) -> bool {
    entry.content() == EntryContent::Meta
}
