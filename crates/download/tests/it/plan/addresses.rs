//! Which addresses an index from elsewhere may name.

use super::*;

#[test]
fn an_index_from_elsewhere_can_t_name_what_is_on_this_machine() {
    for (uri, kind) in [
        ("file:///etc", "a directory"),
        ("ocifile:///srv/app.tar", "an image layout"),
    ] {
        let index = GalleryIndex::parse(&format!("[{{name: app, uri: '{uri}'}}]"), "i").unwrap();
        let mut case = Case::new(UNCOVERED, index);
        case.integrity = Integrity::Permissive;
        case.from("https://example.org/index.yaml");
        let error = case.plan("app").unwrap_err();
        let PlanError::Local { found, .. } = &error else {
            panic!("another error: {error:?}");
        };
        assert_eq!(found.kind(), kind);
        case.from("file:index.yaml");
        assert!(case.plan("app").is_ok());
        // A kit says of itself where its index is from, and was made on another machine.
        case.origin = Origin::Kit;
        let error = case.plan("app").unwrap_err();
        assert!(matches!(error, PlanError::Local { .. }), "{error:?}");
        let says = "the index from the kit (file:index.yaml) may name only registries and URLs";
        assert!(error.to_string().ends_with(says), "{error}");
    }
}

/// What a plan for `uri`, by an index from `location`, is refused for.
fn inward(location: &str, uri: &str, private_addresses: PrivateAddresses) -> Option<HostKind> {
    let text = format!("[{{name: app, uri: 'quay.io/acme/app:1', mirrors: ['{uri}']}}]");
    let mut case = Case::new(UNCOVERED, index(&text));
    case.integrity = Integrity::Permissive;
    case.from(location);
    case.private_addresses = private_addresses;
    match case.plan("app") {
        Ok(_) => None,
        Err(PlanError::Inward { kind, .. }) => Some(kind),
        Err(other) => panic!("{location} names {uri}: {other:?}"),
    }
}

#[test]
fn an_index_from_elsewhere_names_no_address_further_inside_than_its_own() {
    let spellings = [
        ("localhost:5000/acme/app:1", HostKind::ThisMachine),
        ("127.0.0.1:5000/acme/app:1", HostKind::ThisMachine),
        ("127.1:5000/acme/app:1", HostKind::ThisMachine),
        ("http://2130706433/app.tar", HostKind::ThisMachine),
        ("http://0x7f.1/app.tar", HostKind::ThisMachine),
        ("http://[::1]/app.tar", HostKind::ThisMachine),
        ("http://[::ffff:127.0.0.1]/app.tar", HostKind::ThisMachine),
        ("http://0.0.0.0/app.tar", HostKind::ThisMachine),
        ("https://a.LOCALHOST./app.tar", HostKind::ThisMachine),
        ("[::]:5000/acme/app:1", HostKind::ThisMachine),
        ("http://169.254.169.254/app.tar", HostKind::LinkLocal),
        ("169.254.169.254:80/acme/app:1", HostKind::LinkLocal),
        ("http://[fe80::1]/app.tar", HostKind::LinkLocal),
        ("10.0.0.1:5000/acme/app:1", HostKind::Private),
        ("https://192.168.1.1/app.tar", HostKind::Private),
        ("[fd00::1]:5000/acme/app:1", HostKind::Private),
    ];
    for (uri, kind) in spellings {
        for location in [
            "https://example.org/index.yaml",
            "github:acme/gallery/index.yaml",
        ] {
            assert_eq!(
                inward(location, uri, PrivateAddresses::Refuse),
                Some(kind),
                "{uri}"
            );
            // The user may allow private addresses, and no others.
            let allowed = Some(kind).filter(|kind| *kind > HostKind::Private);
            assert_eq!(
                inward(location, uri, PrivateAddresses::Allow),
                allowed,
                "{uri}"
            );
        }
        // A gallery may name its own kind, and what is further out.
        let from_private = inward("https://10.0.0.2/index.yaml", uri, PrivateAddresses::Refuse);
        assert_eq!(
            from_private,
            Some(kind).filter(|kind| *kind > HostKind::Private)
        );
        for own in ["http://localhost/index.yaml", "file:index.yaml"] {
            assert_eq!(inward(own, uri, PrivateAddresses::Refuse), None, "{uri}");
        }
    }
    assert_eq!(
        inward(
            "https://example.org/index.yaml",
            "quay.io/acme/b:1",
            PrivateAddresses::Refuse
        ),
        None
    );
}

#[test]
fn an_index_names_what_is_as_far_in_as_its_server_is_known_to_be() {
    let text = "[{name: app, uri: '10.0.0.1:5000/acme/app:1'}]";
    let mut case = Case::new(UNCOVERED, index(text));
    case.integrity = Integrity::Permissive;
    case.from("https://gallery.example/index.yaml");
    case.origin = Origin::Cache(HostKind::Private);
    assert!(case.plan("app").is_ok());
    for origin in [Origin::Server, Origin::Cache] {
        case.origin = origin(HostKind::Public);
        let error = case.plan("app").unwrap_err();
        assert!(matches!(
            error,
            PlanError::Inward {
                kind: HostKind::Private,
                ..
            }
        ));
    }
}
