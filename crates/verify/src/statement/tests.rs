use super::subjects::SUBJECTS_MAX;
use super::*;

const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const SLSA: &str = "https://slsa.dev/provenance/v1";

fn digest() -> Digest {
    Digest::sha256(b"image")
}

fn parse(json: &str) -> Result<Statement, Failure> {
    let text = format!(
        "issuer: https://gitlab.com\nidentity: somebody@example.org\npredicate_types: ['{SIGN}', '{SLSA}']"
    );
    let policy = Policy::from_yaml(&text, "policy.yaml").unwrap();
    Statement::about(&digest(), json.as_bytes(), &policy)
}

fn statement(kind: &str, subject: &str) -> String {
    format!(r#"{{"_type":"{kind}","predicateType":"{SIGN}","subject":{subject}}}"#)
}

fn subject() -> String {
    format!(r#"{{"digest":{{"sha256":"{}"}}}}"#, digest().hex())
}

#[test]
fn an_annotation_that_is_there_twice_is_refused() {
    let subject = format!(
        r#"[{{"digest":{{"sha256":"{}"}},"annotations":{{"k":"v","k":"w"}}}}]"#,
        digest().hex()
    );
    let error = parse(&statement(STATEMENT_V1, &subject)).unwrap_err();
    let Failure::Malformed { part, detail } = error else {
        panic!("{error:?}");
    };
    assert_eq!(part, MalformedPart::Statement);
    assert!(
        detail.starts_with("an annotation is there twice"),
        "{detail}"
    );
}

#[test]
fn cosigns_statement_with_and_without_predicate_and_annotations_is_read() {
    let plain = parse(&statement(STATEMENT_V1, &format!("[{}]", subject()))).unwrap();
    assert_eq!(plain.subject_name, None);
    assert!(plain.annotations.is_empty());
    let annotated = format!(
        r#"[{{"name":"r/i","digest":{{"sha256":"{}"}},"annotations":{{"k":"v","n":1}}}}]"#,
        digest().hex()
    );
    let annotated = parse(&statement(STATEMENT_V1, &annotated)).unwrap();
    assert_eq!(annotated.subject_name.as_deref(), Some("r/i"));
    assert_eq!(
        annotated.annotations,
        BTreeMap::from([("k".into(), "v".into())])
    );
}

#[test]
fn another_predicate_type_is_an_attestation_before_all_else() {
    let sbom = r#"{"_type":"x","predicateType":"https://spdx.dev/Document","subject":[]}"#;
    assert!(matches!(
        parse(sbom),
        Err(Failure::Attestation { found, .. }) if found == "https://spdx.dev/Document"
    ));
}

#[test]
fn odd_statement_types_are_refused() {
    for kind in [
        "",
        "https://in-toto.io/Statement/v0.1",
        "https://in-toto.io/Statement/v1.0",
    ] {
        let json = statement(kind, &format!("[{}]", subject()));
        assert!(matches!(
            parse(&json),
            Err(Failure::StatementType { found, .. }) if found == kind
        ));
    }
}

#[test]
fn a_signature_has_exactly_one_subject() {
    let count = |subjects: &str| match parse(&statement(STATEMENT_V1, subjects)) {
        Err(Failure::SubjectCount { found }) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(count("[]"), 0);
    assert_eq!(count(&format!("[{0},{0}]", subject())), 2);
    let many = vec![subject(); 5_000].join(",");
    assert_eq!(count(&format!("[{many}]")), 5_000);
}

#[test]
fn the_subject_has_the_images_digest_by_the_images_algorithm() {
    let other = r#"[{"digest":{"sha256":"00"}}]"#;
    let none = r#"[{"digest":{"sha512":"00"}}]"#;
    for subjects in [other, none] {
        assert!(matches!(
            parse(&statement(STATEMENT_V1, subjects)),
            Err(Failure::SubjectDigest { expected, .. }) if expected == digest()
        ));
    }
}

#[test]
fn a_field_that_stands_twice_is_refused() {
    let twice = format!(
        r#"[{{"digest":{{"sha256":"00","sha256":"{}"}}}}]"#,
        digest().hex()
    );
    assert!(matches!(
        parse(&statement(STATEMENT_V1, &twice)),
        Err(Failure::Malformed {
            part: MalformedPart::Statement,
            ..
        })
    ));
}

/// A provenance about these subjects.
fn provenance(subjects: &str) -> String {
    format!(
        r#"{{"_type":"{STATEMENT_V01}","predicateType":"{SLSA}","subject":[{subjects}],"predicate":{{}}}}"#
    )
}

fn named(name: &str, algorithm: &str, hex: &str) -> String {
    format!(
        r#"{{"name":"{name}","digest":{{"{algorithm}":"{hex}"}},"annotations":{{"n":"{name}"}}}}"#
    )
}

#[test]
fn the_image_is_one_of_an_attestation_s_subjects() {
    let other = Digest::sha256(b"other");
    let subjects = [
        named("before", "sha256", other.hex()),
        named("the image", "sha256", digest().hex()),
        // The digits of the image's digest, by another algorithm.
        named("after", "sha512", digest().hex()),
        named("a commit", "gitCommit", digest().hex()),
    ];
    for kind in [STATEMENT_V1, STATEMENT_V01] {
        let json = provenance(&subjects.join(",")).replace(STATEMENT_V01, kind);
        let statement = parse(&json).unwrap();
        assert_eq!(statement.subject_name.as_deref(), Some("the image"));
        assert_eq!(statement.annotations["n"], "the image");
        assert_eq!(statement.predicate_type, SLSA);
    }
    let other_type =
        provenance(&subjects.join(",")).replace(STATEMENT_V01, "https://in-toto.io/v2");
    assert!(matches!(
        parse(&other_type),
        Err(Failure::StatementType { expected, .. }) if expected == [STATEMENT_V1, STATEMENT_V01]
    ));
}

#[test]
fn an_attestation_without_the_image_is_refused() {
    let image = digest();
    let found = |subjects: &[String]| match parse(&provenance(&subjects.join(","))) {
        Err(Failure::SubjectDigest { expected, found }) if expected == image => found,
        other => panic!("{other:?}"),
    };
    let by_another_algorithm = named("a", "sha512", image.hex());
    let capitals = named("b", "sha256", &image.hex().to_uppercase());
    let longer = named("c", "sha256", &format!("{}00", image.hex()));
    assert_eq!(
        found(std::slice::from_ref(&by_another_algorithm)),
        "no sha256 digest"
    );
    assert!(found(&[capitals]).starts_with("sha256:"));
    assert!(found(&[longer]).ends_with("00"));
    let many = vec![by_another_algorithm; SUBJECTS_MAX];
    insta::assert_snapshot!(
        found(&many),
        @"no sha256 digest, no sha256 digest, no sha256 digest, and 1021 more"
    );
    assert!(matches!(
        parse(&provenance("")),
        Err(Failure::SubjectCount { found: 0 })
    ));
}

#[test]
fn an_attestation_that_names_the_image_twice_is_refused() {
    let (lower, upper) = (digest().hex().to_owned(), digest().hex().to_uppercase());
    for second in [&lower, &upper] {
        let subjects = [
            named("a", "sha256", &lower),
            named("b", "sha256", Digest::sha256(b"other").hex()),
            named("c", "sha256", second),
        ];
        assert!(matches!(
            parse(&provenance(&subjects.join(","))),
            Err(Failure::SubjectRepeated { found: 2 })
        ));
    }
}

#[test]
fn the_subjects_of_an_attestation_are_bounded() {
    let mut subjects = vec![r#"{"digest":{"sha512":"00"}}"#.to_owned(); SUBJECTS_MAX - 1];
    subjects.push(named("the image", "sha256", digest().hex()));
    assert!(parse(&provenance(&subjects.join(","))).is_ok());
    subjects.insert(0, "{}".to_owned());
    subjects.resize(100_000, "{}".to_owned());
    // The first is no subject, and a list that is too long is told by what was read of it.
    assert!(matches!(
        parse(&provenance(&subjects.join(","))),
        Err(Failure::Malformed { .. })
    ));
    subjects[0] = subject();
    assert!(matches!(
        parse(&provenance(&subjects.join(","))),
        Err(Failure::TooMany {
            what: "subjects of the statement",
            limit: SUBJECTS_MAX,
            found: 100_000
        })
    ));
}

#[test]
fn an_array_is_no_object_anywhere_in_a_statement() {
    let hex = digest().hex().to_owned();
    for json in [
        format!(r#"["{STATEMENT_V1}","{SIGN}",[{}],null]"#, subject()),
        statement(
            STATEMENT_V1,
            &format!(r#"[["name",{{"sha256":"{hex}"}},null]]"#),
        ),
        statement(STATEMENT_V1, &format!(r#"[{{"digest":["{hex}",null]}}]"#)),
    ] {
        let error = parse(&json).unwrap_err();
        assert!(
            matches!(&error, Failure::Malformed { detail, .. } if detail.contains("expected an object")),
            "{json}: {error:?}"
        );
    }
    assert!(parse(&statement(STATEMENT_V1, &format!("[{}]", subject()))).is_ok());
}
