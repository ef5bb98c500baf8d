use super::*;
use crate::capability::Capability;

fn index(text: &str) -> GalleryIndex {
    GalleryIndex::parse(text, "index.yaml").unwrap()
}

/// The entry that `app` leads to on a machine without an accelerator, where `kept` is installed.
fn kept<'a>(index: &'a GalleryIndex, kept: &str) -> Result<Vec<&'a str>, EntryError> {
    let found = ResolvedEntry::by_name_keeping(index, "app", kept, &Capability::default())?;
    let way = found.via().iter().copied().chain([found.entry()]);
    Ok(way.map(|entry| entry.name.as_str()).collect())
}

/// Meta entries `m1` to `m8`, each leading to the next by many capabilities, and `app` to the first.
fn wide(last: &str) -> GalleryIndex {
    let mut text = String::new();
    for level in 0..8 {
        let name = if level == 0 {
            "app".to_owned()
        } else {
            format!("m{level}")
        };
        let keys: Vec<String> = (0..1000)
            .map(|key| format!("k{key}: m{}", level + 1))
            .collect();
        text += &format!(
            "- {{name: {name}, capabilities: {{default: cpu, {}}}}}\n",
            keys.join(", ")
        );
    }
    index(&format!(
        "{text}- {last}\n- {{name: cpu, uri: quay.io/acme/app:cpu}}\n"
    ))
}

#[test]
fn many_ways_are_walked_once() {
    // By 1000 capabilities at each of eight levels: as many ways as nobody can walk.
    let nowhere = wide("{name: m8, capabilities: {k: m1}}");
    assert_eq!(kept(&nowhere, "gone"), Ok(vec!["app", "cpu"]));
    let behind = wide("{name: m8, uri: 'quay.io/acme/app:8'}");
    let way = ["app", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"];
    assert_eq!(kept(&behind, "m8"), Ok(way.to_vec()));
}

#[test]
fn a_ring_of_very_many_entries_is_walked_once() {
    const ENTRIES: usize = 50_000;
    let entry = |at: usize| {
        format!(
            "- {{name: e{at}, capabilities: {{a: e{}}}}}\n",
            (at + 1) % ENTRIES
        )
    };
    let ring = index(&(0..ENTRIES).map(entry).collect::<String>());
    assert!(leading_on(&ring).is_empty());
    assert!(entries_of(&ring, "e7").is_empty());
}

#[test]
fn what_leads_to_content_leads_on() {
    let index = index(
        "
- {name: top, capabilities: {a: middle, b: gone}}
- {name: middle, capabilities: {a: ring, b: app}}
- {name: ring, capabilities: {a: middle}}
- {name: app, uri: quay.io/acme/app:1}
- {name: to-fault, capabilities: {a: fault}}
- {name: fault, uri: [a]}
- {name: by-alias, capabilities: {a: other-name}}
- {name: aliased, alias: other-name, uri: quay.io/acme/app:2}
- {name: nowhere, capabilities: {a: gone, b: hollow}}
- {name: hollow}
- {name: middle}
",
    );
    let found = leading_on(&index);
    let names: Vec<&str> = index
        .entries()
        .iter()
        .filter(|entry| found.contains(&ptr::from_ref(*entry)))
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(names, ["top", "middle", "ring", "to-fault"]);
}

#[test]
fn another_entry_does_not_take_the_place_of_one_that_has_a_fault_or_is_missing() {
    const CPU: &str = "- {name: cpu, uri: quay.io/acme/app:cpu}";
    let app = format!("- {{name: app, capabilities: {{default: cpu, nvidia: cuda}}}}\n{CPU}\n");
    let cases = [
        (
            "- {name: cuda, uri: [quay.io/acme/app:cuda]}",
            "the entry `cuda` of the index can't be read",
        ),
        (
            "",
            "`app` leads to `cuda` for nvidia, and there is no such entry",
        ),
        (
            "- {name: [cuda], uri: quay.io/acme/app:cuda}",
            "`app` leads to `cuda` for nvidia, and there is no such entry",
        ),
    ];
    for (cuda, expected) in cases {
        let index = index(&format!("{app}{cuda}\n"));
        let told = kept(&index, "cuda").map_err(|error| error.to_string());
        assert_eq!(told, Err(expected.to_owned()), "{cuda}");
        assert_eq!(kept(&index, "cpu"), Ok(vec!["app", "cpu"]), "{cuda}");
    }
    // The way to it is what can't be read.
    let behind = "- {name: app, capabilities: {default: cpu, nvidia: gpu}}\n- {name: gpu, capabilities: [cuda]}\n- {name: cuda, uri: quay.io/acme/app:cuda}\n";
    let index = index(&format!("{behind}{CPU}\n"));
    let told = kept(&index, "cuda").map_err(|error| error.to_string());
    assert_eq!(
        told,
        Err("the entry `gpu` of the index can't be read".to_owned())
    );
    // Where it is gone altogether, the machine decides.
    assert_eq!(kept(&index, "rocm"), Ok(vec!["app", "cpu"]));
}
