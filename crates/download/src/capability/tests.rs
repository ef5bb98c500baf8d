use super::*;

fn index(text: &str) -> GalleryIndex {
    GalleryIndex::parse(text, "index.yaml").unwrap()
}

fn capability(text: &str) -> Capability {
    text.parse().unwrap()
}

fn resolve(index: &GalleryIndex, name: &str, with: &str) -> Result<String, EntryError> {
    ResolvedEntry::by_name(index, name, &capability(with))
        .map(|resolved| resolved.entry().name.clone())
}

const CHAT: &str = "
- &chat
  name: chat
  alias: chat
  capabilities: {default: cpu-chat, nvidia: cuda12-chat, nvidia-cuda-13: cuda13-chat, nvidia-l4t: l4t-chat, metal: metal-chat}
- {<<: *chat, name: cpu-chat, uri: quay.io/acme/chat:cpu}
- {<<: *chat, name: cuda12-chat, uri: quay.io/acme/chat:cuda12}
- {<<: *chat, name: cuda13-chat, uri: quay.io/acme/chat:cuda13}
- {<<: *chat, name: l4t-chat, uri: quay.io/acme/chat:l4t}
- {<<: *chat, name: metal-chat, uri: quay.io/acme/chat:metal}
";

#[test]
fn a_meta_entry_serves_the_exact_capability_its_family_or_the_default() {
    let index = index(CHAT);
    for (capability, expected) in [
        ("default", "cpu-chat"),
        ("nvidia", "cuda12-chat"),
        ("nvidia-cuda-13", "cuda13-chat"),
        ("nvidia-cuda-12", "cuda12-chat"),
        ("nvidia-l4t", "l4t-chat"),
        ("nvidia-l4t-cuda-13", "l4t-chat"),
        ("metal", "metal-chat"),
        ("metal-darwin-arm64", "metal-chat"),
        ("amd", "cpu-chat"),
        ("vulkan", "cpu-chat"),
    ] {
        let found = resolve(&index, "chat", capability);
        assert_eq!(found.as_deref(), Ok(expected), "{capability}");
    }
}

#[test]
fn jetson_does_not_fall_to_the_images_of_other_nvidia_machines() {
    let index = index(
        "
- {name: chat, capabilities: {default: cpu, nvidia: cuda}}
- {name: cpu, uri: quay.io/acme/chat:cpu}
- {name: cuda, uri: quay.io/acme/chat:cuda}
",
    );
    assert_eq!(
        resolve(&index, "chat", "nvidia-l4t-cuda-12").as_deref(),
        Ok("cpu")
    );
}

#[test]
fn cpu_stands_in_for_a_default_that_is_not_there() {
    let index = index(
        "
- {name: chat, capabilities: {cpu: cpu-chat, nvidia: cpu-chat}}
- {name: cpu-chat, uri: quay.io/acme/chat:cpu}
",
    );
    for capability in ["default", "amd"] {
        assert_eq!(
            resolve(&index, "chat", capability).as_deref(),
            Ok("cpu-chat")
        );
    }
}

#[test]
fn the_way_through_meta_entries_is_kept() {
    let index = index(
        "
- {name: a, capabilities: {default: b}}
- {name: b, capabilities: {default: c}}
- {name: c, uri: quay.io/acme/c:1, capabilities: {default: a}}
",
    );
    let resolved = ResolvedEntry::by_name(&index, "a", &Capability::default()).unwrap();
    let via: Vec<&str> = resolved.via().iter().map(|e| e.name.as_str()).collect();
    assert_eq!((resolved.entry().name.as_str(), via), ("c", vec!["a", "b"]));
}

#[test]
fn an_empty_uri_is_as_good_as_none() {
    let index = index(
        "
- {name: a, uri: '', capabilities: {default: b}}
- {name: b, uri: quay.io/acme/b:1}
",
    );
    assert_eq!(resolve(&index, "a", "default").as_deref(), Ok("b"));
}

#[test]
fn a_name_goes_before_an_alias_and_an_alias_must_be_one_entry_s() {
    let index = index(
        "
- {name: one, alias: two, uri: quay.io/acme/one:1}
- {name: two, alias: shared, uri: quay.io/acme/two:1}
- {name: three, alias: shared, uri: quay.io/acme/three:1}
- {name: four, alias: only, uri: quay.io/acme/four:1}
",
    );
    assert_eq!(resolve(&index, "two", "default").as_deref(), Ok("two"));
    assert_eq!(resolve(&index, "only", "default").as_deref(), Ok("four"));
    assert_eq!(
        resolve(&index, "shared", "default"),
        Err(EntryError::Ambiguous {
            alias: "shared".into(),
            count: 2,
            names: vec!["two".into(), "three".into()],
        })
    );
}

#[test]
fn an_unknown_name_suggests_the_nearest() {
    let index = index(CHAT);
    assert_eq!(
        resolve(&index, "cuda14-chat", "default"),
        Err(EntryError::Unknown {
            name: "cuda14-chat".into(),
            nearest: Some("cuda12-chat".into()),
        })
    );
    assert_eq!(
        resolve(&index, "weather", "default"),
        Err(EntryError::Unknown {
            name: "weather".into(),
            nearest: None,
        })
    );
}

#[test]
fn meta_entries_that_lead_nowhere_are_refused() {
    let index = index(
        "
- {name: gpu-only, capabilities: {nvidia: gone}}
- {name: ring-a, capabilities: {default: ring-b}}
- {name: ring-b, capabilities: {default: ring-a}}
- {name: hollow}
",
    );
    assert_eq!(
        resolve(&index, "gpu-only", "amd"),
        Err(EntryError::NotForCapability {
            name: "gpu-only".into(),
            capability: capability("amd"),
            count: 1,
            capabilities: vec!["nvidia".into()],
        })
    );
    assert_eq!(
        resolve(&index, "gpu-only", "nvidia-cuda-12"),
        Err(EntryError::MissingTarget {
            name: "gpu-only".into(),
            capability: "nvidia".into(),
            target: "gone".into(),
        })
    );
    assert_eq!(
        resolve(&index, "ring-a", "default"),
        Err(EntryError::Cycle {
            names: vec!["ring-a".into(), "ring-b".into(), "ring-a".into()],
        })
    );
    assert_eq!(
        resolve(&index, "hollow", "default"),
        Err(EntryError::NoContent {
            name: "hollow".into()
        })
    );
}

#[test]
fn a_long_chain_of_meta_entries_is_refused() {
    let chain = |metas: usize| {
        let meta = |n| format!("- {{name: m{n}, capabilities: {{default: m{}}}}}\n", n + 1);
        let metas_text: String = (0..metas).map(meta).collect();
        index(&format!(
            "{metas_text}- {{name: m{metas}, uri: quay.io/acme/app:1}}\n"
        ))
    };
    let longest = chain(Limits::META_ENTRIES);
    assert_eq!(resolve(&longest, "m0", "default").as_deref(), Ok("m8"));
    assert_eq!(
        resolve(&chain(Limits::META_ENTRIES + 1), "m0", "default"),
        Err(EntryError::TooManySteps {
            name: "m0".into(),
            limit: 8,
        })
    );
}

#[test]
fn a_capability_is_words_joined_by_dashes() {
    for text in ["", "Nvidia", "nvidia cuda", "-nvidia", "nvidia-", "a\n"] {
        assert_eq!(text.parse::<Capability>().unwrap_err().found, excerpt(text));
    }
    assert_eq!(
        capability("nvidia-l4t-cuda-12").as_str(),
        "nvidia-l4t-cuda-12"
    );
}

#[test]
fn of_many_candidates_an_error_says_how_many_it_leaves_out() {
    let number = |number: usize| format!("{{name: chat-{number}, alias: chat, uri: a.example/b}}");
    let entries: Vec<String> = (0..23).map(number).collect();
    let ambiguous = resolve(&index(&format!("[{}]", entries.join(", "))), "chat", "amd");
    let told = ambiguous.unwrap_err().to_string();
    assert!(told.ends_with("chat-19 and 3 more"), "{told}");

    let keys: Vec<String> = (10..32).map(|number| format!("x{number}: gone")).collect();
    let text = format!("[{{name: chat, capabilities: {{{}}}}}]", keys.join(", "));
    let told = resolve(&index(&text), "chat", "amd")
        .unwrap_err()
        .to_string();
    assert!(told.ends_with("x29 and 2 more"), "{told}");
}
